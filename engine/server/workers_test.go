package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

func (c *client) workers() []*wire.WorkerInfo {
	c.t.Helper()
	return c.call(&wire.Request{Body: &wire.Request_ListWorkers{ListWorkers: &wire.ListWorkers{}}}).GetWorkers().Worker
}

// state returns the state of the i-th worker, or "".
func (c *client) state(i int) string {
	c.t.Helper()
	if ws := c.workers(); i < len(ws) {
		return ws[i].State
	}
	return ""
}

func (c *client) awaitWorkers(n int) {
	c.t.Helper()
	eventually(c.t, fmt.Sprintf("%d workers", n), func() bool { return len(c.workers()) == n })
}

// finish answers an assignment.
func finish(m *wire.Assign, size uint64, inline string) *wire.Done {
	done := &wire.Done{}
	for i := range m.Len() {
		a := m.At(i)
		done.Add(wire.Result{Task: a.Task, Attempt: a.Attempt, Size: size, IsInline: size == 0, Inline: []byte(inline), Duration: 3})
	}
	return done
}

func started(m *wire.Assign) *wire.Tasks {
	out := &wire.Tasks{}
	for i := range m.Len() {
		a := m.At(i)
		out.Add(a.Task, a.Attempt)
	}
	return out
}

// A worker whose connection breaks and that does not come back loses its tasks to
// others, and a task that takes worker after worker down fails.
func TestCrashingWorkers(t *testing.T) {
	c := start(t, Options{Grace: 50 * time.Millisecond})
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 1)
	attempts := map[graph.Attempt]bool{}
	for n := range 3 {
		w := c.worker(fmt.Sprintf("w%d", n), 1, nil)
		m := expect[*wire.Assign](w, wire.KindAssign)
		attempts[m.At(0).Attempt] = true
		if info := cl.call(openByID(job)).GetJob(); info.Running != 0 || info.Ready != 1 {
			t.Errorf("given to a worker, but not begun: %v", info)
		}
		w.send(wire.KindStarted, started(m))
		if err := w.conn.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the task runs", func() bool {
			return cl.call(openByID(job)).GetJob().Running == 1
		})
		w.conn.Close()
	}
	o := cl.outcomes(watch, 1)[0]
	if o.Failure == nil || o.Failure.Kind != graph.FailDied || !strings.Contains(o.Failure.Message, "w2 on host-w2") {
		t.Errorf("outcome %+v", o.Failure)
	}
	if len(attempts) != 3 {
		t.Errorf("attempts %v", attempts)
	}
}

func openByID(job uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_OpenJob{OpenJob: &wire.OpenJob{Id: job}}}
}

// Workers that leave in order, are preempted, or fall silent, put no blame on what
// they run.
func TestBlamelessEnds(t *testing.T) {
	c := start(t, Options{Grace: 50 * time.Millisecond, Lease: 300 * time.Millisecond})
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 1)
	run := func(name string, end func(*peer)) {
		t.Helper()
		w := c.worker(name, 1, nil)
		w.send(wire.KindStarted, started(expect[*wire.Assign](w, wire.KindAssign)))
		if err := w.conn.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the task runs", func() bool { return cl.call(openByID(job)).GetJob().Running == 1 })
		end(w)
		eventually(t, name+" has left", func() bool { return len(cl.workers()) == 0 })
	}
	for n := range 4 {
		run(fmt.Sprintf("bye%d", n), func(w *peer) { w.conn.Bye(context.Background(), "told to end") })
		run(fmt.Sprintf("preempted%d", n), func(w *peer) {
			w.conn.Close()
			c.srv.ContainerExited(fmt.Sprintf("preempted%d", n), false, "preempted")
		})
		run(fmt.Sprintf("exited%d", n), func(w *peer) { // the fleet knows before the socket
			c.srv.ContainerExited(fmt.Sprintf("exited%d", n), false, "the node is lost")
		})
	}
	// A silent one: connected and sending nothing, not even pings.
	nc, err := c.raw(c.tls(identity.Worker, "mute"), wire.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	nc.Write(appendFrame(t, appendFrame(t, nil, wire.KindHello, helloOf("mute", 1)), wire.KindInventory, &wire.Held{}))
	r := wire.NewReader(nc, wire.MaxFrame)
	for {
		k, body, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if m, err := wire.Unmarshal(k, body); err != nil {
			t.Fatal(err)
		} else if a, ok := m.(*wire.Assign); ok {
			nc.Write(appendFrame(t, nil, wire.KindStarted, started(a)))
			break
		}
	}
	if _, err := io.Copy(io.Discard, nc); err == nil {
		t.Log("the scheduler hung up in order")
	}
	cl.awaitWorkers(0)

	last := c.worker("last", 1, nil)
	last.send(wire.KindDone, finish(expect[*wire.Assign](last, wire.KindAssign), 0, "ok"))
	if o := cl.outcomes(watch, 1)[0]; o.Failure != nil || string(o.Inline) != "ok" {
		t.Errorf("outcome %+v", o)
	}
}

// A fleet that knows of a crash says so exactly, and the grace is not waited for.
func TestContainerExitIsExact(t *testing.T) {
	c := start(t, Options{Grace: time.Hour})
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 1)
	for n := range 3 {
		name := fmt.Sprintf("w%d", n)
		w := c.worker(name, 1, nil)
		w.send(wire.KindStarted, started(expect[*wire.Assign](w, wire.KindAssign)))
		if err := w.conn.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the task runs", func() bool { return cl.call(openByID(job)).GetJob().Running == 1 })
		w.conn.Close()
		eventually(t, "it is away", func() bool { return cl.state(0) == "away" })
		c.srv.ContainerExited(name, true, "killed for its memory (exit -104)")
		cl.awaitWorkers(0)
	}
	if o := cl.outcomes(watch, 1)[0]; o.Failure == nil || !strings.Contains(o.Failure.Message, "killed for its memory (exit -104)") {
		t.Errorf("outcome %+v", o.Failure)
	}
	c.srv.ContainerExited("never heard of", true, "?")
	c.works()
}

// A worker that reconnects is a new incarnation with what it holds: nothing that is
// done is done again, and the old incarnation's words are dropped.
func TestReconnect(t *testing.T) {
	for _, halfOpen := range []bool{false, true} {
		t.Run(fmt.Sprintf("half-open=%v", halfOpen), func(t *testing.T) {
			c := start(t, Options{Grace: time.Hour})
			cl := c.client("alice", "")
			job := cl.newJob("")
			_, watch := cl.start(watchFrom(job, 0))
			w := c.worker("w", 4, nil)
			cl.tasks(job, 0, 1)
			first := expect[*wire.Assign](w, wire.KindAssign).At(0)
			done := &wire.Done{}
			done.Add(wire.Result{Task: first.Task, Attempt: first.Attempt, Size: 1 << 20, Duration: 5})
			w.send(wire.KindDone, done)
			cl.outcomes(watch, 1)
			cl.tasks(job, 1, 1)
			expect[*wire.Assign](w, wire.KindAssign)

			if !halfOpen {
				w.conn.Close()
				eventually(t, "it is away", func() bool { return cl.state(0) == "away" })
			}
			held := &wire.Held{}
			held.Add(first.Task, first.Attempt, 1<<20)
			again := c.worker("w", 4, held)
			if again.welcome.Id <= w.welcome.Id {
				t.Errorf("incarnation %d after %d", again.welcome.Id, w.welcome.Id)
			}
			second := expect[*wire.Assign](again, wire.KindAssign)
			if a := second.At(0); second.Len() != 1 || a.Task != task(job, 1) || a.Attempt != 2 {
				t.Fatalf("assigned %v", second)
			}
			again.send(wire.KindDone, finish(second, 0, "x"))
			cl.outcomes(watch, 1)
			if ws := cl.workers(); len(ws) != 1 || ws[0].Id != again.welcome.Id {
				t.Errorf("workers %v", ws)
			}
			if halfOpen {
				if err := w.waitEnd(); err == nil {
					t.Error("the old connection stays")
				}
			}
			ended := cl.call(locate(job, 0)).GetEnded()
			for o := range ended.Outcomes {
				if len(o.Holders) != 1 || uint32(o.Holders[0].Worker) != again.welcome.Id || o.Holders[0].Name != "w" {
					t.Errorf("held by %v", o.Holders)
				}
			}
			if ended.Len() != 1 {
				t.Error("the result is nowhere")
			}
		})
	}
}

// A worker that says hello and leaves before it has said what it holds is never
// seen; the incarnation before it is not forgotten over that.
func TestLeavesUnsettled(t *testing.T) {
	c := start(t, Options{Grace: time.Hour})
	cl := c.client("alice", "")
	w := c.worker("w", 1, nil)
	cl.awaitWorkers(1)
	hesitate := func() {
		t.Helper()
		p, err := c.dial(identity.Worker, "w", helloOf("w", 1))
		if err != nil {
			t.Fatal(err)
		}
		if ws := cl.workers(); len(ws) != 1 || ws[0].Id != w.welcome.Id {
			t.Errorf("workers %v", ws)
		}
		p.conn.Close()
		eventually(t, "it has left", func() bool {
			return onLoop(c, func(l *loop) bool { return len(l.workers) == 1 && l.workerNames["w"].settled })
		})
	}
	hesitate()
	if s := cl.state(0); s != "running" {
		t.Errorf("the first incarnation is %q", s)
	}
	w.conn.Close()
	eventually(t, "it is away", func() bool { return cl.state(0) == "away" })
	hesitate()
	if s := cl.state(0); s != "away" {
		t.Errorf("the first incarnation is %q", s)
	}
	// Three at once: all but the one that settles leave.
	var last *peer
	for range 3 {
		p, err := c.dial(identity.Worker, "w", helloOf("w", 1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.conn.Close() })
		last = p
	}
	last.send(wire.KindInventory, &wire.Held{})
	last.read(nil)
	eventually(t, "one is left", func() bool {
		ws := cl.workers()
		return len(ws) == 1 && ws[0].Id == last.welcome.Id && onLoop(c, func(l *loop) int { return len(l.workers) }) == 1
	})
}

// Many join at once, in whatever order their inventories arrive.
func TestManyJoinAtOnce(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	const n = 40
	var wg sync.WaitGroup
	peers := make([]*peer, n)
	for i := range n {
		wg.Go(func() {
			p, err := c.dial(identity.Worker, fmt.Sprintf("w%d", i), helloOf(fmt.Sprintf("w%d", i), 1))
			if err != nil {
				t.Error(err)
				return
			}
			peers[i] = p
		})
	}
	wg.Wait()
	for i := range n { // the inventories, in another order than the hellos
		p := peers[n-1-i]
		p.send(wire.KindInventory, &wire.Held{})
		p.read(nil)
	}
	cl.awaitWorkers(n)
	job := cl.newJob("")
	cl.tasks(job, 0, n)
	for _, p := range peers {
		p.send(wire.KindDone, finish(expect[*wire.Assign](p, wire.KindAssign), 0, "x"))
	}
	eventually(t, "all are done", func() bool { return cl.call(openByID(job)).GetJob().Done == n })
}

// Holders are introduced before they are named, and gone ones are told of.
func TestPeersAreIntroduced(t *testing.T) {
	c := start(t, Options{Grace: time.Millisecond})
	cl := c.client("alice", "")
	a := c.worker("a", 1, nil)
	cl.awaitWorkers(1)
	job := cl.newJob("")
	cl.tasks(job, 0, 1)
	a.send(wire.KindDone, finish(expect[*wire.Assign](a, wire.KindAssign), 1<<20, ""))
	eventually(t, "it is done", func() bool { return cl.call(openByID(job)).GetJob().Done == 1 })
	// The consumer may run on b alone.
	hello := helloOf("b", 1)
	hello.GetWorker().Pool = "other"
	b := c.join("b", hello, nil)
	cl.call(classes(job, &graph.Class{Name: "f", Kind: graph.KindGo}, &graph.Class{Name: "g", Kind: graph.KindGo, Pool: "other"}))
	consumer := &graph.Batch{Job: graph.JobID(job), First: 1, Class: []graph.ClassID{1}, Deps: []graph.TaskID{task(job, 0)}, DepEnd: []uint32{1}}
	cl.call(submit(consumer))
	peers := expect[*wire.Peers](b, wire.KindPeers)
	if l := peers.At(0); l.Name != "a" || l.Address != "127.0.0.1:1" || uint32(l.Worker) != a.welcome.Id {
		t.Errorf("introduced %v", l)
	}
	m := expect[*wire.Assign](b, wire.KindAssign)
	row := m.At(0)
	if in := row.Input(0); len(in.Holders) != 1 || in.Holders[0] != a.welcome.Id || in.Size != 1<<20 {
		t.Errorf("input %+v", in)
	}
	a.conn.Bye(context.Background(), "")
	if l := expect[*wire.Peers](b, wire.KindPeers).At(0); uint32(l.Worker) != a.welcome.Id || l.Address != "" {
		t.Errorf("told %v", l)
	}
}

// A panic in handling one message costs that connection and nothing else.
func TestPanicIsContained(t *testing.T) {
	c := start(t, Options{})
	cl, other := c.client("alice", ""), c.client("bob", "")
	job := other.newJob("")
	var alice *wire.Conn
	onLoop(c, func(l *loop) bool {
		for conn, s := range l.clients {
			if s.user == "alice" {
				alice, _ = conn.(*wire.Conn)
			}
		}
		return true
	})
	c.srv.loop.send(panics{alice})
	if err := cl.waitEnd(); err == nil {
		t.Error("the connection lives")
	}
	if info := other.call(openByID(job)).GetJob(); info.Job != job {
		t.Error("the other client suffers")
	}
	c.works()
}

type panics struct{ conn *wire.Conn }

func (in panics) origin() *wire.Conn { return in.conn }
func (in panics) handle(*loop)       { panic("a fault in a handler") }

// A panic inside the core is the end.
func TestCorePanicIsNot(t *testing.T) {
	l := newLoop(start(t, Options{}).srv.opts, nil)
	defer func() {
		if recover() == nil {
			t.Error("the core's panic was swallowed")
		}
	}()
	l.take(calls{func() { l.step(sched.Event(nil)) }})
}

// calls runs a function on the loop.
type calls struct{ f func() }

func (in calls) origin() *wire.Conn { return nil }
func (in calls) handle(*loop)       { in.f() }

// onLoop returns what f says on the loop.
func onLoop[T any](c *cluster, f func(*loop) T) T {
	c.t.Helper()
	out := make(chan T, 1)
	c.srv.loop.send(calls{func() { out <- f(c.srv.loop) }})
	select {
	case v := <-out:
		return v
	case <-time.After(patience):
		c.t.Fatal("the loop hangs")
		panic("unreachable")
	}
}

// Close says goodbye to everybody.
func TestClose(t *testing.T) {
	c := start(t, Options{})
	w, cl := c.worker("w", 1, nil), c.client("alice", "")
	cl.awaitWorkers(1)
	if err := c.srv.Close(); err != nil {
		t.Error(err)
	}
	if err := <-c.err; !errors.Is(err, ErrClosed) {
		t.Errorf("Serve: %v", err)
	}
	for _, p := range []*peer{w, cl.peer} {
		if bye, ok := errors.AsType[*wire.ByeError](p.waitEnd()); !ok || !strings.Contains(bye.Reason, "closing") {
			t.Errorf("ended with %v", p.end)
		}
	}
	if err := c.srv.Serve(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("serving again: %v", err)
	}
}

// A worker whose connection this side gave up is away without blame.
func TestOwnDoing(t *testing.T) {
	for err, want := range map[error]bool{
		wire.ErrSlow: true, wire.Errorf(wire.Internal, "a panic"): true,
		io.EOF: false, io.ErrUnexpectedEOF: false, errors.New("connection reset"): false,
	} {
		if ownDoing(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
		if !wire.Gone(err) {
			t.Errorf("%v: the worker may not come back", err)
		}
	}
}
