package server

import (
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

func (c *client) explain(m *wire.Explain) *wire.Explanation {
	c.t.Helper()
	return c.call(&wire.Request{Body: &wire.Request_Explain{Explain: m}}).GetExplanation()
}

// says fails unless an explanation has all of the words.
func says(t *testing.T, e *wire.Explanation, words ...string) {
	t.Helper()
	all := e.GetAnswer() + "\n" + strings.Join(e.GetDetail(), "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("the explanation does not say %q:\n%s", w, all)
		}
	}
}

func TestWhyTaskWaits(t *testing.T) {
	c := start(t, Options{Fleet: &fleet{}})
	cl := c.client("alice", "")
	job := cl.newJob("")
	cl.tasks(job, 0, 40)
	why := func(index uint32) *wire.Explanation {
		return cl.explain(&wire.Explain{Task: true, Job: job, Index: index})
	}
	says(t, why(0), "Its inputs are there, and there is no worker.")
	c.srv.Pools([]PoolState{{Name: "worker", Adapts: true, Min: 0, Max: 0, Slots: 1}})
	eventually(t, "the pool is why", func() bool {
		return strings.Contains(strings.Join(why(0).Detail, " "), "the maximum is 0")
	})
	w := c.worker("w0", 1, nil)
	m := expect[*wire.Assign](w, wire.KindAssign)
	w.send(wire.KindStarted, started(m))
	eventually(t, "it runs", func() bool { return why(0).State == "running" })
	says(t, why(0), "It runs on worker w0")
	says(t, why(39), "All 1 workers that can run it are busy.", "takes turns with")
	cl.refused(&wire.Request{Body: &wire.Request_Explain{Explain: &wire.Explain{Task: true, Job: job, Index: 40}}}, wire.NotFound)
	cl.refused(&wire.Request{Body: &wire.Request_Explain{Explain: &wire.Explain{Worker: "nobody"}}}, wire.NotFound)
}

func TestWhyNoWorkerFits(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.call(openJob("")).GetJob().Job
	cl.call(classes(job,
		&graph.Class{Kind: graph.KindGo, Name: "on a GPU", Resources: graph.Resources{Named: graph.Amounts{{Name: "yarn.io/gpu", Count: 1}}}},
		&graph.Class{Kind: graph.KindGo, Name: "wide", Resources: graph.Resources{Slots: 9}},
		&graph.Class{Kind: graph.KindGo, Name: "elsewhere", Pool: "other"},
		&graph.Class{Kind: graph.KindGo, Name: "there", Hosts: []string{"far"}},
	))
	c.worker("w0", 1, nil)
	cl.awaitWorkers(1)
	b := batch(job, 0, 4)
	for i := range b.Class {
		b.Class[i] = graph.ClassID(i)
	}
	cl.call(submit(b))
	for i, words := range []string{"1 have not enough yarn.io/gpu", "1 have too few slots", "1 are not of pool other", "1 are not on a host, or are not a worker, that it names (far)"} {
		says(t, cl.explain(&wire.Explain{Task: true, Job: job, Index: uint32(i)}), "No worker has what it asks for: of 1 "+words)
	}
}

func TestWhyWorkerWent(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	w := c.worker("container_42", 1, nil)
	cl.awaitWorkers(1)
	e := cl.explain(&wire.Explain{Worker: "_42"})
	says(t, e, "It is running: 0 of its 1 slots' tasks run")
	if e.Worker != "container_42" {
		t.Errorf("worker %q", e.Worker)
	}
	c.srv.ContainerExited("container_42", false, "the cluster preempted it")
	w.conn.Close()
	eventually(t, "it has left", func() bool { return cl.explain(&wire.Explain{Worker: "container_42"}).State == "left" })
	says(t, cl.explain(&wire.Explain{Worker: "container_42"}), "the cluster preempted it")
}
