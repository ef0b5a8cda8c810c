//go:build hadoop

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// A submit that is killed after any time, and run again, gives one application, and so do
// two at once.
func TestSubmitAgain(t *testing.T) {
	alice := dockertest.Running(t, "simple").Edge("alice")
	size := []string{"--workers", "0", "--scheduler-memory", "128MiB", "--am-memory", "128MiB"}
	running := func() []string {
		return strings.Fields(alice.Must(t, "yarnd", "list", "-o", "name"))
	}
	end := func(what, id string) {
		t.Helper()
		if now := running(); !slices.Equal(now, []string{id}) {
			t.Fatalf("%s: %v run; want %s alone", what, now, id)
		}
		alice.Must(t, "yarnd", "kill", id)
	}
	leftNothing := func(what string) { // once for many: it takes a Java of its own
		t.Helper()
		for _, dir := range staged(t, alice) {
			if strings.Contains(dir, "application_") {
				t.Errorf("%s: %s is left", what, dir)
			}
		}
	}
	if now := running(); len(now) > 0 {
		t.Fatalf("applications run already: %v", now)
	}
	const idFile = "/tmp/again.id"
	for name, way := range map[string][]string{"file": {"--id-file", idFile}, "name": {"--name", "again", "--if-not-exists"}} {
		command := slices.Concat([]string{"yarnd", "submit", "-q"}, size, way)
		for after := 50 * time.Millisecond; after <= 2*time.Second; after += 150 * time.Millisecond {
			alice.Run(t, slices.Concat([]string{"timeout", "-s", "KILL", fmt.Sprint(after.Seconds())}, command)...)
			id := strings.TrimSpace(alice.Must(t, command...))
			end(fmt.Sprintf("%s, killed after %v", name, after), id)
			alice.Must(t, "rm", "-f", idFile)
		}
		var both [2]string
		var wait sync.WaitGroup
		for i := range both {
			wait.Go(func() { both[i] = strings.TrimSpace(alice.Run(t, command...).Stdout) })
		}
		wait.Wait()
		if both[0] != both[1] {
			t.Fatalf("%s: two at once: %v", name, both)
		}
		end(name+", two at once", both[0])
		leftNothing(name)
		alice.Must(t, "rm", "-f", idFile)
	}
}
