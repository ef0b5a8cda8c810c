package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

func echo(a wire.Assignment) []byte { return a.Payload }

func closeJob(job uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_CloseJob{CloseJob: &wire.CloseJob{Job: job}}}
}

func publish(name string, job, index uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_Publish{Publish: &wire.Publish{Name: name, Job: job, Index: index, Type: "int"}}}
}

func unpublish(name string) *wire.Request {
	return &wire.Request{Body: &wire.Request_Publish{Publish: &wire.Publish{Name: name, Remove: true}}}
}

func lookup(name string) *wire.Request {
	return &wire.Request{Body: &wire.Request_Lookup{Lookup: &wire.Lookup{Name: name}}}
}

func letGo(job uint32, index ...uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_Release{Release: &wire.Release{Job: job, Index: index}}}
}

func cancel(job uint32, index ...uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_Cancel{Cancel: &wire.Cancel{Job: job, Index: index}}}
}

// A client that comes back finds its session: unnamed jobs, and the watch where it
// was. What was submitted twice because the answer was lost is there once.
func TestSessionResumes(t *testing.T) {
	c := start(t, Options{})
	c.autoWorker("w", 1, echo)
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 10)
	cl.outcomes(watch, 10)
	cl.conn.Close()

	again := c.client("alice", cl.welcome.Session)
	if again.welcome.Session != cl.welcome.Session || again.welcome.Id != cl.welcome.Id {
		t.Errorf("session %v is not %v", again.welcome, cl.welcome)
	}
	if _, err := again.try(submit(batch(job, 0, 10))); err != nil {
		t.Errorf("the same submit again: %v", err)
	}
	again.refused(submit(batch(job, 0, 9)), wire.Conflict)
	again.refused(submit(batch(job, 11, 1)), wire.Conflict)
	again.tasks(job, 10, 5)
	_, watch = again.start(watchFrom(job, 10))
	for _, o := range again.outcomes(watch, 5) {
		if o.Task.Index < 10 {
			t.Errorf("task %v was told again", o.Task)
		}
	}
	// Half-open: the old connection still looks alive when the client is back.
	third := c.client("alice", cl.welcome.Session)
	if err := again.waitEnd(); err == nil {
		t.Error("the old connection stays")
	}
	if info := third.call(openByID(job)).GetJob(); info.Tasks != 15 {
		t.Errorf("job %v", info)
	}
	// Another user does not get it, and an unknown session becomes a new one.
	if other := c.client("bob", cl.welcome.Session); other.welcome.Session == cl.welcome.Session {
		t.Error("somebody else's session was resumed")
	}
	if other := c.client("alice", "made up"); other.welcome.Session == "made up" || other.welcome.Session == "" {
		t.Errorf("an unknown session became %q", other.welcome.Session)
	}
}

// Unnamed jobs end with their session, named jobs and published results do not.
func TestWhatOutlivesASession(t *testing.T) {
	for _, bye := range []bool{true, false} {
		t.Run(fmt.Sprintf("bye=%v", bye), func(t *testing.T) {
			c := start(t, Options{Session: 100 * time.Millisecond})
			c.autoWorker("w", 1, echo)
			cl, witness := c.client("alice", ""), c.client("alice", "")
			unnamed, named, published := cl.newJob(""), cl.newJob("nightly"), cl.newJob("")
			for _, job := range []uint32{unnamed, named, published} {
				_, watch := cl.start(watchFrom(job, 0))
				cl.tasks(job, 0, 2)
				cl.outcomes(watch, 2)
			}
			cl.call(publish("answer", published, 1))
			if bye {
				cl.conn.Bye(context.Background(), "")
			} else {
				cl.conn.Close()
			}
			eventually(t, "the unnamed job ends", func() bool {
				_, err := witness.try(openByID(unnamed))
				return errors.Is(err, wire.NotFound)
			})
			job := witness.call(openJob("nightly")).GetJob()
			if job.Job != named || job.Tasks != 2 {
				t.Errorf("named job %v", job)
			}
			name := witness.call(lookup("answer")).GetName()
			if name.Job != published || name.Index != 1 || name.Type != "int" {
				t.Errorf("name %v", name)
			}
			ended := witness.call(locate(published, 0, 1)).GetEnded()
			var got []graph.Outcome
			for o := range ended.Outcomes {
				got = append(got, o)
			}
			if len(got) != 2 || got[0].Failure == nil || got[0].Failure.Kind != graph.FailLost || got[1].Failure != nil || !bytes.Equal(got[1].Inline, []byte{1}) {
				t.Errorf("of the published job: %+v", got)
			}
			witness.call(unpublish("answer"))
			witness.refused(lookup("answer"), wire.NotFound)
			witness.refused(openByID(published), wire.NotFound)
			witness.call(closeJob(named))
			witness.refused(&wire.Request{Body: &wire.Request_OpenJob{OpenJob: &wire.OpenJob{Name: "nightly", Attach: true}}}, wire.NotFound)
			if n := onLoop(c, func(l *loop) int { return len(l.jobs) }); n != 0 {
				t.Errorf("%d jobs are left", n)
			}
		})
	}
}

func TestNames(t *testing.T) {
	c := start(t, Options{})
	c.autoWorker("w", 1, echo)
	cl := c.client("alice", "")
	job := cl.newJob("")
	cl.tasks(job, 0, 2)
	cl.refused(publish("", job, 0), wire.Invalid)
	cl.refused(publish("new\nline", job, 0), wire.Invalid)
	cl.refused(publish("x", job, 2), wire.NotFound)
	cl.refused(publish("x", 99, 0), wire.NotFound)
	cl.refused(unpublish("x"), wire.NotFound)
	cl.refused(lookup("x"), wire.NotFound)
	cl.refused(openJob("tab\there"), wire.Invalid)
	cl.call(publish("x", job, 0))
	cl.call(publish("x", job, 0))
	cl.refused(publish("x", job, 1), wire.Conflict)
	cl.call(publish("w", job, 1))
	// A published result stays when its job lets go of it.
	cl.send(wire.KindRequest, letGo(job, 0, 1))
	eventually(t, "the results are there", func() bool { return cl.call(locate(job, 0, 1)).GetEnded().Len() == 2 })
	names := cl.call(&wire.Request{Body: &wire.Request_ListNames{ListNames: &wire.ListNames{}}}).GetNames().Name
	if len(names) != 2 || names[0].Name != "w" || names[1].Name != "x" {
		t.Errorf("names %v", names)
	}
	for _, name := range []string{"x", "w"} {
		cl.call(unpublish(name))
	}
	for o := range cl.call(locate(job, 0, 1)).GetEnded().Outcomes {
		if o.Failure == nil || o.Failure.Kind != graph.FailLost {
			t.Errorf("a released result is there: %+v", o)
		}
	}
}

func TestClasses(t *testing.T) {
	c := start(t, Options{Bundle: graph.Digest{7}})
	cl := c.client("alice", "")
	job := cl.call(openJob("")).GetJob().Job
	f := &graph.Class{Name: "f", Kind: graph.KindGo, Bundle: graph.Digest{7}, Spec: []byte("a")}
	cl.refused(submit(batch(job, 0, 1)), wire.Invalid)
	cl.call(classes(job, f))
	cl.call(classes(job, f))
	cl.refused(classes(job, &graph.Class{Name: "f", Kind: graph.KindGo, Spec: []byte("b")}), wire.Conflict)
	cl.refused(classes(job, f, &graph.Class{Name: "g", Kind: graph.KindGo, Bundle: graph.Digest{8}}), wire.NotFound)
	cl.refused(&wire.Request{Body: &wire.Request_Classes{Classes: &wire.Classes{Job: job, Class: []*wire.Class{{Id: 5, Kind: 1}}}}}, wire.Invalid)
	cl.refused(classes(99, f), wire.NotFound)
	cl.tasks(job, 0, 1)
	w := c.worker("w", 1, nil)
	if m := expect[*wire.Classes](w, wire.KindClasses); len(m.Class[0].Bundle) != 0 {
		t.Error("the workers' own binary is not recognised")
	}
	expect[*wire.Assign](w, wire.KindAssign)
	// The end of a job is told to who knows its classes.
	cl.call(closeJob(job))
	if m := expect[*wire.Classes](w, wire.KindClasses); m.Job != job || len(m.Class) != 0 {
		t.Errorf("told %v", m)
	}
}

func TestRefusedRequests(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.newJob("")
	forward := batch(job, 0, 1)
	forward.Deps, forward.DepEnd = []graph.TaskID{task(job, 0)}, []uint32{1}
	big := &graph.Batch{Job: graph.JobID(job), Class: []graph.ClassID{0}, Payload: make([]byte, maxPayload+1), PayEnd: []uint32{maxPayload + 1}}
	cl.refused(submit(forward), wire.Invalid)
	cl.refused(submit(big), wire.TooLarge)
	cl.refused(submit(&graph.Batch{Job: graph.JobID(job), Class: make([]graph.ClassID, wire.MaxSubmit+1)}), wire.TooLarge)
	cl.refused(submit(batch(99, 0, 1)), wire.NotFound)
	cl.refused(watchFrom(99, 0), wire.NotFound)
	cl.refused(watchFrom(job, 1), wire.Invalid)
	cl.refused(closeJob(99), wire.NotFound)
	cl.refused(cancel(99, 1), wire.NotFound)
	cl.refused(locate(99, 1), wire.NotFound)
	cl.refused(&wire.Request{}, wire.Invalid)
	cl.refused(&wire.Request{Body: &wire.Request_OpenJob{OpenJob: &wire.OpenJob{Attach: true}}}, wire.Invalid)
	if n := cl.call(locate(99)).GetEnded().Len(); n != 0 {
		t.Errorf("a barrier has %d rows", n)
	}
	// Rows that name nothing are passed over.
	cl.call(cancel(job, 5, 6))
	cl.send(wire.KindRequest, letGo(99, 1))
	cl.send(wire.KindRequest, letGo(job, 1<<31))
	cl.call(locate(job, 1<<31))
	cl.call(&wire.Request{Body: &wire.Request_ResultLost{ResultLost: &wire.ResultLost{Job: job, Index: 77, Holder: 9}}})
}

// Failures reach clients with what the worker said, and those that follow from them
// name the cause.
func TestFailures(t *testing.T) {
	c := start(t, Options{})
	w := c.worker("w", 1, nil)
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	b := batch(job, 0, 2)
	b.Deps, b.DepEnd = []graph.TaskID{task(job, 0)}, []uint32{0, 1}
	cl.call(submit(b))
	m := expect[*wire.Assign](w, wire.KindAssign)
	first := m.At(0)
	w.send(wire.KindFailed, &wire.Failed{Failure: []*wire.Failure{wire.FailureToWire(first.Task, first.Attempt, &graph.Failure{
		Kind: graph.FailUser, Message: "boom", Stack: "f()\n\tmain.go:7", ExitCode: 3, Output: []byte("stderr\xff"), Host: "nm1",
	})}})
	byIndex := map[uint32]*graph.Failure{}
	for _, o := range cl.outcomes(watch, 2) {
		byIndex[o.Task.Index] = o.Failure
	}
	if f := byIndex[0]; f == nil || f.Kind != graph.FailUser || f.Message != "boom" || f.Stack == "" || f.ExitCode != 3 || string(f.Output) != "stderr\xff" || f.Host != "nm1" || f.Task != task(job, 0) {
		t.Errorf("failure %+v", f)
	}
	if f := byIndex[1]; f == nil || f.Kind != graph.FailUpstream || f.Task != task(job, 0) || !strings.Contains(f.Message, "boom") || f.Stack == "" {
		t.Errorf("failure %+v", f)
	}
	// Cancelled tasks end at once, also those that run.
	cl.tasks(job, 2, 2)
	running := expect[*wire.Assign](w, wire.KindAssign)
	w.send(wire.KindStarted, started(running))
	cl.call(cancel(job, 2, 3))
	for _, o := range cl.outcomes(watch, 2) {
		if o.Failure == nil || o.Failure.Kind != graph.FailCancelled || o.Failure.Message == "" {
			t.Errorf("outcome %+v", o)
		}
	}
	expect[*wire.Tasks](w, wire.KindStop)
	info := cl.call(openByID(job)).GetJob()
	if info.Failed != 2 || info.Cancelled != 2 || info.Running != 0 {
		t.Errorf("job %v", info)
	}
}

// The texts of many failures are more than a frame takes: who asks for too many at
// once is told, and gets them in parts.
func TestLocateTooMuch(t *testing.T) {
	c := start(t, Options{})
	w := c.worker("w", 1, nil)
	cl := c.client("alice", "")
	job := cl.newJob("")
	const n = 2 * maxLocated / wire.MaxText
	b := batch(job, 0, n)
	for i := range uint32(n) {
		if i > 0 { // all depend on the first, and tell of its failure
			b.Deps = append(b.Deps, task(job, 0))
		}
		b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
	}
	cl.call(submit(b))
	a := expect[*wire.Assign](w, wire.KindAssign).At(0)
	w.send(wire.KindFailed, &wire.Failed{Failure: []*wire.Failure{wire.FailureToWire(a.Task, a.Attempt, &graph.Failure{
		Kind: graph.FailUser, Stack: strings.Repeat("x", wire.MaxText),
	})}})
	eventually(t, "all have failed", func() bool { return cl.call(openByID(job)).GetJob().Failed == n })
	var all []uint32
	for i := range uint32(n) {
		all = append(all, i)
	}
	cl.refused(locate(job, all...), wire.TooLarge)
	if got := cl.call(locate(job, all[:n/4]...)).GetEnded(); got.Len() != n/4 {
		t.Errorf("%d of %d outcomes", got.Len(), n/4)
	}
}

// A watch ends with its job, or when it is stopped.
func TestWatchEnds(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.newJob("")
	id, stopped := cl.start(watchFrom(job, 0))
	if e := cl.await(stopped).GetEnded(); e.Len() != 0 || e.Next != 0 {
		t.Errorf("first reply %v", e)
	}
	_, watch := cl.start(watchFrom(job, 0))
	cl.await(watch)
	cl.call(&wire.Request{Body: &wire.Request_Watch{Watch: &wire.Watch{Stop: id}}})
	cl.call(closeJob(job))
	if r := cl.await(watch); !errors.Is(r.Error, wire.NotFound) {
		t.Errorf("at the job's end: %v", r)
	}
	select {
	case r := <-stopped:
		t.Errorf("the stopped watch said %v", r)
	default:
	}
}

// A client that does not read is held back; others and the workers are not, and
// what waits for it is no more than its outbox. When it reads, it gets everything.
func TestSlowWatcher(t *testing.T) {
	c := start(t, Options{Outbox: 64 << 10})
	result := bytes.Repeat([]byte("r"), 4000)
	c.autoWorker("w", 4, func(wire.Assignment) []byte { return result })
	slow, err := c.dial(identity.Client, "slow", clientHello("slow", ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slow.conn.Close() })
	cl := c.client("alice", "")
	job := cl.newJob("")
	slow.send(wire.KindRequest, &wire.Request{Id: 1, Body: &wire.Request_Watch{Watch: &wire.Watch{Job: job}}})
	const n, part = 20_000, 2_000
	for first := uint32(0); first < n; first += part {
		cl.tasks(job, first, part)
	}
	eventually(t, "all are done", func() bool { return cl.call(openByID(job)).GetJob().Done == n })
	if pos := onLoop(c, func(l *loop) int {
		for w := range l.jobs[graph.JobID(job)].watches {
			return w.next
		}
		return -1
	}); pos >= n {
		t.Error("everything was pushed at a client that does not read")
	}
	seen := map[uint32]bool{}
	for len(seen) < n {
		_, m, err := slow.conn.Next()
		if err != nil {
			t.Fatal(err)
		}
		for o := range m.(*wire.Reply).GetEnded().Outcomes {
			if seen[o.Task.Index] || !bytes.Equal(o.Inline, result) {
				t.Fatalf("task %v twice, or not its result", o.Task)
			}
			seen[o.Task.Index] = true
		}
	}
}

// A client that asks for much and reads nothing is not read from any more.
func TestRequestsWaitForReplies(t *testing.T) {
	c := start(t, Options{Outbox: 64 << 10, Lease: 5 * time.Second})
	c.autoWorker("w", 4, func(wire.Assignment) []byte { return make([]byte, 4000) })
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 200)
	cl.outcomes(watch, 200)
	all := make([]uint32, 200)
	for i := range all {
		all[i] = uint32(i)
	}
	slow, err := c.dial(identity.Client, "slow", clientHello("slow", ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slow.conn.Close() })
	const requests = 500 // 400 MB of replies
	sent := make(chan error, 1)
	go func() {
		for i := range uint64(requests) {
			r := locate(job, all...)
			r.Id = i
			if err := slow.conn.Send(context.Background(), wire.KindRequest, r); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for range 20 {
		c.works() // meanwhile others are served
	}
	for i := range uint64(requests) {
		_, m, err := slow.conn.Next()
		if err != nil {
			t.Fatalf("reply %d: %v", i, err)
		}
		if r := m.(*wire.Reply); r.Id != i || r.GetEnded().Len() != len(all) {
			t.Fatalf("reply %d: id %d, %d rows", i, r.Id, r.GetEnded().Len())
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// Lists show jobs, workers and tasks as they are.
func TestLists(t *testing.T) {
	c := start(t, Options{})
	w := c.worker("w", 2, nil)
	w.send(wire.KindLoad, &wire.Load{MemoryUsed: 5, Rss: 6, Cpu: 0.5})
	cl := c.client("alice", "")
	a, b := cl.newJob("a"), cl.newJob("")
	cl.tasks(a, 0, 10)
	expect[*wire.Assign](w, wire.KindAssign)
	jobs := cl.call(&wire.Request{Body: &wire.Request_ListJobs{ListJobs: &wire.ListJobs{}}}).GetJobs().Job
	if len(jobs) != 2 || jobs[0].Job != a || jobs[0].Name != "a" || jobs[0].Tasks != 10 || jobs[1].Job != b || jobs[0].OpenedMs == 0 {
		t.Errorf("jobs %v", jobs)
	}
	eventually(t, "the load is known", func() bool {
		ws := cl.workers() // it gets work before it is shown
		return len(ws) == 1 && ws[0].GetLoad().GetMemoryUsed() == 5
	})
	if info := cl.workers()[0]; info.Name != "w" || info.State != "running" || info.Slots != 2 || info.Pid != 42 || info.Pool != "worker" {
		t.Errorf("worker %v", info)
	}
	list := func(m *wire.ListTasks) *wire.TaskRows {
		return cl.call(&wire.Request{Body: &wire.Request_ListTasks{ListTasks: m}}).GetTasks()
	}
	var index []uint32
	for from, pages := uint32(0), 0; ; pages++ {
		page := list(&wire.ListTasks{Job: a, From: from, Limit: 4})
		index = append(index, page.Index...)
		if page.Next == 0 {
			break
		}
		if from = page.Next; pages > 10 {
			t.Fatal("pages without end")
		}
	}
	if len(index) != 10 || index[9] != 9 {
		t.Errorf("tasks %v", index)
	}
	given := list(&wire.ListTasks{Job: a, State: "assigned"})
	if len(given.Index) == 0 || given.Worker[0] != w.welcome.Id || given.Class[0] != "f" || given.Attempt[0] != 1 {
		t.Errorf("assigned %v", given)
	}
	if rows := list(&wire.ListTasks{Job: a, State: "no such"}); len(rows.Index) != 0 {
		t.Errorf("tasks %v", rows)
	}
	cl.refused(&wire.Request{Body: &wire.Request_ListTasks{ListTasks: &wire.ListTasks{Job: 99}}}, wire.NotFound)
}

// Large results stay where they are; a client is told where, and its word that one
// is not there makes it be computed again.
func TestLostResult(t *testing.T) {
	c := start(t, Options{})
	w := c.worker("w", 1, nil)
	cl := c.client("alice", "")
	job := cl.newJob("")
	_, watch := cl.start(watchFrom(job, 0))
	cl.tasks(job, 0, 1)
	w.send(wire.KindDone, finish(expect[*wire.Assign](w, wire.KindAssign), 1<<20, ""))
	o := cl.outcomes(watch, 1)[0]
	if len(o.Holders) != 1 || o.Holders[0].Name != "w" || o.Holders[0].Address != "127.0.0.1:1" || o.Size != 1<<20 {
		t.Fatalf("outcome %+v", o)
	}
	cl.call(&wire.Request{Body: &wire.Request_ResultLost{ResultLost: &wire.ResultLost{Job: job, Attempt: 1, Holder: uint32(o.Holders[0].Worker)}}})
	again := expect[*wire.Assign](w, wire.KindAssign)
	if a := again.At(0); a.Attempt != 2 {
		t.Errorf("attempt %d", a.Attempt)
	}
	if n := cl.call(locate(job, 0)).GetEnded().Len(); n != 0 {
		t.Error("a result that is nowhere was located")
	}
	w.send(wire.KindDone, finish(again, 1<<20, ""))
	cl.outcomes(watch, 1)
	if n := cl.call(locate(job, 0)).GetEnded().Len(); n != 1 {
		t.Error("the new result is not there")
	}
}

// Inline inputs that are more than one frame should hold come in several, in order and
// without a fetch; those beyond a task's share are fetched from the scheduler.
func TestManyInlineInputs(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	w := c.worker("w", 1000, nil)
	job := cl.newJob("")
	result := bytes.Repeat([]byte("x"), 4000)
	const n, far = maxInlineInputs/4000 + 100, 100 // inputs, and those beyond the share
	cl.tasks(job, 0, n)
	for left := n; left > 0; {
		m := expect[*wire.Assign](w, wire.KindAssign)
		left -= m.Len()
		w.send(wire.KindDone, finish(m, 0, string(result)))
	}
	b := batch(job, n, 1)
	for i := range uint32(n) {
		b.Deps = append(b.Deps, task(job, i))
	}
	b.DepEnd = []uint32{n}
	cl.call(submit(b))
	frames, inputs, fetched := 0, 0, 0
	for more := true; more; frames++ {
		m := expect[*wire.Assign](w, wire.KindAssign)
		more = m.More > 0
		if size := proto.Size(m); m.Len() != 1 || size > maxAssignBytes+1<<20 {
			t.Fatalf("%d attempts, %d bytes in a frame", m.Len(), size)
		}
		a := m.At(0)
		for i := range a.Inputs() {
			in := a.Input(i)
			if in.Task != task(job, uint32(inputs)) {
				t.Fatalf("input %d is %v", inputs, in.Task)
			}
			inputs++
			if len(in.Holders) == 0 && !bytes.Equal(in.Inline, result) || len(in.Holders) > 0 && in.Holders[0] != 0 {
				t.Fatalf("input %d: %+v", inputs, in)
			}
			if len(in.Holders) > 0 {
				fetched++
				if got := c.fetch(in.Task, in.Attempt, len(result)); !bytes.Equal(got, result) {
					t.Fatalf("fetched %d bytes", len(got))
				}
			}
		}
	}
	if inputs != n || fetched < far-40 || fetched > far || frames < maxInlineInputs/maxAssignBytes {
		t.Errorf("%d inputs, %d of them to be fetched, in %d frames", inputs, fetched, frames)
	}
}
