package amclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"

	"github.com/yarnd/yarnd/appmaster/claim"
	"github.com/yarnd/yarnd/identity"
)

// Introduction is how the cluster introduces a client to an application master: where that
// is, and the ClientToAM token for its present attempt. Identifier and Password are secret
// together. Without an Address there is nobody to speak to yet.
type Introduction struct {
	Address    string // host:port
	Identifier []byte
	Password   []byte
}

// String hides the token.
func (i Introduction) String() string { return "introduction to " + i.Address }

// GoString is String.
func (i Introduction) GoString() string { return i.String() }

// DeniedError tells that the application master knows who we are, and that this gives no
// access. The application master has proven itself.
type DeniedError struct{ Why string }

func (e *DeniedError) Error() string { return e.Why }

// Claim gets a client its identity in an application for the cluster's introduction, which
// it asks for anew before each try: it tries again until it has an answer or the context
// ends. Whoever answers has proven to be whom the cluster means. The identity's role is what
// the client may do; it lives for hours, see KeepClaimed.
func Claim(ctx context.Context, app string, introduce func(context.Context) (Introduction, error), o Options) (*identity.Identity, error) {
	req, err := identity.NewRequest()
	if err != nil {
		return nil, err
	}
	var id *identity.Identity
	err = claimUntil(ctx, app, req.CSR(), introduce, o.withDefaults(), func(cert []byte, ca *x509.Certificate) (err error) {
		if id, err = req.Identity(cert, ca); err == nil {
			err = checkClaimed(id.Subject(), app)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return id, nil
}

// KeepClaimed renews an identity that Claim has got, in place, until the context ends. When
// the access is lost it says so in the log and stops: the certificate in hand then runs out.
func KeepClaimed(ctx context.Context, id *identity.Identity, introduce func(context.Context) (Introduction, error), o Options) {
	o = o.withDefaults()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	keepRenewed(ctx, id, claimPause, time.Now, func() bool {
		err := renewClaim(ctx, id, introduce, o)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.As(err, new(*DeniedError)):
			o.Log.Warn("the access to the application is lost", "app", id.Subject().App, "err", err)
			stop()
		default:
			o.Log.Info("cannot renew the access to the application yet", "err", err)
		}
		return err == nil
	})
}

// claimPause is after which a renewal of access that failed is tried again.
const claimPause = 10 * time.Second

func renewClaim(ctx context.Context, id *identity.Identity, introduce func(context.Context) (Introduction, error), o Options) error {
	csr, err := id.CSR()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.CallTimeout)
	defer cancel()
	return claimUntil(ctx, id.Subject().App, csr, introduce, o, func(cert []byte, _ *x509.Certificate) error { return id.Renew(cert) })
}

// checkClaimed refuses what is no person's identity in the application.
func checkClaimed(who identity.Subject, app string) error {
	switch who.Role {
	case identity.Client, identity.Operator, identity.Viewer:
		if who.App == app {
			return nil
		}
	case identity.AppMaster, identity.Scheduler, identity.Worker:
	}
	return fmt.Errorf("the application master gave a certificate of %s", who)
}

// claimUntil claims until there is an answer, which use takes over.
func claimUntil(ctx context.Context, app string, csr []byte, introduce func(context.Context) (Introduction, error), o Options, use func([]byte, *x509.Certificate) error) error {
	var before error
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		intro, err := introduce(ctx)
		if err != nil {
			return err
		}
		var answer *claim.Answer
		if answer, err = claimOnce(ctx, intro, csr); err == nil {
			switch answer.Verdict {
			case claim.Granted:
				var ca *x509.Certificate
				if ca, err = x509.ParseCertificate(answer.Authority); err == nil {
					err = use(answer.Text, ca)
				}
				if err != nil {
					return fmt.Errorf("the application master of %s gave a certificate that is of no use: %w", app, err)
				}
				return nil
			case claim.Refused:
				return &DeniedError{string(answer.Text)}
			case claim.Later:
				err = errors.New(string(answer.Text))
			}
		}
		if ctx.Err() != nil && before != nil {
			err = before // a try that was cut off in the middle tells nothing
		}
		before = err
		o.Log.Debug("cannot claim an identity yet", "app", app, "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("cannot claim an identity in %s: %w", app, err)
		}
	}
}

// claimOnce makes one claim. Its answer is by who knows the token's password; whatever else
// comes back is an error that may have passed next time.
func claimOnce(ctx context.Context, intro Introduction, csr []byte) (*claim.Answer, error) {
	if intro.Address == "" {
		return nil, errors.New("the cluster does not say where the application master is")
	}
	ctx, cancel := context.WithTimeout(ctx, 2*dialTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", intro.Address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })()
	tc := tls.Client(conn, identity.StrangerClient())
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", intro.Address, err)
	}
	binding, err := claim.BindingOf(tc.ConnectionState())
	if err != nil {
		return nil, err
	}
	req := &claim.Request{Identifier: intro.Identifier, CSR: csr}
	claim.SignRequest(req, intro.Password, binding)
	frame, err := claim.AppendRequest(nil, req)
	if err != nil {
		return nil, err
	}
	if _, err := tc.Write(frame); err != nil {
		return nil, fmt.Errorf("%s: %w", intro.Address, err)
	}
	answer, err := claim.ReadAnswer(tc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", intro.Address, err)
	}
	if !answer.Proven(intro.Password, binding) {
		return nil, unproven(intro.Address, answer)
	}
	return answer, nil
}

// unproven is the error of an answer that anybody may have given: that of a master that
// does not know our token, or of one who stands in between. What it says is for a person to
// see, and nothing follows from it.
func unproven(addr string, a *claim.Answer) error {
	if a.Verdict == claim.Granted || a.Proof != (claim.Proof{}) {
		return fmt.Errorf("%s: whoever answers there is not the application master: its proof is wrong", addr)
	}
	const most = 200
	says := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, string(a.Text[:min(len(a.Text), most)]))
	return fmt.Errorf("%s: whoever answers there does not prove to be the application master, and says: %s", addr, says)
}
