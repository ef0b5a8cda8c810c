package executor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
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
	// Report is told what became of tasks, in batches, from several goroutines but
	// never twice at once for one executor. It may wait a little, which holds up that
	// executor, and must not call Close. The slice is valid until it returns. nil: nobody
	// is told.
	Report func([]Report)
	// Sink returns where the result of a task goes that comes in pieces, with its size
	// in bytes, or why there is no room for it. It is called from several goroutines and
	// may take its time, which holds up that executor. nil: results are held in memory.
	Sink func(t *Task, size uint64) (Sink, *graph.Failure)
	// Nested is told what clients within tasks say to the scheduler, in order; Manager.Nested
	// answers. It is called from several goroutines, and must not wait. Data is valid until
	// it returns. nil: nobody is told.
	Nested func(*Task, Nested)
	// Result returns a reader of a result that a task asks for. It must not wait; reads may.
	// nil: there are none.
	Result func(*Task, ResultAt) io.ReaderAt
	// Slots is the most that tasks of one place take at once; 0 is twice the number
	// of CPUs.
	Slots int
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
	if o.Slots == 0 {
		o.Slots = 2 * runtime.NumCPU()
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

// Manager runs tasks in executors, which it starts when they are first needed and
// again when they died. It is safe for concurrent use.
type Manager struct {
	opts   Options
	family *family
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	out    sync.Mutex // of Options.Stdout and Stderr

	still   atomic.Bool   // watch rests
	stirred chan struct{} // capacity 1: it is to go on

	mu     sync.Mutex
	places map[executorKey]Place
	slots  []*slot // by place
	stdins map[attemptKey]*stdin
	all    map[*process]struct{} // that live
	usage  Usage                 // last measured
	closed bool
}

// Place is where tasks of a class run: those of one place share an executor.
type Place int

// executorKey names an executor: one process each.
type executorKey struct {
	kind   graph.Kind
	bundle graph.Digest // zero: the own binary
	inside bool         // part of this process

	// of interpreters, see pythonKey
	python string // what they are
	slots  int    // that a call takes
	bad    string // why there can be none
}

// slot is a place: what is there of an executor, whether or not there is a process.
//
// Locks are taken in the order Manager.mu, process.mu.
type slot struct {
	key      executorKey
	current  *process   // takes new calls; nil: none does
	pool     []*process // interpreters, instead
	starts   int        // of interpreters that are under way
	limit    int        // slots that its tasks may take at once; 0 is Options.Slots
	live     int        // processes, current and those that only end their calls
	waiting  []*Task    // for the start of one
	starting bool       // one is under way
	deaths   int        // in a row, soon after the start
	until    time.Time  // no start before
}

// NewManager returns a manager, which must be closed.
func NewManager(o Options) (*Manager, error) {
	o.setDefaults()
	f, err := newFamily(o.Adopt, true)
	if err != nil {
		return nil, err
	}
	m := &Manager{opts: o, family: f, places: map[executorKey]Place{}, stdins: map[attemptKey]*stdin{}, all: map[*process]struct{}{}, stirred: make(chan struct{}, 1)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.wg.Go(m.watch)
	return m, nil
}

// Place tells where tasks of a class run.
func (m *Manager) Place(c *graph.Class) Place {
	key := m.keyOf(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.places[key]
	if !ok {
		p = Place(len(m.slots))
		m.places[key] = p
		m.slots = append(m.slots, &slot{key: key})
	}
	return p
}

// keyOf tells which executor runs tasks of a class.
func (m *Manager) keyOf(c *graph.Class) executorKey {
	if c.Kind == graph.KindPython {
		return pythonKey(c)
	}
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

// Run hands tasks to their executors, which begin those of a place in this order. It
// does not wait. Each task's end is reported.
func (m *Manager) Run(tasks []*Task) {
	var now turn
	m.mu.Lock()
	for _, t := range tasks {
		m.slots[t.Place].limit = t.Limit
		if f := m.refuses(t); f != nil {
			now.end(t, Result{Failure: f})
		} else if t.feeds() {
			m.runFed(t)
		} else {
			m.enqueue(t, &now)
		}
	}
	m.settle(&now)
	m.mu.Unlock()
	m.do(&now)
	m.stir()
}

func (m *Manager) refuses(t *Task) *graph.Failure {
	switch key := &m.slots[t.Place].key; {
	case m.closed:
		return &graph.Failure{Kind: graph.FailCancelled, Message: "the task did not start: " + errFamilyClosed.Error()}
	case key.bad != "":
		return &graph.Failure{Kind: graph.FailUser, Message: t.Class.Name + ": " + key.bad}
	case key.kind != graph.KindGo && key.kind != graph.KindCommand && key.kind != graph.KindPython:
		return &graph.Failure{Kind: graph.FailSetup, Message: fmt.Sprintf("this worker has no executor for tasks of kind %s", key.kind)}
	}
	return nil
}

// turn is what is to be done when the locks are free again.
type turn struct {
	reports []Report
	kick    []*process // have something to write
	shares  []*slot    // have calls for interpreters; settle does
}

func (n *turn) end(t *Task, r Result) {
	n.reports = append(n.reports, Report{Task: t, Result: r})
}

// reset empties n and keeps its memory.
func (n *turn) reset() {
	clear(n.reports)
	clear(n.kick)
	n.reports, n.kick = n.reports[:0], n.kick[:0]
}

func (m *Manager) do(n *turn) {
	for _, p := range n.kick {
		p.wake()
	}
	m.report(n.reports)
}

func (m *Manager) report(reports []Report) {
	for i := range reports {
		if what := reports[i].What; what == Parks || what == Returns {
			continue
		}
		if t := reports[i].Task; t.sink != nil && reports[i].Sink == nil {
			t.sink.abort()
		}
		if r := &reports[i]; r.What != Kept && r.Task.stdin != nil {
			m.closeStdin(r.Task)
		}
	}
	if len(reports) > 0 && m.opts.Report != nil {
		m.opts.Report(reports)
	}
}

// enqueue gives t to its place's executor, or to the one that is being started.
// Called with the lock.
func (m *Manager) enqueue(t *Task, n *turn) {
	s := m.slots[t.Place]
	switch {
	case t.stopped || m.closed:
		n.end(t, Result{Failure: &graph.Failure{Kind: graph.FailCancelled, Message: t.Class.Name + " had not begun"}})
		return
	case t.recall:
		t.recall = false
		n.reports = append(n.reports, Report{Task: t, What: Recalled})
		return
	}
	if s.key.kind == graph.KindPython {
		t.in = nil
		s.waiting = append(s.waiting, t)
		n.share(s)
		return
	}
	if p := s.current; p != nil {
		if p.hand(t, m.limit(s, p)) {
			n.wakes(p)
			return
		}
		s.current = nil
	}
	t.in = nil
	s.waiting = append(s.waiting, t)
	if !s.starting {
		s.starting = true
		m.wg.Go(func() { m.start(s) })
	}
}

// limit is how many slots p may take, where its place may take so many: less those that
// processes have which only end their calls.
func (m *Manager) limit(s *slot, p *process) int {
	of := s.limit
	if of == 0 {
		of = m.opts.Slots
	}
	if s.live > 1 {
		for q := range m.all {
			if q != p && q.key == s.key {
				of -= q.taken()
			}
		}
	}
	return max(1, of)
}

// Stop asks a task to end soon: a function by its context, a command by SIGTERM and,
// after Options.Grace, SIGKILL; the failure is FailCancelled then. One that has not
// begun never does.
func (m *Manager) Stop(t *Task) {
	var n turn
	m.mu.Lock()
	t.stopped = true
	switch {
	case t.in != nil:
		if t.in.stop(t, stopCancelled) {
			n.kick = append(n.kick, t.in)
		}
	case t.feeding != nil:
		t.feeding(errCancelled)
	default:
		m.unqueue(t, func() { n.end(t, Result{Failure: m.notStarted(t, errCancelled)}) })
	}
	m.mu.Unlock()
	m.do(&n)
}

// Recall asks for tasks back that have not begun. Each is answered by a report, Recalled
// or Kept, unless it has ended.
func (m *Manager) Recall(tasks []*Task) {
	var n turn
	m.mu.Lock()
	for _, t := range tasks {
		switch {
		case t.recall:
		case t.in != nil:
			t.recall = true
			if t.in.recall(t, false) {
				n.kick = append(n.kick, t.in)
			}
		case t.feeding != nil:
			n.reports = append(n.reports, Report{Task: t, What: Kept})
		default:
			m.unqueue(t, func() { n.reports = append(n.reports, Report{Task: t, What: Recalled}) })
		}
	}
	m.mu.Unlock()
	m.do(&n)
}

// unqueue takes a task from those that wait for an executor. Called with the lock.
func (m *Manager) unqueue(t *Task, found func()) {
	s := m.slots[t.Place]
	if i := slices.Index(s.waiting, t); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
		found()
	}
}

// Begun says that a task which was given Ahead has begun, or is about to.
func (m *Manager) Begun(t *Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t.Ahead = false; t.in != nil {
		t.in.begun(t)
	}
}

// healthyAfter is how long an executor must have lived for its death to be
// forgotten.
const healthyAfter = 5 * time.Second

// retire takes p out of its slot, so that it gets no more calls.
func (m *Manager) retire(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.place.forget(p)
}

// forget gives p no more calls. Called with Manager.mu.
func (s *slot) forget(p *process) {
	if s.current == p {
		s.current = nil
	}
	s.pool = slices.DeleteFunc(s.pool, func(q *process) bool { return q == p })
}

// expire ends an executor that nothing has used for a while.
func (m *Manager) expire(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.mu.Lock()
	idle := !p.gone && p.calls.count == 0
	p.mu.Unlock()
	if idle { // and stays so: nobody hands it anything without the lock
		p.place.forget(p)
		if !p.expected.Load() {
			p.shutdown()
		}
	}
}

// ended is told when p is gone for good. Tasks that it had not begun go to the next.
func (m *Manager) ended(p *process, expected bool, spared []*Task, n *turn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, p)
	s := p.place
	s.live--
	s.forget(p)
	if !expected {
		if time.Since(p.started) > healthyAfter {
			s.deaths = 0
		}
		m.penalize(s)
	}
	for _, t := range spared {
		m.enqueue(t, n)
	}
	m.settle(n)
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

// Close ends all executors and the tasks in them, without Options.Grace, and waits:
// when it returns, the end of every task has been reported.
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
		p.shutdown()
		time.AfterFunc(closeTime, p.kill) // nothing happens if it has ended
	}
	for _, p := range live {
		<-p.done
	}
	m.wg.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	m.family.killStrays(ctx, true, nil)
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
			name := p.key.String()
			if _, taken := pids[name]; taken { // an interpreter
				name = fmt.Sprintf("%s %d", name, p.cmd.Process.Pid)
			}
			pids[name] = p.cmd.Process.Pid
		}
	}
	return pids
}
