package server

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// moody is a worker that does what it is told, drops its connection now and then,
// even with answers unsent, and comes back with what it holds.
type moody struct {
	c    *cluster
	name string
	rnd  *rand.Rand
	left int // tricks to be played

	held map[sched.TaskAttempt]uint64
}

// live is one connection: it returns when the connection ends.
func (w *moody) live(ctx context.Context) error {
	conn, _, err := wire.Dial(ctx, w.c.srv.Addr().String(), w.c.tls(identity.Worker, w.name), helloOf(w.name, 4), wire.ConnOptions{})
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	inv := &wire.Held{}
	for a, size := range w.held {
		inv.Add(a.Task, a.Attempt, size)
	}
	if err := conn.Push(wire.KindInventory, inv); err != nil {
		return err
	}
	for {
		k, m, err := conn.Next()
		if err != nil {
			return err
		}
		// A trick: gone before, or after, what was told is done.
		if w.left > 0 && w.rnd.IntN(12) == 0 {
			w.left--
			if w.rnd.IntN(2) == 0 {
				w.obey(k, m)
			}
			return nil
		}
		if k, answer := w.obey(k, m); answer != nil {
			if err := conn.Send(ctx, k, answer); err != nil {
				return err
			}
		}
	}
}

// obey does what a frame says and returns the answer.
func (w *moody) obey(k wire.Kind, m proto.Message) (wire.Kind, proto.Message) {
	switch m := m.(type) {
	case *wire.Assign:
		done := &wire.Done{}
		for i := range m.Len() {
			a := m.At(i)
			r := wire.Result{Task: a.Task, Attempt: a.Attempt, Duration: 20_000}
			if a.Task.Index%3 == 0 {
				r.IsInline, r.Inline = true, fmt.Append(nil, a.Task.Index)
			} else {
				r.Size = 10_000 + uint64(a.Task.Index)
				w.held[sched.TaskAttempt{Task: a.Task, Attempt: a.Attempt}] = r.Size
			}
			done.Add(r)
		}
		return wire.KindDone, done
	case *wire.Copy:
		held := &wire.Held{}
		for i := range m.Len() {
			t, a, size, _ := m.At(i)
			w.held[sched.TaskAttempt{Task: t, Attempt: a}] = size
			held.Add(t, a, size)
		}
		return wire.KindCopied, held
	case *wire.Tasks:
		for i := range m.Len() {
			if t, a := m.At(i); k == wire.KindFree {
				delete(w.held, sched.TaskAttempt{Task: t, Attempt: a})
			}
		}
		if k == wire.KindRetract { // everything is answered at once here
			m.Ok = make([]bool, m.Len())
			return wire.KindRetracted, m
		}
	}
	return 0, nil
}

// A graph of tasks on workers that come and go: every task ends once, with its own
// result, and every result that is held can be found in the end.
func TestStorm(t *testing.T) {
	c := start(t, Options{Grace: 5 * time.Millisecond})
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 4 {
		w := &moody{c: c, name: fmt.Sprintf("w%d", i), rnd: rand.New(rand.NewPCG(uint64(i), 7)), left: 30, held: map[sched.TaskAttempt]uint64{}}
		wg.Go(func() {
			for ctx.Err() == nil {
				w.live(ctx) //nolint:errcheck // it comes back
				if w.left > 0 && w.rnd.IntN(4) == 0 {
					clear(w.held) // it lost its disk
				}
			}
		})
	}
	t.Cleanup(func() { stop(); wg.Wait() })

	cl := c.client("alice", "")
	job := cl.call(openJob("")).GetJob().Job
	cl.call(classes(job, &graph.Class{Name: "f", Kind: graph.KindGo, Deaths: 1<<16 - 1}))
	_, watch := cl.start(watchFrom(job, 0))
	const n, part = 2000, 100
	rnd := rand.New(rand.NewPCG(3, 4))
	for first := uint32(0); first < n; first += part {
		b := batch(job, first, part)
		for i := range uint32(part) {
			for range rnd.IntN(3) {
				if at := first + i; at > 0 {
					b.Deps = append(b.Deps, task(job, uint32(rnd.IntN(int(at)))))
				}
			}
			b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
		}
		cl.call(submit(b))
	}
	seen := map[uint32]bool{}
	for len(seen) < n {
		for _, o := range cl.outcomes(watch, 1) {
			i := o.Task.Index
			if o.Failure != nil {
				t.Fatalf("task %d: %v", i, o.Failure)
			}
			if i%3 == 0 && string(o.Inline) != fmt.Sprint(i) || i%3 != 0 && o.Size != 10_000+uint64(i) {
				t.Fatalf("task %d: %+v", i, o)
			}
			seen[i] = true
		}
	}
	eventually(t, "every result is somewhere", func() bool {
		have := 0
		for first := uint32(0); first < n; first += 1000 {
			all := make([]uint32, 1000)
			for i := range all {
				all[i] = first + uint32(i)
			}
			have += cl.call(locate(job, all...)).GetEnded().Len()
		}
		return have == n
	})
	if err := onLoop(c, func(l *loop) error { return l.core.Check() }); err != nil {
		t.Error(err)
	}
}

func TestReachable(t *testing.T) {
	c := start(t, Options{})
	for given, want := range map[string]string{
		"nm1.example:70": "nm1.example:70", "10.0.0.1:70": "10.0.0.1:70",
		":70": "127.0.0.1:70", "0.0.0.0:70": "127.0.0.1:70", "[::]:70": "127.0.0.1:70",
	} {
		hello := helloOf("w", 1)
		hello.GetWorker().DataAddress = given
		w := c.join("w", hello, nil)
		cl := c.client("alice", "")
		cl.awaitWorkers(1)
		if got := cl.workers()[0].Address; got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
		w.conn.Bye(context.Background(), "")
		cl.awaitWorkers(0)
	}
}
