package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// Why a call's context ends.
var (
	errCancelled = errors.New("the task is no longer wanted")
	errMemory    = errors.New("the task took more memory than its worker has")
	errTime      = errors.New("the time limit passed")
	errLeaving   = errors.New("the executor ends")
)

// child is the executor's side of the protocol: it runs what the worker sends.
type child struct {
	funcs  Funcs
	family *family // starts commands
	out    *reporter
	set    setup
	page   page
	ctx    context.Context // ends with serve
	in     *frameReader    // of who reads
	own    *run            // to be run by who reads
	relief relief
	over   chan error // capacity 1: why nobody reads any more

	mu     sync.Mutex
	pool   pool
	inputs map[uint64][]runInput // that came before their call's row
	reads  map[uint64]chan piece // by read id
	next   uint64                // read id
	wg     sync.WaitGroup        // goroutines of the pool, and the sweeper

	// of commands
	environ  []string      // of this process
	keep     time.Duration // see keepTime
	ooms     oomCount
	programs programs
	plans    map[string]*plan            // by their classes' Spec
	waiters  []*waiter                   // that nobody uses
	tasks    map[string]bool             // commands that run, as taskMark names them
	commands map[uint64]*command         // the same, by call; nil: it is being started
	early    map[uint64][]syscall.Signal // for those
	insides  map[uint64]*Inside          // of calls that asked for theirs
	parked   int                         // of those
	ended    chan struct{}               // capacity 1: a command ended since the last sweep
}

// piece answers a read.
type piece struct {
	data []byte
	err  error
}

// mapper gives the page that the worker reads, once the number of its slots is known.
type mapper func(slots int) (page, error)

// serve runs what comes from in until it ends, then cancels what still runs and
// waits for it. The error is nil when the worker closed in. Those who wait for commands
// may keep their processors for so long.
func serve(in io.Reader, out io.Writer, funcs Funcs, f *family, pages mapper, keep time.Duration) error {
	c := &child{
		funcs: funcs, family: f, out: &reporter{pipe: frameWriter{w: out}, kick: make(chan struct{}, 1)},
		inputs:   map[uint64][]runInput{},
		environ:  os.Environ(),
		keep:     keep,
		plans:    map[string]*plan{},
		tasks:    map[string]bool{},
		commands: map[uint64]*command{}, early: map[uint64][]syscall.Signal{},
		reads: map[uint64]chan piece{},
		in:    &frameReader{r: in, max: maxToExecutor}, over: make(chan error, 1),
		insides: map[uint64]*Inside{}, ended: make(chan struct{}, 1),
	}
	defer c.closeWaiters()
	defer c.wg.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.ctx = ctx
	c.wg.Go(func() { c.sweep(ctx) })
	c.wg.Go(func() { c.out.run(ctx) })
	defer c.leave()
	if err := c.greet(c.in, pages); err != nil {
		return err
	}
	c.wg.Go(c.read)
	if err := <-c.over; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func (c *child) greet(r *frameReader, pages mapper) error {
	k, body, err := r.next(nil)
	if err != nil {
		return err
	}
	if k != kindSetup {
		return protocolError(fmt.Sprintf("frame %d before setup", k))
	}
	if err := json.Unmarshal(body, &c.set); err != nil {
		return protocolError("setup: " + err.Error())
	}
	if c.set.Version != version {
		return protocolError(fmt.Sprintf("the worker speaks version %d, this bundle %d: build it with the worker's version of yarnd", c.set.Version, version))
	}
	all, err := pages(c.set.Slots + c.set.Parked)
	if err != nil {
		return err
	}
	n := min(len(all), c.set.Slots+c.set.Parked)
	if c.page = all[:n:n]; c.funcs == nil {
		c.out.note(all[n:])
	}
	return c.out.write(kindReady, func(b []byte) []byte {
		j, _ := json.Marshal(ready{Version: version, Pid: os.Getpid()})
		return append(b, j...)
	})
}

// handle does one frame. It never waits for a call: the worker relies on being
// read.
func (c *child) handle(k kind, body []byte) error {
	switch k {
	case kindRuns:
		r, err := parseRuns(body)
		if err != nil {
			return err
		}
		c.begin(r)
	case kindInputs:
		call, inputs, err := parseInputsOf(body)
		if err != nil {
			return err
		}
		c.inputs[call] = append(c.inputs[call], inputs...)
	case kindRecall:
		calls, err := parseCalls(body)
		if err != nil {
			return err
		}
		c.recall(calls)
	case kindStop:
		call, reason, err := parseStop(body)
		if err != nil {
			return err
		}
		c.stop(call, reason)
	case kindSignal:
		call, sig, err := parseStop(body) // it looks the same
		if err != nil {
			return err
		}
		c.signal(call, syscall.Signal(sig))
	case kindResume:
		call, err := parseCall(body)
		if err != nil {
			return err
		}
		if in := c.insideOf(call); in != nil {
			in.resume()
		}
	case kindNested:
		call, n, err := parseNested(body)
		if err != nil {
			return err
		}
		if in := c.insideOf(call); in != nil {
			in.receive(n)
		}
	case kindData:
		id, ok, data, err := parseData(body)
		if err != nil {
			return err
		}
		c.answer(id, ok, data)
	default:
		return protocolError(fmt.Sprintf("frame %d", k))
	}
	return nil
}

// begin queues calls.
func (c *child) begin(r *runs) {
	calls := make([]run, len(r.rows))
	for i := range calls {
		k := &calls[i]
		k.runRow, k.class = r.rows[i], &r.classes[r.rows[i].class]
		n := k.runRow.inputs
		k.inputs, r.inputs = r.inputs[:n:n], r.inputs[n:]
		if before, ok := c.inputs[k.call]; ok {
			k.inputs = append(before, k.inputs...)
			delete(c.inputs, k.call)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pool.limit = int(r.limit)
	for i := range calls {
		c.pool.queue.push(&calls[i])
	}
	c.takeOwn()
	c.dispatch()
}

// stop ends a call, whether it runs or not.
func (c *child) stop(id uint64, reason byte) {
	cause := errCancelled
	if reason == stopMemory {
		cause = errMemory
	}
	c.mu.Lock()
	for _, k := range c.pool.running {
		if k != nil && k.call == id {
			c.mu.Unlock()
			k.ctx.end(cause)
			return
		}
	}
	removed := c.pool.queue.remove(func(k *run) bool { return k.call == id })
	c.dispatch() // it may have been in the way
	c.mu.Unlock()
	for _, k := range removed {
		k.ctx.end(cause)
		c.fail(k, &graph.Failure{Kind: graph.FailCancelled, Message: k.class.name + " had not begun"}, 0)
	}
}

// recall gives back the calls that have not begun.
func (c *child) recall(calls []uint64) {
	wanted := make(map[uint64]bool, len(calls))
	for _, id := range calls {
		wanted[id] = true
	}
	c.mu.Lock()
	removed := c.pool.queue.remove(func(k *run) bool { return wanted[k.call] })
	c.dispatch()
	c.mu.Unlock()
	for _, k := range removed {
		delete(wanted, k.call)
	}
	ok := make([]bool, len(calls))
	for i, id := range calls {
		ok[i] = !wanted[id]
	}
	c.out.write(kindRecalled, func(b []byte) []byte { return appendRecalled(b, calls, ok) }) //nolint:errcheck // the worker is gone
}

// leave cancels everything.
func (c *child) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pool.close()
	for _, k := range c.pool.running {
		if k != nil {
			k.ctx.end(errLeaving)
		}
	}
}

func (c *child) insideOf(call uint64) *Inside {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.insides[call]
}

// fetch reads a piece of an input from the worker.
func (c *child) fetch(ctx context.Context, r read) ([]byte, error) {
	return c.ask(ctx, kindRead, func(b []byte, id uint64) []byte {
		r.id = id
		return appendRead(b, r)
	})
}

// ask asks the worker for a piece of something.
func (c *child) ask(ctx context.Context, k kind, body func(b []byte, id uint64) []byte) ([]byte, error) {
	answer := make(chan piece, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.reads[id] = answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.reads, id)
	}()
	if err := c.out.write(k, func(b []byte) []byte { return body(b, id) }); err != nil {
		return nil, err
	}
	c.relieve()
	select {
	case p := <-answer:
		return p.data, p.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *child) answer(id uint64, ok bool, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := c.reads[id]
	if answer == nil {
		return // its call ended
	}
	delete(c.reads, id)
	if ok {
		answer <- piece{data: data}
	} else {
		answer <- piece{err: errors.New(string(data))}
	}
}
