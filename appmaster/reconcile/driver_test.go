package reconcile

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// How a driver ends is how the application does; one that was taken away is replaced.
func TestDriver(t *testing.T) {
	for name, x := range map[string]struct {
		status int32
		want   Status // "" is replaced
	}{
		"well": {0, Succeeded}, "failed": {3, Failed}, "signal": {137, Failed}, "memory": {StatusMemory, Failed},
		"preempted": {StatusPreempted, ""}, "lost": {StatusAborted, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := New(Options{IdleTimeout: time.Second, Pools: []spec.Pool{{Name: "worker", Role: spec.RoleWorker}, {Name: "driver", Role: spec.RoleDriver, Count: 1}}})
			c.Step(0, Tick{})
			c.Step(0, Allocated{ID: "d", Pool: "driver", Node: "n"})
			c.Step(0, Launched{ID: "d"})
			if c.Step(time.Minute, Tick{}); c.Ending() {
				t.Fatal("an application with a driver is not idle")
			}
			out := c.Step(time.Minute, Completed{ID: "d", Status: x.status, Diagnostics: "killed it"})
			var end Status
			for _, a := range out {
				if f, ok := a.(Finish); ok {
					end = f.Status
					if (f.Culprit == "d") != (x.want == Failed) {
						t.Errorf("the culprit is %q", f.Culprit)
					}
					if f.Status == Failed && strings.Contains(f.Why, "killed it") == strings.Contains(f.Said, "killed it") {
						t.Errorf("what the cluster says is to be told once: %+v", f)
					}
				}
			}
			if end != x.want {
				t.Errorf("ended %q, want %q", end, x.want)
			}
			if x.want == "" && c.pool("driver").wanted != 1 {
				t.Error("it is not replaced")
			}
		})
	}
}
