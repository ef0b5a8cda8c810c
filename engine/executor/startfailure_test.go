package executor

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What did not start is told with what is there instead.
func TestStartFailure(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, err := range []error{
		os.MkdirAll("environment/bin", 0o755),
		os.WriteFile("environment/bin/pip", []byte("#!/nowhere/python\n"), 0o755),
		os.Symlink("/nowhere/python3", "environment/bin/python"),
		os.WriteFile("text", []byte("print(1)\n"), 0o755),
		os.WriteFile("mode", nil, 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range []struct {
		name string
		code int32
		says string
	}{
		{"environment/bin/pyton", 127, "environment/bin has pip, python; ship it"},
		{"env/bin/python", 127, "the command's directory has environment, mode, text; ship it"},
		{"environment/bin/python", 127, "it is a link to /nowhere/python3, which this node does not have"},
		{"environment/bin/pip", 127, "the interpreter that its first line names"},
		{"./text", 126, "those begin with #!"},
		{"./mode", 126, "permission denied"},
		{"text", 127, "write ./text"},
		{"nothing-of-that-name", 127, "ship it with --files"},
	} {
		err := exec.Command(x.name).Run()
		if err == nil {
			t.Fatalf("%s was started", x.name)
		}
		if f := startFailure(x.name, err); f.ExitCode != x.code || !strings.Contains(f.Message, x.says) {
			t.Errorf("%s: code %d, %s; want %d and %q", x.name, f.ExitCode, f.Message, x.code, x.says)
		}
	}
	t.Setenv("PATH", ".")
	if f := startFailure("text", exec.Command("text").Run()); f.ExitCode != 126 || !strings.Contains(f.Message, "; write ./text") {
		t.Errorf("found in the current directory: %+v", f)
	}
}
