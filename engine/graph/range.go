package graph

import (
	"fmt"
	"math"
)

// Range is a run of tasks that depend on nothing and differ in one number. It stands for
// as many tasks of a Batch, and costs no more than one of them.
type Range struct {
	Run
	Class ClassID
	// Payload is what the payload of each task begins with. Behind it follows a number,
	// as package codec encodes an int64: Base for the first task, one more for each next.
	Payload []byte
	Base    int64
}

// Check reports what makes r unusable: no task, more than a job can have, a number that
// does not fit, a class not below classes.
func (r *Range) Check(classes int) error {
	switch {
	case r.N == 0:
		return fmt.Errorf("range without tasks")
	case uint64(r.First)+uint64(r.N) > 1<<32-1:
		return fmt.Errorf("range of %d tasks at index %d: a job has at most 2³²-1 tasks", r.N, r.First)
	case r.Base > math.MaxInt64-int64(r.N)+1:
		return fmt.Errorf("range of %d numbers from %d on: they do not fit 64 bits", r.N, r.Base)
	case int(r.Class) >= classes:
		return fmt.Errorf("range of class %d, which is not declared (%d are)", r.Class, classes)
	}
	return nil
}
