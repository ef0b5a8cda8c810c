package graph

import "time"

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
	Slots  uint16 // slots of the worker, 0 means 1
	Memory uint64 // bytes the task is expected to need at its peak, 0 is unknown
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
}
