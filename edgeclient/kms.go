package edgeclient

import (
	"errors"

	"github.com/yarnd/yarnd/hadooprpc/delegate"
	"github.com/yarnd/yarnd/hadooprpc/kms"
)

// openKMS is the client of a KMS that a file system names, for who delegates: none where its token would travel in clear and
// he is strict.
func (y *yarnCluster) openKMS(n needs) func(kms.Provider) (delegate.KMS, error) {
	warned := false
	return func(p kms.Provider) (delegate.KMS, error) {
		const readable = "the token of " // of a KMS
		const next = "Ask an administrator: its URI should begin with kms://https@"
		switch {
		case !p.TLS && n.strict:
			return nil, &Fault{Code: Refused, What: "the cluster does not keep what is sent secret", Why: errors.New(exposed + readable + p.Service), Next: next + ", or submit without --strict"}
		case !p.TLS && n.warn && !warned:
			warned = true
			y.opts.Progress("warning: %s%s%s. %s", exposed, readable, p.Service, next)
		}
		o := kms.As(y.who)
		o.Timeout = y.opts.CallTimeout
		return kms.New(p, o), nil
	}
}

// kmsFault gives an error of a KMS a person's words; any other stays as it is.
func kmsFault(what string, err error) error {
	e := (*kms.Error)(nil)
	if !errors.As(err, &e) {
		return err
	}
	code := Auth
	switch e.Kind {
	case kms.BadURI:
		code = Usage
	case kms.Unreachable:
		code = TimedOut
	case kms.Malformed:
		code = Refused
	}
	next := e.Cure
	if next == "" {
		next = "run klist to see whether your ticket is good"
	}
	return &Fault{Code: code, What: what, Why: e.Plain(), Next: sentence(next)}
}
