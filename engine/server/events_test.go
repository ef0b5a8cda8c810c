package server

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// A flood of failures forgets neither the rest nor more than its bound.
func TestChronicle(t *testing.T) {
	l := &loop{now: time.Unix(1000, 0)}
	l.tell("a", "x", "first %s", strings.Repeat("é", maxEventBytes))
	for i := range 3 * maxFailed {
		l.tellFailure(&sched.Ended{Task: graph.TaskID{Job: 1, Index: uint32(i)}, Kind: graph.FailUser}, nil)
	}
	l.tellFailure(&sched.Ended{Kind: graph.FailUpstream}, nil)
	l.now = time.Unix(900, 0) // clocks may go back
	l.tell("b", "y", "last")
	all := l.events.after(0)
	if len(all) != maxFailed+2 || all[0].Kind != "a" || all[1].Object != "1/2048" || all[len(all)-1].Kind != "b" {
		t.Fatalf("%d events, from %v to %v", len(all), all[0], all[len(all)-1])
	}
	if len(all[0].Text) > maxEventBytes {
		t.Errorf("a text of %d bytes", len(all[0].Text))
	}
	for i := range all[1:] {
		if all[i+1].Number <= all[i].Number {
			t.Fatalf("event %d has number %d after %d", i+1, all[i+1].Number, all[i].Number)
		}
	}
	if got := l.events.after(l.events.last); len(got) != 0 {
		t.Errorf("after the last: %v", got)
	}
	if got := l.events.after(l.events.last + 1); len(got) != len(all) {
		t.Errorf("for who knows a later one: %d", len(got))
	}
}

func TestEvents(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	w := c.worker("w0", 1, nil)
	cl.awaitWorkers(1)
	job := cl.newJob("nightly")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 1)
	m := expect[*wire.Assign](w, wire.KindAssign)
	w.send(wire.KindFailed, &wire.Failed{Failure: []*wire.Failure{wire.FailureToWire(m.At(0).Task, m.At(0).Attempt, &graph.Failure{Kind: graph.FailUser, Message: "boom", Host: "nm1"})}})
	cl.outcomes(watch, 1)
	detail := cl.call(&wire.Request{Body: &wire.Request_GetTask{GetTask: &wire.GetTask{Job: job}}}).GetTask()
	if detail.GetState() != "failed" || detail.GetWorkerName() != "w0" || detail.GetFailure().GetMessage() != "boom" ||
		detail.EndedMs < detail.StartedMs || detail.StartedMs < detail.SubmittedMs-10 || detail.SubmittedMs == 0 {
		t.Errorf("%v", detail)
	}
	cl.call(closeJob(job))
	events := func(since uint64) *wire.Events {
		return cl.call(&wire.Request{Body: &wire.Request_ListEvents{ListEvents: &wire.ListEvents{Since: since}}}).GetEvents()
	}
	got := events(0)
	var kinds []string
	for _, e := range got.Event {
		kinds = append(kinds, e.Kind)
	}
	if s := strings.Join(kinds, " "); s != "worker.joined job.opened task.failed job.closed" {
		t.Errorf("%s", s)
	}
	if e := got.Event[2]; !strings.Contains(e.Text, "boom") || !strings.Contains(e.Text, "nm1") {
		t.Errorf("%v", e)
	}
	if e := got.Event[3]; !strings.Contains(e.Text, "of 1 tasks 0 are done, 1 failed") {
		t.Errorf("%v", e)
	}
	if again := events(got.Next); len(again.Event) != 0 || again.Next != got.Next {
		t.Errorf("again: %v", again)
	}
}
