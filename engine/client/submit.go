package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

const (
	// maxFrames is how many submissions of a job may be on their way unacknowledged
	// before tasks gather: one travels while the scheduler works on the other.
	maxFrames = 2
	// frameTarget is the size at which a submission goes out in any case.
	frameTarget = 4 << 20
	// taskCost is what a task without payload counts in bytes.
	taskCost = 32
	// frameRest is left of a frame for everything but one payload.
	frameRest = 64 << 10
)

// Class is a class that was made known to one job: see Job.Class.
type Class struct{ id graph.ClassID }

// Task is what Submit adds to a job.
type Task struct {
	Class   Class
	Payload []byte // copied
	Deps    []graph.TaskID
	Hosts   []string // where the input lies, as node managers call the hosts
	// Loose has Client.Close release the task, also in a job with a name.
	Loose bool
	// Sink, if not nil, is told Tag when the task has an outcome.
	Sink Sink
	Tag  uint32
}

// Sink is told of outcomes, most often by the reader: it must not block, nor keep
// tags. Sinks are comparable.
type Sink interface {
	Ended(tags []uint32)
}

// RangeSink is the Sink of a range. EndedRun is Ended for n tags from first on.
type RangeSink interface {
	Sink
	EndedRun(first, n uint32)
}

// outbox is what a job has yet to hand over to the scheduler. Guarded by Job.mu.
type outbox struct {
	next      uint32 // index of the next task
	classes   map[classKey]graph.ClassID
	nextClass graph.ClassID
	declare   []*wire.Class // not sent yet
	loose     map[uint32]struct{}
	looseRuns []graph.Run

	building graph.Batch
	hosts    map[string]uint32 // of building: positions in HostNames
	bytes    int               // of building

	flying int           // bytes unacknowledged
	frames int           // submissions unacknowledged
	room   chan struct{} // closed at the next acknowledgement; nil when nobody waits
}

// classKey tells classes apart.
type classKey struct {
	name, pool, spec string
	named, hosts     string
	kind             graph.Kind
	bundle           graph.Digest
	slots            uint16
	memory           uint64
	priority         int32
	retries, deaths  uint16
	limit            time.Duration
	idempotent, lazy bool
	actor            bool
}

func keyOf(c *graph.Class) classKey {
	return classKey{
		c.Name, c.Pool, string(c.Spec), c.Resources.Named.String(), strings.Join(c.Hosts, "\n"),
		c.Kind, c.Bundle, c.Resources.Slots, c.Resources.Memory, c.Priority, c.Retries, c.Deaths, c.TimeLimit, c.Idempotent, c.Lazy, c.Actor,
	}
}

// begin sets where the job's numbering goes on.
func (o *outbox) begin(tasks, classes uint32) {
	o.next, o.nextClass = tasks, graph.ClassID(classes)
	o.classes = map[classKey]graph.ClassID{}
	o.building.First = tasks
}

// Class makes a class known to the job, for tasks of this job. Equal classes are one.
func (j *Job) Class(c *graph.Class) Class {
	key := keyOf(c)
	j.mu.Lock()
	defer j.mu.Unlock()
	o := &j.outbox
	id, ok := o.classes[key]
	if !ok {
		id = o.nextClass
		o.nextClass++
		o.classes[key] = id
		o.declare = append(o.declare, wire.ClassToWire(id, c))
	}
	return Class{id}
}

// add appends a task to the batch that is being built.
func (o *outbox) add(t *Task) {
	b := &o.building
	b.Class = append(b.Class, t.Class.id)
	b.Payload = append(b.Payload, t.Payload...)
	b.PayEnd = append(b.PayEnd, uint32(len(b.Payload)))
	b.Deps = append(b.Deps, t.Deps...)
	b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
	for _, h := range t.Hosts {
		at, ok := o.hosts[h]
		if !ok {
			at = uint32(len(b.HostNames))
			b.HostNames = append(b.HostNames, h)
			if o.hosts == nil {
				o.hosts = map[string]uint32{}
			}
			o.hosts[h] = at
		}
		b.Hosts = append(b.Hosts, at)
	}
	b.HostEnd = append(b.HostEnd, uint32(len(b.Hosts)))
	if t.Loose {
		if o.loose == nil {
			o.loose = map[uint32]struct{}{}
		}
		o.loose[o.next] = struct{}{}
	}
	o.next++
}

// take returns the batch that was built, and begins the next one.
func (o *outbox) take(job graph.JobID) (b *graph.Batch, cost int) {
	built := o.building
	built.Job = job
	// Columns that say nothing do not travel.
	if len(built.Deps) == 0 {
		built.DepEnd = nil
	}
	if len(built.Hosts) == 0 {
		built.HostEnd = nil
	}
	if len(built.Payload) == 0 {
		built.PayEnd = nil
	}
	cost = o.bytes
	o.building, o.hosts, o.bytes = graph.Batch{First: o.next}, nil, 0
	if o.frames+1 >= maxFrames {
		// A stream: what gathers until the next acknowledgement is about as much.
		n := len(built.Class)
		next := &o.building
		next.Class, next.PayEnd = make([]graph.ClassID, 0, n), make([]uint32, 0, n)
		next.DepEnd, next.HostEnd = make([]uint32, 0, n), make([]uint32, 0, n)
		next.Payload, next.Deps = make([]byte, 0, len(built.Payload)), make([]graph.TaskID, 0, len(built.Deps))
	}
	return &built, cost
}

func (o *outbox) wake() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// Submit adds a task and returns its index. It waits while too many bytes of
// earlier tasks have not been acknowledged. The task is held until Release.
func (j *Job) Submit(ctx context.Context, t *Task) (uint32, error) {
	if limit := int(j.c.maxFrame.Load()) - frameRest; len(t.Payload) > limit {
		return 0, fmt.Errorf("an input of %d bytes: the limit is %d; pass large data as Refs to results, or read it within the task", len(t.Payload), limit)
	}
	cost := taskCost + len(t.Payload) + 8*len(t.Deps) + 4*len(t.Hosts)
	j.mu.Lock()
	for j.err == nil && j.bytes+j.flying > 0 && j.bytes+j.flying+cost > j.c.opts.InFlight {
		if err := j.waitRoom(ctx); err != nil {
			j.mu.Unlock()
			return 0, err
		}
	}
	defer j.mu.Unlock()
	if j.err != nil {
		return 0, j.err
	}
	if j.bytes > 0 && j.bytes+cost > min(frameTarget, int(j.c.maxFrame.Load())-frameRest) {
		j.flush(true)
	}
	index := j.next
	j.outbox.add(t)
	j.bytes += cost
	cell := j.hold(index)
	if t.Sink != nil {
		cell.tell(told{t.Sink, t.Tag})
	}
	j.watch()
	j.flush(false)
	return index, nil
}

// waitRoom waits for the next acknowledgement. Called with j.mu, which it gives up
// meanwhile.
func (j *Job) waitRoom(ctx context.Context) error {
	j.flush(true)
	if j.room == nil {
		j.room = make(chan struct{})
	}
	room := j.room
	j.mu.Unlock()
	defer j.mu.Lock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// flush sends what was built, unless enough is on its way; force sends it in any
// case. Called with j.mu.
func (j *Job) flush(force bool) {
	if len(j.building.Class) == 0 || (!force && j.frames >= maxFrames) || j.err != nil {
		return
	}
	if !j.sendClasses() {
		return // whoever ended the job or the client fails all that wait
	}
	b, cost := j.outbox.take(j.id)
	j.flying += cost
	j.frames++
	_ = j.c.start(&call{ // see above
		job: j,
		req: &wire.Request{Body: &wire.Request_Submit{Submit: wire.BatchToWire(b)}},
		done: func(_ *wire.Reply, err error) {
			j.submitted(graph.Run{Job: j.id, First: b.First, N: uint32(b.Len())}, cost, err)
		},
	})
}

// sendClasses declares what was not, and reports false if nothing can be sent any more.
// Called with j.mu.
func (j *Job) sendClasses() bool {
	if len(j.declare) == 0 {
		return true
	}
	m := &wire.Classes{Job: uint32(j.id), Class: j.declare}
	j.declare = nil
	k := &call{job: j, req: &wire.Request{Body: &wire.Request_Classes{Classes: m}}, done: func(_ *wire.Reply, err error) {
		if err != nil {
			j.fail(fmt.Errorf("declare a kind of task: %w", err))
		}
	}}
	return j.c.start(k) == nil
}

// submitted takes the acknowledgement of a batch or a range.
func (j *Job) submitted(r graph.Run, cost int, err error) {
	if err != nil {
		j.fail(fmt.Errorf("submit tasks %d to %d: %w", r.First, r.End()-1, err))
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.flying -= cost
	j.frames--
	j.flush(false)
	j.outbox.wake()
}

// Flush waits until the scheduler has acknowledged all tasks submitted and all
// releases made so far.
func (j *Job) Flush(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for j.err == nil && (j.frames > 0 || len(j.building.Class) > 0 || j.letting.sending) {
		if err := j.waitRoom(ctx); err != nil {
			return err
		}
	}
	return j.err
}
