package client

import (
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// Errors that callers ask for with errors.Is.
var (
	ErrClosed      = errors.New("the client is closed")
	ErrReleased    = errors.New("the result was released")
	ErrJobClosed   = errors.New("the job is closed")
	ErrLost        = errors.New("the job is lost")
	ErrUnreachable = errors.New("the scheduler cannot be reached")
	ErrAuth        = errors.New("not allowed")
	ErrNotFound    = errors.New("not found")
	// ErrState is about a task whose state does not allow what was asked for.
	ErrState = errors.New("not in this state")
	// ErrBusy is about an actor for which too many calls wait.
	ErrBusy = errors.New("too many calls wait")
	// ErrInterrupted is about a call of an actor, or an Unpublish, that may or may not have
	// been done.
	ErrInterrupted = errors.New("interrupted")
	// ErrSelfCall is about a call of an actor by itself.
	ErrSelfCall = errors.New("an actor calls itself")
	// ErrTooLarge is about a value that is larger than the scheduler passes on.
	ErrTooLarge = errors.New("too large")
	// ErrMismatch is about types of values, and versions of programs.
	ErrMismatch = codec.ErrMismatch
)

// Permanent marks an error of Options.Scheduler: asking again is of no use, for
// example as the application has ended. The client fails with it at once.
func Permanent(err error) error { return &permanentError{err} }

type permanentError struct{ error }

func (e *permanentError) Unwrap() error { return e.error }

// Error is a foreign error (of the scheduler, of TLS) under one of the names
// above. errors.Is and errors.As find both.
type Error struct {
	Kind error // one of the Err variables
	Err  error // what the other side said
}

func (e *Error) Error() string   { return e.Err.Error() }
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// fromReply gives a scheduler's error one of our names.
func fromReply(err error) error {
	var kind error
	switch {
	case errors.Is(err, wire.NotFound):
		kind = ErrNotFound
	case errors.Is(err, wire.Refused):
		kind = ErrAuth
	case errors.Is(err, wire.Mismatch):
		kind = ErrMismatch
	case errors.Is(err, wire.TooLarge):
		kind = ErrTooLarge
	case errors.Is(err, wire.Busy):
		kind = ErrBusy
	case errors.Is(err, wire.Interrupted):
		kind = ErrInterrupted
	case errors.Is(err, wire.Deadlock):
		kind = ErrSelfCall
	default:
		return err
	}
	return &Error{Kind: kind, Err: err}
}

// fromDial names an error of connecting, and tells whether trying again may help.
func fromDial(err error) (_ error, again bool) {
	if p, ok := errors.AsType[*permanentError](err); ok {
		return p.error, false
	}
	if errors.Is(err, wire.Refused) || errors.Is(err, wire.Mismatch) {
		return fromReply(err), false
	}
	if identity.Refusal(err) {
		return &Error{Kind: ErrAuth, Err: fmt.Errorf("%w; this credential is not (or no longer) good for this application: connect again by its id", err)}, false
	}
	return err, true
}
