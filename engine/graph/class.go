package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind says which executor runs a task.
type Kind uint8

const (
	// KindGo is a function that a Go bundle registered under Class.Name.
	KindGo Kind = iota + 1
	// KindCommand is a command line; Class.Spec holds its template.
	KindCommand
	// KindPython is a Python callable; Class.Spec holds its reference.
	KindPython
)

// String returns "go", "command" or "python".
func (k Kind) String() string {
	switch k {
	case KindGo:
		return "go"
	case KindCommand:
		return "command"
	case KindPython:
		return "python"
	}
	return "kind(?)"
}

// Resources is what one running task takes of a worker. The zero value means
// one slot and no stated memory.
type Resources struct {
	Slots  uint16  // slots of the worker, 0 means 1
	Memory uint64  // bytes the task is expected to need at its peak, 0 is unknown
	Named  Amounts // of other resources that workers have, such as GPUs
}

// Equal reports whether r and s are the same.
func (r *Resources) Equal(s *Resources) bool {
	return r.Slots == s.Slots && r.Memory == s.Memory && slices.Equal(r.Named, s.Named)
}

// Amounts are amounts of named resources, as Canonical returns them: in the order of
// their names, each name once, none of amount 0.
type Amounts []Amount

// Amount is so much of a resource. Name is whatever workers and tasks agree on, for
// instance YARN's "yarn.io/gpu".
type Amount struct {
	Name  string
	Count uint64
}

// Canonical sorts a in place and returns it without zeros; amounts of one name are
// added up.
func (a Amounts) Canonical() Amounts {
	slices.SortStableFunc(a, func(x, y Amount) int { return cmp.Compare(x.Name, y.Name) })
	out := a[:0]
	for _, x := range a {
		switch {
		case x.Count == 0:
		case len(out) > 0 && out[len(out)-1].Name == x.Name:
			out[len(out)-1].Count += x.Count
		default:
			out = append(out, x)
		}
	}
	return out
}

// Of returns the amount of a resource, 0 when there is none.
func (a Amounts) Of(name string) uint64 {
	for _, x := range a {
		if x.Name == name {
			return x.Count
		}
	}
	return 0
}

// String returns the form "fpga=1,gpu=2".
func (a Amounts) String() string {
	var b strings.Builder
	for i, x := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(x.Name)
		b.WriteByte('=')
		b.WriteString(strconv.FormatUint(x.Count, 10))
	}
	return b.String()
}

// ParseAmounts reads the form of String; a name alone means 1.
func ParseAmounts(s string) (Amounts, error) {
	if s == "" {
		return nil, nil
	}
	var out Amounts
	for field := range strings.SplitSeq(s, ",") {
		name, count, has := strings.Cut(field, "=")
		n := uint64(1)
		var err error
		if has {
			n, err = strconv.ParseUint(count, 10, 32)
		}
		if name == "" || err != nil {
			return nil, fmt.Errorf("%q is not an amount of a resource: write NAME=COUNT, for instance gpu=1", field)
		}
		out = append(out, Amount{name, n})
	}
	return out.Canonical(), nil
}

// Class is what many tasks have in common. The scheduler reads everything but
// Spec, which only the executor understands.
type Class struct {
	Name      string        // function name, or the command's first word; shown to people
	Kind      Kind          // which executor
	Bundle    Digest        // the Go bundle that holds the function; zero is the worker's own binary
	Spec      []byte        // executor's own description (command template, Python reference)
	Resources Resources     // what one running task takes
	Priority  int32         // higher runs first, among ready tasks of all jobs
	Retries   uint16        // further attempts after a failure that user code reported
	Deaths    uint16        // executor deaths while running before the task is given up; 0 means 3
	TimeLimit time.Duration // of one attempt; 0 is none
	Pool      string        // workers that may run it; "" is any
	// Idempotent says that the task may run twice at the same time: when it takes much
	// longer than others of its class it does, and the first result counts.
	Idempotent bool
	// Lazy says that inputs larger than LazyInput are not fetched before the task begins:
	// it reads the parts that it needs, from whoever holds them.
	Lazy bool
	// Actor says that the task answers calls for as long as it is let, and ends by itself
	// with FailMoved when its worker is to leave, to go on with another one.
	Actor bool
	Hosts []string // hosts whose workers, and names of workers, that may run it, in order; none is any
}

// LazyInput is the largest input, in bytes, that a worker fetches whole for a lazy task
// all the same: reading a part of it costs as much.
const LazyInput = 64 << 10
