package appmaster

import (
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/memory"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
)

// How containers ended is told by the next attempt as by the one that saw it: at the same
// time, and under the same number, so that who follows events does not hear of it twice.
func TestEndsAreToldByTheNextAttempt(t *testing.T) {
	w := prepare(t, 2)
	attempt := func(n int) *loop {
		l, err := newLoop(Options{Spec: w.spec, Seed: w.seed, Provider: noProvider{}, Attempt: n, Node: "here"})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := attempt(1)
	first.step(reconcile.Tick{})
	for _, id := range []string{"c1", "c2"} {
		first.step(reconcile.Allocated{ID: id, Pool: "worker", Node: "n"})
		first.step(reconcile.Launched{ID: id})
		first.step(reconcile.Completed{ID: id, Status: reconcile.StatusPreempted, Diagnostics: "taken by queue b\n"})
	}
	last := &memory.State{Memory: first.core.Memory()}
	for _, x := range first.exits {
		last.Exits = append(last.Exits, memory.Exit{Container: x.Container, Pool: x.Pool, Node: x.Node, Cause: x.Cause, Status: x.Status, Diagnostics: x.Diagnostics, When: x.When.AsTime()})
	}
	time.Sleep(time.Millisecond)
	second := attempt(2)
	second.recall(last, provider.Registered{})
	before, after := ends(first), ends(second)
	if len(before) != 2 || len(after) != 2 {
		t.Fatalf("%v, then %v", before, after)
	}
	for i := range before {
		if before[i] != after[i] || before[i].text != "of pool worker on n: preempted (-102): taken by queue b" {
			t.Errorf("%+v, then %+v", before[i], after[i])
		}
	}
}

type end struct {
	number       uint64
	when         time.Time
	object, text string
}

func ends(l *loop) (out []end) {
	for _, e := range l.events.after(0) {
		if e.Kind == "container.exited" {
			out = append(out, end{e.Number, e.When.AsTime(), e.Object, e.Text})
		}
	}
	return out
}

// Of each container that the cluster wants back it is told.
func TestPreemptedAreToldOneByOne(t *testing.T) {
	l := &loop{}
	l.noteEvent(reconcile.Preempt{IDs: []string{"c1", "c2"}})
	if all := l.events.after(0); len(all) != 2 || all[0].Object != "c1" || all[1].Object != "c2" {
		t.Errorf("%v", all)
	}
}
