package edgeclient

import (
	"os"
	"strings"
	"testing"
)

// Settings come first, then the variable, then what was remembered.
func TestDefault(t *testing.T) {
	t.Setenv("YARND_HOME", t.TempDir())
	t.Setenv("YARND_APP", "")
	if app, err := Default(""); CodeOf(err) != NotFound {
		t.Errorf("%q, %v", app, err)
	}
	if err := SetCurrent("tcp://node1:8786"); err != nil {
		t.Fatal(err)
	}
	want := func(setting, want string) {
		t.Helper()
		if app, err := Default(setting); err != nil || app != want {
			t.Errorf("%q, %v; want %q", app, err, want)
		}
	}
	want("", "tcp://node1:8786")
	t.Setenv("YARND_APP", "local_1_0001")
	want("", "local_1_0001")
	want("last", "last")
	t.Setenv("YARND_APP", "nonsense")
	if _, err := Default(""); CodeOf(err) != Usage {
		t.Errorf("nonsense: %v", err)
	}
}

// This machine is taken only where nobody has said, or meant, anything else.
func TestLocalInstead(t *testing.T) {
	for _, name := range []string{"YARND_PROVIDER", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME"} {
		t.Setenv(name, "")
	}
	if why := LocalInstead(Options{Provider: "local"}); !strings.Contains(why, "YARND_APP") || strings.Contains(why, "Hadoop") {
		t.Errorf("local: %q", why)
	}
	if why := LocalInstead(Options{Provider: "yarn"}); why != "" {
		t.Errorf("yarn: %q", why)
	}
	if why := LocalInstead(Options{Define: []string{"yarn.resourcemanager.hostname=rm"}}); why != "" {
		t.Errorf("a property: %q", why)
	}
	if _, err := os.Stat("/etc/hadoop/conf"); err != nil {
		if why := LocalInstead(Options{}); !strings.Contains(why, "no Hadoop configuration is in /etc/hadoop/conf (HADOOP_CONF_DIR)") {
			t.Errorf("nothing: %q", why)
		}
	}
	for _, name := range []string{"HADOOP_CONF_DIR", "YARN_CONF_DIR", "HADOOP_HOME"} {
		t.Setenv(name, t.TempDir()) // a slip: it is told of when the cluster is needed
		if why := LocalInstead(Options{}); why != "" {
			t.Errorf("%s: %q", name, why)
		}
		t.Setenv(name, "")
	}
	t.Setenv("YARND_PROVIDER", "yarn")
	if why := LocalInstead(Options{}); why != "" {
		t.Errorf("YARND_PROVIDER: %q", why)
	}
}
