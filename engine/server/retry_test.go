package server

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// A client whose connection breaks before it has the answer to a retry asks again: it
// gets that answer, whatever has become of the task, which does not run once more. What
// has ended meanwhile is told again after it, since the answer takes back what the
// client knows.
func TestRetryAskedAgain(t *testing.T) {
	c := start(t, Options{})
	w := c.worker("w", 1, nil)
	cl := c.client("alice", "")
	job := cl.newJob("")
	cl.tasks(job, 0, 1)
	fail := func(want graph.Attempt) {
		t.Helper()
		a := expect[*wire.Assign](w, wire.KindAssign).At(0)
		if a.Attempt != want {
			t.Fatalf("attempt %d, want %d", a.Attempt, want)
		}
		w.send(wire.KindFailed, &wire.Failed{Failure: []*wire.Failure{wire.FailureToWire(a.Task, a.Attempt, &graph.Failure{Kind: graph.FailUser, Message: "boom"})}})
	}
	retry := func() *wire.Request {
		return &wire.Request{Body: &wire.Request_Retry{Retry: &wire.Retry{Job: job, Index: []uint32{0}}}}
	}
	_, watch := cl.start(watchFrom(job, 0))
	fail(1)
	cl.outcomes(watch, 1)
	id, answer := cl.start(retry())
	cl.await(answer)
	cl.conn.Close()

	again := c.client("alice", cl.welcome.Session)
	again.lastID.Store(id - 1)
	if r, err := again.try(retry()); err != nil || len(r.GetRetried().GetIndex()) != 1 {
		t.Fatalf("while it runs: %v, %v", r, err)
	}
	_, watch = again.start(watchFrom(job, 1))
	fail(2)
	again.outcomes(watch, 1)
	again.lastID.Store(id - 1)
	if r, err := again.try(retry()); err != nil || len(r.GetRetried().GetIndex()) != 1 {
		t.Fatalf("when it has failed: %v, %v", r, err)
	}
	if o := again.outcomes(watch, 1)[0]; o.Failure == nil || o.Failure.Attempt != 2 {
		t.Errorf("told after the answer: %+v", o)
	}
	again.lastID.Store(id + 10)
	again.call(retry()) // another one
	fail(3)
}
