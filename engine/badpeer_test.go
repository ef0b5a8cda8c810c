package engine_test

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// rawPeer speaks the protocol as it likes, and reads when it likes.
type rawPeer struct {
	b    *bad
	nc   *tls.Conn
	in   *wire.Reader
	last uint64 // request
}

// rawClient connects a client with a certificate, and is welcome.
func (b *bad) rawClient() *rawPeer {
	b.Helper()
	config := b.c.Identity(identity.Client, "raw").Client(identity.Scheduler, "")
	config.NextProtos = []string{wire.Protocol}
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", b.c.Addr(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nc.Close() })
	p := &rawPeer{b: b, nc: nc, in: wire.NewReader(nc, wire.MaxFrame)}
	p.frame(wire.KindHello, &wire.Hello{
		Protocol: wire.Version, ProtocolMin: wire.Version,
		Who: &wire.Hello_Client{Client: &wire.ClientHello{User: "raw", Host: "edge"}},
	})
	if w, ok := p.next().(*wire.Welcome); !ok || w.Code != 0 {
		b.Fatalf("welcome: %v", w)
	}
	return p
}

func (p *rawPeer) write(bytes []byte) {
	p.b.Helper()
	if err := p.nc.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		p.b.Fatal(err)
	}
	if _, err := p.nc.Write(bytes); err != nil {
		p.b.Fatal(err)
	}
}

func (p *rawPeer) frame(k wire.Kind, m proto.Message) {
	p.b.Helper()
	f, err := wire.AppendFrame(nil, k, m)
	if err != nil {
		p.b.Fatal(err)
	}
	p.write(f)
}

// next reads a message.
func (p *rawPeer) next() proto.Message {
	p.b.Helper()
	if err := p.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.b.Fatal(err)
	}
	k, body, err := p.in.Next()
	if err != nil {
		p.b.Fatal(err)
	}
	m, err := wire.Unmarshal(k, body)
	if err != nil {
		p.b.Fatal(err)
	}
	return m
}

func (p *rawPeer) send(r *wire.Request) {
	p.b.Helper()
	p.last++
	r.Id = p.last
	p.frame(wire.KindRequest, r)
}

// ask sends a request and returns its reply.
func (p *rawPeer) ask(r *wire.Request) *wire.Reply {
	p.b.Helper()
	p.send(r)
	for {
		if reply, ok := p.next().(*wire.Reply); ok && reply.Id == r.Id {
			return reply
		}
	}
}

// open opens a job and makes a class known, number 0.
func (p *rawPeer) open(name string) uint32 {
	p.b.Helper()
	reply := p.ask(&wire.Request{Body: &wire.Request_OpenJob{OpenJob: &wire.OpenJob{Name: name}}})
	if reply.Error != nil {
		p.b.Fatal(reply.Error)
	}
	return reply.GetJob().Job
}

func (p *rawPeer) declare(job uint32) {
	p.b.Helper()
	class := wire.ClassToWire(0, &graph.Class{Name: "square", Kind: graph.KindGo})
	if r := p.ask(&wire.Request{Body: &wire.Request_Classes{Classes: &wire.Classes{Job: job, Class: []*wire.Class{class}}}}); r.Error != nil {
		p.b.Fatal(r.Error)
	}
}

// submit submits tasks without a payload from an index on, each with one dependency.
func (p *rawPeer) submit(job, first uint32, deps ...graph.TaskID) *wire.Reply {
	p.b.Helper()
	batch := &graph.Batch{Job: graph.JobID(job), First: first, Class: make([]graph.ClassID, len(deps)), Deps: deps}
	for i := range deps {
		batch.DepEnd = append(batch.DepEnd, uint32(i+1))
	}
	return p.ask(&wire.Request{Body: &wire.Request_Submit{Submit: wire.BatchToWire(batch)}})
}

func watchJob(job uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_Watch{Watch: &wire.Watch{Job: job}}}
}

// wantEnd reads what came, and wants the scheduler to have closed the connection.
func (p *rawPeer) wantEnd() {
	p.b.Helper()
	if err := p.nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.b.Fatal(err)
	}
	_, err := io.Copy(io.Discard, p.nc)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		p.b.Error("the connection stays open")
	}
}

// ---- graphs ----------------------------------------------------------------------

func badCycle(b *bad) {
	p := b.rawClient()
	job := p.open("")
	p.declare(job)
	id := func(i uint32) graph.TaskID { return graph.TaskID{Job: graph.JobID(job), Index: i} }
	for _, deps := range [][]graph.TaskID{{id(1), id(0)}, {id(0)}} {
		if r := p.submit(job, 0, deps...); !errors.Is(r.Error, wire.Invalid) {
			b.Errorf("a cycle of %d: %v", len(deps), r)
		}
	}
	b.meanwhile()
}

func badDependency(b *bad) {
	p := b.rawClient()
	job := p.open("")
	p.declare(job)
	if r := p.submit(job, 0, graph.TaskID{Job: 9999, Index: 7}); r.Error != nil {
		b.Fatal(r.Error) // other jobs' tasks come and go: the task fails, not the batch
	}
	b.meanwhile()
	p.send(watchJob(job))
	for ended := 0; ended == 0; {
		for o := range p.next().(*wire.Reply).GetEnded().Outcomes {
			if o.Failure == nil || o.Failure.Kind != graph.FailUpstream || !strings.Contains(o.Failure.Message, "not there any more") {
				b.Errorf("%+v", o)
			}
			ended++
		}
	}
}

func badDuplicate(b *bad) {
	first, second := b.rawClient(), b.rawClient()
	job := first.open("twice")
	first.declare(job)
	one := func(p *rawPeer) *wire.Reply {
		batch := &graph.Batch{Job: graph.JobID(job), Class: []graph.ClassID{0}}
		return p.ask(&wire.Request{Body: &wire.Request_Submit{Submit: wire.BatchToWire(batch)}})
	}
	if r := one(first); r.Error != nil {
		b.Fatal(r.Error)
	}
	if r := one(second); !errors.Is(r.Error, wire.Conflict) {
		b.Errorf("an index that is taken: %v", r)
	}
	b.meanwhile()
}

// ---- frames ----------------------------------------------------------------------

func badFrame(b *bad) {
	p := b.rawClient()
	body := []byte("\x1f garbage that is no protobuf at all ")
	p.write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	b.meanwhile()
	p.wantEnd()
}

func badClaim(b *bad) {
	var all []*rawPeer
	for range 20 {
		p := b.rawClient()
		p.write([]byte{0x80, 0, 0, 0, byte(wire.KindRequest), 1, 2, 3})
		all = append(all, p)
	}
	b.meanwhile()
	for _, p := range all {
		p.wantEnd()
	}
}

// ---- a worker --------------------------------------------------------------------

// badWorker: a worker's process is stopped, so that it neither reads nor answers. It is
// given up when its lease has passed, and its tasks run elsewhere; when it goes on, it is
// told that it was given up, and joins again.
func badWorker(b *bad) {
	w := b.c.Workers()[0]
	if err := syscall.Kill(w.PID, syscall.SIGSTOP); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = syscall.Kill(w.PID, syscall.SIGCONT) }) // it may go on already
	var all []*engine.Future[int]
	in := string(make([]byte, mib))
	for range 40 {
		all = append(all, length.Submit(b.Context(), b.client, in))
	}
	for _, f := range all {
		want(b, f, mib)
	}
	b.meanwhile()
	known := func() int {
		workers, err := b.client.Workers(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		return len(workers)
	}
	eventually(b, "the worker is given up", func() bool { return known() == 1 })
	if err := syscall.Kill(w.PID, syscall.SIGCONT); err != nil {
		b.Fatal(err)
	}
	eventually(b, "it is back", func() bool { return known() == 2 })
}
