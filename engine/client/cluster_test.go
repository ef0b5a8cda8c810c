package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/server"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

var authority = sync.OnceValue(func() *identity.CA {
	ca, err := identity.NewCA(identity.NewSeed(), "local_1_0001")
	if err != nil {
		panic(err)
	}
	return ca
})

func newIdentity(t testing.TB, role identity.Role, name string) *identity.Identity {
	t.Helper()
	id, err := authority().NewIdentity(identity.Subject{App: authority().App(), Role: role, Name: name}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// cluster is a real scheduler with scripted workers.
type cluster struct {
	t   testing.TB
	srv *server.Server
}

func startCluster(t testing.TB, o server.Options) *cluster {
	t.Helper()
	o.Identity = newIdentity(t, identity.Scheduler, "c0")
	o.Address = "127.0.0.1:0"
	srv, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(context.Background()) }()
	t.Cleanup(func() { srv.Close(); <-served })
	return &cluster{t: t, srv: srv}
}

func (c *cluster) endpoint(context.Context) (string, uint64, error) {
	return c.srv.Addr().String(), 1, nil
}

func (c *cluster) client(o client.Options) *client.Client {
	c.t.Helper()
	if o.Scheduler == nil {
		o.Scheduler = c.endpoint
	}
	return dial(c.t, o)
}

func dial(t testing.TB, o client.Options) *client.Client {
	t.Helper()
	if o.Identity == nil {
		o.Identity = newIdentity(t, identity.Client, "alice")
	}
	cl, err := client.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cl.Close() })
	return cl
}

// worker is a scripted worker: the task's payload says what it does.
//
//	"…"          the result is the payload
//	"big N …"    a result of N bytes, kept by the worker
//	"fail …"     a failure of user code
//	"wait …"     runs until go() is called
type worker struct {
	t    testing.TB
	conn *wire.Conn
	ln   net.Listener

	mu      sync.Mutex
	results map[held][]byte
	ran     map[graph.TaskID]int
	waiting []wire.Result
}

type held struct {
	graph.TaskID
	graph.Attempt
}

func (c *cluster) worker(name string) *worker {
	c.t.Helper()
	id := newIdentity(c.t, identity.Worker, name)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	w := &worker{t: c.t, ln: ln, results: map[held][]byte{}, ran: map[graph.TaskID]int{}}
	data := transfer.NewServer(w, transfer.ServerOptions{})
	tls := id.Server(identity.Client, identity.Worker)
	tls.NextProtos = []string{transfer.Protocol}
	accepted := make(chan struct{})
	go func() { defer close(accepted); _ = data.Accept(ln, tls) }()
	w.conn, _, err = wire.Dial(c.t.Context(), c.srv.Addr().String(), id.Client(identity.Scheduler, ""), &wire.Hello{
		Who: &wire.Hello_Worker{Worker: &wire.WorkerHello{Name: name, Host: "host-" + name, Slots: 4, Memory: 1 << 30, DataAddress: ln.Addr().String()}},
	}, wire.ConnOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	w.send(wire.KindInventory, &wire.Held{})
	ended := make(chan struct{})
	go func() { defer close(ended); w.run() }()
	c.t.Cleanup(func() { w.conn.Close(); <-ended; data.Close(); <-accepted })
	return w
}

func (w *worker) OpenResult(id graph.TaskID, a graph.Attempt) (transfer.Object, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	data, ok := w.results[held{id, a}]
	if !ok {
		return nil, transfer.ErrNotFound
	}
	return transfer.Bytes(data), nil
}

func (w *worker) OpenBundle(graph.Digest) (io.ReadCloser, int64, error) {
	return nil, 0, transfer.ErrNotFound
}

// lose forgets all results, as a worker might that was restarted.
func (w *worker) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.results)
}

func (w *worker) runs(id graph.TaskID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ran[id]
}

func (w *worker) freed(id graph.TaskID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for h := range w.results {
		if h.TaskID == id {
			return false
		}
	}
	return true
}

// proceed ends the tasks that wait.
func (w *worker) proceed() {
	w.mu.Lock()
	done := &wire.Done{}
	for _, r := range w.waiting {
		done.Add(r)
	}
	w.waiting = nil
	w.mu.Unlock()
	w.send(wire.KindDone, done)
}

func (w *worker) waits() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting)
}

func (w *worker) send(k wire.Kind, m proto.Message) {
	_ = w.conn.Send(context.Background(), k, m) // the test misses what it says
}

func (w *worker) run() {
	for {
		_, m, err := w.conn.Next()
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *wire.Assign:
			w.assign(m)
		case *wire.Tasks:
			w.drop(m)
		}
	}
}

func (w *worker) drop(m *wire.Tasks) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range m.Len() {
		id, a := m.At(i)
		delete(w.results, held{id, a})
	}
}

func (w *worker) assign(m *wire.Assign) {
	done, failed, started := &wire.Done{}, &wire.Failed{}, &wire.Tasks{}
	w.mu.Lock()
	for i := range m.Len() {
		a := m.At(i)
		w.ran[a.Task]++
		started.Add(a.Task, a.Attempt)
		word, rest, _ := strings.Cut(string(a.Payload), " ")
		r := wire.Result{Task: a.Task, Attempt: a.Attempt, Duration: 1}
		switch word {
		case "big":
			size, _, _ := strings.Cut(rest, " ")
			n, err := strconv.Atoi(size)
			if err != nil {
				panic(err)
			}
			w.keep(done, r, bytes.Repeat([]byte{byte(a.Task.Index)}, n))
		case "fail":
			failed.Failure = append(failed.Failure, wire.FailureToWire(a.Task, a.Attempt, &graph.Failure{Kind: graph.FailUser, Message: rest, Stack: "at line 1", Host: "h"}))
		case "wait":
			r.IsInline, r.Inline = true, []byte(rest)
			w.waiting = append(w.waiting, r)
		default:
			w.keep(done, r, bytes.Clone(a.Payload))
		}
	}
	w.mu.Unlock()
	w.send(wire.KindStarted, started)
	if done.Len() > 0 {
		w.send(wire.KindDone, done)
	}
	if len(failed.Failure) > 0 {
		w.send(wire.KindFailed, failed)
	}
}

// keep reports a result: small ones go along, others stay here.
func (w *worker) keep(done *wire.Done, r wire.Result, data []byte) {
	if r.IsInline = len(data) <= wire.MaxInline; r.IsInline {
		r.Inline = data
	} else {
		w.results[held{r.Task, r.Attempt}] = data
	}
	r.Size = uint64(len(data))
	done.Add(r)
}

// ---- shorthand -------------------------------------------------------------------

var class = &graph.Class{Name: "f", Kind: graph.KindGo}

func unnamed(t testing.TB, c *client.Client) *client.Job {
	t.Helper()
	j, err := c.Unnamed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func submit(t testing.TB, j *client.Job, payload string, deps ...graph.TaskID) uint32 {
	t.Helper()
	i, err := j.Submit(t.Context(), &client.Task{Class: j.Class(class), Payload: []byte(payload), Deps: deps})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func wantResult(t testing.TB, j *client.Job, index uint32, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, _, err := j.Result(ctx, index)
	if err != nil || string(got) != want {
		t.Fatalf("result of task %d: %.40q, %v; want %.40q", index, got, err, want)
	}
}

func wantError(t testing.TB, j *client.Job, index uint32, want error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got, _, err := j.Result(ctx, index); !errors.Is(err, want) {
		t.Fatalf("result of task %d: %.40q, %v; want %v", index, got, err, want)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(time.Millisecond) // between looks at a condition
	}
}
