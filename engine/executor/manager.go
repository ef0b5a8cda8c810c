package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// Options say how a worker runs tasks. The zero value has the defaults.
type Options struct {
	// Self is the path of the worker's own binary, which runs commands and the
	// functions that it holds. "" is this process's executable, even if the file
	// was replaced meanwhile.
	Self string
	// Own is the SHA-256 of that binary: classes that name it mean it, like those
	// that name none.
	Own graph.Digest
	// Bundle returns the path of an executable file with that content, fetched if
	// need be. nil: there are no bundles.
	Bundle func(context.Context, graph.Digest) (string, error)
	// Funcs are functions of the own binary that run inside this process. They must
	// be trusted: nothing guards the process from them. nil: there are none.
	Funcs Funcs
	// Inside makes the commands' executor part of this process too. Then commands
	// that leave their process group outlive it.
	Inside bool
	// Adopt says that this process starts no child processes but through the
	// manager. Then what dead executors leave behind is found and killed.
	Adopt bool

	Dir            string           // working directory of executors and commands; "" is this process's
	Host           string           // for Call.Host
	Worker         string           // for Call.Worker
	Environ        []string         // of executors; nil is this process's
	Stdout, Stderr io.Writer        // for what executors print, in whole lines; nil discards
	MemoryLimit    uint64           // bytes that this process and its descendants may take; 0 is no limit
	MaxResult      uint64           // bytes of the largest result; 0 is 4 GiB
	Grace          time.Duration    // from asking a task to end to killing it; 0 is 10 s
	StartTime      time.Duration    // an executor may take to be ready; 0 is 30 s
	IdleTime       time.Duration    // after which an unused executor is ended; 0 is 5 min
	Backoff        [2]time.Duration // before executors are started again: first and longest; 0 is 20 ms, 2 s
	Log            *slog.Logger     // nil discards
	onStart        func(pid int)    // tests
}

func (o *Options) setDefaults() {
	if o.MaxResult == 0 {
		o.MaxResult = 4 << 30
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if o.StartTime == 0 {
		o.StartTime = 30 * time.Second
	}
	if o.IdleTime == 0 {
		o.IdleTime = 5 * time.Minute
	}
	if o.Backoff[0] == 0 {
		o.Backoff[0] = 20 * time.Millisecond
	}
	if o.Backoff[1] == 0 {
		o.Backoff[1] = 2 * time.Second
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Task is an attempt to run.
type Task struct {
	ID      graph.TaskID
	Attempt graph.Attempt
	Class   *graph.Class
	Payload []byte
	Inputs  []TaskInput

	stdin *stdin // of a command with CommandSpec.Feed, while Run runs
}

// TaskInput is a result that a task needs. It must stay readable until Run
// returns.
type TaskInput struct {
	Task graph.TaskID
	Size int64
	At   io.ReaderAt
}

// Result is how an attempt ended.
type Result struct {
	Data    []byte
	Took    time.Duration  // that it ran
	Failure *graph.Failure // nil: Data is the result
	Death   *Death         // of the executor, with which the attempt ended; nil: it did not
}

// Death is the end of an executor process. All attempts that ended with it have the
// same one: told apart, the last would look as if it had died alone.
type Death struct {
	Attempts int // that ended with it; Run returns for each
}

// Manager runs tasks in executors, which it starts when they are first needed and
// again when they died. It is safe for concurrent use.
type Manager struct {
	opts   Options
	family *family
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	out    sync.Mutex // of Options.Stdout and Stderr

	mu     sync.Mutex
	slots  map[executorKey]*slot
	stdins map[attemptKey]*stdin
	all    map[*process]struct{} // that live
	usage  Usage                 // last measured
	closed bool
}

// executorKey names an executor: one process each.
type executorKey struct {
	kind   graph.Kind
	bundle graph.Digest // zero: the own binary
	inside bool         // part of this process
}

// slot is the place of an executor, whether or not there is a process.
type slot struct {
	current  *process  // takes new calls; nil: none does
	starting *starting // under way, nil: none
	deaths   int       // in a row, soon after the start
	until    time.Time // no start before
}

// starting is a start under way.
type starting struct {
	done chan struct{} // closed at its end
	err  error         // valid then
}

// NewManager returns a manager, which must be closed.
func NewManager(o Options) (*Manager, error) {
	o.setDefaults()
	f, err := newFamily(o.Adopt)
	if err != nil {
		return nil, err
	}
	m := &Manager{opts: o, family: f, slots: map[executorKey]*slot{}, stdins: map[attemptKey]*stdin{}, all: map[*process]struct{}{}}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.wg.Go(m.watch)
	return m, nil
}

// Run runs a task to its end. The end of ctx asks it to end soon: a function by its
// context, a command by SIGTERM and, after Options.Grace, SIGKILL; the failure is
// FailCancelled then. Run returns when the task has ended or its executor has.
func (m *Manager) Run(ctx context.Context, t *Task) Result {
	key := m.keyOf(t)
	if key.kind != graph.KindGo && key.kind != graph.KindCommand {
		return Result{Failure: &graph.Failure{Kind: graph.FailSetup, Message: fmt.Sprintf("this worker has no executor for tasks of kind %s", key.kind)}}
	}
	if t.feeds() {
		defer m.closeStdin(t)
		if f := m.openStdin(ctx, t); f != nil {
			return Result{Failure: f}
		}
	}
	for {
		p, err := m.get(ctx, key)
		if err != nil {
			return Result{Failure: m.notStarted(ctx, t, err)}
		}
		r, ok := p.run(ctx, t)
		if ok {
			return r
		}
		// The executor ended before the task reached it.
	}
}

// keyOf tells which executor runs t.
func (m *Manager) keyOf(t *Task) executorKey {
	c := t.Class
	if c.Kind != graph.KindGo {
		return executorKey{kind: c.Kind, inside: m.opts.Inside}
	}
	if c.Bundle.IsZero() || c.Bundle == m.opts.Own {
		inside := false
		if m.opts.Funcs != nil {
			_, inside = m.opts.Funcs.Lookup(c.Name)
		}
		return executorKey{kind: c.Kind, inside: inside}
	}
	return executorKey{kind: c.Kind, bundle: c.Bundle}
}

// notStarted is the failure of a task that found no executor.
func (m *Manager) notStarted(ctx context.Context, t *Task, err error) *graph.Failure {
	if ctx.Err() != nil || m.ctx.Err() != nil {
		return &graph.Failure{Kind: graph.FailCancelled, Message: "the task did not start: " + err.Error()}
	}
	f := &graph.Failure{Kind: graph.FailSetup, Message: fmt.Sprintf("no executor for %s: %v", t.Class.Name, err)}
	if s, ok := errors.AsType[*startError](err); ok {
		f.Output, f.ExitCode = s.output, int32(s.code)
	}
	return f
}

// startError is a start that failed.
type startError struct {
	err    error
	code   int    // exit code
	output []byte // tail of standard error
}

func (e *startError) Error() string { return e.err.Error() + lastLine(e.output) }
func (e *startError) Unwrap() error { return e.err }

// get returns a living executor, and waits for its start when there is none.
func (m *Manager) get(ctx context.Context, key executorKey) (*process, error) {
	for {
		m.mu.Lock()
		if m.closed {
			m.mu.Unlock()
			return nil, errFamilyClosed
		}
		s := m.slots[key]
		if s == nil {
			s = &slot{}
			m.slots[key] = s
		}
		if s.current != nil {
			defer m.mu.Unlock()
			return s.current, nil
		}
		if s.starting == nil {
			st := &starting{done: make(chan struct{})}
			s.starting = st
			m.wg.Go(func() { m.start(key, s, st) })
		}
		st := s.starting
		m.mu.Unlock()
		select {
		case <-st.done:
			if st.err != nil {
				return nil, st.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// startTries is how many starts must fail in a row before waiting tasks fail.
const startTries = 3

// start fills a slot, with a pause after each death and failure.
func (m *Manager) start(key executorKey, s *slot, st *starting) {
	var p *process
	var err error
	for range startTries {
		m.mu.Lock()
		wait := time.Until(s.until)
		m.mu.Unlock()
		if !pause(m.ctx, max(wait, 0)) {
			err = errFamilyClosed
			break
		}
		if p, err = m.launch(key); err == nil {
			break
		}
		m.opts.Log.Warn("executor did not start", "executor", key.String(), "err", err)
		m.mu.Lock()
		m.penalize(s)
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	st.err = err
	s.starting = nil
	if err == nil && !p.isGone() {
		s.current = p
	}
	close(st.done)
}

// penalize puts off the slot's next start. Called with the lock.
func (m *Manager) penalize(s *slot) {
	d := min(m.opts.Backoff[0]<<min(s.deaths, 20), m.opts.Backoff[1])
	s.deaths++
	s.until = time.Now().Add(d)
}

// healthyAfter is how long an executor must have lived for its death to be
// forgotten.
const healthyAfter = 5 * time.Second

// retire takes p out of its slot, so that it gets no more calls.
func (m *Manager) retire(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.slots[p.key]; s != nil && s.current == p {
		s.current = nil
	}
}

// ended is told when p is gone for good.
func (m *Manager) ended(p *process, expected bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, p)
	s := m.slots[p.key]
	if s == nil {
		return
	}
	if s.current == p {
		s.current = nil
	}
	if !expected {
		if time.Since(p.started) > healthyAfter {
			s.deaths = 0
		}
		m.penalize(s)
	}
}

// String names the executor in logs and in the prefix of what it prints.
func (k executorKey) String() string {
	switch {
	case !k.bundle.IsZero():
		return k.kind.String() + "-" + k.bundle.String()[:8]
	case k.inside:
		return k.kind.String() + "-inside"
	}
	return k.kind.String()
}

// closeTime is how long executors have to end when the manager is closed.
const closeTime = 2 * time.Second

// Close ends all executors and the tasks in them, without Options.Grace, and waits.
// It waits for ever for a function inside this process that does not end. It may be
// called many times.
func (m *Manager) Close() error {
	m.mu.Lock()
	m.closed = true
	live := make([]*process, 0, len(m.all))
	for p := range m.all {
		live = append(live, p)
	}
	m.mu.Unlock()
	m.cancel()
	for _, p := range live {
		p.end()
		time.AfterFunc(closeTime, p.kill) // nothing happens if it has ended
	}
	for _, p := range live {
		<-p.done
	}
	m.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	m.family.killStrays(ctx, nil)
	m.family.close()
	return nil
}

// Executors returns the processes that live: pids by name.
func (m *Manager) Executors() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	pids := map[string]int{}
	for p := range m.all {
		if p.cmd != nil {
			pids[p.key.String()] = p.cmd.Process.Pid
		}
	}
	return pids
}
