package engine

import (
	"errors"
	"fmt"
	"strings"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
)

// Errors that callers ask for with errors.Is.
var (
	// ErrCancelled: the task was cancelled, or one that it depends on was.
	ErrCancelled = errors.New("cancelled")
	// ErrWorkerLost: the processes that ran the task died, more often than its
	// Deaths allow; or its result is gone and cannot be computed again.
	ErrWorkerLost = errors.New("worker lost")
	// ErrMismatch: a value is of another type than it is asked for as, or the two
	// sides are of versions that do not understand each other.
	ErrMismatch = client.ErrMismatch
	// ErrAuth: the cluster does not accept this client's credential.
	ErrAuth = client.ErrAuth
	// ErrNotFound: there is no such job, task or name.
	ErrNotFound = client.ErrNotFound
	// ErrState: the task's state does not allow it: a retry of a task that did not
	// fail, or that nobody holds any more.
	ErrState = client.ErrState
	// ErrReleased: the result was released.
	ErrReleased = client.ErrReleased
	// ErrJobClosed: the job was closed, by this client or another one.
	ErrJobClosed = client.ErrJobClosed
	// ErrLost: the job ended with the scheduler or the session that it belonged to.
	ErrLost = client.ErrLost
	// ErrUnreachable: there was no scheduler to talk to for as long as
	// Options.Patience.
	ErrUnreachable = client.ErrUnreachable
	// ErrClosed: the client was closed.
	ErrClosed = client.ErrClosed
	// ErrTaskOver: the client is one within a task, of which this attempt has ended.
	ErrTaskOver = errors.New("the task has ended, and its client with it: finish the work before the function returns, or use a job with a name")
	// ErrNotInside: a client within a task was asked for with a context that is not one
	// which a function of a task was given.
	ErrNotInside = errors.New("this context is not of a function that runs as a task: pass on the one that it was given")
)

// TaskID names a task of a cluster: the n-th task, from 0, of a job.
type TaskID = graph.TaskID

// FailKind says why a task failed.
type FailKind = graph.FailKind

// Why a task failed.
const (
	FailUser      = graph.FailUser      // user code returned an error or panicked; a command's exit code
	FailDied      = graph.FailDied      // the process that ran it died, too often
	FailMemory    = graph.FailMemory    // the process was killed for its memory
	FailTime      = graph.FailTime      // the time limit passed
	FailInput     = graph.FailInput     // an input could not be fetched
	FailCancelled = graph.FailCancelled // a client cancelled it
	FailUpstream  = graph.FailUpstream  // a task that it depends on failed
	FailSetup     = graph.FailSetup     // the program could not be started on the worker
	FailLost      = graph.FailLost      // the result is gone and cannot be computed again
)

// TaskError is the end of a task without a result. Its Error is one line; the verb
// %+v adds the stack and the output.
type TaskError struct {
	Task     TaskID // the task that failed: for FailUpstream the first one
	Name     string // of the function or command; "" when this client did not submit it
	Kind     FailKind
	Message  string // what failed and why
	Stack    string // of a panic
	ExitCode int    // of a command or process; 128+n for signal n
	Output   []byte // end of standard error, at most 64 KiB
	Attempt  int    // which of its attempts, from 1
	Host     string // on which it ran
}

// taskError gives a failure of the task with this id and name its public form.
func taskError(f *graph.Failure, id TaskID, name string) *TaskError {
	e := &TaskError{
		Task: f.Task, Kind: f.Kind, Message: f.Message, Stack: f.Stack, ExitCode: int(f.ExitCode),
		Output: f.Output, Attempt: int(f.Attempt), Host: f.Host,
	}
	if e.Task == id || e.Task.Job == 0 {
		e.Task, e.Name = id, name
	}
	return e
}

// Error returns one line.
func (e *TaskError) Error() string {
	var b strings.Builder
	b.WriteString("task ")
	if e.Name != "" {
		fmt.Fprintf(&b, "%s (%s)", e.Name, e.Task)
	} else {
		b.WriteString(e.Task.String())
	}
	switch e.Kind {
	case FailCancelled:
		b.WriteString(" was cancelled")
	default:
		b.WriteString(" failed")
	}
	if e.Host != "" {
		fmt.Fprintf(&b, " on %s", e.Host)
	}
	switch {
	case e.Kind == FailUpstream:
		b.WriteString(", and with it what depends on it")
	case e.Attempt > 1:
		fmt.Fprintf(&b, " in attempt %s", graph.Attempt(e.Attempt))
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// Format adds the stack and the output to %+v.
func (e *TaskError) Format(s fmt.State, verb rune) {
	fmt.Fprint(s, e.Error())
	if verb != 'v' || !s.Flag('+') {
		return
	}
	if e.Stack != "" {
		fmt.Fprintf(s, "\n\n%s", strings.TrimRight(e.Stack, "\n"))
	}
	if len(e.Output) > 0 {
		fmt.Fprintf(s, "\n\nend of its standard error:\n%s", strings.TrimRight(string(e.Output), "\n"))
	}
}

// Is tells the kinds of ErrCancelled and ErrWorkerLost.
func (e *TaskError) Is(target error) bool {
	switch target {
	case ErrCancelled:
		return e.Kind == FailCancelled
	case ErrWorkerLost:
		return e.Kind == FailDied || e.Kind == FailMemory || e.Kind == FailLost
	}
	return false
}
