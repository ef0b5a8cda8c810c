package amclient

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/identity"
)

// Error is why a call failed.
type Error struct {
	Op   string // what was to be done
	Text string // the application master's words, or the network's
	code codes.Code
	err  error

	elsewhere string
}

func (e *Error) Error() string { return fmt.Sprintf("cannot %s: %s", e.Op, e.Text) }

// Unwrap returns the context's error when that ended the call.
func (e *Error) Unwrap() error { return e.err }

// NotFound tells that what was named is not there.
func (e *Error) NotFound() bool { return e.code == codes.NotFound }

// Unreachable tells that no application master answered, or that it is ending.
func (e *Error) Unreachable() bool {
	return e.code == codes.Unavailable || e.code == codes.DeadlineExceeded
}

// Refused tells that the application master, or this side, does not accept the
// other's identity or right to do this.
func (e *Error) Refused() bool {
	return e.code == codes.PermissionDenied || e.code == codes.Unauthenticated || e.code == codes.FailedPrecondition
}

// Elsewhere is the web server, host:port, that shows a log to persons alone; "" where that is not why it could not be read.
func (e *Error) Elsewhere() string { return e.elsewhere }

// Aborted tells that the application master could not do it now, for a reason that is not its own: a node that does not answer.
func (e *Error) Aborted() bool { return e.code == codes.Aborted }

// Invalid tells that the request makes no sense.
func (e *Error) Invalid() bool { return e.code == codes.InvalidArgument }

// wrap makes an *Error of gRPC's.
func (c *Client) wrap(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	st, _ := status.FromError(err)
	e := &Error{Op: op, Text: st.Message(), code: st.Code()}
	for _, d := range st.Details() {
		if at, ok := d.(*ampb.LogElsewhere); ok {
			e.elsewhere = at.GetServer()
		}
	}
	if ctx.Err() != nil {
		e.err = ctx.Err()
	}
	if e.Unreachable() || e.err != nil {
		if last := c.route.failure(); last != nil {
			e.Text = last.Error()
			if isRefusal(last) {
				e.code = codes.PermissionDenied
			}
		}
	}
	return e
}

// isRefusal tells whether a handshake failed because one side does not accept who
// the other is. A server's judgment arrives as a TLS alert.
func isRefusal(err error) bool {
	var rejected *identity.RejectedError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &rejected) || errors.As(err, &unknown) || errors.As(err, &invalid) || strings.Contains(err.Error(), "remote error: tls:")
}
