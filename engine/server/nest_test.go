package server

import (
	"bytes"
	"encoding/binary"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/wire"
)

// nestPeer is a worker that runs a task with a client, of which this test says each byte.
type nestPeer struct {
	*peer
	task   wire.Assignment
	in     []byte // of the stream, that was not looked at yet
	stream uint32
}

// nestPeer joins a worker of so many slots and submits a task, which it runs.
func (c *cluster) nestPeer(slots uint32) (*nestPeer, *client, uint32) {
	w, cl := c.worker("w1", slots, nil), c.client("alice", "")
	job := cl.newJob("")
	cl.tasks(job, 0, 1)
	m := expect[*wire.Assign](w, wire.KindAssign)
	w.send(wire.KindStarted, started(m))
	return &nestPeer{peer: w, task: m.At(0), stream: 1}, cl, job
}

func (p *nestPeer) piece() *wire.Nested {
	return &wire.Nested{Job: uint32(p.task.Task.Job), Index: p.task.Task.Index, Attempt: uint32(p.task.Attempt), Stream: p.stream}
}

// write sends bytes of the stream, in pieces.
func (p *nestPeer) write(b []byte) {
	p.t.Helper()
	for len(b) > 0 {
		m := p.piece()
		m.Data, b = b[:min(len(b), wire.NestedPiece)], b[min(len(b), wire.NestedPiece):]
		p.send(wire.KindNested, m)
	}
}

func (p *nestPeer) frame(k wire.Kind, m proto.Message) {
	p.t.Helper()
	b, err := wire.AppendFrame(nil, k, m)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(b)
}

// next returns the next frame of the stream, which is acknowledged, or why there is none.
func (p *nestPeer) next() (proto.Message, string) {
	p.t.Helper()
	for {
		k, body, rest, ok, err := wire.Cut(p.in, wire.MaxFrame)
		if err != nil {
			p.t.Fatal(err)
		}
		if ok {
			p.in = rest
			m, err := wire.Unmarshal(k, body)
			if err != nil {
				p.t.Fatal(err)
			}
			return m, ""
		}
		m := expect[*wire.Nested](p.peer, wire.KindNested)
		if task, attempt := m.At(); m.Stream != p.stream || task != p.task.Task || attempt != p.task.Attempt {
			continue
		}
		if m.End != "" {
			return nil, m.End
		}
		p.in = append(bytes.Clone(p.in), m.Data...)
		if len(m.Data) > 0 {
			ack := p.piece()
			ack.Ack = uint32(len(m.Data))
			p.send(wire.KindNested, ack)
		}
	}
}

func nextOf[M any](p *nestPeer) M {
	p.t.Helper()
	m, end := p.next()
	out, ok := m.(M)
	if !ok {
		p.t.Fatalf("%T %v, the end: %q", m, m, end)
	}
	return out
}

func (p *nestPeer) hello(session string) *wire.Welcome {
	p.t.Helper()
	p.frame(wire.KindHello, clientHello("", session))
	return nextOf[*wire.Welcome](p)
}

func (p *nestPeer) ask(id uint64, r *wire.Request) *wire.Reply {
	p.t.Helper()
	r.Id = id
	p.frame(wire.KindRequest, r)
	return nextOf[*wire.Reply](p)
}

// What a task's client opened is not in the journal, but its number is not given out again: a handle of
// what was there would be one of another's.
func TestNestIDsAreNotReused(t *testing.T) {
	dir := memstore.New(1, false)
	first := start(t, Options{Journal: dir.Process(nil)})
	p, _, _ := first.nestPeer(1)
	p.hello("")
	quiet := p.ask(1, openJob("")).GetJob().Job
	p.ask(2, openJob("")) // another turn
	eventually(t, "it is safe", func() bool {
		got := make(chan bool, 1)
		first.srv.loop.send(look(func(l *loop) { got <- l.ledger.safe.Load() == l.ledger.journal.Appended() }))
		return <-got
	})
	if err := first.srv.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, Options{Journal: dir.Process(nil), Epoch: 2})
	if job := second.client("bob", "").newJob("n"); job <= quiet {
		t.Errorf("job %d, and %d was one before", job, quiet)
	}
}

// A client within a task submits one, which the worker runs in the slot of its parent.
func TestNest(t *testing.T) {
	c := start(t, Options{})
	p, cl, _ := c.nestPeer(1)
	if w := p.hello(""); w.Session == "" || w.MaxFrame != wire.MaxNestedFrame {
		t.Fatalf("%v", w)
	}
	job := p.ask(1, openJob("")).GetJob()
	if job.Owner != "alice" {
		t.Errorf("the job is %q's", job.Owner)
	}
	p.ask(2, classes(job.Job, &graph.Class{Name: "f", Kind: graph.KindGo}))
	p.ask(3, submit(batch(job.Job, 0, 2)))
	first := expect[*wire.Assign](p.peer, wire.KindAssign).At(0) // ahead of time
	parked := &wire.Tasks{}
	parked.Add(p.task.Task, p.task.Attempt)
	p.send(wire.KindParked, parked)
	second := expect[*wire.Assign](p.peer, wire.KindAssign).At(0)
	if first.Task != task(job.Job, 0) || second.Task != task(job.Job, 1) {
		t.Errorf("%v and %v", first.Task, second.Task)
	}
	// The parent ends: with it its session, and with that its job.
	done := &wire.Done{}
	done.Add(wire.Result{Task: p.task.Task, Attempt: p.task.Attempt, IsInline: true})
	p.send(wire.KindDone, done)
	if _, end := p.next(); end == "" {
		t.Error("no end")
	}
	if stop := expect[*wire.Tasks](p.peer, wire.KindStop); stop.Len() != 2 {
		t.Errorf("%v", stop)
	}
	cl.refused(locate(job.Job, 0), wire.NotFound)
}

func TestNestMayNot(t *testing.T) {
	c := start(t, Options{})
	p, _, parent := c.nestPeer(1)
	p.hello("")
	for name, r := range map[string]*wire.Request{
		"submit to another's job": submit(batch(parent, 1, 1)),
		"cancel itself":           {Body: &wire.Request_Cancel{Cancel: &wire.Cancel{Job: parent}}},
		"close":                   {Body: &wire.Request_CloseJob{CloseJob: &wire.CloseJob{Job: parent}}},
		"release":                 {Body: &wire.Request_Release{Release: &wire.Release{Job: parent, Index: []uint32{0}}}},
		"attach":                  {Body: &wire.Request_OpenJob{OpenJob: &wire.OpenJob{Id: parent}}},
		"jobs":                    {Body: &wire.Request_ListJobs{ListJobs: &wire.ListJobs{}}},
		"bundle":                  {Body: &wire.Request_PutBundle{PutBundle: &wire.PutBundle{Digest: make([]byte, 32)}}},
		"nothing":                 {},
	} {
		if got := p.ask(9, r); got.Error == nil || wire.Code(got.Error.Code) != wire.Refused {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := p.ask(10, locate(parent)); got.Error != nil {
		t.Errorf("locate: %v", got.Error)
	}
}

// A broken stream is resumed by a new one; another client begins anew.
func TestNestResumes(t *testing.T) {
	c := start(t, Options{})
	p, _, _ := c.nestPeer(1)
	session := p.hello("").Session
	job := p.ask(1, openJob("")).GetJob().Job
	p.write([]byte{0, 0, 1}) // half a frame
	p.stream, p.in = 2, nil
	if w := p.hello(session); w.Session != session {
		t.Error("another session")
	}
	if r := p.ask(2, classes(job, &graph.Class{Name: "f", Kind: graph.KindGo})); r.Error != nil {
		t.Error(r.Error)
	}
	p.stream, p.in = 3, nil
	if w := p.hello("of somebody"); w.Session == session {
		t.Error("the same session")
	}
	if r := p.ask(3, locate(job, 0)); r.Error == nil || wire.Code(r.Error.Code) != wire.NotFound {
		t.Errorf("%v", r)
	}
}

// Whatever the client sends, it costs its own session alone.
func TestNestNonsense(t *testing.T) {
	huge := binary.BigEndian.AppendUint32(nil, 2<<30)
	frame := func(k wire.Kind, m proto.Message) []byte {
		b, err := wire.AppendFrame(nil, k, m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, data := range map[string][]byte{
		"a frame of 2 GiB":      append(huge, byte(wire.KindRequest)),
		"an empty frame":        {0, 0, 0, 0, 1},
		"no protobuf":           {0, 0, 0, 3, byte(wire.KindRequest), 0xff, 0xff},
		"a worker's frame":      frame(wire.KindDone, &wire.Done{}),
		"a request at first":    frame(wire.KindRequest, openJob("")),
		"the hello of a worker": frame(wire.KindHello, helloOf("w1", 1)),
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, Options{})
			p, _, _ := c.nestPeer(1)
			p.write(data)
			if m, end := p.next(); end == "" {
				t.Errorf("%v", m)
			}
			p.stream, p.in = 2, nil
			p.hello("") // the attempt may try again, and the worker lives
		})
	}
	t.Run("more than the window", func(t *testing.T) {
		c := start(t, Options{})
		p, _, _ := c.nestPeer(1)
		p.hello("")
		// A reply that is not taken fills the outbox: what follows is not taken either.
		job := p.ask(1, openJob("")).GetJob().Job
		var flood []byte
		for i := range 40_000 {
			r := locate(job, 1)
			r.Id = uint64(i)
			flood = append(flood, frame(wire.KindRequest, r)...)
		}
		for range 16 {
			p.write(flood)
		}
		for {
			m := expect[*wire.Nested](p.peer, wire.KindNested)
			if m.End != "" {
				break
			}
		}
	})
}

// An attempt that has ended, or never was, has no client.
func TestNestOfNoAttempt(t *testing.T) {
	c := start(t, Options{})
	p, _, _ := c.nestPeer(1)
	p.task.Attempt++
	p.frame(wire.KindHello, clientHello("", ""))
	if m, end := p.next(); end == "" {
		t.Errorf("%v", m)
	}
	other := c.worker("w2", 1, nil)
	p.task.Attempt--
	m := p.piece()
	m.Data = []byte{0}
	other.send(wire.KindNested, m)
	if got := expect[*wire.Nested](other, wire.KindNested); got.End == "" {
		t.Errorf("a worker that does not run it: %v", got)
	}
}
