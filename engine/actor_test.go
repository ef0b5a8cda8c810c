package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

// tally is an actor's state: a number, and a file in which each effect leaves a line.
type tally struct {
	N    int
	kept bool
	file string
}

type tallyOf struct {
	Start int
	File  string // "": effects leave no lines
	Fail  string // its create fails with it
}

func (n *tally) note(what string) error {
	if n.file == "" {
		return nil
	}
	f, err := os.OpenFile(n.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, what)
	return err
}

// Close is its end in order.
func (n *tally) Close() error { return n.note("closed") }

// notes returns the lines of a tally's file.
func notes(t testing.TB, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

func times(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

var tallies = engine.DefineActor("tallies", func(ctx context.Context, in tallyOf) (*tally, error) {
	if in.Fail != "" {
		return nil, errors.New(in.Fail)
	}
	n := &tally{N: in.Start, file: in.File}
	if kept, ok, err := engine.Restored[int](ctx); err != nil {
		return nil, err
	} else if ok {
		n.N, n.kept = kept, true
	}
	return n, n.note("made")
})

var (
	counterAdd = engine.DefineMethod(tallies, "add", func(_ context.Context, n *tally, by int) (int, error) {
		n.N += by
		return n.N, nil
	})
	// counterPause adds, and now and then takes longer than what is sent ahead may.
	counterPause = engine.DefineMethod(tallies, "pause", func(_ context.Context, n *tally, by int) (int, error) {
		if n.N%20 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
		n.N += by
		return n.N, nil
	})
	counterFail = engine.DefineMethod(tallies, "fail", func(_ context.Context, n *tally, what string) (int, error) {
		n.N++
		if what == "panic" {
			panic("as it was told")
		}
		return 0, errors.New(what)
	})
	counterKeep = engine.DefineMethod(tallies, "keep", func(ctx context.Context, n *tally, _ struct{}) (bool, error) {
		return n.kept, engine.Checkpoint(ctx, n.N)
	})
	counterWait = engine.DefineMethod(tallies, "wait", waitAtGate)
	counterLook = engine.DefineMethod(tallies, "look", waitAtGate, engine.Repeatable())
	counterBlob = engine.DefineMethod(tallies, "blob", func(_ context.Context, _ *tally, size int) ([]byte, error) {
		return make([]byte, size), nil
	})
	counterSum = engine.DefineMethod(tallies, "sum", func(_ context.Context, n *tally, in []engine.Ref[[]byte]) (int, error) {
		for _, r := range in {
			n.N += len(r.Value())
		}
		return n.N, nil
	})
	counterSelf = engine.DefineMethod(tallies, "self", func(ctx context.Context, _ *tally, a engine.Actor[*tally]) (int, error) {
		return addTo(ctx, call{a, 1})
	})
	counterSpread = engine.DefineMethod(tallies, "spread", func(ctx context.Context, _ *tally, n int) ([]int, error) {
		c, err := engine.Inside(ctx)
		if err != nil {
			return nil, err
		}
		return square.Map(ctx, c, count(n)).Gather(ctx)
	})
)

// waitAtGate leaves a line when it begins, and one when its context ends.
func waitAtGate(ctx context.Context, n *tally, g gate) (int, error) {
	n.N++
	if err := n.note(fmt.Sprint("began-", g.N)); err != nil {
		return 0, err
	}
	err := g.pass(ctx)
	if err != nil {
		err = errors.Join(err, n.note("ended"))
	}
	return n.N, err
}

// call is what a task calls an actor with: it got its handle.
type call struct {
	Actor engine.Actor[*tally]
	By    int
}

func addTo(ctx context.Context, in call) (int, error) {
	c, err := engine.Inside(ctx)
	if err != nil {
		return 0, err
	}
	return counterAdd.Call(ctx, c, in.Actor, in.By)
}

var addByTask = engine.Define("addByTask", addTo)

func startCounter(t testing.TB, c *engine.Client, in tallyOf, o ...engine.SubmitOption) engine.Actor[*tally] {
	t.Helper()
	a, err := tallies.Start(deadline(t), c, in, o...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantAdd(t testing.TB, c *engine.Client, a engine.Actor[*tally], by, want int) {
	t.Helper()
	if got, err := counterAdd.Call(deadline(t), c, a, by); err != nil || got != want {
		t.Fatalf("add %d: %d, %+v; want %d", by, got, err, want)
	}
}

// An actor keeps its state from call to call, does them in their order, and lives until
// it is stopped; then its Close has run.
func TestActor(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, file := c.Client(), filepath.Join(t.TempDir(), "notes")
		a := startCounter(t, client, tallyOf{Start: 5, File: file})
		wantAdd(t, client, a, 3, 8)
		var sent []*engine.Answer[int]
		for range 1000 {
			sent = append(sent, counterAdd.Send(t.Context(), client, a, 1))
		}
		for i, s := range sent {
			if n, err := s.Result(deadline(t)); err != nil || n != 9+i {
				t.Fatalf("call %d: %d, %v", i, n, err)
			}
		}
		sent = sent[:0]
		for range 300 {
			sent = append(sent, counterPause.Send(t.Context(), client, a, 1))
		}
		for i, s := range sent {
			if n, err := s.Result(deadline(t)); err != nil || n != 1009+i {
				t.Fatalf("call %d of those that went back: %d, %v", i, n, err)
			}
		}
		_, err := counterFail.Call(t.Context(), client, a, "no such thing")
		if ce, ok := errors.AsType[*engine.CallError](err); !ok || ce.Message != "no such thing" || ce.Panicked() || ce.Actor != a.Task || ce.Host == "" {
			t.Errorf("%#v", err)
		}
		wantAdd(t, client, a, 0, 1309)
		must(t, a.Stop(t.Context(), client))
		must(t, a.Stop(t.Context(), client))
		if _, err := counterAdd.Call(t.Context(), client, a, 1); !errors.Is(err, engine.ErrActorStopped) {
			t.Errorf("a call of one that was stopped: %v", err)
		}
		eventually(t, "it is closed", func() bool { return slices.Equal(notes(t, file), []string{"made", "closed"}) })
	})
}

// Tasks, other clients and other actors' methods call it by its handle; all at once, each
// call counts once. On one slot, as who waits takes none.
func TestActorHandles(t *testing.T) {
	suite(t, enginetest.Options{Workers: 1, Slots: 1}, func(t *testing.T, c *enginetest.Cluster) {
		first, second := c.Client(), c.Client()
		job, err := first.Job(t.Context(), "actors")
		must(t, err)
		a := startCounter(t, first, tallyOf{}, engine.InJob(job))
		must(t, tallies.Publish(t.Context(), first, "the counter", a))
		found, err := tallies.Lookup(t.Context(), second, "the counter")
		if err != nil || found != a {
			t.Fatalf("%v, %v", found, err)
		}
		var wg sync.WaitGroup
		for i := range 10 {
			c := []*engine.Client{first, second}[i%2]
			wg.Go(func() {
				for range 20 {
					if _, err := counterAdd.Call(deadline(t), c, found, 1); err != nil {
						t.Error(err)
					}
				}
			})
		}
		in := slices.Values(slices.Repeat([]call{{a, 100}}, 10))
		if _, err := addByTask.Map(t.Context(), second, in).Gather(deadline(t)); err != nil {
			t.Error(err)
		}
		wg.Wait()
		wantAdd(t, second, a, 0, 1200)
		if squares, err := counterSpread.Call(deadline(t), second, a, 50); err != nil || squares[49] != 2401 {
			t.Errorf("a method that submits tasks: %v", err)
		}
		must(t, first.Close()) // the job has a name
		wantAdd(t, second, a, 1, 1201)
		other, err := second.AttachJob(t.Context(), "actors")
		must(t, err)
		must(t, other.Close(t.Context())) // and what is published lives on
		wantAdd(t, second, a, 1, 1202)
		must(t, second.Unpublish(t.Context(), "the counter"))
		if _, err := counterAdd.Call(t.Context(), second, a, 1); !errors.Is(err, engine.ErrNotFound) {
			t.Errorf("a call of one whose job is closed: %v", err)
		}
	})
}

// A call that is cut off by its worker's death fails, or is done again if it may be; what
// had not begun waits for the restarted actor, which has its checkpoint.
func TestActorsWorkerKilled(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Slots: 1, Processes: true})
	client, file := c.Client(), filepath.Join(t.TempDir(), "notes")
	g := gate{Dir: t.TempDir(), N: 1}
	cut, again := startCounter(t, client, tallyOf{Start: 7}), startCounter(t, client, tallyOf{Start: 10, File: file})
	if kept, err := counterKeep.Call(t.Context(), client, cut, struct{}{}); err != nil || kept {
		t.Fatalf("%v, %v", kept, err)
	}
	wantAdd(t, client, cut, 1, 8) // after so few calls none is sent ahead
	lost := counterWait.Send(t.Context(), client, cut, g)
	eventually(t, "the method runs", func() bool { return g.arrived() == 1 })
	waits := counterAdd.Send(t.Context(), client, cut, 1)
	look := counterLook.Send(t.Context(), client, again, gate{Dir: g.Dir, N: 2}) // there is no slot for it
	c.AddWorker()
	must(t, client.WaitWorkers(t.Context(), 2))
	c.Workers()[0].Kill()
	if n, err := lost.Result(deadline(t)); !errors.Is(err, engine.ErrInterrupted) {
		t.Errorf("the call under way: %d, %v", n, err)
	}
	must(t, g.open())
	if n, err := waits.Result(deadline(t)); err != nil || n != 8 {
		t.Errorf("the call that waited: %d, %v, want the checkpoint's 7 and 1", n, err)
	}
	if n, err := look.Result(deadline(t)); err != nil || n != 11 {
		t.Errorf("the call that may be done again: %d, %v", n, err)
	}
	if kept, err := counterKeep.Call(t.Context(), client, cut, struct{}{}); err != nil || !kept {
		t.Errorf("restored: %v, %v", kept, err)
	}
}

// Effects are counted: what is not Repeatable happens once, what is may happen again.
func TestActorAtMostOnce(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Slots: 2, Processes: true})
	client, dir := c.Client(), t.TempDir()
	g := gate{Dir: t.TempDir()}
	once, twice := filepath.Join(dir, "once"), filepath.Join(dir, "twice")
	a, b := startCounter(t, client, tallyOf{File: once}), startCounter(t, client, tallyOf{File: twice})
	x := counterWait.Send(t.Context(), client, a, gate{Dir: g.Dir, N: 1})
	y := counterLook.Send(t.Context(), client, b, gate{Dir: g.Dir, N: 2})
	eventually(t, "both run", func() bool { return g.arrived() == 2 })
	c.AddWorker()
	must(t, client.WaitWorkers(t.Context(), 2))
	c.Workers()[0].Kill()
	if _, err := x.Result(deadline(t)); !errors.Is(err, engine.ErrInterrupted) {
		t.Errorf("%v", err)
	}
	must(t, g.open())
	if n, err := y.Result(deadline(t)); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	wantAdd(t, client, a, 1, 1)
	if got := notes(t, once); times(got, "began-1") != 1 || times(got, "made") != 2 {
		t.Errorf("%q", got)
	}
	if got := notes(t, twice); times(got, "began-2") != 2 || times(got, "made") != 2 {
		t.Errorf("%q", got)
	}
}

// An actor moves away from a worker that is to go, in order, as often as it must, and with
// what it has kept.
func TestActorMoves(t *testing.T) {
	suite(t, enginetest.Options{Workers: 1, Slots: 1}, func(t *testing.T, c *enginetest.Cluster) {
		client, file := c.Client(), filepath.Join(t.TempDir(), "notes")
		a := startCounter(t, client, tallyOf{File: file}, engine.Restarts(0))
		for i := 1; i <= 3; i++ {
			wantAdd(t, client, a, 1, i)
			if _, err := counterKeep.Call(deadline(t), client, a, struct{}{}); err != nil {
				t.Fatal(err)
			}
			g := gate{Dir: t.TempDir(), N: i}
			runs := counterWait.Send(t.Context(), client, a, g)
			eventually(t, "it runs", func() bool { return g.arrived() == 1 })
			waits := counterKeep.Send(t.Context(), client, a, struct{}{})
			old := c.Workers()[i-1]
			c.AddWorker()
			must(t, client.WaitWorkers(t.Context(), 2))
			c.Drain(old)
			must(t, g.open())
			if n, err := runs.Result(deadline(t)); err != nil || n != i+1 {
				t.Fatalf("what ran: %d, %v", n, err)
			}
			if kept, err := waits.Result(deadline(t)); err != nil || !kept {
				t.Fatalf("what waited: %v, %v", kept, err)
			}
			old.Stop()
			if got := notes(t, file); times(got, "closed") != i || times(got, "made") != i+1 {
				t.Fatalf("%q", got)
			}
		}
	})
}

// A panic is its caller's, with its stack, and the actor begins anew until its restarts
// are used up; then every call is told why it has ended.
func TestActorPanics(t *testing.T) {
	suite(t, enginetest.Options{Workers: 1}, func(t *testing.T, c *enginetest.Cluster) {
		client := c.Client()
		a := startCounter(t, client, tallyOf{}, engine.Restarts(1))
		wantAdd(t, client, a, 5, 5)
		for i := range 2 {
			broken := counterFail.Send(t.Context(), client, a, "panic")
			next := counterAdd.Send(t.Context(), client, a, 1)
			_, err := broken.Result(deadline(t))
			if ce, ok := errors.AsType[*engine.CallError](err); !ok || !ce.Panicked() || !strings.Contains(fmt.Sprintf("%+v", err), "actor_test.go") || ce.Attempt != 1+i {
				t.Fatalf("%+v", err)
			}
			n, err := next.Result(deadline(t))
			if i == 0 && (err != nil || n != 1) {
				t.Fatalf("after the restart: %d, %v", n, err)
			}
			if i == 1 && !errors.Is(err, engine.ErrActorFailed) {
				t.Fatalf("after the last: %d, %v", n, err)
			}
		}
		_, err := counterAdd.Call(t.Context(), client, a, 1)
		if te, ok := errors.AsType[*engine.TaskError](err); !ok || !errors.Is(err, engine.ErrActorFailed) || te.Task != a.Task || te.Stack == "" || te.Attempt != 2 {
			t.Errorf("%+v", err)
		}
		never := startCounter(t, client, tallyOf{Fail: "no room for it"}, engine.Restarts(0))
		if _, err := counterAdd.Call(t.Context(), client, never, 1); !errors.Is(err, engine.ErrActorFailed) || !strings.Contains(err.Error(), "no room for it") {
			t.Errorf("%v", err)
		}
	})
}

// Who waits no more takes the call back: what has not begun does not, what runs is told.
// Stop ends what runs, and all waits.
func TestActorWithdrawn(t *testing.T) {
	suite(t, enginetest.Options{Workers: 1}, func(t *testing.T, c *enginetest.Cluster) {
		client, file := c.Client(), filepath.Join(t.TempDir(), "notes")
		g := gate{Dir: t.TempDir(), N: 1}
		a := startCounter(t, client, tallyOf{File: file})
		ctx, cancel := context.WithCancel(t.Context())
		never, forget := context.WithCancel(t.Context())
		running := counterWait.Send(ctx, client, a, g)
		eventually(t, "it runs", func() bool { return g.arrived() == 1 })
		waits := counterWait.Send(never, client, a, gate{Dir: g.Dir, N: 2})
		stays := counterWait.Send(t.Context(), client, a, gate{Dir: g.Dir, N: 3})
		forget()
		if _, err := waits.Result(deadline(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("what has not begun: %v", err)
		}
		cancel()
		if _, err := running.Result(deadline(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("what runs: %v", err)
		}
		eventually(t, "the third runs", func() bool { return slices.Contains(notes(t, file), "began-3") })
		must(t, a.Stop(t.Context(), client))
		if _, err := stays.Result(deadline(t)); !errors.Is(err, engine.ErrActorStopped) {
			t.Errorf("%v", err)
		}
		want := []string{"made", "began-1", "ended", "began-3", "ended", "closed"}
		eventually(t, "it has ended", func() bool { return slices.Equal(notes(t, file), want) })
	})
}

// What an actor is asked wrongly is told to who asked, by an error of its kind.
func TestActorMistakes(t *testing.T) {
	client := enginetest.New(t, 1)
	ctx := deadline(t)
	a := startCounter(t, client, tallyOf{})
	f := square.Submit(ctx, client, 3)
	want(t, f, 9)
	for name, mistake := range map[string]struct {
		err  error
		call func() error
	}{
		"a task": {engine.ErrMismatch, func() error {
			_, err := counterAdd.Call(ctx, client, engine.Actor[*tally]{Task: f.ID()}, 1)
			return err
		}},
		"another actor": {engine.ErrMismatch, func() error {
			_, err := otherGet.Call(ctx, client, engine.Actor[int](a), 1)
			return err
		}},
		"no handle": {engine.ErrNotFound, func() error {
			_, err := counterAdd.Call(ctx, client, engine.Actor[*tally]{}, 1)
			return err
		}},
		"no such task": {engine.ErrNotFound, func() error {
			_, err := counterAdd.Call(ctx, client, engine.Actor[*tally]{Task: engine.TaskID{Job: a.Task.Job, Index: 99}}, 1)
			return err
		}},
		"a large argument": {engine.ErrTooLarge, func() error {
			_, err := bigEcho.Call(ctx, client, startBig(t, client), make([]byte, 1<<20+1))
			return err
		}},
		"a large answer": {engine.ErrTooLarge, func() error {
			_, err := counterBlob.Call(ctx, client, a, 1<<20)
			return err
		}},
		"itself": {engine.ErrSelfCall, func() error {
			_, err := counterSelf.Call(ctx, client, a, a)
			if ce, ok := errors.AsType[*engine.CallError](err); ok && strings.Contains(ce.Message, "calls itself") {
				return engine.ErrSelfCall // errors of methods arrive as text
			}
			return err
		}},
		"a checkpoint outside": {engine.ErrNotInside, func() error { return engine.Checkpoint(ctx, 1) }},
		"a checkpoint of a task": {engine.ErrAuth, func() error {
			_, err := checkpointing.Call(ctx, client, 1)
			if err != nil && strings.Contains(err.Error(), "only an actor") {
				return engine.ErrAuth
			}
			return err
		}},
		"what is not there": {engine.ErrNotFound, func() error {
			_, err := tallies.Lookup(ctx, client, "nothing")
			return err
		}},
	} {
		if err := mistake.call(); !errors.Is(err, mistake.err) {
			t.Errorf("%s: %v, want %v", name, err, mistake.err)
		}
	}
	wantAdd(t, client, a, 1, 1)
	if _, err := tallies.Start(ctx, client, tallyOf{}, engine.Loose()); err == nil {
		t.Error("a loose actor")
	}
	if _, err := tallies.Start(ctx, client, tallyOf{}, engine.Idempotent()); err == nil {
		t.Error("an idempotent actor")
	}
}

var checkpointing = engine.Define("checkpointing", func(ctx context.Context, n int) (int, error) {
	return n, engine.Checkpoint(ctx, n)
})

// other is a second kind of actors.
var (
	other    = engine.DefineActor("other", func(_ context.Context, n int) (int, error) { return n, nil })
	otherGet = engine.DefineMethod(other, "get", func(_ context.Context, n, plus int) (int, error) { return n + plus, nil })
	bigEcho  = engine.DefineMethod(other, "echo", func(_ context.Context, _ int, b []byte) (int, error) { return len(b), nil })
)

func startBig(t testing.TB, c *engine.Client) engine.Actor[int] {
	t.Helper()
	a, err := other.Start(t.Context(), c, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Arguments of any size come as Refs, and what is as large as a call may be does too.
func TestActorLargeArguments(t *testing.T) {
	suite(t, enginetest.Options{Workers: 2}, func(t *testing.T, c *enginetest.Cluster) {
		client := c.Client()
		a := startCounter(t, client, tallyOf{})
		large := engine.Scatter(t.Context(), client, make([]byte, 5<<20))
		computed := blob.Submit(t.Context(), client, blobOf{Fill: 1, Size: 1000})
		n, err := counterSum.Call(deadline(t), client, a, []engine.Ref[[]byte]{large.Ref(), computed.Ref(), engine.Value([]byte{1})})
		if err != nil || n != 5<<20+1000+1 {
			t.Errorf("%d, %v", n, err)
		}
		const most = 1<<20 - 8
		if n, err := bigEcho.Call(deadline(t), client, startBig(t, client), make([]byte, most)); err != nil || n != most {
			t.Errorf("%d, %v", n, err)
		}
		if b, err := counterBlob.Call(deadline(t), client, a, most); err != nil || len(b) != most {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}
