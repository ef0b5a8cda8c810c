package appmaster

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/join"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/identity"
)

var errToken = errors.New("unknown container or wrong token")

// serveJoin answers one process that wants its certificate.
func (l *loop) serveJoin(ctx context.Context, conn *tls.Conn) {
	var answer join.Answer
	req, err := join.ReadRequest(conn, l.checkToken)
	switch {
	case errors.Is(err, errToken):
		answer = join.Answer{Verdict: join.Refused, Text: []byte(err.Error())}
	case err != nil:
		l.log.Info("refused a joining process", "from", conn.RemoteAddr(), "err", err)
		return
	default:
		answer = join.Answer{Verdict: join.Later, Text: []byte("the application is ending")}
		l.do(ctx, func() { answer = l.admit(req) })
	}
	if answer.Verdict != join.Granted {
		l.log.Warn("refused a joining process", "from", conn.RemoteAddr(), "why", string(answer.Text))
	}
	frame, err := join.AppendAnswer(nil, answer)
	if err != nil {
		l.log.Error("cannot answer a joining process", "err", err)
		return
	}
	if _, err := conn.Write(frame); err != nil {
		l.log.Info("a joining process did not wait for its answer", "from", conn.RemoteAddr(), "err", err)
	}
}

// checkToken compares a token with the container's, whether there is such a
// container or not, so that the time it takes tells nothing.
func (l *loop) checkToken(container string, token []byte) error {
	want := l.joinToken(container)
	if subtle.ConstantTimeCompare(want[:], token) != 1 {
		return errToken
	}
	return nil
}

// admit gives a container's process its certificate, once. It runs on the loop.
func (l *loop) admit(req *join.Request) join.Answer {
	refuse := func(format string, args ...any) join.Answer {
		return join.Answer{Verdict: join.Refused, Text: fmt.Appendf(nil, format, args...)}
	}
	m := l.members[req.Container]
	if m == nil {
		err := status.Convert(l.stranger(req.Container))
		if err.Code() == codes.Unavailable {
			return join.Answer{Verdict: join.Later, Text: []byte(err.Message())}
		}
		return refuse("%s", err.Message())
	}
	pub, err := identity.RequestKey(req.CSR)
	if err != nil {
		return refuse("%v", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return refuse("%v", err)
	}
	key := sha256.Sum256(spki)
	switch {
	case m.cert != nil && m.key == key:
		return join.Answer{Verdict: join.Granted, Text: m.cert}
	case m.proven:
		return refuse("container %s has its certificate already", req.Container)
	case l.core.Stopping(req.Container): // because it held nothing, perhaps; so it is not to begin
		return join.Answer{Verdict: join.Later, Text: fmt.Appendf(nil, "container %s is told to end", req.Container)}
	}
	cert, err := l.ca.Issue(identity.Subject{App: l.opt.Spec.ID, Role: identity.Role(m.pool.Role), Name: req.Container}, pub, 0)
	if err != nil {
		return refuse("%v", err)
	}
	m.key, m.cert, m.proven, l.dirty = key, cert, true, true
	l.step(reconcile.Came{ID: req.Container})
	return join.Answer{Verdict: join.Granted, Text: cert}
}

// members implements ampb.MembersServer.
type members struct {
	ampb.UnimplementedMembersServer
	*loop
}

func (s members) Scheduler(_ *ampb.SchedulerRequest, stream grpc.ServerStreamingServer[ampb.Endpoint]) error {
	var sent *ampb.Endpoint
	return s.follow(stream.Context(), func(info *ampb.Info) error {
		ep := info.Scheduler
		if ep == nil || (sent != nil && sent.Epoch == ep.Epoch && sent.Address == ep.Address) {
			return nil
		}
		sent = ep
		return stream.Send(ep)
	})
}

// follow calls f with each Info that is published, from the present one on, until
// the context ends, f fails, or the last one has been seen.
func (l *loop) follow(ctx context.Context, f func(*ampb.Info) error) error {
	for {
		p := l.published.Load()
		if err := f(p.info); err != nil {
			return err
		}
		if p.info.State == ampb.State_ENDED {
			return nil
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-l.closed:
			if l.published.Load() == p {
				return status.Error(codes.Unavailable, "this application master ends")
			}
		}
	}
}

func (s members) Renew(ctx context.Context, req *ampb.RenewRequest) (*ampb.RenewReply, error) {
	if err := s.belongs(ctx); err != nil {
		return nil, err
	}
	cert, err := s.ca.Sign(req.Csr, caller(ctx), 0)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &ampb.RenewReply{Certificate: cert}, nil
}

// belongs is why the caller, whose certificate is good for longer than his container may live, gets nothing; nil: he is in a
// container that runs.
func (s members) belongs(ctx context.Context) (stranger error) {
	name := caller(ctx).Name
	known := func() {
		if m := s.loop.members[name]; m != nil {
			m.proven = true
		} else {
			stranger = s.stranger(name)
		}
	}
	if !s.do(ctx, known) {
		return errEnding
	}
	return stranger
}
