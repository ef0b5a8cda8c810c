//go:build hadoop && chaos

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/cluster"
)

// The newest of each that work together, as of November 2026.
var daskYarn = []string{"dask-yarn==0.9", "skein==0.8.2", "dask==2022.2.0", "distributed==2022.2.0", "tornado==6.1", "protobuf<3.21", "setuptools<70", "click<8.1"}

// outcome is what a client saw of its job of 60 tasks of which one process was killed.
type outcome struct {
	Right, Failed int
	Why           string
	Seconds       float64
	again         int // tasks that ran more than once
}

// What a kill -9 costs a job of 60 tasks on three workers, here and on dask-yarn, on the same cluster.
func TestChaosBesideDaskYarn(t *testing.T) {
	c := dockertest.Exclusive(t, "simple")
	alice := c.Edge("alice")
	installDaskYarn(t, c)
	var table strings.Builder
	for _, role := range []string{"worker", "scheduler", "appmaster"} {
		for _, tool := range []struct {
			name string
			run  func(*testing.T, dockertest.Edge, string) outcome
		}{{"yarnd", onYarnd}, {"dask-yarn", onDaskYarn}} {
			t.Run(tool.name+"/"+role, func(t *testing.T) {
				o := tool.run(t, alice, role)
				fmt.Fprintf(&table, "%-10s  %-9s  %2d right  %2d failed  %2d ran again  %6.1f s  %s\n", role, tool.name, o.Right, o.Failed, o.again, o.Seconds, o.Why)
				if tool.name == "yarnd" && o.Right != 60 {
					t.Errorf("%+v", o)
				}
			})
		}
	}
	t.Log("\n" + table.String())
}

func onYarnd(t *testing.T, alice dockertest.Edge, role string) (o outcome) {
	a := submit(t, alice, "--workers", "3", "--worker-memory", "512MiB", "--wait", "workers:3")
	ran := "/tmp/ran-" + a.id
	cmd := alice.Command(t.Context(), "", "sh", "-c", `seq 0 59 | yarnd map "$@"`, "sh", a.id, "--", "sh", "-c", "echo $1 >> "+ran+"; sleep 0.5; echo $(($1 * $1))", "sh", "{}")
	start := time.Now()
	lines := begin(t, cmd)
	for line := range lines {
		var n int
		if fmt.Sscan(line, &n); n == o.Right*o.Right {
			o.Right++
		}
		if o.Right == 12 {
			killOne(t, a, role)
		}
	}
	if err := cmd.Wait(); err != nil {
		o.Failed, o.Why = 60-o.Right, err.Error()
	}
	o.Seconds = time.Since(start).Seconds()
	o.again = ranAgain(t, alice, ran)
	return o
}

func onDaskYarn(t *testing.T, alice dockertest.Edge, role string) (o outcome) {
	ran := fmt.Sprintf("/tmp/ran-%d", time.Now().UnixNano())
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := alice.Command(ctx, "", "env", "PATH=/opt/dask-yarn/bin:/opt/java/bin:/usr/bin:/bin", "JAVA_HOME=/opt/java", "timeout", "240",
		"/opt/dask-yarn/python", "/opt/yarnd/src/dockertest/e2e/testdata/squares_on_dask.py", ran)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	a := app{edge: alice}
	for line := range begin(t, cmd) {
		if id, ok := strings.CutPrefix(line, "application "); ok {
			a.id = id
			t.Cleanup(func() { alice.Run(t, "hadoop-java", "org.apache.hadoop.yarn.client.cli.ApplicationCLI", "-kill", id) })
		}
		if line == "twelve" {
			killDask(t, a, role)
		}
		if strings.HasPrefix(line, "{") {
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		o.Why = strings.TrimSpace(o.Why + " " + err.Error())
	}
	if a.id == "" {
		t.Fatalf("dask-yarn does not start: %s", stderr.String())
	}
	o.Failed = 60 - o.Right
	o.again = ranAgain(t, alice, ran)
	return o
}

// begin starts a command and yields the lines of its standard output.
func begin(t *testing.T, cmd *exec.Cmd) <-chan string {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines
}

// killDask kills -9 the process of a role of dask-yarn's.
func killDask(t *testing.T, a app, role string) {
	t.Helper()
	mark := map[string]string{"appmaster": "com.anaconda.skein.ApplicationMaster", "scheduler": "dask_yarn.cli services scheduler", "worker": "dask_yarn.cli services worker"}[role]
	for _, p := range a.processes(t) {
		f := strings.Fields(p)
		if len(f) < 3 || !strings.Contains(p, mark) || strings.HasSuffix(f[2], "sh") || strings.HasSuffix(f[2], "bash") {
			continue
		}
		if _, err := a.edge.Cluster.Output(t.Context(), f[0], "root", "kill", "-9", f[1]); err != nil {
			t.Fatal(err)
		}
		t.Logf("killed -9 %s", p)
		return
	}
	t.Fatalf("no %s found among %q", role, a.processes(t))
}

// ranAgain counts the runs beyond the first of each task, from what they wrote on the nodes.
func ranAgain(t *testing.T, alice dockertest.Edge, file string) (again int) {
	t.Helper()
	seen := map[string]bool{}
	for _, n := range nodes {
		text, err := alice.Cluster.Output(t.Context(), n, "root", "sh", "-c", "cat "+file+" 2>/dev/null; rm -f "+file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(text) {
			if seen[line] {
				again++
			}
			seen[line] = true
		}
	}
	return again
}

// installDaskYarn puts dask-yarn into /opt/dask-yarn of the hosts, and a command yarn that says what skein asks it for.
// It needs a Python of the hosts' version on this machine, 3.11.
func installDaskYarn(t *testing.T, c *dockertest.Cluster) {
	t.Helper()
	dir, err := cache.Find()
	if err != nil {
		t.Fatal(err)
	}
	root := dir.Path("dask-yarn")
	if _, err := os.Stat(filepath.Join(root, "site", "dask_yarn")); err != nil {
		pip := exec.CommandContext(t.Context(), "python3", append([]string{"-m", "pip", "install", "-q", "--target", filepath.Join(root, "site")}, daskYarn...)...)
		if out, err := pip.CombinedOutput(); err != nil {
			t.Skipf("dask-yarn cannot be installed: %v\n%s", err, out)
		}
	}
	for name, text := range map[string]string{
		"python":   "#!/bin/sh\nPYTHONPATH=/opt/dask-yarn/site exec /usr/bin/python3 \"$@\"\n",
		"bin/yarn": "#!/bin/sh\n[ \"$1\" = classpath ] || exit 1\nprintf /etc/hadoop/conf; for j in /opt/hadoop/lib/*.jar; do printf ':%s' \"$j\"; done; echo\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, host := range append([]string{"edge1"}, nodes...) {
		tar := exec.CommandContext(t.Context(), "tar", "-C", root, "-cf", "-", ".")
		pack, err := tar.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := tar.Start(); err != nil {
			t.Fatal(err)
		}
		code, err := c.Exec(t.Context(), cluster.Command{Host: host, Stdin: pack,
			Argv: []string{"sh", "-c", "rm -rf /opt/dask-yarn; mkdir /opt/dask-yarn && tar -C /opt/dask-yarn -xf -"}})
		if err := errors.Join(err, tar.Wait()); err != nil || code != 0 {
			t.Fatalf("exit code %d, %v", code, err)
		}
	}
}
