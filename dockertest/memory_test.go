//go:build hadoop

package dockertest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
)

// distributedShell runs a script in one container of 256 MB and returns what Hadoop's example application says.
func distributedShell(t *testing.T, c *dockertest.Cluster, script string) dockertest.Result {
	t.Helper()
	f, err := os.CreateTemp(c.Exchange(), "*.sh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(f.Name()) })
	if _, err := f.WriteString(script); err != nil {
		t.Fatal(err)
	}
	if err := f.Chmod(0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// The master's 4 GB are for the virtual memory of a JVM, which simple-vmem counts.
	return c.Edge("alice").Run(t, "sh", "-c", `jar=$(echo /opt/hadoop/lib/hadoop-yarn-applications-distributedshell-*.jar)
		exec hadoop-java org.apache.hadoop.yarn.applications.distributedshell.Client -jar "$jar" \
		-shell_script /exchange/`+filepath.Base(f.Name())+` -container_memory 256 -num_containers 1 -master_memory 4096 \
		-container_max_retries 0 -timeout 120000`)
}

const (
	// resident touches 600 MB. reserved asks for 1 GB of zeros, of which the kernel makes none real: address space over
	// 2.1 × 256 MB.
	resident = "exec python3 -c 'import time; b = bytearray(600<<20); time.sleep(60)'\n"
	reserved = "exec python3 -c 'import time; b = bytes(1<<30); time.sleep(15)'\n"
)

// Memory limits must kill: a cluster on which they do not cannot tell whether ours are right.
func TestMemoryHogIsKilled(t *testing.T) {
	c := dockertest.Running(t, "simple")
	r := distributedShell(t, c, resident)
	if out := r.Stdout + r.Stderr; r.Code == 0 || !strings.Contains(out, "beyond the 'PHYSICAL' memory limit") {
		t.Errorf("600 MB in a container of 256 MB: %v", r)
	}
}

func TestAddressSpaceCountsInSimpleVmemOnly(t *testing.T) {
	t.Run("simple", func(t *testing.T) {
		c := dockertest.Running(t, "simple")
		if r := distributedShell(t, c, reserved); r.Code != 0 {
			t.Errorf("1 GB reserved, nothing used: %v", r)
		}
	})
	t.Run("simple-vmem", func(t *testing.T) {
		c := dockertest.Running(t, "simple-vmem")
		r := distributedShell(t, c, reserved)
		if out := r.Stdout + r.Stderr; r.Code == 0 || !strings.Contains(out, "beyond the 'VIRTUAL' memory limit") {
			t.Errorf("1 GB reserved in a container of 256 MB: %v", r)
		}
	})
}
