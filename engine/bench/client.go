package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/identity"
)

// run is how one run went, as the client saw it.
type run struct {
	Tasks int
	Wall  float64 // seconds from the first submit to the last result
	Sum   uint64  // of the values of the tasks that nobody needs
	// Latency is of each task from its submission to its result, in nanoseconds, or of
	// each transfer.
	Latency  []int64 `json:",omitempty"`
	Moved    uint64  // bytes of results on the data plane, where that is the figure
	MoveTime float64 // seconds that took
	// Records and Bytes are of the rows that were shuffled, or of the words that were
	// counted and their text.
	Records, Bytes uint64
	// HeapPerFuture and RSSPerFuture are bytes of this process.
	HeapPerFuture, RSSPerFuture float64
}

// fetches is how many results are fetched at once, as Batch does.
const fetches = 8

// warmTasks is how many tasks each slot gets before anything is measured.
const warmTasks = 8

// warmPart is the part of the records of a shuffle, one of so many, that is shuffled
// before anything is measured.
const warmPart = 20

// driver is the client's process.
type driver struct {
	o     options
	w     *workload
	inner *client.Client
	typed *engine.Client
	uses  lastUses // of the graph

	python *engine.Task[uint64, uint64]
}

// runClient waits for the workers, warms up, and runs the workload whenever it is told.
func runClient(h *host, l *launch, id *identity.Identity) error {
	o, err := parseOptions(l.Args, nil)
	if err != nil {
		return err
	}
	d := &driver{o: o}
	if d.w, err = load(o); err != nil {
		return err
	}
	if d.w.source != nil {
		d.uses = lastUsesOf(d.w.source)
	}
	if err := forgetPeak(); err != nil {
		return err
	}
	copts := client.Options{Identity: id, Scheduler: l.scheduler, Dial: h.counter.dial, Log: stderrLog(), User: "bench"}
	if d.inner, err = client.Dial(h.ctx, copts); err != nil {
		return err
	}
	defer d.inner.Close()
	if d.usesTypes() {
		if d.typed, err = engine.Dial(h.ctx, copts); err != nil {
			return err
		}
		defer d.typed.Close()
	}
	if d.w.kind == kindPython {
		if err := d.definePython(l.Dir); err != nil {
			return err
		}
	}
	if err := d.inner.WaitWorkers(h.ctx, o.workers); err != nil {
		return err
	}
	if err := d.warm(h.ctx); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	return h.serve(note{}, d.run)
}

// forgetPeak has the most memory of this process counted from now on: what it took to
// read a graph's file is not of the engine (clear_refs in proc_pid_clear_refs(5)).
func forgetPeak() error {
	debug.FreeOSMemory()
	return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

func (d *driver) usesTypes() bool {
	switch d.w.kind {
	case kindCommands, kindFutures, kindRows, kindWords, kindPython:
		return true
	}
	return d.o.api != apiInner
}

// warm has every slot's executor started and every connection made.
func (d *driver) warm(ctx context.Context) error {
	n := warmTasks * d.o.workers * d.o.slots
	switch d.w.kind {
	case kindIdle:
		return nil
	case kindCommands:
		_, err := d.commands(ctx, n)
		return err
	case kindRows:
		_, err := d.shuffleRows(ctx, max(1, d.o.rows/warmPart))
		return err
	case kindWords:
		_, err := d.countText(ctx, warmPart)
		return err
	case kindPython:
		_, err := d.callPython(ctx, n)
		return err
	}
	warm := *d
	warm.w = &workload{shape{kind: kindGraph}, &shaped{n: n, us: 1000, bytes: valueLen, depsOf: noDeps}}
	warm.uses = make(lastUses, n)
	if d.o.api == apiRange {
		warm.o.api = apiTyped // its tasks take a while
	}
	_, err := warm.run(ctx)
	return err
}

// run runs the workload once.
func (d *driver) run(ctx context.Context) (*run, error) {
	switch {
	case d.w.kind == kindIdle:
		return d.idle(ctx)
	case d.w.kind == kindCommands:
		return d.commands(ctx, d.o.tasks)
	case d.w.kind == kindFutures:
		return d.futures(ctx)
	case d.w.kind == kindRows:
		return d.shuffleRows(ctx, d.o.rows)
	case d.w.kind == kindWords:
		return d.countText(ctx, 1)
	case d.w.kind == kindPython:
		return d.callPython(ctx, d.o.tasks)
	case d.o.api != apiInner:
		return d.runTyped(ctx)
	}
	job, err := d.inner.Unnamed(ctx)
	if err != nil {
		return nil, err
	}
	s := newSubmitter(d, job)
	var r *run
	switch d.w.kind {
	case kindSteps:
		r, err = s.steps(ctx)
	case kindGather:
		r, err = s.gather(ctx)
	case kindAcks:
		r, err = s.acks(ctx)
	default:
		r, err = s.whole(ctx)
	}
	if err != nil {
		return nil, err
	}
	r.Tasks = d.w.source.len()
	return r, job.Close(ctx) // the next run has a job of its own
}

func (d *driver) idle(ctx context.Context) (*run, error) {
	began := time.Now()
	t := time.NewTimer(d.o.window)
	defer t.Stop()
	select {
	case <-t.C:
		return &run{Wall: time.Since(began).Seconds()}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// submitter gives a graph's tasks to one job.
type submitter struct {
	d       *driver
	job     *client.Job
	base    uint32 // the job's index of task 0
	payload []byte
	deps    []uint32
	counts  []uint64
	ids     []graph.TaskID
	free    []uint32 // indices in the job, to be let go of
	class   [2]client.Class

	mu      sync.Mutex
	ended   []uint32      // tasks, not looked at yet
	changed chan struct{} // capacity 1
}

func newSubmitter(d *driver, job *client.Job) *submitter {
	s := &submitter{d: d, job: job, changed: make(chan struct{}, 1)}
	for i := range s.class {
		c := graph.Class{Name: taskName, Kind: graph.KindGo}
		if d.w.pools {
			c.Pool = poolName(i)
		}
		s.class[i] = job.Class(&c)
	}
	return s
}

// poolName is the pool of worker i in a shape with pools.
func poolName(i int) string { return fmt.Sprintf("bench-%d", i%2) }

// submit gives task i to the scheduler; told says that its end is of interest.
func (s *submitter) submit(ctx context.Context, i int, told bool) error {
	src := s.d.w.source
	t := src.at(i)
	s.deps = src.deps(i, s.deps[:0])
	var counts []uint64
	s.deps, counts = unique(s.deps, s.counts[:0])
	w := work{id: t.id, us: uint64(t.us), bytes: t.bytes, count: counts}
	s.payload = w.append(s.payload[:0])
	s.ids = s.ids[:0]
	for _, d := range s.deps {
		s.ids = append(s.ids, graph.TaskID{Job: s.job.ID(), Index: s.base + d})
	}
	ct := &client.Task{Class: s.class[0], Payload: s.payload, Deps: s.ids, Tag: uint32(i)}
	if s.d.w.pools {
		ct.Class = s.class[i%2]
	}
	if told {
		ct.Sink = s
	}
	index, err := s.job.Submit(ctx, ct)
	if err != nil {
		return fmt.Errorf("submit task %d: %w", t.id, err)
	}
	if i == 0 {
		s.base = index
	}
	if index != s.base+uint32(i) {
		return fmt.Errorf("task %d got index %d, not %d", t.id, index, s.base+uint32(i))
	}
	return nil
}

// letGoAtOnce is how many tasks are let go of together.
const letGoAtOnce = 4096

// letGo lets go of what no task needs that comes after i, which was submitted just now:
// a result that is to be used once more must be held until that use is known.
func (s *submitter) letGo(i int) {
	for _, d := range s.deps {
		if s.d.uses[d] == uint32(i) {
			s.free = append(s.free, s.base+d)
			if len(s.free) == letGoAtOnce {
				s.job.Release(s.free...)
				s.free = s.free[:0]
			}
		}
	}
}

// Ended is a client.Sink.
func (s *submitter) Ended(tags []uint32) {
	s.mu.Lock()
	s.ended = append(s.ended, tags...)
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// take waits for n tasks to end, and has each looked at by one goroutine. The first
// failure ends it.
func (s *submitter) take(ctx context.Context, n int, see func(i uint32, out *client.Outcome) error) error {
	for n > 0 {
		select {
		case <-s.changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s.mu.Lock()
		ended := s.ended
		s.ended = nil
		s.mu.Unlock()
		for _, i := range ended {
			out, err := s.outcome(i)
			if err == nil {
				err = see(i, &out)
			}
			if err != nil {
				return err
			}
		}
		n -= len(ended)
	}
	return nil
}

// outcome returns how task i ended, which it has.
func (s *submitter) outcome(i uint32) (client.Outcome, error) {
	out, ok := s.job.Peek(s.base + i)
	switch {
	case !ok:
		return out, fmt.Errorf("task %d was said to have ended and has not", s.d.w.source.at(int(i)).id)
	case out.Err != nil:
		return out, out.Err
	case out.Failure != nil:
		return out, fmt.Errorf("task %d: %w", s.d.w.source.at(int(i)).id, out.Failure)
	}
	return out, nil
}

// sum adds up values that come one after the other or at once.
type sum struct {
	mu sync.Mutex
	v  uint64
}

func (s *sum) add(result []byte) error {
	v, err := valueOf(result)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.v += v
	return err
}

// whole submits the graph, by halves if the workload says so, and reads the results
// that no task needs as they come.
func (s *submitter) whole(ctx context.Context) (*run, error) {
	w, n := s.d.w, s.d.w.source.len()
	began := time.Now()
	first := 0
	if w.halves {
		first = n / 2
		for i := range first {
			if err := s.submit(ctx, i, true); err != nil {
				return nil, err
			}
		}
		if err := s.take(ctx, first, func(uint32, *client.Outcome) error { return nil }); err != nil {
			return nil, err
		}
	}
	results := 0
	for i := first; i < n; i++ {
		if !s.d.uses.needed(i) {
			results++
		}
	}
	var total sum
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.read(ctx, results, &total) })
	g.Go(func() error {
		for i := first; i < n; i++ {
			if err := s.submit(ctx, i, !s.d.uses.needed(i)); err != nil {
				return err
			}
			s.letGo(i)
		}
		s.job.Release(s.free...)
		s.free = s.free[:0]
		return nil
	})
	err := g.Wait()
	return &run{Wall: time.Since(began).Seconds(), Sum: total.v}, err
}

// read takes n results in: those that are here at once, large ones by fetching them.
func (s *submitter) read(ctx context.Context, n int, total *sum) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetches)
	err := s.take(ctx, n, func(i uint32, out *client.Outcome) error {
		if out.IsInline() {
			return total.add(out.Inline)
		}
		g.Go(func() error { return s.fetch(ctx, i, total) })
		return ctx.Err()
	})
	return errors.Join(g.Wait(), err)
}

// fetch fetches task i's result, and lets go of it.
func (s *submitter) fetch(ctx context.Context, i uint32, total *sum) error {
	data, _, err := s.job.Result(ctx, s.base+i)
	if err != nil {
		return fmt.Errorf("result of task %d: %w", s.d.w.source.at(int(i)).id, err)
	}
	s.job.Release(s.base + i)
	return total.add(data)
}

// gather has all tasks end, and then fetches their results.
func (s *submitter) gather(ctx context.Context) (*run, error) {
	n := s.d.w.source.len()
	began := time.Now()
	for i := range n {
		if err := s.submit(ctx, i, true); err != nil {
			return nil, err
		}
	}
	r := &run{}
	err := s.take(ctx, n, func(_ uint32, out *client.Outcome) error {
		r.Moved += out.Size
		return nil
	})
	if err != nil {
		return nil, err
	}
	var total sum
	fetching := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetches)
	for i := range uint32(n) {
		g.Go(func() error { return s.fetch(ctx, i, &total) })
	}
	err = g.Wait()
	r.MoveTime, r.Wall, r.Sum = time.Since(fetching).Seconds(), time.Since(began).Seconds(), total.v
	return r, err
}

// steps runs one task after the other and times each: where there are pools, only those
// that need a result of the other pool.
func (s *submitter) steps(ctx context.Context) (*run, error) {
	r := &run{}
	w := s.d.w
	var total sum
	began := time.Now()
	for i := range w.source.len() {
		needed := s.d.uses.needed(i)
		at := time.Now()
		if err := s.submit(ctx, i, false); err != nil {
			return nil, err
		}
		if _, err := s.job.Wait(ctx, s.base+uint32(i)); err != nil {
			return nil, err
		}
		if _, err := s.outcome(uint32(i)); err != nil {
			return nil, err
		}
		if needed {
			continue
		}
		data, _, err := s.job.Result(ctx, s.base+uint32(i))
		if err != nil {
			return nil, err
		}
		took := time.Since(at)
		r.Latency = append(r.Latency, took.Nanoseconds())
		if err := total.add(data); err != nil {
			return nil, err
		}
		if w.pools {
			r.Moved += w.source.at(i - 1).bytes
			r.MoveTime += took.Seconds()
			s.job.Release(s.base+uint32(i), s.base+uint32(i-1))
		}
	}
	r.Wall, r.Sum = time.Since(began).Seconds(), total.v
	return r, nil
}
