package yarnd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/delegation"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/delegate"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/kms"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// masterLogin is who an application master is: with the owner's keytab the owner, by tickets that it gets itself, and by the
// tokens that it was started with while no ticket can be got; else whose tokens these are. keys, nil without a keytab, are to be
// closed after the identity.
func masterLogin(c *conf.Conf, app *spec.Application) (who *login.Identity, keys *keytabTickets, err error) {
	if app.Keytab == "" || !ipc.Secure(c) {
		who, err = login.Find(c, login.Options{User: app.User})
		return who, nil, err
	}
	own, err := token.ReadFile(tokenFile())
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read this container's credentials: %w", err)
	}
	keys = &keytabTickets{principal: app.Keytab, file: spec.KeytabFile}
	return login.With(app.User, keys, own.Delegated()), keys, nil
}

// tokenSource gets new tokens by the owner's keytab.
type tokenSource struct {
	delegate.Sources // what is always open
	m                *master
}

// kms is the client of a KMS.
func (m *master) kms(p kms.Provider) (delegate.KMS, error) {
	o := kms.As(m.who)
	o.Timeout = kmsPatience
	return kms.New(p, o), nil
}

// ownPatience is how long an operation of the application's file system may take when new tokens are asked for: with two
// NameNodes a quarter of it is for one of them, the KDC included.
const ownPatience = 10 * time.Second

// otherPatience is how long an operation of another file system than the application's may take there: it is before the
// application master registers.
const otherPatience = 5 * time.Second

// kmsPatience is how long an application master waits for a KMS: it does so before it registers.
const kmsPatience = 3 * time.Second

// Get implements delegation.Source. Who shows a token gets no others: nothing is asked here but by tickets.
func (s *tokenSource) Get(ctx context.Context) (delegation.Grant, error) {
	all, who := s.Sources, s.m.who.TicketsAlone()
	own, err := hdfs.Open(ctx, s.m.conf, s.m.app.Staging, hdfs.Options{Login: who, Timeout: ownPatience, Logger: s.m.log})
	if err != nil {
		return delegation.Grant{}, err
	}
	defer own.Close()
	all.Add(own)
	var missing []error
	all.Away = func(p kms.Provider, err error) {
		s.m.log.Warn("no new token for a KMS: what there is stays", "kms", p.Service, "err", err)
		missing = append(missing, fmt.Errorf("no token of %s: %w", p.Service, err))
	}
	for _, u := range s.m.app.FileSystems {
		f, err := hdfs.Open(ctx, s.m.conf, u, hdfs.Options{Login: who, Timeout: otherPatience, Logger: s.m.log})
		if err != nil { // that the one is away must not end the tokens for the others
			s.m.log.Warn("no new token for a file system: what there is stays", "url", u, "err", err)
			missing = append(missing, fmt.Errorf("no token of %s: %w", u, err))
			continue
		}
		defer f.Close()
		all.Add(f)
	}
	// That one is away must not end the tokens for the others.
	t, until, err := all.GetFor(ctx, s.m.who.User())
	if err != nil {
		return delegation.Grant{}, err
	}
	return delegation.Grant{Tokens: &t.Credentials, Until: until, Missing: errors.Join(missing...)}, nil
}

// master is what an application master on YARN acts with.
type master struct {
	conf *conf.Conf
	app  *spec.Application
	who  *login.Identity
	keys *keytabTickets // of who; nil: he has none
	fs   hdfs.FS
	rm   *yarn.Client // nil: not needed
	log  *slog.Logger
}

// keeper is who keeps the application in tokens, from those in this container's credentials on; nil on a cluster that wants
// none. start is told of what containers are to be started with. It has begun.
func (m *master) keeper(ctx context.Context, own *token.Credentials, start func(*token.Credentials)) (*delegation.Keeper, error) {
	if !ipc.Secure(m.conf) {
		return nil, nil
	}
	first := own.Delegated()
	o := delegation.Options{First: delegation.Grant{Tokens: first, Until: delegate.LastDay(first), AtMost: true}, Refused: m.refused, Files: staging{m.fs, m.app.Staging}, Log: m.log}
	o.Start, o.Shown = start, m.shown
	o.Changed = func(g delegation.Grant) { m.who.SetTokens(g.Tokens) }
	if m.who.Ticketed() {
		source, err := m.source()
		if err != nil {
			return nil, err
		}
		o.Source = source
	}
	k := delegation.NewKeeper(o)
	if err := k.Begin(ctx); err != nil {
		m.log.Warn("what tokens there are have to do for now", "until", k.Now().Until, "err", err)
	}
	return k, nil
}

// refused tells that the application's file system does not take tokens any more.
func (m *master) refused(ctx context.Context, tokens *token.Credentials) bool {
	f, err := hdfs.Open(ctx, m.conf, m.app.Staging, hdfs.Options{Login: login.With(m.who.User(), nil, tokens), Timeout: otherPatience, Logger: m.log})
	if err == nil {
		f.Close()
	}
	return ipc.Is(err, "org.apache.hadoop.security.token.SecretManager$InvalidToken")
}

// shown is the token by which refused asks: that of the application's own file system.
func (m *master) shown(tokens *token.Credentials) (token.Token, bool) {
	return hdfs.TokenFor(m.fs, tokens)
}

func (m *master) source() (*tokenSource, error) {
	s := &tokenSource{m: m}
	s.KMS = m.kms
	if !m.app.AsksTheCluster() {
		return s, nil
	}
	addrs, err := yarn.AddressesFromConf(m.conf)
	if err != nil {
		return nil, err
	}
	service := login.ResourceManager(m.conf, addrs.Client)
	o, err := m.who.TicketsAlone().IPC(ipc.Options{Logger: m.log}, m.conf, service)
	if err != nil {
		return nil, err
	}
	m.rm = yarn.NewClient(yarn.Options{Addresses: addrs.Client, IPC: o})
	s.RM, s.RMName = m.rm, service.Names[0]
	return s, nil
}

func (m *master) close() {
	if m.rm != nil {
		m.rm.Close()
	}
	if m.fs != nil {
		m.fs.Close()
	}
	m.who.Close()
	if m.keys != nil {
		m.keys.Close()
	}
}

// openMaster logs in and opens the file system of the application.
func openMaster(ctx context.Context, c *conf.Conf, app *spec.Application, log *slog.Logger) (*master, error) {
	who, keys, err := masterLogin(c, app)
	if err != nil {
		return nil, fmt.Errorf("cannot log in: %w", err)
	}
	m := &master{conf: c, app: app, who: who, keys: keys, log: log}
	for began := time.Now(); ; {
		if m.fs, err = hdfs.Open(ctx, c, app.Staging, hdfs.Options{Login: who, Logger: log}); err == nil {
			return m, nil
		}
		if !waitsForKDC(err) || time.Since(began) > kdcPatience {
			m.close()
			return nil, err
		}
		log.Warn("no KDC answers yet", "err", err)
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
			m.close()
			return nil, context.Cause(ctx)
		}
	}
}

// waitsForKDC tells that what went wrong may be well when a KDC answers: none does, and tokens that were shown for want of a
// ticket have ended.
func waitsForKDC(err error) bool { return krb5.KindOf(err) == krb5.Unreachable || sasl.Passing(err) }

// kdcPatience is how long an attempt waits for a KDC before it ends: less than after which YARN gives up one that does not
// register.
const kdcPatience = 3 * time.Minute

// keepTokens keeps the tokens of a container's processes, in the file at path and in copies without its secrets, the newest. The
// function that it returns ends that.
func keepTokens(c *amclient.Client, path string, copies ...string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		amclient.KeepTokens(ctx, c, path, copies...)
	}()
	return func() { cancel(); <-done }
}

// writeDelegated writes the owner's delegation tokens of this container, without its secrets, into a file of its own for the
// owner's programs; "" where there are none.
func writeDelegated() (string, error) {
	if tokenFile() == "" {
		return "", nil // on this machine
	}
	creds, err := token.ReadFile(tokenFile())
	if err != nil {
		return "", fmt.Errorf("cannot read this container's credentials: %w", err)
	}
	own := creds.Delegated()
	if len(own.Tokens) == 0 {
		return "", nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, ".tokens-") // mode 0600, and no name that a file of the user's may have
	if err != nil {
		return "", err
	}
	_, err = f.Write(own.Append(nil, token.V0))
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// tokenFile is where this container's tokens are.
func tokenFile() string { return os.Getenv(login.TokenFileVar) }
