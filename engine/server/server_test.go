package server

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// The whole way of a few tasks: submitted, assigned with class and payload, done,
// seen by the client.
func TestTasks(t *testing.T) {
	c := start(t, Options{})
	w := c.worker("w1", 2, nil)
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	b := batch(job, 0, 3)
	b.Deps, b.DepEnd = []graph.TaskID{task(job, 0), task(job, 1)}, []uint32{0, 0, 2}
	cl.call(submit(b))

	cls := expect[*wire.Classes](w, wire.KindClasses)
	if cls.Job != job || len(cls.Class) != 1 || cls.Class[0].Name != "f" {
		t.Errorf("classes %v", cls)
	}
	seen := map[uint32]bool{}
	for len(seen) < 3 {
		m := expect[*wire.Assign](w, wire.KindAssign)
		done := &wire.Done{}
		for i := range m.Len() {
			a := m.At(i)
			seen[a.Task.Index] = true
			if len(a.Payload) != 1 || a.Payload[0] != byte(a.Task.Index) {
				t.Errorf("task %v has payload %v", a.Task, a.Payload)
			}
			if a.Task.Index == 2 {
				for d := range 2 {
					if in := a.Input(d); in.Task != task(job, uint32(d)) || string(in.Inline) != "result" || len(in.Holders) != 0 {
						t.Errorf("input %d: %+v", d, in)
					}
				}
			}
			done.Add(wire.Result{Task: a.Task, Attempt: a.Attempt, IsInline: true, Inline: []byte("result"), Duration: 5})
		}
		w.send(wire.KindDone, done)
	}
	for _, o := range cl.outcomes(watch, 3) {
		if o.Failure != nil || string(o.Inline) != "result" {
			t.Errorf("outcome %+v", o)
		}
	}
	info := cl.call(&wire.Request{Body: &wire.Request_OpenJob{OpenJob: &wire.OpenJob{Id: job}}}).GetJob()
	if info.Tasks != 3 || info.Done != 3 || info.Running != 0 || info.Owner != "alice" {
		t.Errorf("job %v", info)
	}
}
