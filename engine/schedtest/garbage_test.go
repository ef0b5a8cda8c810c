package schedtest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// garbler makes events that mean nothing, or nearly something: half of the
// attempts, workers and indices that it speaks of are true.
type garbler struct {
	*rand.Rand
	core   *sched.Core
	joined graph.WorkerID
}

func (g *garbler) job() graph.JobID { return graph.JobID(g.IntN(4)) }
func (g *garbler) worker() graph.WorkerID {
	if t, ok := g.core.Task(g.task()); ok && t.Worker != 0 {
		return t.Worker
	}
	return graph.WorkerID(g.IntN(int(g.joined) + 2))
}

// next is an id for a worker that joins, nearly always a good one.
func (g *garbler) next() graph.WorkerID {
	if g.IntN(8) == 0 {
		return g.worker()
	}
	g.joined++
	return g.joined
}
func (g *garbler) task() graph.TaskID { return graph.TaskID{Job: g.job(), Index: uint32(g.IntN(12))} }
func (g *garbler) attempt() sched.TaskAttempt {
	id := g.task()
	if t, ok := g.core.Task(id); ok && g.IntN(3) > 0 {
		return sched.TaskAttempt{Task: id, Attempt: t.Attempt}
	}
	return sched.TaskAttempt{Task: id, Attempt: graph.Attempt(g.IntN(4))}
}

// of makes the attempts, more often than not, those of w.
func (g *garbler) of(w graph.WorkerID) func() sched.TaskAttempt {
	return func() sched.TaskAttempt {
		for range 20 {
			at := g.attempt()
			if t, ok := g.core.Task(at.Task); ok && t.Worker == w && w != 0 {
				return at
			}
		}
		return g.attempt()
	}
}

func several[T any](g *garbler, f func() T) (out []T) {
	for range g.IntN(4) {
		out = append(out, f())
	}
	return out
}

func (g *garbler) held() sched.Held { return sched.Held{TaskAttempt: g.attempt(), Size: g.Uint64()} }

func (g *garbler) event() sched.Event {
	w := g.worker()
	attempt := g.of(w)
	switch g.IntN(23) {
	case 18:
		return sched.Adopt{Worker: w, Tasks: several(g, attempt)}
	case 19, 20:
		return sched.Recall{Fact: g.fact()}
	case 22:
		return sched.RecallTook{Job: g.job(), Class: graph.ClassID(g.IntN(3)), Micros: g.Int64() - g.Int64()}
	case 21:
		if g.IntN(4) > 0 {
			return sched.Resume{}
		}
		return sched.Restored{}
	case 0:
		return sched.OpenJob{Job: g.job()}
	case 1:
		return sched.DeclareClass{Job: g.job(), Class: graph.ClassID(g.IntN(3)), Spec: graph.Class{
			Priority: int32(g.IntN(3) - 1), Retries: uint16(g.IntN(3)), Deaths: uint16(g.IntN(3)), Pool: []string{"", "p"}[g.IntN(2)],
			Resources: graph.Resources{Slots: uint16(g.IntN(4))}, Kind: graph.Kind(g.IntN(4)),
		}}
	case 2:
		return sched.Submit{Batch: g.batch()}
	case 3:
		return sched.Release{Tasks: several(g, g.task)}
	case 4:
		return sched.Pin{Task: g.task(), Delta: g.IntN(5) - 2}
	case 5:
		return sched.Cancel{Tasks: several(g, g.task)}
	case 17:
		return sched.Retry{Tasks: several(g, g.task)}
	case 6:
		if g.IntN(20) > 0 {
			return sched.Tick{Now: g.Int64N(1 << 20)}
		}
		return sched.CloseJob{Job: g.job()}
	case 7:
		return sched.WorkerJoined{Worker: g.next(), Host: "h", Slots: g.IntN(4), Memory: g.Uint64(), Held: several(g, g.held)}
	case 8:
		return sched.WorkerLeft{Worker: g.worker(), Blame: g.IntN(2) == 0}
	case 9, 10:
		return sched.Started{Worker: w, Tasks: several(g, attempt)}
	case 11, 12:
		return sched.Done{Worker: w, Tasks: several(g, func() sched.Finished {
			return sched.Finished{TaskAttempt: attempt(), Size: g.Uint64(), Inline: g.IntN(2) == 0, Duration: g.Uint32()}
		})}
	case 13:
		return sched.Failed{Worker: w, Tasks: several(g, func() sched.FailedAttempt {
			return sched.FailedAttempt{TaskAttempt: attempt(), Kind: graph.FailKind(g.IntN(12)), Input: g.task(), Holder: g.worker()}
		})}
	case 14:
		ev := sched.Retracted{Worker: w, Tasks: several(g, attempt)}
		for range len(ev.Tasks) + g.IntN(8)/7 {
			ev.OK = append(ev.OK, g.IntN(2) == 0)
		}
		return ev
	case 15:
		if g.IntN(2) == 0 {
			return sched.Missing{Worker: g.worker(), Tasks: several(g, g.attempt)}
		}
		return sched.Copied{Worker: g.worker(), Tasks: several(g, g.held)}
	default:
		return sched.Retire{Pool: []string{"", "p"}[g.IntN(2)], To: g.IntN(5) - 1, Workers: several(g, g.worker)}
	}
}

func (g *garbler) fact() sched.Fact {
	at := g.attempt()
	return sched.Fact{
		Kind: sched.FactKind(g.IntN(9)), Task: at.Task, N: uint32(g.IntN(20)), Attempt: at.Attempt + graph.FirstAttempt(uint32(g.IntN(8)/7)),
		Fail: graph.FailKind(g.IntN(12)), Cause: g.task(), Size: g.Uint64(), Inline: g.IntN(2) == 0, Told: g.IntN(2) == 0,
	}
}

func (g *garbler) batch() *graph.Batch {
	n := g.IntN(4)
	b := &graph.Batch{Job: g.job(), First: uint32(g.IntN(8)), Class: make([]graph.ClassID, n)}
	if j, ok := g.core.Job(b.Job); ok && g.IntN(4) > 0 {
		b.First = j.Tasks
	}
	for k := range n {
		b.Class[k] = graph.ClassID(g.IntN(8) / 3)
		for range g.IntN(3) {
			d := g.task()
			if d.Job == b.Job && d.Index >= b.First+uint32(k) && g.IntN(20) > 0 {
				continue // a dependency must come before: mostly it does
			}
			b.Deps = append(b.Deps, d)
		}
		b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
	}
	switch g.IntN(12) {
	case 0, 3:
		b.Loose = []byte{byte(g.IntN(16))}
	case 1:
		b.HostNames, b.Hosts = []string{"h", "i"}, []uint32{uint32(g.IntN(5) / 2)}
		b.HostEnd = make([]uint32, n)
		for k := range b.HostEnd {
			b.HostEnd[k] = uint32((k + 1 + g.IntN(8)/7) / n)
		}
	case 2:
		b.DepEnd = b.DepEnd[:len(b.DepEnd)/2]
	}
	return b
}

// TestGarbage feeds nonsense: whatever comes, the core's books stay right and it
// never panics. Every other core takes over: it is told nonsense of what there was, too.
func TestGarbage(t *testing.T) {
	for seed := range uint64(1500) {
		c := sched.New(sched.Config{Restore: seed%2 > 0, Durable: true, Generation: uint32(seed % 3)})
		g := &garbler{Rand: rand.New(rand.NewPCG(seed, 3)), core: c}
		var story []string
		restoring := seed%2 > 0
		for j := range graph.JobID(3) {
			c.Step(sched.OpenJob{Job: j + 1})
			c.Step(sched.DeclareClass{Job: j + 1, Class: 0})
			c.Step(sched.DeclareClass{Job: j + 1, Class: 1, Spec: graph.Class{Retries: 3, Kind: graph.KindCommand}})
		}
		for range 200 {
			ev := g.event()
			story = append(story, fmt.Sprintf("%T%+v", ev, ev))
			if _, ok := ev.(sched.Restored); ok {
				restoring = false
			}
			if err := feed(c, ev, g.IntN(3) == 0, restoring); err != nil {
				for _, s := range story {
					t.Log(s)
				}
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
	}
}

// feed steps. While a core is told what there was its books are open.
func feed(c *sched.Core, ev sched.Event, output, restoring bool) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	c.Step(ev)
	c.Facts()
	if restoring {
		return nil
	}
	if err := c.Check(); err != nil {
		return err
	}
	if output {
		c.Output()
	}
	return c.Check()
}
