package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/server"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// funcs are functions of the test binary.
type funcs map[string]executor.Func

func (f funcs) Lookup(name string) (executor.Func, bool) {
	fn, ok := f[name]
	return fn, ok
}

var testFuncs = funcs{
	"echo": func(_ context.Context, c *executor.Call) ([]byte, error) { return c.Payload, nil },
	"pid":  func(context.Context, *executor.Call) ([]byte, error) { return fmt.Append(nil, os.Getpid()), nil },
	// fill gives so many bytes.
	"fill": func(_ context.Context, c *executor.Call) ([]byte, error) {
		n, err := strconv.Atoi(string(c.Payload))
		return bytes.Repeat([]byte("x"), n), err
	},
	// sum adds the lengths of its inputs.
	"sum": func(_ context.Context, c *executor.Call) ([]byte, error) {
		total := 0
		for _, in := range c.Inputs {
			b, err := in.Bytes()
			if err != nil {
				return nil, err
			}
			total += len(b)
		}
		return fmt.Append(nil, total), nil
	},
	"wait": func(ctx context.Context, _ *executor.Call) ([]byte, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	},
	"fail": func(context.Context, *executor.Call) ([]byte, error) { return nil, errors.New("no luck") },
	// once dies the first time and then works.
	"once": func(_ context.Context, c *executor.Call) ([]byte, error) {
		if c.Attempt == 1 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return fmt.Append(nil, c.Attempt), nil
	},
	// until waits for a file.
	"until": func(ctx context.Context, c *executor.Call) ([]byte, error) {
		for ctx.Err() == nil {
			if _, err := os.Stat(string(c.Payload)); err == nil {
				return bytes.Repeat([]byte("u"), 10_000), nil
			}
			time.Sleep(time.Millisecond)
		}
		return nil, context.Cause(ctx)
	},
}

func TestMain(m *testing.M) {
	if executor.InChild() {
		os.Exit(executor.Main(os.Args[2:], testFuncs))
	}
	if config := os.Getenv(workerEnv); config != "" {
		os.Exit(workerProcess(config))
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // of the executors
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second

// cluster is a real scheduler on a loopback socket.
type cluster struct {
	t       *testing.T
	ca      *identity.CA
	mu      sync.Mutex
	srv     *server.Server
	epoch   uint64
	bundles string
	id      *identity.Identity
	asked   atomic.Int32 // how often a worker asked for the endpoint
}

var authority = sync.OnceValue(func() *identity.CA {
	ca, err := identity.NewCA(identity.NewSeed(), "local_1_0001")
	if err != nil {
		panic(err)
	}
	return ca
})

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, ca: authority(), bundles: t.TempDir()}
	c.id = c.identity(identity.Scheduler, "c1")
	c.startServer()
	t.Cleanup(c.stopServer)
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

func (c *cluster) startServer() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	srv, err := server.New(server.Options{
		Identity: c.id, Address: "127.0.0.1:0", Dir: c.bundles, Epoch: c.epoch,
		Log: slog.New(slog.NewTextHandler(c.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo})).With("who", "scheduler"),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.srv = srv
	go srv.Serve(context.Background())
}

func (c *cluster) stopServer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.srv != nil {
		c.srv.Close()
		c.srv = nil
	}
}

func (c *cluster) endpoint(context.Context) (string, uint64, error) {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.srv == nil {
		return "", 0, errors.New("there is none just now")
	}
	return c.srv.Addr().String(), c.epoch, nil
}

// runner is a worker under test.
type runner struct {
	stop func() // ends it and waits
	err  error  // of Run, valid after done
	done chan struct{}
	dir  string
	out  *output
}

// output is what executors print.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (c *cluster) worker(name string, o Options) *runner {
	c.t.Helper()
	r := &runner{done: make(chan struct{}), dir: c.t.TempDir(), out: &output{}}
	o.Identity, o.Scheduler = c.identity(identity.Worker, name), c.endpoint
	o.Dir, o.Listen = r.dir, "127.0.0.1:0"
	o.Log = slog.New(slog.NewTextHandler(c.t.Output(), nil)).With("who", name)
	o.Stdout, o.Stderr = r.out, r.out
	orDefault(&o.Slots, 2)
	orDefault(&o.LoadEvery, 50*time.Millisecond)
	orDefault(&o.Backoff, 100*time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(r.done)
		r.err = Run(ctx, o)
	}()
	r.stop = func() { cancel(); <-r.done }
	c.t.Cleanup(func() {
		r.stop()
		if r.err != nil {
			c.t.Errorf("%s: %v", name, r.err)
		}
		if left, _ := os.ReadDir(r.dir); len(left) > 0 {
			c.t.Errorf("%s left %v", name, left)
		}
	})
	return r
}

// client speaks to the scheduler as a client does, one request at a time.
type client struct {
	t    *testing.T
	conn *wire.Conn
	id   uint64
	job  uint32
	next uint32
	pool *transfer.Pool
	at   transfer.Peer // the scheduler's data plane

	mu      sync.Mutex
	classes uint32
	replies map[uint64]chan *wire.Reply
	ended   map[uint32]graph.Outcome
	attempt map[uint32]graph.Attempt
	news    chan struct{} // closed and replaced when an outcome comes
	watch   uint64
}

func (c *cluster) client() *client {
	c.t.Helper()
	id := c.identity(identity.Client, "alice")
	endpoint, _, err := c.endpoint(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	hello := &wire.Hello{Who: &wire.Hello_Client{Client: &wire.ClientHello{User: "alice"}}}
	conn, _, err := wire.Dial(context.Background(), endpoint, id.Client(identity.Scheduler, ""), hello, wire.ConnOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	cl := &client{
		t: c.t, conn: conn, pool: transfer.NewPool(id, transfer.PoolOptions{}), at: transfer.Peer{Role: identity.Scheduler, Address: endpoint},
		replies: map[uint64]chan *wire.Reply{}, ended: map[uint32]graph.Outcome{}, attempt: map[uint32]graph.Attempt{}, news: make(chan struct{}),
	}
	done := make(chan struct{})
	go func() { defer close(done); cl.read() }()
	c.t.Cleanup(func() { conn.Close(); <-done; cl.pool.Close() })
	r := cl.ask(&wire.Request{Body: &wire.Request_OpenJob{OpenJob: &wire.OpenJob{}}})
	cl.job = r.GetJob().Job
	cl.mu.Lock()
	cl.id++
	cl.watch = cl.id
	cl.mu.Unlock()
	cl.send(&wire.Request{Id: cl.watch, Body: &wire.Request_Watch{Watch: &wire.Watch{Job: cl.job}}})
	return cl
}

func (cl *client) read() {
	for {
		_, m, err := cl.conn.Next()
		if err != nil {
			return
		}
		r := m.(*wire.Reply)
		cl.mu.Lock()
		if ended := r.GetEnded(); ended != nil {
			for o, a := range ended.Outcomes {
				o.Inline = bytes.Clone(o.Inline)
				cl.ended[o.Task.Index], cl.attempt[o.Task.Index] = o, a
			}
			close(cl.news)
			cl.news = make(chan struct{})
		}
		if ch := cl.replies[r.Id]; ch != nil {
			ch <- r
			delete(cl.replies, r.Id)
		}
		cl.mu.Unlock()
	}
}

func (cl *client) send(r *wire.Request) {
	if err := cl.conn.Push(wire.KindRequest, r); err != nil {
		cl.t.Error(err)
	}
}

func (cl *client) ask(r *wire.Request) *wire.Reply {
	cl.t.Helper()
	ch := make(chan *wire.Reply, 1)
	cl.mu.Lock()
	cl.id++
	r.Id = cl.id
	cl.replies[r.Id] = ch
	cl.mu.Unlock()
	cl.send(r)
	select {
	case reply := <-ch:
		if reply.Error != nil {
			cl.t.Fatalf("request: %v", reply.Error)
		}
		return reply
	case <-time.After(patience):
		cl.t.Fatal("no reply")
		return nil
	}
}

// class declares a class.
func (cl *client) class(c graph.Class) graph.ClassID {
	cl.t.Helper()
	id := graph.ClassID(cl.classes)
	cl.classes++
	if c.Kind == 0 {
		c.Kind = graph.KindGo
	}
	cl.ask(&wire.Request{Body: &wire.Request_Classes{Classes: &wire.Classes{Job: cl.job, Class: []*wire.Class{wire.ClassToWire(id, &c)}}}})
	return id
}

func (cl *client) function(name string) graph.ClassID { return cl.class(graph.Class{Name: name}) }

// submit adds a task and returns its index.
func (cl *client) submit(c graph.ClassID, payload string, deps ...uint32) uint32 {
	cl.t.Helper()
	b := &graph.Batch{
		Job: graph.JobID(cl.job), First: cl.next, Class: []graph.ClassID{c},
		PayEnd: []uint32{uint32(len(payload))}, Payload: []byte(payload), DepEnd: []uint32{uint32(len(deps))},
	}
	for _, d := range deps {
		b.Deps = append(b.Deps, graph.TaskID{Job: b.Job, Index: d})
	}
	cl.ask(&wire.Request{Body: &wire.Request_Submit{Submit: wire.BatchToWire(b)}})
	cl.next++
	return b.First
}

// many adds n tasks without inputs at once and returns the first index.
func (cl *client) many(n int, c graph.ClassID, payload string) uint32 {
	cl.t.Helper()
	b := &graph.Batch{Job: graph.JobID(cl.job), First: cl.next}
	for range n {
		b.Class = append(b.Class, c)
		b.Payload = append(b.Payload, payload...)
		b.PayEnd = append(b.PayEnd, uint32(len(b.Payload)))
	}
	cl.ask(&wire.Request{Body: &wire.Request_Submit{Submit: wire.BatchToWire(b)}})
	cl.next += uint32(n)
	return b.First
}

// outcome waits for a task's end.
func (cl *client) outcome(index uint32) graph.Outcome {
	cl.t.Helper()
	timeout := time.After(patience)
	for {
		cl.mu.Lock()
		o, ok := cl.ended[index]
		news := cl.news
		cl.mu.Unlock()
		if ok {
			return o
		}
		select {
		case <-news:
		case <-timeout:
			cl.t.Fatalf("task %d has not ended in %v", index, patience)
		}
	}
}

// result waits for a task's result and fetches it if need be.
func (cl *client) result(index uint32) []byte {
	cl.t.Helper()
	o := cl.outcome(index)
	if o.Failure != nil {
		cl.t.Fatalf("task %d: %v %v\n%s", index, o.Failure.Kind, o.Failure, o.Failure.Output)
	}
	if len(o.Holders) == 0 {
		return o.Inline
	}
	h := o.Holders[0]
	data, err := cl.pool.Result(context.Background(), transfer.Peer{Role: identity.Worker, Name: h.Name, Address: h.Address}, o.Task, cl.attempt[index], o.Size)
	if err != nil {
		cl.t.Fatal(err)
	}
	return data
}

// putBundle uploads a file and returns its digest.
func (cl *client) putBundle(path string) graph.Digest {
	cl.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		cl.t.Fatal(err)
	}
	d := graph.Digest(sha256.Sum256(data))
	for at := 0; at < len(data); {
		piece := data[at:min(at+1<<20, len(data))]
		r := cl.ask(&wire.Request{Body: &wire.Request_PutBundle{PutBundle: &wire.PutBundle{Digest: d[:], Size: uint64(len(data)), Offset: uint64(at), Data: piece}}})
		if r.GetBundle().Complete {
			return d
		}
		at += len(piece)
	}
	cl.t.Fatal("the bundle did not arrive")
	return d
}

func (cl *client) workers() []*wire.WorkerInfo {
	return cl.ask(&wire.Request{Body: &wire.Request_ListWorkers{ListWorkers: &wire.ListWorkers{}}}).GetWorkers().Worker
}

// load returns what the first worker said of itself, or nothing.
func (cl *client) load() *wire.Load {
	cl.t.Helper()
	if w := cl.workers(); len(w) > 0 && w[0].Load != nil {
		return w[0].Load
	}
	return &wire.Load{}
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("not in %v: %s", patience, what)
		}
		<-tick.C
	}
}
