package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Code is the exit code of a command: a stable contract with scripts.
type Code int

const (
	OK          Code = 0
	Internal    Code = 1   // yarnd's own failure
	Usage       Code = 2   // the command line or a file that it names is wrong
	NotFound    Code = 3   // no such application, pool, file, name
	Auth        Code = 4   // not who one must be
	Refused     Code = 5   // the cluster refuses it or cannot place it
	TimedOut    Code = 6   // a deadline passed
	AppFailed   Code = 7   // the application ended FAILED or KILLED, or lost the work
	Mismatch    Code = 8   // version or bundle mismatch
	Remote      Code = 125 // yarnd's own failure in a command that passes a remote code through
	Interrupted Code = 130 // Ctrl-C
)

// Fault is an error for a person: what failed, why, and the next thing to try.
type Fault struct {
	Code Code
	What string // what failed, without a full stop: "cannot submit application"
	Why  error  // the cause; its text is shown after What
	Next string // one sentence that starts with a verb: "Try --queue etl"
}

// Error returns "what: why. Next". After a cause of several lines, such as the end of
// a log, the advice has a line of its own.
func (f *Fault) Error() string {
	text, end := f.What, ". "
	if f.Why != nil {
		why := strings.TrimRight(f.Why.Error(), ". \n")
		text += ": " + why
		if strings.Contains(why, "\n") {
			end = "\n"
		}
	}
	if f.Next == "" {
		return text
	}
	return text + end + f.Next
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Why }

// usagef makes a Usage fault.
func usagef(next, format string, args ...any) *Fault {
	return &Fault{Code: Usage, What: fmt.Sprintf(format, args...), Next: next}
}

// wrap gives err a context without hiding a Fault's code: the innermost Fault
// decides the code and the advice. nil stays nil.
func wrap(code Code, what string, err error, next string) error {
	if err == nil {
		return nil
	}
	var f *Fault
	if errors.As(err, &f) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		code = TimedOut
	}
	if errors.Is(err, context.Canceled) {
		code = Interrupted
	}
	return &Fault{Code: code, What: what, Why: err, Next: next}
}

// CodeOf says with which code a command that failed with err ends.
func CodeOf(err error) Code {
	var f *Fault
	switch {
	case err == nil:
		return OK
	case errors.As(err, &f):
		return f.Code
	case errors.Is(err, context.DeadlineExceeded):
		return TimedOut
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	return Internal
}
