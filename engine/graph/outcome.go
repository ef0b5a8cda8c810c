package graph

// FailKind says why an attempt, or at last the task, did not give a result.
type FailKind uint8

const (
	FailNone      FailKind = iota
	FailUser               // user code returned an error or panicked, or a command's exit code was not 0
	FailDied               // the executor died while the task ran
	FailMemory             // the executor was killed for its memory
	FailTime               // the time limit passed
	FailInput              // an input could not be fetched
	FailCancelled          // a client cancelled the task
	FailUpstream           // a dependency failed or was cancelled
	FailSetup              // the bundle or executor could not be started
	FailLost               // the result is gone and cannot be computed again
	FailMoved              // an actor leaves a worker that is to go: only ever of an attempt
)

var failNames = [...]string{"none", "user", "died", "memory", "time", "input", "cancelled", "upstream", "setup", "lost", "moved"}

// String returns the kind's short name, used on the wire's JSON forms and in
// tables.
func (k FailKind) String() string {
	if int(k) < len(failNames) {
		return failNames[k]
	}
	return "fail(?)"
}

// Failure is the end of a task without a result.
type Failure struct {
	Kind     FailKind
	Message  string // one line: what failed and why
	Stack    string // of the panic or error, when there is one
	ExitCode int32  // of a command or executor; 128+n for signal n
	Output   []byte // tail of standard error, at most 64 KiB
	Task     TaskID // the task in which it happened: for FailUpstream the first one
	Attempt  Attempt
	Host     string // where
}

// Error returns the message.
func (f *Failure) Error() string { return f.Message }

// Outcome is how a task ended, as a client sees it.
type Outcome struct {
	Task    TaskID
	Failure *Failure   // nil: there is a result
	Size    uint64     // of the result in bytes
	Inline  []byte     // the result itself when it is small (at most 4 KiB)
	Holders []Location // where a larger result can be fetched
}

// Location is a place from which a result can be fetched.
type Location struct {
	Worker  WorkerID
	Address string // host:port of its data plane
	Name    string // its container, as its certificate says
}
