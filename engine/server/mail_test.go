package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/wire"
)

// A call that an earlier scheduler may have given is taken back: the actor is told when it serves, wherever the call is by then.
func TestCallsWithdrawnBeforeTheActorServes(t *testing.T) {
	c := start(t, Options{Epoch: 5})
	cl, other := c.client("alice", ""), c.client("bob", "")
	job := cl.actors("", 1)
	withdraw := func(request uint64) {
		cl.call(&wire.Request{Body: &wire.Request_Withdraw{Withdraw: &wire.Withdraw{Job: job, Request: request, Sent: 4}}})
	}
	sent := func(cl *client, name string) uint64 {
		r := callOf(job, 0, name, false)
		r.GetCall().Sent = 4
		id, _ := cl.start(r)
		return id
	}
	withdraw(999) // it does not come again
	eventually(t, "the box stays", func() bool { return gone(c, job) == 1 })
	x := sent(cl, "x")
	withdraw(x)
	eventually(t, "what waits is taken back", func() bool { return gone(c, job) == 2 })
	y := sent(other, "y")
	eventually(t, "it waits", func() bool { return waiting(c, job) == 1 })
	if err := other.conn.Bye(context.Background(), "done"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "who leaves takes it back", func() bool { return gone(c, job) == 3 })
	d := c.worker("w1", 1, nil).run().serve(1).delivery()
	var told []uint64
	for _, g := range d.Gone {
		told = append(told, g.Request)
	}
	if !slices.Equal(told, []uint64{999, x, y}) || len(d.Call) != 0 {
		t.Errorf("%v, want %v", d, []uint64{999, x, y})
	}
}

// What an actor gave back and says again, as the connection broke, answers nothing.
func TestCallsGoBackOnce(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.actors("", 1)
	p := c.worker("w1", 1, nil).run().serve(2)
	sent := cl.begin(job, "xy")
	d := p.deliveries(2)
	back := &wire.Answer{Id: d.Call[0].Id, Window: 2, Round: 1, Back: true}
	p.answer(2, back)
	p.delivery()
	p.answer(2, back)
	p.answer(3, &wire.Answer{Id: d.Call[0].Id, Window: 2, Round: 1, Result: []byte("1")})
	cl.wantResult(sent[0], "1")
}

// again has the attempt's client come again, as after a broken connection, with its session.
func (p *nestPeer) again(session string) {
	p.t.Helper()
	p.stream++
	p.in = nil
	p.hello(session)
}

// An actor whose connection breaks and that asks again gets no call after its Last, and is told what
// others before it have begun, of which it may not have heard.
func TestCallsServeAgain(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.actors("", 1)
	w := c.worker("w1", 1, nil)
	p := w.run().serve(1)
	x := cl.begin(job, "x")
	p.delivery()
	p.fail(graph.FailUser)
	cl.wantCode(x[0], wire.Interrupted)
	m := expect[*wire.Assign](w, wire.KindAssign)
	w.send(wire.KindStarted, started(m))
	p = &nestPeer{peer: w, task: m.At(0), stream: 1}
	session := p.hello("").Session
	for range 2 {
		p.serve(1)
		if b := nextOf[*wire.Reply](p).GetDelivery().GetBegun(); b == nil || len(b.Caller) != 1 {
			t.Errorf("told of %v", b)
		}
		p.again(session)
	}
	p.serve(1)
	nextOf[*wire.Reply](p)
	y := cl.begin(job, "yz")
	p.answer(2, &wire.Answer{Id: p.delivery().Call[0].Id, Failure: &wire.Failure{Kind: 1, Message: "panic"}, Last: true})
	cl.await(y[0])
	p.again(session)
	p.serve(1)
	nextOf[*wire.Reply](p)
	if r := p.ask(3, &wire.Request{Body: &wire.Request_ListNames{ListNames: &wire.ListNames{}}}); r.Id != 3 {
		t.Errorf("after the last answer: %v", r)
	}
	p.fail(graph.FailMoved)
	if d := w.run().serve(1).delivery(); methods(d) != "z" {
		t.Errorf("%v", d)
	}
}

// In the life of the scheduler that took its submission, an actor's first attempt can tell nothing of calls from
// before: they were another's, that had its name.
func TestCallsOfAnother(t *testing.T) {
	for era, want := range map[uint32]uint64{0: 5, 1: 1} { // it was submitted in generation 0
		c := start(t, Options{Epoch: 5})
		cl := c.client("alice", "")
		cl.actors("", 1)
		set := make(chan struct{})
		c.srv.loop.send(look(func(l *loop) { l.era = era; close(set) }))
		<-set
		p := c.worker("w1", 1, nil).run().serve(1)
		if b := nextOf[*wire.Reply](p).GetDelivery().GetBegun(); b.GetSince() != want {
			t.Errorf("in generation %d: %v, want since %d", era, b, want)
		}
	}
}

// What an actor has begun that failed for good is not done again when it is retried, though the client's
// connection broke when it was told.
func TestCallsOfARetriedActor(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.actors("j", 1)
	w := c.worker("w1", 1, nil)
	p := w.run().serve(1)
	x := cl.begin(job, "x")
	id := cl.lastID.Load()
	p.delivery()
	p.fail(graph.FailUser)
	cl.wantCode(x[0], wire.Interrupted)
	w.run().fail(graph.FailUser) // the last time
	eventually(t, "it has failed", func() bool { return cl.call(callOf(job, 0, "w", false)).GetAnswered().GetEnded() })
	cl.call(&wire.Request{Body: &wire.Request_Retry{Retry: &wire.Retry{Job: job, Index: []uint32{0}}}})
	m := expect[*wire.Assign](w, wire.KindAssign)
	w.send(wire.KindStarted, started(m))
	p = &nestPeer{peer: w, task: m.At(0), stream: 1}
	p.hello("")
	p.serve(1)
	if b := nextOf[*wire.Reply](p).GetDelivery().GetBegun(); len(b.GetRequest()) != 1 || b.Request[0] != id {
		t.Errorf("it is told of %v, and call %d has begun", b, id)
	}
}

// Calls come in their order, no more than the window unanswered, those from before the
// actor lived as well.
func TestCalls(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.actors("", 1)
	sent := cl.begin(job, "xyz")
	p := c.worker("w1", 1, nil).run().serve(2)
	d := p.deliveries(2)
	if methods(d) != "xy" || !bytes.Equal(d.Call[0].Payload, []byte("of x")) || d.Call[1].Id <= d.Call[0].Id {
		t.Errorf("%v", d)
	}
	p.answer(2, &wire.Answer{Id: d.Call[0].Id, Result: []byte("1"), Window: 2})
	cl.wantResult(sent[0], "1")
	last := p.delivery()
	if methods(last) != "z" {
		t.Errorf("%v", last)
	}
	p.answer(3, &wire.Answer{Id: last.Call[0].Id, Failure: &wire.Failure{Kind: 1, Message: "bad"}, Window: 2})
	if a := cl.await(sent[2]).GetAnswered(); a.GetFailure().GetMessage() != "bad" || a.Ended {
		t.Errorf("%v", a)
	}
	p.answer(4, &wire.Answer{Id: d.Call[1].Id, Result: []byte("2")})
	p.answer(5, &wire.Answer{Id: d.Call[1].Id, Result: []byte("another")}) // repeated
	cl.wantResult(sent[1], "2")
}

// What has begun when an attempt ends fails, unless it may be done again; the rest, and
// what the actor gave back, waits for the next one, which finds the checkpoint.
func TestCallsRestart(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.actors("", 1)
	w := c.worker("w1", 1, nil)
	p := w.run().serve(4)
	sent := cl.begin(job, "xYzuv")
	got := p.deliveries(4).Call
	p.answer(2, &wire.Answer{Window: 9, Round: 1, Id: got[0].Id}) // the first runs, and takes its time
	again := p.deliveries(4)
	if methods(again) != "Yzuv" || again.Round != 1 {
		t.Fatalf("%v", again)
	}
	p.answer(2, &wire.Answer{Window: 1, Round: 1, Id: got[0].Id, Result: []byte("1")})
	cl.wantResult(sent[0], "1")
	p.answer(2, &wire.Answer{Window: 4, Round: 2, Id: again.Call[0].Id})
	p.deliveries(3)
	if r := p.ask(3, &wire.Request{Body: &wire.Request_Checkpoint{Checkpoint: &wire.Checkpoint{Data: []byte("state")}}}); r.Error != nil {
		t.Fatal(r.Error)
	}
	p.fail(graph.FailUser)
	cl.wantCode(sent[2], wire.Interrupted)
	cl.wantCode(sent[3], wire.Interrupted)
	cl.wantCode(sent[4], wire.Interrupted)
	sent = append(sent, cl.begin(job, "uv")...)
	next := w.run()
	if k := next.ask(9, &wire.Request{Body: &wire.Request_Checkpoint{Checkpoint: &wire.Checkpoint{Read: true}}}).GetCheckpoint(); !k.GetHas() || string(k.Data) != "state" {
		t.Errorf("%v", k)
	}
	d := next.serve(9).deliveries(3)
	if methods(d) != "Yuv" {
		t.Fatalf("%v", d)
	}
	p.write([]byte{0, 0, 0, 1, byte(wire.KindRequest)}) // of the attempt that is over
	// With Last the rest has not begun, and the scheduler has the answer before it says so.
	next.answer(10, &wire.Answer{Id: d.Call[0].Id, Failure: &wire.Failure{Kind: 1, Message: "panic", Stack: "at"}, Last: true})
	if r := nextOf[*wire.Reply](next); r.Id != 10 || r.Error != nil {
		t.Errorf("%v", r)
	}
	if a := cl.await(sent[1]).GetAnswered(); a.GetFailure().GetStack() != "at" {
		t.Errorf("%v", a)
	}
	next.fail(graph.FailUser) // the second failure: no retry is left
	cl.wantEnd(sent[5], graph.FailUser)
	cl.wantEnd(sent[6], graph.FailUser)
	if r := cl.call(callOf(job, 0, "x", false)).GetAnswered(); !r.Ended || r.Failure.Message != "as the test says" {
		t.Errorf("%v", r)
	}
}

// A client that comes back gets the answer to what it asked before, once; only what was
// answered into a connection that broke is lost, and never done twice.
func TestCallsComeBack(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.actors("", 1)
	p := c.worker("w1", 1, nil).run().serve(9)
	sent := cl.begin(job, "x")
	first := p.delivery().Call[0]
	p.answer(2, &wire.Answer{Id: first.Id, Result: []byte("1"), Window: 9})
	cl.wantResult(sent[0], "1")
	cl.begin(job, "yz")
	y := p.deliveries(2).Call
	cl.conn.Close()
	eventually(t, "the client is away", func() bool { return away(c, cl.welcome.Session) })
	p.answer(3, &wire.Answer{Id: y[0].Id, Result: []byte("2"), Window: 9})
	p.ask(4, openJob("")) // it is there
	back := c.client("alice", cl.welcome.Session)
	again := func(id uint64, name string, idempotent bool) <-chan *wire.Reply {
		back.lastID.Store(id - 1)
		_, ch := back.start(callOf(job, 0, name, idempotent))
		return ch
	}
	base := cl.lastID.Load() - 2
	x := again(base, "x", false)
	if d := p.delivery().Call; len(d) != 1 || d[0].Method != "x" || d[0].Sent == 0 || d[0].From.Request != base {
		t.Fatalf("%v", d)
	} else { // the actor does not know any more what came of it
		p.answer(5, &wire.Answer{Id: d[0].Id, Interrupted: true, Window: 9})
	}
	back.wantCode(x, wire.Interrupted)
	back.wantResult(again(base+1, "y", false), "2")
	third := again(base+2, "z", false)
	back.call(&wire.Request{Body: &wire.Request_ListNames{ListNames: &wire.ListNames{}}}) // it has come: the answer takes another way
	p.answer(5, &wire.Answer{Id: y[1].Id, Result: []byte("3"), Window: 9})
	back.wantResult(third, "3")
	// What may be done twice is.
	once := again(base, "X", true)
	d := p.delivery().Call
	if len(d) != 1 || d[0].Method != "X" {
		t.Fatalf("%v", d)
	}
	p.answer(6, &wire.Answer{Id: d[0].Id, Result: []byte("4")})
	back.wantResult(once, "4")
}

// An actor's next attempt gets no call before it is safe that the one before is over: another
// scheduler could have that one go on, without what the call has changed.
func TestCallsWaitForTheFence(t *testing.T) {
	gate := &sluice{}
	c := start(t, Options{Journal: memstore.New(1, false).Process(gate.hook)})
	cl := c.client("alice", "")
	job := cl.actors("j", 1)
	w := c.worker("w1", 1, nil)
	p := w.run().serve(1)
	first := cl.begin(job, "x")
	p.answer(2, &wire.Answer{Id: p.delivery().Call[0].Id, Result: []byte("1"), Window: 1})
	cl.wantResult(first[0], "1")
	gate.close()
	p.fail(graph.FailUser)
	next := w.run().serve(1)
	sent := cl.begin(job, "y")
	for id := uint64(2); id < 5; id++ { // turns pass
		eventually(t, "the call has come", func() bool { return waiting(c, job) == 1 })
		next.frame(wire.KindRequest, &wire.Request{Id: id, Body: &wire.Request_ListNames{ListNames: &wire.ListNames{}}})
		for r := nextOf[*wire.Reply](next); r.Id != id; r = nextOf[*wire.Reply](next) {
			if len(r.GetDelivery().GetCall()) > 0 {
				t.Fatal("a call was given before it was safe that the attempt before is over")
			}
		}
	}
	gate.open()
	next.answer(5, &wire.Answer{Id: next.delivery().Call[0].Id, Result: []byte("2")})
	cl.wantResult(sent[0], "2")
}

// Who leaves, or waits no more, takes its calls back.
func TestCallsWithdrawn(t *testing.T) {
	c := start(t, Options{})
	cl, other := c.client("alice", ""), c.client("bob", "")
	job := cl.actors("", 1)
	p := c.worker("w1", 1, nil).run().serve(1)
	cl.begin(job, "w")
	id := cl.lastID.Load()
	begun := p.delivery().Call[0]
	waits := cl.begin(job, "x")
	back := func(request uint64) *wire.Request {
		return &wire.Request{Body: &wire.Request_Withdraw{Withdraw: &wire.Withdraw{Job: job, Request: request}}}
	}
	cl.call(back(id + 1))
	cl.call(back(id))
	cl.call(back(id))
	if d := p.delivery(); !slices.Equal(d.Withdrawn, []uint64{begun.Id}) {
		t.Errorf("%v", d)
	}
	p.answer(2, &wire.Answer{Id: begun.Id, Window: 2})
	other.begin(job, "yz")
	d := p.deliveries(2).Call
	if d[0].Method != "y" {
		t.Errorf("%v: what was taken back was done", d)
	}
	if err := other.conn.Bye(context.Background(), "done"); err != nil {
		t.Fatal(err)
	}
	var gone []uint64
	for len(gone) < 2 {
		gone = append(gone, p.delivery().Withdrawn...)
	}
	if len(waits) > 0 && len(waits[0]) > 0 {
		t.Error("an answer to what was taken back")
	}
	p.answer(3, &wire.Answer{Id: d[0].Id})
	p.answer(4, &wire.Answer{Id: d[1].Id})
	last := cl.begin(job, "v")
	p.answer(5, &wire.Answer{Id: p.delivery().Call[0].Id, Result: []byte("v")})
	cl.wantResult(last[0], "v")
}

// The end of an actor, and that of its job, is told to all who wait.
func TestCallsEnd(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.actors("named", 1)
	p := c.worker("w1", 1, nil).run().serve(1)
	sent := cl.begin(job, "xy")
	p.delivery()
	cl.call(&wire.Request{Body: &wire.Request_Cancel{Cancel: &wire.Cancel{Job: job, Index: []uint32{0}}}})
	cl.wantEnd(sent[0], graph.FailCancelled)
	cl.wantEnd(sent[1], graph.FailCancelled)
	if _, end := p.next(); end == "" {
		t.Error("the stream goes on")
	}
	second := cl.actors("", 1)
	waits := cl.begin(second, "x")
	cl.call(&wire.Request{Body: &wire.Request_CloseJob{CloseJob: &wire.CloseJob{Job: second}}})
	cl.wantEnd(waits[0], graph.FailCancelled)
	cl.refused(callOf(second, 0, "x", false), wire.NotFound)
	got := make(chan int, 1)
	c.srv.loop.send(look(func(l *loop) { got <- len(l.mail.boxes) + len(l.callers) }))
	if n := <-got; n != 0 {
		t.Errorf("%d boxes and callers are left", n)
	}
}

// Whoever floods an actor that takes nothing is told so, and others are not disturbed.
func TestCallsFlood(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.actors("", 2)
	large := func(index uint32) *wire.Request {
		r := callOf(job, index, "x", false)
		r.GetCall().Payload = make([]byte, wire.MaxCall)
		return r
	}
	for range maxMailBytes / wire.MaxCall {
		cl.start(large(0))
	}
	cl.refused(large(0), wire.Busy)
	tooLarge := large(1)
	tooLarge.GetCall().Payload = make([]byte, wire.MaxCall+1)
	cl.refused(tooLarge, wire.TooLarge)
	w := c.worker("w1", 2, nil)
	p := w.run()
	if p.task.Task.Index != 0 {
		p = w.run()
	}
	p.serve(64)
	for n := 0; n < maxMailBytes/wire.MaxCall; {
		d := p.delivery()
		n += len(d.Call)
		if len(d.Call) != 1 {
			t.Fatalf("%d large calls at once", len(d.Call))
		}
		p.answer(uint64(2+n), &wire.Answer{Id: d.Call[0].Id, Window: 64})
	}
	cl.start(large(0)) // there is room again
	if d := p.delivery(); len(d.Call) != 1 {
		t.Errorf("%v", d)
	}
}

// An actor leaves workers that are to go, and goes on elsewhere, as often as it must: what
// it is asked for meanwhile waits.
func TestCallsMove(t *testing.T) {
	c := start(t, Options{})
	cl := c.client("alice", "")
	job := cl.actors("", 1)
	p := c.worker("w0", 1, nil).run().serve(1)
	for i := range 3 { // it may fail once
		sent := cl.begin(job, "xy")
		d := p.delivery()
		next := c.worker(fmt.Sprint("w", i+1), 1, nil)
		eventually(t, "it has joined", func() bool {
			return len(cl.call(&wire.Request{Body: &wire.Request_ListWorkers{ListWorkers: &wire.ListWorkers{}}}).GetWorkers().Worker) == 2
		})
		c.srv.Drain([]string{fmt.Sprint("w", i)}, "the test says so")
		if leave := p.delivery(); !leave.Leave || len(leave.Call) > 0 {
			t.Fatalf("%v", leave)
		}
		p.answer(2, &wire.Answer{Id: d.Call[0].Id, Result: []byte("1")})
		cl.wantResult(sent[0], "1")
		p.fail(graph.FailMoved)
		expect[*wire.Retire](p.peer, wire.KindRetire)
		if err := p.conn.Bye(context.Background(), "it was told to go"); err != nil {
			t.Fatal(err)
		}
		p = next.run().serve(1)
		if d = p.delivery(); methods(d) != "y" {
			t.Errorf("%v", d)
		}
		p.answer(3, &wire.Answer{Id: d.Call[0].Id, Result: []byte("2")})
		cl.wantResult(sent[1], "2")
	}
	// One that only says so is counted, as its worker need not be left.
	waits := cl.begin(job, "Z")[0] // it may be done again
	for range 16 {
		p.fail(graph.FailMoved)
		p = p.peer.run()
	}
	p.fail(graph.FailMoved)
	cl.wantEnd(waits, graph.FailMoved)
}

// Only an actor may ask for calls, and none calls itself.
func TestCallsMayNot(t *testing.T) {
	c := start(t, Options{})
	p, cl, job := c.nestPeer(2)
	p.hello("")
	serve := &wire.Request{Body: &wire.Request_Serve{Serve: &wire.Serve{}}}
	if r := p.ask(1, serve); !errors.Is(r.Error, wire.Refused) {
		t.Errorf("a task that is no actor: %v", r)
	}
	cl.refused(serve, wire.Refused)
	cl.refused(&wire.Request{Body: &wire.Request_Checkpoint{Checkpoint: &wire.Checkpoint{}}}, wire.Refused)
	cl.refused(&wire.Request{Body: &wire.Request_Answer{Answer: &wire.Answer{}}}, wire.Refused)
	cl.refused(callOf(job, 0, "x", false), wire.Mismatch)
	cl.refused(callOf(job, 9, "x", false), wire.NotFound)
	cl.refused(callOf(77, 9, "x", false), wire.NotFound)
	of := cl.actors("", 1)
	wrong := callOf(of, 0, "x", false)
	wrong.GetCall().Actor = "b"
	cl.refused(wrong, wire.Mismatch)
	a := p.peer.run()
	if r := a.ask(1, callOf(of, 0, "x", false)); !errors.Is(r.Error, wire.Deadlock) {
		t.Errorf("itself: %v", r)
	}
	if r := a.ask(2, &wire.Request{Body: &wire.Request_Answer{Answer: &wire.Answer{Id: 1}}}); !errors.Is(r.Error, wire.Refused) {
		t.Errorf("an answer before Serve: %v", r)
	}
}
