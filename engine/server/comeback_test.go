package server

import (
	"slices"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/wire"
)

func (f *fleet) let(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.released, name)
}

// A scheduler that has taken over is told at once which workers shall leave, before they can have come back: they are
// drained when they have, and those that do not come are given back when nobody waits for them any more.
func TestDrainWaitsForTheReturn(t *testing.T) {
	dir := memstore.New(1, false)
	first := start(t, Options{Journal: dir.Process(nil)})
	cl := first.client("alice", "")
	for _, name := range []string{"w0", "w1", "w2"} {
		first.worker(name, 1, nil)
	}
	cl.awaitWorkers(3)
	if err := first.srv.Close(); err != nil {
		t.Fatal(err)
	}
	f := &fleet{}
	second := start(t, Options{Journal: dir.Process(nil), Epoch: 2, Fleet: f, Return: 2 * time.Second})
	second.srv.loop.send(look(func(l *loop) { // the fleet hears of it late, and so do the workers
		l.back.began = l.back.began.Add(-time.Hour)
		l.lookForReturn()
	}))
	second.srv.Drain([]string{"w0", "w1"}, "retired by alice")
	looked := make(chan bool, 1)
	second.srv.loop.send(look(func(l *loop) { looked <- l.back.on && l.drains["w0"] != "" }))
	if !<-looked {
		t.Fatal("nobody is waited for, or the order is forgotten")
	}
	if f.let("w0") || f.let("w1") {
		t.Fatal("a worker that may hold all there is was given back")
	}
	w0 := second.worker("w0", 1, nil)
	expect[*wire.Retire](w0, wire.KindRetire)
	eventually(t, "w0 may go", func() bool { return f.let("w0") })
	eventually(t, "w1 did not come back, and may go", func() bool { return f.let("w1") })
	if f.let("w2") {
		t.Error("w2 was given back, of which nobody spoke")
	}
}

// A worker that was to leave because there are too many leaves also when it has connected anew, and no other in its place.
func TestShrinkOutlivesAConnection(t *testing.T) {
	f := &fleet{}
	c := start(t, Options{Fleet: f})
	cl := c.client("alice", "")
	job := cl.newJob("")
	workers := map[string]*peer{"w0": c.worker("w0", 1, nil), "w1": c.worker("w1", 1, nil)}
	cl.awaitWorkers(2)
	cl.tasks(job, 0, 2)
	for _, w := range workers {
		w.send(wire.KindStarted, started(expect[*wire.Assign](w, wire.KindAssign)))
	}
	eventually(t, "both run a task", func() bool { return cl.state(0) == "running" && cl.state(1) == "running" })
	c.srv.Shrink("worker", 1)
	leaves, stays := "w0", "w1"
	eventually(t, "one is to leave", func() bool {
		if cl.state(1) == "draining" {
			leaves, stays = "w1", "w0"
		}
		return cl.state(0) == "draining" || cl.state(1) == "draining"
	})
	workers[leaves].conn.Close()
	anew := c.worker(leaves, 1, nil)
	expect[*wire.Retire](anew, wire.KindRetire)
	eventually(t, "it may go", func() bool { return f.let(leaves) })
	if f.let(stays) {
		t.Errorf("%s was given back as well", stays)
	}
}
