package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/server"
	"github.com/yarnd/yarnd/identity"
)

// TB is what a cluster needs of a test: every testing.TB is one. See Run for programs
// that are no tests.
type TB interface {
	Helper()
	Context() context.Context
	TempDir() string
	Cleanup(func())
	Failed() bool
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

// joinTimeout is how long workers may take to join.
const joinTimeout = 30 * time.Second

// New starts a scheduler and n workers in this process, waits until they have joined
// and returns a client.
func New(t TB, n int) *engine.Client {
	t.Helper()
	return Start(t, Options{Workers: n}).Client()
}

// Options describe a cluster. The zero value is one without workers.
type Options struct {
	Workers   int  // to begin with
	Slots     int  // of each worker; 0 is 2
	Processes bool // workers are processes of their own
	// Apart makes the scheduler a process too; of Server, Lease, Session and Outbox hold.
	Apart bool
	// Named and TaskMemory are what each worker, if it is no process, has for tasks.
	Named      graph.Amounts
	TaskMemory uint64
	// Server is how the scheduler runs; what identifies it is set by Start.
	Server server.Options
	Log    *slog.Logger // of all in this process; nil discards
}

// Cluster is a running cluster.
type Cluster struct {
	SchedulerPID int // with Options.Apart

	t    TB
	opts Options
	ca   *identity.CA
	dir  string
	addr string         // of the scheduler
	srv  *server.Server // nil with Options.Apart

	mu      sync.Mutex
	workers []*Worker
}

// Start starts a cluster that ends with the test, and waits until its workers have
// joined.
func Start(t TB, o Options) *Cluster {
	t.Helper()
	if o.Slots == 0 {
		o.Slots = 2
	}
	ca, err := identity.NewCA(identity.NewSeed(), "local_1_0001")
	if err != nil {
		t.Fatal(err)
	}
	c := &Cluster{t: t, opts: o, ca: ca, dir: t.TempDir()}
	if o.Apart {
		c.startScheduler()
	} else {
		c.serveHere()
	}
	for range o.Workers {
		c.AddWorker()
	}
	if o.Workers > 0 {
		ctx, cancel := context.WithTimeout(t.Context(), joinTimeout)
		defer cancel()
		client := c.Client()
		defer client.Close()
		if err := client.WaitWorkers(ctx, o.Workers); err != nil {
			t.Fatalf("the cluster does not start: %v", err)
		}
	}
	return c
}

// serveHere runs the scheduler in this process.
func (c *Cluster) serveHere() {
	c.t.Helper()
	so := c.opts.Server
	so.Identity, so.Address, so.Log = c.Identity(identity.Scheduler, "scheduler"), "127.0.0.1:0", c.opts.Log
	so.Dir = c.folder("scheduler")
	srv, err := server.New(so)
	if err != nil {
		c.t.Fatal(err)
	}
	c.srv, c.addr = srv, srv.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background()) }()
	c.t.Cleanup(func() {
		srv.Close()
		if err := <-served; !errors.Is(err, server.ErrClosed) {
			c.t.Errorf("scheduler: %v", err)
		}
	})
}

// Addr returns the scheduler's address.
func (c *Cluster) Addr() string { return c.addr }

// Endpoint is for Options.Scheduler of clients and workers.
func (c *Cluster) Endpoint(context.Context) (string, uint64, error) { return c.Addr(), 1, nil }

// Identity returns a new certificate of the cluster's authority.
func (c *Cluster) Identity(role identity.Role, name string) *identity.Identity {
	c.t.Helper()
	id, err := c.ca.NewIdentity(identity.Subject{App: c.ca.App(), Role: role, Name: name}, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

// folder returns a new owner-only folder of that name.
func (c *Cluster) folder(name string) string {
	c.t.Helper()
	dir := filepath.Join(c.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	return dir
}

// Client connects a client that ends with the test.
func (c *Cluster) Client() *engine.Client {
	c.t.Helper()
	return c.ClientWith(engine.Options{})
}

// ClientWith connects a client; Identity and Scheduler may be left to it.
func (c *Cluster) ClientWith(o engine.Options) *engine.Client {
	c.t.Helper()
	if o.Identity == nil {
		o.Identity = c.Identity(identity.Client, "tester")
	}
	if o.Scheduler == nil {
		o.Scheduler = c.Endpoint
	}
	if o.Log == nil {
		o.Log = c.opts.Log
	}
	client, err := engine.Dial(c.t.Context(), o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := client.Close(); err != nil {
			c.t.Errorf("close a client: %v", err)
		}
	})
	return client
}

// Workers returns the workers started so far.
func (c *Cluster) Workers() []*Worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Worker(nil), c.workers...)
}

// Drain has workers finish what they run, hand over what they hold, and end. The scheduler
// must be in this process.
func (c *Cluster) Drain(workers ...*Worker) {
	c.t.Helper()
	if c.srv == nil {
		c.t.Fatal("enginetest: only a scheduler in this process can be told to drain workers")
	}
	var names []string
	for _, w := range workers {
		names = append(names, w.Name)
	}
	c.srv.Drain(names, "the test says so")
}

// AddWorker starts another worker and does not wait for it to join.
func (c *Cluster) AddWorker() *Worker {
	c.t.Helper()
	c.mu.Lock()
	w := &Worker{cluster: c, Name: fmt.Sprintf("container_%d", len(c.workers)+1), Host: fmt.Sprintf("host%d", len(c.workers)+1)}
	c.workers = append(c.workers, w)
	c.mu.Unlock()
	w.dir = c.folder(w.Name)
	if c.opts.Processes {
		w.startProcess()
	} else {
		w.startHere()
	}
	return w
}
