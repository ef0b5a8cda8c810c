//go:build hadoop

package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// Each wrong input ends with its exit code, an error that names what is wrong and
// what to do next, and leaves nothing.
func TestBadInput(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	before := staged(t, alice)
	for _, x := range []struct {
		name string
		argv []string
		code int
		says []string
	}{
		{"memory above the maximum", []string{"yarnd", "submit", "--workers", "1", "--worker-memory", "500GiB"}, 5, []string{"500GiB", "4GiB", "yarn.scheduler.maximum-allocation-mb", "Try --worker-memory"}},
		{"vcores above the maximum", []string{"yarnd", "submit", "--workers", "1", "--worker-vcores", "999"}, 5, []string{"999", "Try --worker-vcores"}},
		{"unknown queue", []string{"yarnd", "submit", "--queue", "nowhere"}, 5, []string{`no queue "nowhere"`, "default", "etl"}},
		{"parent queue", []string{"yarnd", "submit", "--queue", "root"}, 5, []string{"root"}},
		{"missing archive", []string{"yarnd", "submit", "--env", "missing.tar.gz"}, 2, []string{"missing.tar.gz", "no such file"}},
		{"wrong HADOOP_CONF_DIR", []string{"env", "HADOOP_CONF_DIR=/nonexistent", "yarnd", "submit"}, 2, []string{"/nonexistent", "HADOOP_CONF_DIR"}},
		{"stale id", []string{"yarnd", "connect", "application_1000000000000_0001"}, 3, []string{"application_1000000000000_0001"}},
		{"no id", []string{"yarnd", "status", "nonsense!"}, 2, []string{"nonsense!"}},
		{"negative workers", []string{"yarnd", "submit", "--workers", "-1"}, 2, []string{"-1", "--workers"}},
		{"wait without a number", []string{"yarnd", "submit", "--wait", "workers"}, 2, []string{"workers:N"}},
		{"unknown flag", []string{"yarnd", "submit", "--wokers", "3"}, 2, []string{"--wokers", "--help"}},
		{"dynamic program", []string{"yarnd", "submit", "--bundle", "/bin/ls"}, 2, []string{"/bin/ls"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := alice.Run(t, x.argv...)
			if r.Code != x.code || r.Stdout != "" {
				t.Errorf("want exit code %d and nothing on standard output: %v", x.code, r)
			}
			for _, s := range x.says {
				if !strings.Contains(r.Stderr, s) {
					t.Errorf("the error does not say %q: %v", s, r)
				}
			}
		})
	}
	if after := staged(t, alice); len(after) > len(before) {
		t.Errorf("left behind in HDFS: %v, before %v", after, before)
	}
	if r := alice.Run(t, "yarnd", "list", "-o", "name"); r.Stdout != "" {
		t.Errorf("left behind in YARN: %v", r)
	}
}

// Workers that crash at once end the application with their last words, not in a
// loop.
func TestWorkersThatCrashAtOnce(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	build(t, "./crash", "crash")
	r := alice.Run(t, "yarnd", "submit", "--bundle", bundle("crash"), "--workers", "2", "--worker-memory", "256MiB", "--wait", "finished", "--timeout", "4m")
	a := app{strings.TrimSpace(r.Stdout), alice}
	if r.Code != 7 || !strings.Contains(r.Stderr, "these are my last words") {
		t.Errorf("want exit code 7 and the worker's last words: %v", r)
	}
	if rm := a.rm(t); rm.FinalStatus != "FAILED" || !strings.Contains(rm.Diagnostics, "these are my last words") {
		t.Errorf("the ResourceManager shows %+v", rm)
	}
	a.leftNothing(t)
}

// Ctrl-C in the middle of an upload: nothing of it stays.
func TestInterruptedUploadLeavesNothing(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	before := staged(t, alice)
	alice.Must(t, "sh", "-c", "head -c 1000000000 /dev/urandom > noise")
	t.Cleanup(func() { alice.Run(t, "rm", "noise") })
	submitting := alice.Command(t.Context(), "interrupted", "yarnd", "submit", "--workers", "1", "--files", "noise", "--name", "interrupted")
	var stdout, stderr strings.Builder
	submitting.Stdout, submitting.Stderr = &stdout, &stderr
	if err := submitting.Start(); err != nil {
		t.Fatal(err)
	}
	uploading := func() bool { // a connection to a DataNode's port, 9866
		out, err := c.Output(t.Context(), "edge1", "root", "sh", "-c", `pgrep -f "submit .*--name interrupted" >/dev/null && grep -c ':268A 01 ' /proc/net/tcp; true`)
		n, _ := strconv.Atoi(strings.TrimSpace(out))
		return err == nil && n > 0
	}
	await(t, "the file is being uploaded", time.Minute, uploading)
	if err := submitting.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := submitting.Wait(); submitting.ProcessState.ExitCode() != 130 || stdout.String() != "" {
		t.Errorf("want exit code 130 and no id: %v: %q, %q", err, stdout.String(), stderr.String())
	}
	if r := alice.FS(t, "-ls", "-R", ".yarnd"); strings.Contains(r.Stdout, "noise") {
		t.Errorf("left in the cache: %v", r)
	}
	if after := staged(t, alice); len(after) > len(before) {
		t.Errorf("left behind: %v, before %v", after, before)
	}
	if r := alice.Run(t, "yarnd", "list", "--all", "--name", "interrupted", "-o", "name"); r.Stdout != "" {
		t.Errorf("submitted all the same: %v", r)
	}
}

// A full disk on the edge node: what needs it ends with the way out and leaves nothing,
// and a submission, which needs none, goes on without what it would have noted there.
func TestDiskFull(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	const full = "/dev/shm" // of 64 MiB in a container
	alice.Must(t, "sh", "-c", "rm -rf noise && mkdir noise && head -c 80000000 /dev/urandom > noise/blob && yarnd -q env pack noise --to noise.tar.gz")
	t.Cleanup(func() { alice.Run(t, "sh", "-c", "yarnd env rm noise.tar.gz; rm -rf noise noise.tar.gz "+full+"/*") })
	empty := func() {
		t.Helper()
		if left := alice.Must(t, "ls", "-A", full); left != "" {
			t.Errorf("left behind: %s", left)
		}
	}
	if r := alice.Run(t, "yarnd", "env", "pack", "noise", "--to", full+"/noise.tar.gz"); r.Code != 1 || !strings.Contains(r.Stderr, "the disk of "+full+" is full") || !strings.Contains(r.Stderr, "--to") {
		t.Errorf("pack: %v", r)
	}
	empty()
	if r := alice.Run(t, "env", "TMPDIR="+full, "yarnd", "env", "verify", "noise.tar.gz"); r.Code != 1 || !strings.Contains(r.Stderr, "no space left on device") || !strings.Contains(r.Stderr, "TMPDIR") {
		t.Errorf("verify: %v", r)
	}
	empty()
	alice.Run(t, "sh", "-c", "head -c 80000000 /dev/zero > "+full+"/zeros")
	r := alice.Run(t, "env", "TMPDIR="+full, "XDG_CACHE_HOME="+full, "yarnd", "submit", "--workers", "1", "--worker-memory", "256MiB", "--env", "noise.tar.gz", "--wait", "workers:1")
	if r.Code != 0 {
		t.Fatal(r)
	}
	a := app{strings.TrimSpace(r.Stdout), alice}
	a.must(t, "kill")
	a.leftNothing(t)
}

// Without a ResourceManager, or a NameNode, commands end with an error in time.
func TestDaemonsDown(t *testing.T) {
	c := dockertest.Exclusive(t, "simple")
	alice := c.Edge("alice")
	before := staged(t, alice)
	t.Run("NameNode", func(t *testing.T) {
		if err := c.StopDaemon(t.Context(), "nn", "namenode"); err != nil {
			t.Fatal(err)
		}
		r := alice.Run(t, "yarnd", "submit", "--workers", "1")
		if r.Code != 6 || r.Took > 30*time.Second || !strings.Contains(r.Stderr, "NameNode") {
			t.Errorf("want exit code 6 within 30 s and the NameNode named: %v", r)
		}
		if err := c.StartDaemon(t.Context(), "nn", "namenode"); err != nil {
			t.Fatal(err)
		}
		if err := c.AwaitHealth(t.Context(), 2*time.Minute); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("ResourceManager", func(t *testing.T) {
		if err := c.StopDaemon(t.Context(), "rm", "resourcemanager"); err != nil {
			t.Fatal(err)
		}
		for _, argv := range [][]string{{"yarnd", "list"}, {"yarnd", "submit", "--workers", "1"}, {"yarnd", "status", "application_1000000000000_0001"}} {
			r := alice.Run(t, argv...)
			if r.Code != 6 || r.Took > 21*time.Second || !strings.Contains(r.Stderr, "rm:8032") {
				t.Errorf("want exit code 6 within 20 s and the address named: %v", r)
			}
		}
		if err := c.StartDaemon(t.Context(), "rm", "resourcemanager"); err != nil {
			t.Fatal(err)
		}
		if err := c.AwaitHealth(t.Context(), 2*time.Minute); err != nil {
			t.Fatal(err)
		}
	})
	if after := staged(t, alice); len(after) > len(before) {
		t.Errorf("left behind in HDFS: %v, before %v", after, before)
	}
}
