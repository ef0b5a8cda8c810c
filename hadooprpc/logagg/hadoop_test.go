//go:build hadoop

package logagg

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// TestLogsCLI runs MapReduce with talkative loggers on the cluster that
// HADOOP_CONF_DIR describes and compares its aggregated logs with what Java's
// LogsCLI prints of them. It needs hadoop-java, the Java clients, on its PATH.
func TestLogsCLI(t *testing.T) {
	c, err := conf.Load(conf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := hdfs.Open(t.Context(), c, "", hdfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fsys.Close()
	dir := fsys.Home() + "/logs-test-" + rand.Text()
	if err := fsys.MkdirAll(t.Context(), dir, 0o755); err != nil {
		t.Fatal(err)
	}
	defer fsys.RemoveAll(context.Background(), dir)
	if _, err := hdfs.WriteFile(t.Context(), fsys, dir+"/in", []byte("one two two\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	app := wordcount(t, dir)
	l := awaitLogs(t, fsys, c, app)
	java, err := exec.CommandContext(t.Context(), "hadoop-java", "org.apache.hadoop.yarn.client.cli.LogsCLI",
		"-applicationId", app).Output()
	if err != nil {
		t.Fatalf("LogsCLI: %v: %s", err, errors.Unwrap(err))
	}
	compare(t, l, java)

	var largest int64
	n := 0
	for f, err := range l.Files(t.Context(), Filter{Name: "syslog"}) {
		if err != nil {
			t.Fatal(err)
		}
		size, err := io.Copy(io.Discard, f)
		if err != nil || size != f.Size {
			t.Errorf("%s: %d of %d bytes, %v", f.Container, size, f.Size, err)
		}
		n, largest = n+1, max(largest, size)
	}
	t.Logf("%s: %d nodes, %d syslogs, the largest of %d bytes", app, len(l.Nodes()), n, largest)
	if largest < 300_000 {
		t.Errorf("no log is larger than a block of a TFile (256 KiB)")
	}
}

// wordcount runs the example of that name and returns its application's id.
func wordcount(t *testing.T, dir string) string {
	t.Helper()
	jar, err := exec.Command("sh", "-c", "ls /opt/hadoop/lib/hadoop-mapreduce-examples-*.jar").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "hadoop-java", "org.apache.hadoop.util.RunJar", string(jar[:len(jar)-1]), "wordcount",
		"-Dmapreduce.map.log.level=TRACE", "-Dmapreduce.reduce.log.level=TRACE", "-Dyarn.app.mapreduce.am.log.level=DEBUG", dir+"/in", dir+"/out")
	out, err := cmd.CombinedOutput()
	id := regexp.MustCompile(`application_\d+_\d+`).Find(out)
	if err != nil || id == nil {
		t.Fatalf("wordcount: %v: %s", err, out)
	}
	return string(id)
}

// awaitLogs waits until all nodes have uploaded: the job ran a map, a reduce
// and an application master, three containers.
func awaitLogs(t *testing.T, fsys hdfs.FS, c *conf.Conf, app string) *Logs {
	t.Helper()
	deadline := time.After(90 * time.Second)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		l, err := Open(t.Context(), fsys, c, app, fsys.User())
		if nf := (*NotFoundError)(nil); err != nil && !errors.As(err, &nf) {
			t.Fatal(err)
		}
		if err == nil && len(l.Pending()) == 0 {
			containers := map[string]bool{}
			for f, err := range l.Files(t.Context(), Filter{}) {
				if err != nil {
					t.Fatal(err)
				}
				containers[f.Container] = true
			}
			if len(containers) >= 3 {
				return l
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("logs of %s are not complete: %v", app, err)
		}
	}
}
