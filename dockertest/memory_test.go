//go:build hadoop

package dockertest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

const (
	// resident touches 600 MB. reserved asks for 1 GB of zeros, of which the kernel makes none real: address space over
	// 2.1 × 256 MB. It stays for two rounds of the NodeManager's checks, which are 3 s apart.
	resident = "exec python3 -c 'import time; b = bytearray(600<<20); time.sleep(60)'"
	reserved = "exec python3 -c 'import time; b = bytes(1<<30); time.sleep(8)'"
)

// Memory limits must kill: a cluster on which they do not cannot tell whether ours are right.
func TestMemoryLimits(t *testing.T) {
	for _, test := range []struct{ composition, command, diagnostics, text string }{
		{"simple", resident, "exitCode: -104", "beyond the 'PHYSICAL' memory limit"},
		{"simple", reserved, "exitCode: 0", ""},
		{"simple-vmem", reserved, "exitCode: -103", "beyond the 'VIRTUAL' memory limit"},
	} {
		t.Run(test.composition+" "+test.diagnostics, func(t *testing.T) {
			c := dockertest.Running(t, test.composition)
			id := c.RunCommand(t, "alice", 256, test.command)
			app := c.AwaitApp(t, id, 2*time.Minute, dockertest.App.Over)
			if !strings.Contains(app.Diagnostics, test.diagnostics) || !strings.Contains(app.Diagnostics, test.text) {
				t.Errorf("%s in 256 MB: want %q and %q in %+v", test.command, test.diagnostics, test.text, app)
			}
		})
	}
}

// What an application wrote is there, for its owner, when it is over.
func TestLogsAreAggregated(t *testing.T) {
	c := dockertest.Running(t, "simple")
	id := c.RunCommand(t, "alice", 128, "echo a line of $CONTAINER_ID")
	c.AwaitApp(t, id, time.Minute, dockertest.App.Over)
	want := "a line of container_"
	var last dockertest.Result
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); { // nodes upload after the application's end
		if last = c.Edge("alice").Logs(t, id, "-log_files", "stdout"); strings.Contains(last.Stdout, want) {
			return
		}
	}
	t.Errorf("want %q in the logs of %s: %v", want, id, last)
}
