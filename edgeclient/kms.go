package edgeclient

import (
	"context"
	"errors"

	"github.com/yarnd/yarnd/hadooprpc/delegate"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/kms"
)

const askForTLS = "Ask an administrator: its URI should begin with kms://https@"

// readable says what is wrong with a KMS without TLS.
func readable(p kms.Provider) string { return exposed + "the token of " + p.Service }

// openKMS is the client of a KMS that a file system names, for who delegates: none where its token would travel in clear and
// he is strict.
func (y *yarnCluster) openKMS(n needs) func(kms.Provider) (delegate.KMS, error) {
	warned := false
	return func(p kms.Provider) (delegate.KMS, error) {
		switch {
		case !p.TLS && n.strict:
			return nil, &Fault{Code: Refused, What: "the cluster does not keep what is sent secret", Why: errors.New(readable(p)), Next: askForTLS + ", or submit without --strict"}
		case !p.TLS && n.warn && !warned:
			warned = true
			y.opts.Progress("warning: %s. %s", readable(p), askForTLS)
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

// keys looks at whether the KMS gives tokens, where the file system names one.
func (d *doctor) keys(y *yarnCluster, f hdfs.FS) {
	k, ok := f.(hdfs.Delegation)
	if !ok || !ipc.Secure(y.conf) || !y.who.Ticketed() {
		return
	}
	const check = "encryption zones"
	var p kms.Provider
	err := y.call(d.ctx, "cannot get a token for encryption zones", func(ctx context.Context) error {
		uri, err := k.KeyProvider(ctx)
		if err == nil {
			p, ok, err = kms.Parse(uri)
		}
		if err != nil || !ok {
			return err
		}
		c, err := y.openKMS(needs{strict: d.request.Strict})(p)
		if err != nil {
			return err
		}
		t, err := c.DelegationToken(ctx, "")
		if err != nil {
			return err
		}
		return c.CancelToken(ctx, t)
	})
	switch {
	case err == nil && !ok: // there is no KMS
	case err == nil && !p.TLS:
		d.warn(check, readable(p), askForTLS)
	default:
		d.judge(check, err, func() string { return p.Service + " gives tokens" })
	}
}
