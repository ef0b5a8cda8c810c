package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/enginetest"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/server"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

func TestResults(t *testing.T) {
	c := startCluster(t, server.Options{})
	c.worker("w1")
	j := unnamed(t, c.client(client.Options{}))

	small := submit(t, j, "abc")
	empty := submit(t, j, "")
	big := submit(t, j, "big 5000000")
	wantResult(t, j, small, "abc")
	wantResult(t, j, empty, "")
	wantResult(t, j, big, strings.Repeat("\x02", 5000000))
	wantResult(t, j, small, "abc") // again

	bad := submit(t, j, "fail no luck")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, _, err := j.Result(ctx, bad)
	f, ok := errors.AsType[*graph.Failure](err)
	if !ok || f.Kind != graph.FailUser || f.Message != "no luck" || f.Stack != "at line 1" || f.Host != "h" {
		t.Errorf("failure: %+v", f)
	}
	after := submit(t, j, "after", graph.TaskID{Job: j.ID(), Index: bad})
	_, _, err = j.Result(ctx, after)
	if f, ok := errors.AsType[*graph.Failure](err); !ok || f.Kind != graph.FailUpstream || f.Task.Index != bad {
		t.Errorf("failure of what depends on it: %v", err)
	}
}

// Many tasks travel in few frames, and each gets its own result.
func TestMany(t *testing.T) {
	c := startCluster(t, server.Options{})
	c.worker("w1")
	c.worker("w2")
	j := unnamed(t, c.client(client.Options{}))
	const n = 10_000
	for i := range n {
		if got := submit(t, j, fmt.Sprint("item-", i)); got != uint32(i) {
			t.Fatalf("task %d has index %d", i, got)
		}
	}
	for i := range uint32(n) {
		wantResult(t, j, i, fmt.Sprint("item-", i))
	}
}

// Submit waits when too much is not acknowledged, and the wait ends with its context.
func TestBackpressure(t *testing.T) {
	c := startCluster(t, server.Options{})
	p := enginetest.StartProxy(t, c.srv.Addr().String())
	cl := c.client(client.Options{Scheduler: p.Endpoint, InFlight: 10_000, Lease: 300 * time.Millisecond})
	j := unnamed(t, cl)
	p.Deaf(true)
	p.Cut()
	payload := make([]byte, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for ; n < 100; n++ {
		if n == 5 {
			time.AfterFunc(50*time.Millisecond, cancel)
		}
		if _, err := j.Submit(ctx, &client.Task{Class: j.Class(class), Payload: payload}); err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			break
		}
	}
	if n < 5 || n > 10 {
		t.Errorf("%d tasks of 1000 bytes were taken without a scheduler, with room for 10000 bytes", n)
	}
	p.Deaf(false)
	c.worker("w1")
	wantResult(t, j, uint32(n-1), string(payload))
	submit(t, j, "more")
	wantResult(t, j, uint32(n), "more")
}

func TestInputTooLarge(t *testing.T) {
	c := startCluster(t, server.Options{MaxFrame: 1 << 20})
	j := unnamed(t, c.client(client.Options{}))
	if _, err := j.Submit(t.Context(), &client.Task{Class: j.Class(class), Payload: make([]byte, 1<<20)}); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("got %v", err)
	}
	for range 4 { // together they are too large for one frame
		submit(t, j, strings.Repeat("x", 700<<10))
	}
	c.worker("w1")
	wantResult(t, j, 3, strings.Repeat("x", 700<<10))
}

// The connection breaks again and again; nothing is lost or run for another.
func TestReconnect(t *testing.T) {
	c := startCluster(t, server.Options{})
	c.worker("w1")
	p := enginetest.StartProxy(t, c.srv.Addr().String())
	j := unnamed(t, c.client(client.Options{Scheduler: p.Endpoint}))

	const n = 3000
	for i := range n {
		var deps []graph.TaskID
		if i > 0 {
			deps = append(deps, graph.TaskID{Job: j.ID(), Index: uint32(i / 2)})
		}
		submit(t, j, fmt.Sprint("item-", i), deps...)
		if i%50 == 49 {
			if i%100 == 99 { // half of the time there is a connection, with replies on it
				wantResult(t, j, uint32(i-40), fmt.Sprint("item-", i-40))
			}
			p.Cut()
		}
	}
	for i := range uint32(n) {
		wantResult(t, j, i, fmt.Sprint("item-", i))
	}
	info, err := j.Info(t.Context())
	if err != nil || info.Tasks != n || info.Done != n {
		t.Errorf("%+v, %v", info, err)
	}
}

// A worker that says it has lost a result makes it be computed again.
func TestLostResult(t *testing.T) {
	c := startCluster(t, server.Options{})
	w := c.worker("w1")
	j := unnamed(t, c.client(client.Options{}))
	id := graph.TaskID{Job: j.ID(), Index: submit(t, j, "big 100000")}
	want := strings.Repeat("\x00", 100000)
	wantResult(t, j, id.Index, want)
	w.lose()
	wantResult(t, j, id.Index, want)
	if n := w.runs(id); n != 2 {
		t.Errorf("ran %d times", n)
	}
}

func TestRelease(t *testing.T) {
	c := startCluster(t, server.Options{})
	w := c.worker("w1")
	j := unnamed(t, c.client(client.Options{}))
	a := graph.TaskID{Job: j.ID(), Index: submit(t, j, "big 100000")}
	b := submit(t, j, "wait b", a)
	eventually(t, "b runs", func() bool { return w.waits() == 1 })
	j.Release(a.Index)
	wantError(t, j, a.Index, client.ErrReleased)
	if w.freed(a) {
		t.Error("freed although another task needs it")
	}
	w.proceed()
	wantResult(t, j, b, "b")
	eventually(t, "a is freed", func() bool { return w.freed(a) })

	waiting := submit(t, j, "wait c")
	ended := make(chan error, 1)
	go func() {
		_, _, err := j.Result(context.Background(), waiting)
		ended <- err
	}()
	j.Release(waiting)
	select {
	case err := <-ended:
		if !errors.Is(err, client.ErrReleased) {
			t.Errorf("who waited got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("who waited for a released task still waits")
	}
	<-j.Done(waiting)
}

func TestCancel(t *testing.T) {
	c := startCluster(t, server.Options{})
	w := c.worker("w1")
	j := unnamed(t, c.client(client.Options{}))
	i := submit(t, j, "wait")
	after := submit(t, j, "after", graph.TaskID{Job: j.ID(), Index: i})
	eventually(t, "it runs", func() bool { return w.waits() == 1 })
	if err := j.Cancel(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	for index, kind := range map[uint32]graph.FailKind{i: graph.FailCancelled, after: graph.FailUpstream} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, _, err := j.Result(ctx, index)
		cancel()
		if f, ok := errors.AsType[*graph.Failure](err); !ok || (f.Kind != kind && f.Kind != graph.FailCancelled) {
			t.Errorf("task %d: %v", index, err)
		}
	}
}

// The end of a context ends the wait; the task goes on.
func TestContextEndsTheWait(t *testing.T) {
	c := startCluster(t, server.Options{})
	w := c.worker("w1")
	j := unnamed(t, c.client(client.Options{}))
	i := submit(t, j, "wait here")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := j.Result(ctx, i); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	eventually(t, "it runs", func() bool { return w.waits() == 1 })
	w.proceed()
	wantResult(t, j, i, "here")
}

// A named job outlives its client; its tasks are found again by index, names by name.
func TestComeBack(t *testing.T) {
	c := startCluster(t, server.Options{})
	w := c.worker("w1")
	first := c.client(client.Options{})
	j, err := first.Job(t.Context(), "nightly")
	if err != nil {
		t.Fatal(err)
	}
	submit(t, j, "one")
	submit(t, j, "big 100000")
	submit(t, j, "wait three")
	if err := first.Publish(t.Context(), "total", j, 2, "text"); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Error("second close:", err)
	}
	wantError(t, j, 2, client.ErrClosed)

	second := c.client(client.Options{})
	if _, err := second.AttachJob(t.Context(), "weekly"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a job that was never opened: %v", err)
	}
	again, err := second.AttachJob(t.Context(), "nightly")
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint32(3) {
		again.Hold(i)
	}
	wantResult(t, again, 0, "one")
	wantResult(t, again, 1, strings.Repeat("\x01", 100000))
	name, err := second.Lookup(t.Context(), "total")
	if err != nil || name.Task != (graph.TaskID{Job: again.ID(), Index: 2}) || name.Type != "text" {
		t.Errorf("%+v, %v", name, err)
	}
	w.proceed()
	wantResult(t, again, 2, "three")
	if i := submit(t, again, "four", name.Task); i != 3 {
		t.Errorf("the next task has index %d", i)
	}
	wantResult(t, again, 3, "four")
	again.Hold(77)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, _, err := again.Result(ctx, 77); err == nil {
		t.Error("a task that does not exist has a result")
	}
	wantResult(t, again, 0, "one") // not spoiled by that

	if err := again.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantError(t, again, 77, client.ErrJobClosed)
	if _, err := again.Submit(t.Context(), &client.Task{Class: again.Class(class)}); !errors.Is(err, client.ErrJobClosed) {
		t.Errorf("submit to a closed job: %v", err)
	}
	if _, err := second.Lookup(t.Context(), "nothing"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a name that nobody gave: %v", err)
	}
}

// Failures with long texts, asked for together, are told in several answers.
func TestComeBackToManyLongFailures(t *testing.T) {
	c := startCluster(t, server.Options{})
	c.worker("w")
	first := c.client(client.Options{})
	j, err := first.Job(t.Context(), "doomed")
	if err != nil {
		t.Fatal(err)
	}
	root := submit(t, j, "fail "+strings.Repeat("x", wire.MaxText-1))
	const n = 200
	for range n { // each tells of what failed first
		submit(t, j, "never", graph.TaskID{Job: j.ID(), Index: root})
	}
	if _, err := j.Wait(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	first.Close()

	second := c.client(client.Options{})
	if j, err = second.AttachJob(t.Context(), "doomed"); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(n + 1) {
		j.Hold(i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range uint32(n + 1) {
		if _, _, err := j.Result(ctx, i); err == nil || !strings.Contains(err.Error(), "xxx") {
			t.Fatalf("task %d: %.80v", i, err)
		}
	}
}

// The scheduler is replaced by one that knows nothing: whoever waits is told.
func TestSchedulerReplaced(t *testing.T) {
	old, fresh := startCluster(t, server.Options{}), startCluster(t, server.Options{})
	fresh.worker("w1")
	p := enginetest.StartProxy(t, old.srv.Addr().String())
	cl := old.client(client.Options{Scheduler: p.Endpoint})
	j := unnamed(t, cl)
	n, err := cl.Job(t.Context(), "named")
	if err != nil {
		t.Fatal(err)
	}
	a, b := submit(t, j, "a"), submit(t, n, "b")
	p.Redirect(fresh.srv.Addr().String())
	p.Cut()
	wantError(t, j, a, client.ErrLost)
	wantError(t, n, b, client.ErrLost)
	again := unnamed(t, cl)
	wantResult(t, again, submit(t, again, "c"), "c")
}

// A session that ran out while the line was down: its unnamed job is lost, a named
// one goes on, with what was submitted meanwhile.
func TestSessionRanOut(t *testing.T) {
	c := startCluster(t, server.Options{Session: 50 * time.Millisecond})
	c.worker("w1")
	p := enginetest.StartProxy(t, c.srv.Addr().String())
	cl := c.client(client.Options{Scheduler: p.Endpoint})
	j := unnamed(t, cl)
	n, err := cl.Job(t.Context(), "named")
	if err != nil {
		t.Fatal(err)
	}
	wantResult(t, n, submit(t, n, "before"), "before")
	lost := submit(t, j, "wait")
	p.Deaf(true)
	p.Cut()
	during := submit(t, n, "during")
	other := c.client(client.Options{})
	eventually(t, "the session ends", func() bool {
		jobs, err := other.Jobs(t.Context())
		return err == nil && len(jobs) == 1
	})
	p.Deaf(false)
	wantError(t, j, lost, client.ErrLost)
	wantResult(t, n, during, "during")
	wantResult(t, n, submit(t, n, "after"), "after")
}

func TestPatienceEnds(t *testing.T) {
	c := startCluster(t, server.Options{})
	p := enginetest.StartProxy(t, c.srv.Addr().String())
	cl := c.client(client.Options{Scheduler: p.Endpoint, Patience: 200 * time.Millisecond})
	j := unnamed(t, cl)
	i := submit(t, j, "a")
	p.Deaf(true)
	p.Cut()
	wantError(t, j, i, client.ErrUnreachable)
	if _, err := cl.Workers(t.Context()); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("a question after that: %v", err)
	}
	if err := cl.Close(); err != nil {
		t.Error(err)
	}
}

func TestDialErrors(t *testing.T) {
	c := startCluster(t, server.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	try := func(o client.Options) error {
		if o.Scheduler == nil {
			o.Scheduler = c.endpoint
		}
		cl, err := client.Dial(ctx, o)
		if err == nil {
			cl.Close()
		}
		return err
	}
	stranger, err := identity.NewCA(identity.NewSeed(), authority().App())
	if err != nil {
		t.Fatal(err)
	}
	id, err := stranger.NewIdentity(identity.Subject{App: authority().App(), Role: identity.Client, Name: "mallory"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := try(client.Options{Identity: id}); !errors.Is(err, client.ErrAuth) {
		t.Errorf("a stranger: %v", err)
	}
	if err := try(client.Options{Identity: newIdentity(t, identity.Worker, "w9")}); !errors.Is(err, client.ErrAuth) {
		t.Errorf("a worker as client: %v", err)
	}
	me := newIdentity(t, identity.Client, "alice")
	gone := errors.New("application_1_0001 has ended")
	start := time.Now()
	if err := try(client.Options{Identity: me, Scheduler: func(context.Context) (string, uint64, error) { return "", 0, client.Permanent(gone) }}); !errors.Is(err, gone) {
		t.Errorf("no application: %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("that took %v", took)
	}
	if err := try(client.Options{Identity: me, Patience: 100 * time.Millisecond, Scheduler: func(context.Context) (string, uint64, error) { return "127.0.0.1:1", 0, nil }}); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("nobody listens: %v", err)
	}
	asked := 0
	replaced := func(context.Context) (string, uint64, error) {
		if asked++; asked == 2 {
			cancel()
		}
		return c.srv.Addr().String(), 7, nil
	}
	if err := try(client.Options{Identity: me, Scheduler: replaced}); !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), "epoch") {
		t.Errorf("a scheduler that was replaced: %v", err)
	}
}

func TestWorkers(t *testing.T) {
	c := startCluster(t, server.Options{})
	cl := c.client(client.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := cl.WaitWorkers(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without workers: %v", err)
	}
	c.worker("w1")
	c.worker("w2")
	if err := cl.WaitWorkers(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	got, err := cl.Workers(t.Context())
	if err != nil || len(got) != 2 || got[0].Name != "w1" || got[0].Host != "host-w1" || got[0].Slots != 4 {
		t.Errorf("%+v, %v", got, err)
	}
}

// A bundle goes up once, goes on where a broken connection stopped it, and is not
// sent when it is the workers' own program.
func TestBundle(t *testing.T) {
	static := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(static, staticELF(5<<20), 0o700); err != nil {
		t.Fatal(err)
	}
	c := startCluster(t, server.Options{Dir: t.TempDir()})
	p := enginetest.StartProxy(t, c.srv.Addr().String())
	cl := c.client(client.Options{Scheduler: p.Endpoint, OwnBundle: true, Executable: static})
	time.AfterFunc(3*time.Millisecond, p.Cut)
	d, err := cl.Bundle(t.Context())
	if err != nil || d.IsZero() {
		t.Fatal(d, err)
	}
	if again, err := cl.Bundle(t.Context()); err != nil || again != d {
		t.Error(again, err)
	}
	other := c.client(client.Options{OwnBundle: true, Executable: static})
	if same, err := other.Bundle(t.Context()); err != nil || same != d {
		t.Error(same, err)
	}

	same := startCluster(t, server.Options{Bundle: d})
	if got, err := same.client(client.Options{OwnBundle: true, Executable: static}).Bundle(t.Context()); err != nil || !got.IsZero() {
		t.Errorf("the workers' own program: %v, %v", got, err)
	}
	if got, err := c.client(client.Options{}).Bundle(t.Context()); err != nil || !got.IsZero() {
		t.Errorf("without OwnBundle: %v, %v", got, err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := c.client(client.Options{OwnBundle: true, Executable: text}).Bundle(t.Context()); err == nil || !strings.Contains(err.Error(), "no Linux program") {
		t.Errorf("a script: %v", err)
	}
	dynamic := filepath.Join(t.TempDir(), "dynamic")
	if err := os.WriteFile(dynamic, dynamicELF(), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := c.client(client.Options{OwnBundle: true, Executable: dynamic}).Bundle(t.Context()); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("a dynamic program: %v", err)
	}
}

// A lock lives through a broken connection, as does a wait for one, and not through the
// end of the session.
func TestLockAndConnections(t *testing.T) {
	c := startCluster(t, server.Options{Session: 2 * time.Second})
	p := enginetest.StartProxy(t, c.srv.Addr().String())
	cl, other := c.client(client.Options{Scheduler: p.Endpoint}), c.client(client.Options{})
	held, err := cl.Acquire(t.Context(), "a", 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := other.Acquire(t.Context(), "b", 1)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *client.Held, 1)
	go func() {
		h, err := cl.Acquire(t.Context(), "b", 1)
		if err != nil {
			t.Error(err)
		}
		got <- h
	}()
	p.Cut()
	if _, err := cl.Jobs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := <-got
	select {
	case <-held.Lost():
		t.Error("a broken connection costs the lock")
	default:
	}
	if second.Token() <= b.Token() {
		t.Errorf("token %d after %d", second.Token(), b.Token())
	}
	p.Deaf(true)
	p.Cut()
	if _, err := other.Acquire(t.Context(), "a", 1); err != nil { // when the session has ended
		t.Fatal(err)
	}
	p.Deaf(false)
	<-held.Lost()
	<-second.Lost()
	if err := held.Release(t.Context()); !errors.Is(err, client.ErrState) {
		t.Errorf("released what was lost: %v", err)
	}
}
