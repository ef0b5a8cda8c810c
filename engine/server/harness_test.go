package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// cluster is a scheduler on a loopback socket, with the authority that makes its
// peers' certificates.
type cluster struct {
	t   testing.TB
	ca  *identity.CA
	srv *Server
	err chan error // of Serve

	fetcher *transfer.Pool // made by fetch
	from    transfer.Peer
}

var authority = sync.OnceValue(func() *identity.CA {
	ca, err := identity.NewCA(identity.NewSeed(), "local_1_0001")
	if err != nil {
		panic(err)
	}
	return ca
})

// start runs a scheduler until the test's end.
func start(t testing.TB, o Options) *cluster {
	t.Helper()
	c := &cluster{t: t, ca: authority(), err: make(chan error, 1)}
	o.Identity = c.identity(identity.Scheduler, "c0")
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if o.Address == "" {
		o.Address = "127.0.0.1:0"
	}
	srv, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.srv = srv
	go func() { c.err <- srv.Serve(context.Background()) }()
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		if err := srv.Close(); err != nil {
			t.Error("second close:", err)
		}
	})
	return c
}

func (c *cluster) identity(role identity.Role, name string) *identity.Identity {
	c.t.Helper()
	id, err := c.ca.NewIdentity(identity.Subject{App: c.ca.App(), Role: role, Name: name}, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *cluster) tls(role identity.Role, name string) *tls.Config {
	return c.identity(role, name).Client(identity.Scheduler, "")
}

// raw returns a TLS connection after its handshake.
func (c *cluster) raw(config *tls.Config, alpn ...string) (*tls.Conn, error) {
	config = config.Clone()
	config.NextProtos = alpn
	nc, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", c.srv.Addr().String(), config)
	if err == nil {
		c.t.Cleanup(func() { nc.Close() })
	}
	return nc, err
}

// peer is one side of a connection whose frames are read as they come.
type peer struct {
	t       testing.TB
	conn    *wire.Conn
	welcome *wire.Welcome
	frames  chan frame
	end     error         // valid when ended is closed
	ended   chan struct{} // closed at the end of reading
}

type frame struct {
	kind wire.Kind
	m    proto.Message
}

func (c *cluster) dial(role identity.Role, name string, hello *wire.Hello) (*peer, error) {
	conn, w, err := wire.Dial(c.t.Context(), c.srv.Addr().String(), c.tls(role, name), hello, wire.ConnOptions{})
	if err != nil {
		return nil, err
	}
	return &peer{t: c.t, conn: conn, welcome: w, frames: make(chan frame, 1<<10), ended: make(chan struct{})}, nil
}

// read passes frames to handle, or to p.frames, in a goroutine that ends with the
// test.
func (p *peer) read(handle func(wire.Kind, proto.Message)) {
	p.t.Cleanup(func() { p.conn.Close(); <-p.ended })
	go func() {
		defer close(p.ended)
		for {
			k, m, err := p.conn.Next()
			if err != nil {
				p.end = err
				return
			}
			if handle != nil {
				handle(k, m)
				continue
			}
			select {
			case p.frames <- frame{k, m}:
			case <-p.conn.Done():
			}
		}
	}()
}

func (p *peer) send(k wire.Kind, m proto.Message) {
	p.t.Helper()
	if err := p.conn.Send(p.t.Context(), k, m); err != nil {
		p.t.Fatalf("send %v: %v", k, err)
	}
}

// expect returns the next frame of the kind M, skipping others.
func expect[M proto.Message](p *peer, k wire.Kind) M {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case f := <-p.frames:
			if f.kind == k {
				return f.m.(M)
			}
		case <-p.ended:
			// What came before the end may still wait.
			select {
			case f := <-p.frames:
				if f.kind == k {
					return f.m.(M)
				}
				continue
			default:
			}
			p.t.Fatalf("waiting for %v: the connection ended: %v", k, p.end)
		case <-late:
			p.t.Fatalf("no %v came", k)
		}
	}
}

// waitEnd returns why the connection ended.
func (p *peer) waitEnd() error {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.end
	case <-time.After(patience):
		p.t.Fatal("the connection does not end")
		return nil
	}
}

// pool returns what fetches from the scheduler's data plane.
func (c *cluster) pool() (*transfer.Pool, transfer.Peer) {
	c.t.Helper()
	pool := transfer.NewPool(c.identity(identity.Worker, "fetcher"), transfer.PoolOptions{})
	c.t.Cleanup(func() { pool.Close() })
	return pool, transfer.Peer{Role: identity.Scheduler, Address: c.srv.Addr().String()}
}

// fetch gets an inline result of so many bytes from the scheduler.
func (c *cluster) fetch(t graph.TaskID, a graph.Attempt, size int) []byte {
	c.t.Helper()
	if c.fetcher == nil {
		c.fetcher, c.from = c.pool()
	}
	b, err := c.fetcher.Result(c.t.Context(), c.from, t, a, uint64(size))
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// ---- a worker ------------------------------------------------------------------

func helloOf(name string, slots uint32) *wire.Hello {
	return &wire.Hello{Protocol: wire.Version, ProtocolMin: wire.Version, Who: &wire.Hello_Worker{Worker: &wire.WorkerHello{
		Name: name, Host: "host-" + name, Pool: "worker", Slots: slots, Memory: 1 << 30, DataAddress: "127.0.0.1:1", Pid: 42,
	}}}
}

// worker joins a scripted worker that brings results along.
func (c *cluster) worker(name string, slots uint32, held *wire.Held) *peer {
	c.t.Helper()
	return c.join(name, helloOf(name, slots), held)
}

func (c *cluster) join(name string, hello *wire.Hello, held *wire.Held) *peer {
	c.t.Helper()
	p, err := c.dial(identity.Worker, name, hello)
	if err != nil {
		c.t.Fatal(err)
	}
	if held == nil {
		held = &wire.Held{}
	}
	p.send(wire.KindInventory, held)
	p.read(nil)
	return p
}

// autoWorker joins a worker that answers each assignment at once with run's bytes,
// inline when they are small.
func (c *cluster) autoWorker(name string, slots uint32, run func(wire.Assignment) []byte) *peer {
	c.t.Helper()
	p, err := c.dial(identity.Worker, name, helloOf(name, slots))
	if err != nil {
		c.t.Fatal(err)
	}
	p.send(wire.KindInventory, &wire.Held{})
	done := &wire.Done{}
	p.read(func(k wire.Kind, m proto.Message) {
		a, ok := m.(*wire.Assign)
		if !ok {
			return
		}
		done.Clear()
		for i := range a.Len() {
			row := a.At(i)
			out := run(row)
			r := wire.Result{Task: row.Task, Attempt: row.Attempt, Duration: 1, Size: uint64(len(out))}
			if len(out) <= wire.MaxInline {
				r.IsInline, r.Inline = true, out
			}
			done.Add(r)
		}
		p.conn.Send(context.Background(), wire.KindDone, done) //nolint:errcheck // the test sees what is missing
	})
	return p
}

// ---- a client ------------------------------------------------------------------

// client is a scripted client: call waits for replies.
type client struct {
	*peer
	lastID atomic.Uint64
	mu     sync.Mutex
	waits  map[uint64]chan *wire.Reply
}

func (c *cluster) client(user, session string) *client {
	c.t.Helper()
	p, err := c.dial(identity.Client, user, clientHello(user, session))
	if err != nil {
		c.t.Fatal(err)
	}
	cl := &client{peer: p, waits: map[uint64]chan *wire.Reply{}}
	p.read(func(_ wire.Kind, m proto.Message) {
		r := m.(*wire.Reply)
		cl.mu.Lock()
		ch := cl.waits[r.Id]
		cl.mu.Unlock()
		if ch != nil {
			ch <- r
		}
	})
	return cl
}

func clientHello(user, session string) *wire.Hello {
	return &wire.Hello{Protocol: wire.Version, ProtocolMin: wire.Version, Who: &wire.Hello_Client{Client: &wire.ClientHello{
		User: user, Host: "edge", Session: session,
	}}}
}

// start sends a request and returns the channel of its replies.
func (c *client) start(r *wire.Request) (uint64, <-chan *wire.Reply) {
	c.t.Helper()
	r.Id = c.lastID.Add(1)
	ch := make(chan *wire.Reply, 1<<10)
	c.mu.Lock()
	c.waits[r.Id] = ch
	c.mu.Unlock()
	c.send(wire.KindRequest, r)
	return r.Id, ch
}

// try returns the reply, or its error.
func (c *client) try(r *wire.Request) (*wire.Reply, error) {
	c.t.Helper()
	_, ch := c.start(r)
	reply := c.await(ch)
	if reply.Error != nil {
		return nil, reply.Error
	}
	return reply, nil
}

func (c *client) await(ch <-chan *wire.Reply) *wire.Reply {
	c.t.Helper()
	select {
	case r := <-ch:
		return r
	case <-c.ended:
		c.t.Fatalf("waiting for a reply: the connection ended: %v", c.end)
	case <-time.After(patience):
		c.t.Fatal("no reply")
	}
	return nil
}

func (c *client) call(r *wire.Request) *wire.Reply {
	c.t.Helper()
	reply, err := c.try(r)
	if err != nil {
		c.t.Fatalf("%T: %v", r.Body, err)
	}
	return reply
}

func (c *client) refused(r *wire.Request, code wire.Code) {
	c.t.Helper()
	if _, err := c.try(r); !errors.Is(err, code) {
		c.t.Errorf("%T: got %v, want %v", r.Body, err, code)
	}
}

func openJob(name string) *wire.Request {
	return &wire.Request{Body: &wire.Request_OpenJob{OpenJob: &wire.OpenJob{Name: name}}}
}

func classes(job uint32, c ...*graph.Class) *wire.Request {
	m := &wire.Classes{Job: job}
	for i := range c {
		m.Class = append(m.Class, wire.ClassToWire(graph.ClassID(i), c[i]))
	}
	return &wire.Request{Body: &wire.Request_Classes{Classes: m}}
}

func submit(b *graph.Batch) *wire.Request {
	return &wire.Request{Body: &wire.Request_Submit{Submit: wire.BatchToWire(b)}}
}

func locate(job uint32, index ...uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_Locate{Locate: &wire.Locate{Job: job, Index: index}}}
}

func watchFrom(job, from uint32) *wire.Request {
	return &wire.Request{Body: &wire.Request_Watch{Watch: &wire.Watch{Job: job, From: from}}}
}

// newJob opens a job with one Go class.
func (c *client) newJob(name string) uint32 {
	c.t.Helper()
	id := c.call(openJob(name)).GetJob().Job
	c.call(classes(id, &graph.Class{Name: "f", Kind: graph.KindGo}))
	return id
}

// tasks submits n tasks without dependencies whose payloads are their indices.
func (c *client) tasks(job, first, n uint32) {
	c.t.Helper()
	c.call(submit(batch(job, first, n)))
}

func batch(job, first, n uint32) *graph.Batch {
	b := &graph.Batch{Job: graph.JobID(job), First: first, Class: make([]graph.ClassID, n)}
	for i := range n {
		b.Payload = append(b.Payload, byte(first+i))
		b.PayEnd = append(b.PayEnd, uint32(len(b.Payload)))
	}
	return b
}

// outcomes reads a watch until n outcomes have come.
func (c *client) outcomes(ch <-chan *wire.Reply, n int) []graph.Outcome {
	c.t.Helper()
	var out []graph.Outcome
	for len(out) < n {
		r := c.await(ch)
		if r.Error != nil {
			c.t.Fatalf("watch: %v", r.Error)
		}
		for o := range r.GetEnded().Outcomes {
			out = append(out, o)
		}
	}
	return out
}

func task(job, index uint32) graph.TaskID { return graph.TaskID{Job: graph.JobID(job), Index: index} }

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
