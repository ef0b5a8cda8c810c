package server

import (
	"errors"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// actors submits n actors to a new job.
func (c *client) actors(name string, n uint32) uint32 {
	c.t.Helper()
	job := c.call(openJob(name)).GetJob().Job
	c.call(classes(job, &graph.Class{Name: "a", Kind: graph.KindGo, Actor: true, Retries: 1}))
	c.tasks(job, 0, n)
	return job
}

// run takes an assignment and begins a client within the attempt.
func (p *peer) run() *nestPeer {
	p.t.Helper()
	m := expect[*wire.Assign](p, wire.KindAssign)
	p.send(wire.KindStarted, started(m))
	n := &nestPeer{peer: p, task: m.At(0), stream: 1}
	n.hello("")
	return n
}

// serve has the attempt ask for calls.
func (p *nestPeer) serve(window uint32) *nestPeer {
	p.t.Helper()
	p.frame(wire.KindRequest, &wire.Request{Id: 1, Body: &wire.Request_Serve{Serve: &wire.Serve{Window: window}}})
	return p
}

// delivery returns the next one; acknowledgements, and what came before the attempt, are skipped.
func (p *nestPeer) delivery() *wire.Delivery {
	p.t.Helper()
	for {
		r := nextOf[*wire.Reply](p)
		if r.Error != nil {
			p.t.Fatal(r.Error)
		}
		if d := r.GetDelivery(); d != nil && len(d.Call)+len(d.Withdrawn)+len(d.Gone) > 0 || d.GetLeave() {
			return d
		}
	}
}

// deliveries gathers n calls, which may come in pieces.
func (p *nestPeer) deliveries(n int) *wire.Delivery {
	p.t.Helper()
	all := p.delivery()
	for len(all.Call) < n {
		d := p.delivery()
		all.Call, all.Round = append(all.Call, d.Call...), d.Round
	}
	return all
}

func (p *nestPeer) answer(id uint64, a *wire.Answer) {
	p.t.Helper()
	p.frame(wire.KindRequest, &wire.Request{Id: id, Body: &wire.Request_Answer{Answer: a}})
}

func (p *nestPeer) fail(kind graph.FailKind) {
	p.t.Helper()
	f := &graph.Failure{Kind: kind, Message: "as the test says"}
	p.send(wire.KindFailed, &wire.Failed{Failure: []*wire.Failure{wire.FailureToWire(p.task.Task, p.task.Attempt, f)}})
}

func methods(d *wire.Delivery) (out string) {
	for _, c := range d.Call {
		out += c.Method
	}
	return out
}

func callOf(job, index uint32, method string, idempotent bool) *wire.Request {
	return &wire.Request{Body: &wire.Request_Call{Call: &wire.Call{
		Job: job, Index: index, Actor: "a", Method: method, Payload: []byte("of " + method), Idempotent: idempotent,
	}}}
}

// begun sends calls, named by letters: those in capitals are idempotent.
func (c *client) begin(job uint32, names string) (out []<-chan *wire.Reply) {
	c.t.Helper()
	for _, b := range []byte(names) {
		_, ch := c.start(callOf(job, 0, string(b), b < 'a'))
		out = append(out, ch)
	}
	return out
}

func (c *client) wantResult(ch <-chan *wire.Reply, want string) {
	c.t.Helper()
	if r := c.await(ch); string(r.GetAnswered().GetResult()) != want {
		c.t.Fatalf("%v, want %q", r, want)
	}
}

func (c *client) wantCode(ch <-chan *wire.Reply, code wire.Code) {
	c.t.Helper()
	if r := c.await(ch); !errors.Is(r.Error, code) {
		c.t.Fatalf("%v, want %v", r, code)
	}
}

func (c *client) wantEnd(ch <-chan *wire.Reply, kind graph.FailKind) {
	c.t.Helper()
	if a := c.await(ch).GetAnswered(); a == nil || !a.Ended || graph.FailKind(a.Failure.Kind) != kind {
		c.t.Fatalf("%v, want its end, %v", a, kind)
	}
}

// away reports whether a session has no connection.
func away(c *cluster, token string) bool {
	got := make(chan bool, 1)
	c.srv.loop.send(look(func(l *loop) { s := l.sessions[token]; got <- s != nil && s.conn == nil }))
	return <-got
}

// look is an input that looks at the loop.
type look func(*loop)

func (f look) handle(l *loop)     { f(l) }
func (f look) origin() *wire.Conn { return nil }

// inBox counts something in the mailbox of a job's first actor; 0 where there is none.
func inBox(c *cluster, job uint32, count func(*box) int) int {
	got := make(chan int, 1)
	c.srv.loop.send(look(func(l *loop) {
		n := 0
		if b := l.mail.find(task(job, 0)); b != nil {
			n = count(b)
		}
		got <- n
	}))
	return <-got
}

// gone returns of how many calls a job's first actor is to be told that nobody waits for them.
func gone(c *cluster, job uint32) int { return inBox(c, job, func(b *box) int { return len(b.gone) }) }

// waiting returns how many calls of a job's first actor wait.
func waiting(c *cluster, job uint32) int {
	return inBox(c, job, func(b *box) int { return len(b.waiting) })
}
