package wire

import (
	"errors"
	"fmt"
)

// Code says what kind of error a request met. A Code is itself an error, so that
// errors.Is(err, wire.NotFound) asks for it.
type Code uint32

// The numbers are the protocol: never reuse one.
const (
	Internal    Code = 1  // the scheduler failed; its log says more
	Invalid     Code = 2  // the request makes no sense
	NotFound    Code = 3  // no such job, task, name, worker
	Conflict    Code = 4  // it exists already, and differently; or the job has moved on
	Refused     Code = 5  // not allowed
	Mismatch    Code = 6  // of protocol versions
	TooLarge    Code = 7  // above a limit
	Unavailable Code = 8  // not now: the scheduler is closing, or the disk is full
	Busy        Code = 9  // too many of them wait: later
	Interrupted Code = 10 // it was cut off, and may have had its effects
	Deadlock    Code = 11 // it would wait for itself
)

var codeNames = [...]string{"unknown", "internal", "invalid", "not found", "conflict", "refused", "mismatch", "too large", "unavailable", "busy", "interrupted", "deadlock"}

// String returns the code's name.
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code(%d)", uint32(c))
}

// Error returns the code's name.
func (c Code) Error() string { return c.String() }

// Errorf returns an error for a Reply.
func Errorf(c Code, format string, args ...any) *Error {
	return &Error{Code: uint32(c), Message: fmt.Sprintf(format, args...)}
}

// Error returns the message, which is for people.
func (e *Error) Error() string {
	if e.Message == "" {
		return Code(e.Code).String()
	}
	return e.Message
}

// Is reports whether target is e's code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && uint32(c) == e.Code
}

// AsError returns err as an Error for a Reply; what is none already becomes
// Internal.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: uint32(Internal), Message: err.Error()}
}
