package graph

import "fmt"

// Batch is a run of tasks of one job in columns. Task i of the batch has index
// First+i. The tasks of a job reach the scheduler in order, without a gap.
//
//	          task First   First+1   First+2
//	Class        [0]         [0]       [1]
//	DepEnd       [0]         [1]       [3]        Deps[DepEnd[i-1]:DepEnd[i]]
//	PayEnd       [5]         [9]       [9]        Payload[PayEnd[i-1]:PayEnd[i]]
//	HostEnd      [1]         [1]       [2]        Hosts[HostEnd[i-1]:HostEnd[i]]
//
// DepEnd, PayEnd and HostEnd may be nil when no task has a dependency, a
// payload, a preferred host. A dependency is a task of an earlier index of the
// same job, or any known task of another job: graphs have no cycles because
// nothing can point forward.
type Batch struct {
	Job   JobID
	First uint32
	Class []ClassID // one a task; its length is the batch's

	DepEnd []uint32
	Deps   []TaskID

	PayEnd  []uint32 // ends within Payload, in bytes
	Payload []byte

	HostEnd []uint32
	Hosts   []uint32 // indices into HostNames: nodes on which a task's input lies
	// HostNames are this batch's host names, as node managers report them.
	HostNames []string

	// Loose marks tasks that the job does not itself hold on to: their results
	// are freed when their consumers are done. nil means that every task is held
	// until it is released. One bit a task, the lowest first.
	Loose []byte
}

// Len returns the number of tasks.
func (b *Batch) Len() int { return len(b.Class) }

// DepsOf returns the dependencies of the batch's i-th task, a view.
func (b *Batch) DepsOf(i int) []TaskID { return row(b.Deps, b.DepEnd, i) }

// PayloadOf returns the payload of the batch's i-th task, a view.
func (b *Batch) PayloadOf(i int) []byte { return row(b.Payload, b.PayEnd, i) }

// HostsOf returns the preferred hosts of the i-th task as indices into
// HostNames, a view.
func (b *Batch) HostsOf(i int) []uint32 { return row(b.Hosts, b.HostEnd, i) }

// IsLoose reports whether the i-th task's result is held only by its consumers.
func (b *Batch) IsLoose(i int) bool {
	return b.Loose != nil && b.Loose[i/8]>>(i%8)&1 == 1
}

func row[T any](values []T, end []uint32, i int) []T {
	if end == nil {
		return nil
	}
	from := uint32(0)
	if i > 0 {
		from = end[i-1]
	}
	return values[from:end[i]:end[i]]
}

// Check reports the first thing that makes b unusable: columns of different
// lengths, ends that go backwards or past their values, a dependency that does
// not point backwards, a class not below classes. It does not know which tasks
// of other jobs exist. A batch from a connection is checked before anything
// else looks at it.
func (b *Batch) Check(classes int) error {
	n := len(b.Class)
	if uint64(b.First)+uint64(n) > 1<<32-1 {
		return fmt.Errorf("batch of %d tasks at index %d: a job has at most 2³²-1 tasks", n, b.First)
	}
	for i, c := range b.Class {
		if int(c) >= classes {
			return fmt.Errorf("task %d: class %d is not declared (%d are)", b.First+uint32(i), c, classes)
		}
	}
	if err := checkEnds("dependency", b.DepEnd, len(b.Deps), n); err != nil {
		return err
	}
	if err := checkEnds("payload", b.PayEnd, len(b.Payload), n); err != nil {
		return err
	}
	if err := checkEnds("host", b.HostEnd, len(b.Hosts), n); err != nil {
		return err
	}
	if b.Loose != nil && len(b.Loose) != (n+7)/8 {
		return fmt.Errorf("loose column of %d bytes for %d tasks", len(b.Loose), n)
	}
	for _, h := range b.Hosts {
		if int(h) >= len(b.HostNames) {
			return fmt.Errorf("host %d is not named (%d are)", h, len(b.HostNames))
		}
	}
	for i := range n {
		for _, d := range b.DepsOf(i) {
			if d.Job == b.Job && d.Index >= b.First+uint32(i) {
				return fmt.Errorf("task %d depends on task %d: a dependency must come before", b.First+uint32(i), d.Index)
			}
		}
	}
	return nil
}

func checkEnds(column string, end []uint32, values, n int) error {
	if end == nil {
		if values != 0 {
			return fmt.Errorf("%s column: %d values without ends", column, values)
		}
		return nil
	}
	if len(end) != n {
		return fmt.Errorf("%s column: %d ends for %d tasks", column, len(end), n)
	}
	last := uint32(0)
	for _, e := range end {
		if e < last {
			return fmt.Errorf("%s column: ends go backwards (%d after %d)", column, e, last)
		}
		last = e
	}
	if int64(last) != int64(values) {
		return fmt.Errorf("%s column: ends at %d of %d values", column, last, values)
	}
	return nil
}
