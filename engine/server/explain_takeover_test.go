package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/adapt"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/wire"
)

// Of each worker that does not come back it is told, and a task that waits for them says so.
// The next scheduler does not wait for them once more.
func TestWhyWorkersDidNotComeBack(t *testing.T) {
	dir := memstore.New(1, false)
	first := dir.Process(nil)
	c := start(t, Options{Journal: first})
	cl := c.client("alice", "")
	for i := range 3 {
		c.worker(fmt.Sprintf("container_%d", i), 1, nil)
	}
	cl.awaitWorkers(3)
	cl.newJob("j")
	first.Kill()

	o := Options{Journal: dir.Process(nil), Epoch: 2, Return: time.Hour}
	second := start(t, o)
	cl = second.client("alice", "")
	job := cl.newJob("k")
	cl.tasks(job, 0, 1)
	says(t, cl.explain(&wire.Explain{Task: true, Job: job}), "Nothing is given out yet", "3 are not back", "within 1h0m0s")
	says(t, cl.explain(&wire.Explain{Worker: "_0"}), "It is not back: this scheduler took over")
	second.srv.loop.send(look(func(l *loop) { l.opts.Return = time.Nanosecond }))
	for _, name := range []string{"container_0", "_1", "_2"} {
		e := &wire.Explanation{}
		eventually(t, "it is given up", func() bool {
			e = cl.explain(&wire.Explain{Worker: name})
			return e.State == "left"
		})
		says(t, e, "worker.missing: it did not come back to the next scheduler", "one of 3", "worker.joined")
		if len(e.Worker) != len("container_0") || !strings.HasSuffix(e.Worker, name) {
			t.Errorf("%q is of %q", name, e.Worker)
		}
	}
	says(t, cl.explain(&wire.Explain{Task: true, Job: job}), "Its inputs are there, and there is no worker.")
	second.srv.Close()

	third := start(t, Options{Journal: dir.Process(nil), Epoch: 3, Return: time.Hour})
	waiting := make(chan bool, 1)
	eventually(t, "nobody is waited for", func() bool {
		third.srv.loop.send(look(func(l *loop) { waiting <- l.back.on }))
		return !<-waiting
	})
}

// Two thousand workers that are lost do not make the rest forgotten.
func TestLostWorkersForgetNothingElse(t *testing.T) {
	l := &loop{now: time.Unix(1000, 0)}
	l.tell("job.opened", "nightly", "by alice")
	l.noteDecision(decision{at: l.now, Decision: adapt.Decision{Pool: "worker", Kind: adapt.Raise, Want: 1}})
	for i := range 3 * maxOfWorkers {
		l.tell("worker.missing", fmt.Sprint("w", i), "it did not come back")
	}
	all := l.events.after(0)
	if len(all) != maxOfWorkers+2 || all[0].Kind != "job.opened" || all[1].GetDecision().GetWant() != 1 {
		t.Errorf("%d events, the oldest %v, %v", len(all), all[0], all[1])
	}
}

// The end of several ids explains none of them, whether the workers are there or gone.
func TestEndOfSeveralWorkers(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	for _, name := range []string{"container_01_000003", "container_02_000003"} {
		w := c.worker(name, 1, nil)
		cl.awaitWorkers(1)
		cl.refusedIf(t, name == "container_02_000003", "000003")
		c.srv.ContainerExited(name, false, "end of "+name)
		w.conn.Close()
		eventually(t, "it has left", func() bool { return cl.explain(&wire.Explain{Worker: name}).State == "left" })
	}
	cl.refusedIf(t, true, "000003")
	says(t, cl.explain(&wire.Explain{Worker: "02_000003"}), "end of container_02_000003")
	says(t, cl.explain(&wire.Explain{Worker: "container_01_000003"}), "end of container_01_000003")
}

// refusedIf checks that the end of a worker's id is refused, with what it could mean, or is not.
func (c *client) refusedIf(t *testing.T, refused bool, end string) {
	t.Helper()
	_, err := c.try(&wire.Request{Body: &wire.Request_Explain{Explain: &wire.Explain{Worker: end}}})
	if refused != (err != nil && strings.Contains(err.Error(), "the end of 2 workers' ids, such as container_01_000003, container_02_000003")) {
		t.Errorf("%s: %v", end, err)
	}
}
