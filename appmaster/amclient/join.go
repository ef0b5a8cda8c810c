package amclient

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/yarnd/yarnd/appmaster/join"
	"github.com/yarnd/yarnd/identity"
)

// RefusedError tells that the application master will not give this process a
// certificate. Trying again is of no use.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string {
	return "the application master refused this container: " + e.Why
}

// Join gets this container's process its identity from the application master. It
// tries again until it has an answer or the context ends. Options.Addresses may be
// empty: the launch data has an address.
func Join(ctx context.Context, l *Launch, o Options) (*identity.Identity, error) {
	o = o.withDefaults()
	ca, err := identity.ParseCA([]byte(l.CA))
	if err != nil {
		return nil, err
	}
	req, err := identity.NewRequest()
	if err != nil {
		return nil, err
	}
	frame, err := join.AppendRequest(nil, &join.Request{Container: l.Container, Token: l.token, CSR: req.CSR()})
	if err != nil {
		return nil, err
	}
	r := &route{tls: identity.JoinClient(ca, l.App), known: slices.Concat(l.AM, o.Addresses), locate: o.Locate}
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		id, err := joinOnce(ctx, r, frame, req, ca)
		var refused *RefusedError
		if err == nil || errors.As(err, &refused) {
			return id, err
		}
		o.Log.Debug("cannot join yet", "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, fmt.Errorf("cannot join application %s: %w", l.App, err)
		}
	}
}

func joinOnce(ctx context.Context, r *route, frame []byte, req *identity.Request, ca *x509.Certificate) (*identity.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*dialTime)
	defer cancel()
	conn, err := r.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	if _, err := conn.Write(frame); err != nil {
		return nil, err
	}
	answer, err := join.ReadAnswer(conn)
	if err != nil {
		return nil, err
	}
	switch answer.Verdict {
	case join.Granted:
		return req.Identity(answer.Text, ca)
	case join.Refused:
		return nil, &RefusedError{string(answer.Text)}
	case join.Later:
	}
	return nil, errors.New(string(answer.Text))
}
