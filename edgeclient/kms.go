package edgeclient

import (
	"context"
	"errors"

	"github.com/yarnd/yarnd/hadooprpc/delegate"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/kms"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
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
	if krb, ok := e.Err.(*krb5.Error); ok { // else it is one server's of several
		return krb5Fault(what+": KMS "+e.Where, krb)
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

// probeKMS gets a token of each KMS that the file systems of a submission name, and cancels it: who gives none, or says it in
// clear where nobody may read it, is known before anything is uploaded. It tells which they are.
func (y *yarnCluster) probeKMS(ctx context.Context, n needs) (asked []kms.Provider, err error) {
	if !ipc.Secure(y.conf) || !y.who.Ticketed() {
		return nil, nil
	}
	d := &delegated{}
	defer d.close()
	n.rm = false
	s, err := y.sources(ctx, n, d)
	if err != nil {
		return nil, err
	}
	err = y.call(ctx, "cannot get a token for encryption zones", func(ctx context.Context) error {
		asked, err = s.ProbeKMS(ctx)
		return err
	})
	return asked, err
}

// CheckTokens makes sure of what a submission gets tokens by when everything has been uploaded.
func (y *yarnCluster) CheckTokens(ctx context.Context, r Request) error {
	if !ipc.Secure(y.conf) {
		return nil
	}
	if _, err := y.renewer(); err != nil {
		return err
	}
	n := r.needs()
	n.warn = true
	_, err := y.probeKMS(ctx, n)
	return err
}

// keys looks at whether the KMS gives tokens, where a file system names one.
func (d *doctor) keys(y *yarnCluster) {
	const check = "encryption zones"
	asked, err := y.probeKMS(d.ctx, d.request.needs())
	if err != nil {
		d.judge(check, err, nil)
		return
	}
	for _, p := range asked {
		if !p.TLS {
			d.warn(check, readable(p), askForTLS)
			continue
		}
		d.judge(check, nil, func() string { return p.Service + " gives tokens" })
	}
}
