package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/server"
	"github.com/yarnd/yarnd/engine/worker"
	"github.com/yarnd/yarnd/identity"
)

// Variables that tell this program, started again, what it is.
const (
	envRole    = "YARND_BENCH_ROLE"    // the file of a launch
	envProfile = "YARND_BENCH_PROFILE" // directory for CPU profiles; executors inherit it
)

// Roles of processes.
const (
	roleClient    = "client"
	roleScheduler = "scheduler"
	roleWorker    = "worker"
	roleStub      = "stub"      // all workers, which answer at once
	roleTLSServer = "tlsserver" // sends bytes: the bound of the data plane
	roleTLSClient = "tlsclient"
	roleSpawn     = "spawn" // starts processes in a loop
	roleRelay     = "relay" // passes messages on
	roleRelayed   = "relayclient"
)

// launch is what a process of the cluster is told, in an owner-only file.
type launch struct {
	Role       string
	Name       string
	Identities [][]byte // PEM; one, or one for each stub
	Scheduler  string   // address; the server's for a TLS client, the next one's for a relay
	Host, Pool string
	Slots      int
	Memory     uint64
	Bundle     graph.Digest
	Dir        string
	Args       []string // of the client: the command line
	Journal    string   // of the scheduler: where it keeps one
	Typed      bool     // of stubs: results are as tasks with types have them
	Bytes      uint64   // of a TLS server: to send each time
	Count      int      // of a spawner: processes each time; of a relay's client: messages
}

// note is one line that a process writes to the one that started it: when it is ready,
// and as the answer to each command.
type note struct {
	Addr    string   `json:",omitempty"` // where it listens
	Traffic *traffic `json:",omitempty"`
	Run     *run     `json:",omitempty"`
	Err     string   `json:",omitempty"`
}

// Commands, one a line on standard input, whose end ends the process.
const (
	cmdMark = "mark" // tell the traffic so far
	cmdGo   = "go"   // do it once more, and tell how it went
)

// inRole reports whether this process was started as a role or an executor, and then
// is that for the rest of its life.
func inRole() (code int, yes bool) {
	if executor.InChild() {
		stop := profile("executor")
		defer stop()
		return executor.Main(os.Args[2:], functions{engine.Funcs()}), true
	}
	file := os.Getenv(envRole)
	if file == "" {
		return 0, false
	}
	os.Unsetenv(envRole) // not for its children
	text, err := os.ReadFile(file)
	var l launch
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err == nil {
		stop := profile(l.Role)
		err = runRole(&l)
		stop()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", l.Role, err)
		return 1, true
	}
	return 0, true
}

// profile begins a CPU profile of this process if one is wanted.
func profile(role string) (stop func()) {
	dir := os.Getenv(envProfile)
	if dir == "" {
		return func() {}
	}
	f, err := os.Create(filepath.Join(dir, role+"-"+strconv.Itoa(os.Getpid())+".pprof"))
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "no profile:", err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
		}
	}
}

// host is the process's side of its conversation with the one that started it.
type host struct {
	out     *json.Encoder
	counter *counter
	ctx     context.Context // ends when standard input does
	lines   chan string
}

func newHost(in io.Reader, out io.Writer) *host {
	ctx, cancel := context.WithCancel(context.Background())
	h := &host{out: json.NewEncoder(out), counter: new(counter), ctx: ctx, lines: make(chan string)}
	go func() {
		defer cancel()
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case h.lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return h
}

// serve says that the process is ready, and answers commands until its input ends. do
// may be nil for a role that only marks.
func (h *host) serve(ready note, do func(context.Context) (*run, error)) error {
	if err := h.out.Encode(ready); err != nil {
		return err
	}
	for {
		var answer note
		select {
		case line := <-h.lines:
			switch {
			case line == cmdMark:
				now := h.counter.now()
				answer.Traffic = &now
			case line == cmdGo && do != nil:
				r, err := do(h.ctx)
				if answer.Run = r; err != nil {
					answer.Err = err.Error()
				}
			default:
				return fmt.Errorf("unknown command %q", line)
			}
		case <-h.ctx.Done():
			return nil
		}
		if err := h.out.Encode(answer); err != nil {
			return err
		}
	}
}

// stderrLog is for what a role has to say; it is shown when the run fails.
func stderrLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func runRole(l *launch) error {
	h := newHost(os.Stdin, os.Stdout)
	var ids []*identity.Identity
	for _, pem := range l.Identities {
		id, err := identity.ParsePEM(pem)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	switch l.Role {
	case roleScheduler:
		return runScheduler(h, l, ids[0])
	case roleWorker:
		return runWorker(h, l, ids[0])
	case roleStub:
		return runStubs(h, l, ids)
	case roleClient:
		return runClient(h, l, ids[0])
	case roleTLSServer:
		return runTLSServer(h, l, ids[0])
	case roleTLSClient:
		return runTLSClient(h, l, ids[0])
	case roleSpawn:
		return runSpawn(h, l)
	case roleRelay:
		return runRelay(h, l, ids[0])
	case roleRelayed:
		return runRelayClient(h, l, ids[0])
	}
	return fmt.Errorf("no role %q", l.Role)
}

func runScheduler(h *host, l *launch, id *identity.Identity) (err error) {
	ln, err := h.counter.listen()
	if err != nil {
		return err
	}
	o := server.Options{Identity: id, Listener: ln, Log: stderrLog(), Dir: l.Dir, Bundle: l.Bundle, Alone: true}
	if l.Journal != "" {
		store, forget, err := openJournal(l.Journal)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, forget()) }()
		h.counter.journal, o.Journal = store, store
	}
	srv, err := server.New(o)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(h.ctx) }()
	if err := h.serve(note{Addr: ln.Addr().String()}, nil); err != nil {
		srv.Close()
		return errors.Join(err, <-served)
	}
	return ended(<-served)
}

func runWorker(h *host, l *launch, id *identity.Identity) error {
	ln, err := h.counter.listen()
	if err != nil {
		return err
	}
	worker.TuneMemory()
	ran := make(chan error, 1)
	ctx, cancel := context.WithCancel(h.ctx)
	defer cancel()
	go func() {
		ran <- worker.Run(ctx, worker.Options{
			Identity: id, Scheduler: l.scheduler, Host: l.Host, Pool: l.Pool, Slots: l.Slots, Memory: l.Memory,
			Dir: l.Dir, WorkDir: l.Dir, Listener: ln, Dial: h.counter.dial, Bundle: l.Bundle,
			Funcs: engine.Builtins(), Adopt: true, Stdout: os.Stderr, Log: stderrLog(),
		})
	}()
	served := make(chan error, 1)
	go func() { served <- h.serve(note{}, nil) }()
	select {
	case err = <-ran: // it could not begin, or the scheduler is done with it
		return ended(err)
	case err = <-served:
		cancel()
		return errors.Join(err, ended(<-ran))
	}
}

// scheduler is for Options.Scheduler.
func (l *launch) scheduler(context.Context) (string, uint64, error) { return l.Scheduler, 1, nil }

// ended is nil for an end that was asked for.
func ended(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, server.ErrClosed) {
		return nil
	}
	return err
}
