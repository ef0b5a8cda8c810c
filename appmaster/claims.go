package appmaster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/yarnd/yarnd/appmaster/claim"
	"github.com/yarnd/yarnd/appmaster/rights"
	"github.com/yarnd/yarnd/identity"
)

// claimTTL is the life of a certificate that somebody gets for the cluster's word: by then
// he has to have the cluster vouch for him anew.
const claimTTL = 12 * time.Hour

// serveClaim answers one client that wants a certificate for a token of the cluster's.
func (l *loop) serveClaim(_ context.Context, conn *tls.Conn) {
	binding, err := claim.BindingOf(conn.ConnectionState())
	if err != nil {
		l.log.Error("cannot judge a claim", "err", err)
		return
	}
	req, err := claim.ReadRequest(conn)
	if err != nil {
		l.log.Info("refused a claim", "from", conn.RemoteAddr(), "err", err)
		return
	}
	answer := l.judge(req, binding)
	if answer.Verdict != claim.Granted {
		l.log.Warn("refused a claim", "from", conn.RemoteAddr(), "why", string(answer.Text))
	}
	frame, err := claim.AppendAnswer(nil, answer)
	if err != nil {
		l.log.Error("cannot answer a claim", "err", err)
		return
	}
	if _, err := conn.Write(frame); err != nil {
		l.log.Info("a client did not wait for the answer to its claim", "from", conn.RemoteAddr(), "err", err)
	}
}

// judge answers a claim. Until its proof has turned out right nothing of it is decoded.
func (l *loop) judge(req *claim.Request, b claim.Binding) *claim.Answer {
	vouching := l.prov.Vouching()
	if len(vouching.Key) == 0 {
		return &claim.Answer{Verdict: claim.Later, Text: []byte("the cluster has given the application master no key for clients' tokens")}
	}
	password, ok := claim.Judge(vouching.Key, req, b)
	if !ok {
		return &claim.Answer{Verdict: claim.Refused, Text: []byte("the token is not one for this attempt of the application master")}
	}
	answer := &claim.Answer{Verdict: claim.Refused}
	who, err := l.claimant(req.Identifier)
	var cert []byte
	if err == nil {
		cert, err = l.ca.Sign(req.CSR, who, claimTTL)
	}
	switch busy := l.alone(); {
	case busy != nil:
		answer.Verdict, answer.Text = claim.Later, []byte("this application master has had no answer from the cluster for too long")
	case err != nil:
		answer.Text = []byte(err.Error())
	default:
		answer.Verdict, answer.Text, answer.Authority = claim.Granted, cert, l.ca.Certificate().Raw
		l.log.Info("admitted a client for the cluster's word", "as", who)
	}
	claim.SignAnswer(answer, password, b)
	return answer
}

// claimant is who a token that was proven names, in the role that is his.
func (l *loop) claimant(identifier []byte) (identity.Subject, error) {
	id, err := claim.ParseIdentifier(identifier)
	if err != nil {
		return identity.Subject{}, err
	}
	if id.App != l.opt.Spec.ID || id.Attempt != l.attempt {
		return identity.Subject{}, fmt.Errorf("the token is for attempt %d of %s, this is attempt %d of %s", id.Attempt, id.App, l.attempt, l.opt.Spec.ID)
	}
	user, err := l.shortName(id.Client)
	if err != nil {
		return identity.Subject{}, err
	}
	role, ok := l.policy().Of(user)
	if !ok {
		return identity.Subject{}, fmt.Errorf("%s has no access to %s, which is %s's", user, l.opt.Spec.ID, l.opt.Spec.User)
	}
	return identity.Subject{App: l.opt.Spec.ID, Role: role, Name: user}, nil
}

func (l *loop) shortName(principal string) (string, error) {
	if l.opt.ShortName != nil {
		return l.opt.ShortName(principal)
	}
	if strings.ContainsAny(principal, "/@") {
		return "", errors.New("the application master has no rules for names of Kerberos, such as " + principal)
	}
	return principal, nil
}

// policy is who may do what: by the cluster's word where it said something, else as the
// application was submitted.
func (l *loop) policy() rights.Policy {
	p := rights.Policy{Owner: l.opt.Spec.User, Access: l.opt.Spec.Access}
	if v := l.prov.Vouching(); v.Told {
		p.Access.View, p.Access.Modify = v.Access.View, v.Access.Modify
	}
	return p
}
