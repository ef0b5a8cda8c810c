package yarnd

import (
	"errors"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

// ExitCode says with which code a program that failed with err ends: the engine's
// errors and those of applications in one list, see [edgeclient.Code].
func ExitCode(err error) edgeclient.Code {
	var f *edgeclient.Fault
	if errors.As(err, &f) {
		return f.Code
	}
	for _, x := range []struct {
		err  error
		code edgeclient.Code
	}{
		{engine.ErrNotFound, edgeclient.NotFound},
		{engine.ErrAuth, edgeclient.Auth},
		{engine.ErrState, edgeclient.Refused},
		{engine.ErrUnreachable, edgeclient.TimedOut},
		{engine.ErrMismatch, edgeclient.Mismatch},
		{engine.ErrLost, edgeclient.AppFailed},
	} {
		if errors.Is(err, x.err) {
			return x.code
		}
	}
	return edgeclient.CodeOf(err)
}
