package krb5

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// Login is an identity with which tickets can be got. It is a sasl.TicketSource, and safe for concurrent use. Nothing
// is asked of a KDC before the first ticket.
type Login struct {
	principal string
	realm     string
	cfg       *config.Config // its own
	cache     string         // path of the ticket cache; "" with a keytab

	// turn is held by who uses what follows, requests to the KDC included: they come one after the other.
	turn   chan struct{}
	lib    *client.Client // keeps the tickets that it got
	read   time.Time      // modification time of the cache that lib has
	wrong  error          // the KDC does not know this key or principal
	since  time.Time      // of wrong
	closed chan struct{}  // by Close
	close  sync.Once

	mu     sync.Mutex
	ends   time.Time // of the ticket that gets others; zero with a keytab
	renews time.Time // until when it can be renewed
}

// nearEnd is how long before its end a ticket is not counted on any more: work has to be done with it.
const nearEnd = 30 * time.Second

// wrongPause is how long a key that the KDC did not take is not shown to it again: many a realm locks whom it refuses too often.
const wrongPause = 30 * time.Minute

// FromCache is the login of who has run kinit. Where the cache is filled anew, that is noticed.
func FromCache(c *Config, path string) (*Login, error) {
	l := newLogin(c)
	l.cache = path
	if err := l.reload(); err != nil {
		return nil, err
	}
	if ends, _ := l.Expires(); time.Until(ends) < nearEnd {
		l.Close()
		return nil, expired(l.principal)
	}
	return l, nil
}

const maxKeytab = 1 << 20 // bytes

// FromKeytab is the login of a principal, such as "alice@EXAMPLE.COM", whose key is in a keytab.
func FromKeytab(c *Config, path, principal string) (*Login, error) {
	name, realm, _ := strings.Cut(principal, "@")
	if realm == "" {
		if realm = c.DefaultRealm; realm == "" {
			return nil, &Error{BadConfig, fmt.Sprintf("the principal %q has no realm, and krb5.conf no default_realm", principal), "write it as NAME@REALM", nil}
		}
	}
	b, err := readBounded(path, maxKeytab)
	if err != nil {
		return nil, &Error{BadKeytab, "the keytab cannot be read", "", err}
	}
	kt := keytab.New()
	if err := safely(func() error { return kt.Unmarshal(b) }); err != nil {
		return nil, &Error{BadKeytab, "the keytab " + path + " cannot be read", "list what it has with: klist -kte " + path, err}
	}
	var others []string
	found := false
	for _, e := range kt.Entries {
		if e.Principal.String() == name+"@"+realm {
			found = true
		} else if s := e.Principal.String(); len(others) == 0 || others[len(others)-1] != s {
			others = append(others, s)
		}
	}
	if !found {
		return nil, &Error{BadKeytab, fmt.Sprintf("the keytab %s has no key of %s@%s, but of %s", path, name, realm, strings.Join(others, ", ")),
			"give the principal that it is for", nil}
	}
	l := newLogin(c)
	l.principal, l.realm = name+"@"+realm, realm
	l.lib = client.NewWithKeytab(name, realm, kt, l.cfg, client.DisablePAFXFAST(true))
	return l, nil
}

func newLogin(c *Config) *Login {
	own := *c.lib
	own.DomainRealm = maps.Clone(own.DomainRealm)
	if own.DomainRealm == nil {
		own.DomainRealm = config.DomainRealm{}
	}
	return &Login{cfg: &own, turn: make(chan struct{}, 1), closed: make(chan struct{})}
}

// reload reads the ticket cache, if it is another than the one that was read.
func (l *Login) reload() error {
	info, err := os.Stat(l.cache)
	if err == nil && l.lib != nil && info.ModTime().Equal(l.read) {
		return nil
	}
	c, err := loadCache(l.cache)
	if err != nil {
		return err
	}
	owner := cacheOwner(c)
	if l.lib != nil && owner != l.principal {
		return &Error{BadCache, fmt.Sprintf("the ticket cache %s was of %s and is of %s now", l.cache, l.principal, owner), "run: kinit " + l.principal, nil}
	}
	tgt, err := ticketGranting(c)
	if err != nil {
		return err
	}
	lib, err := client.NewFromCCache(c, l.cfg, client.DisablePAFXFAST(true))
	if err != nil {
		return &Error{BadCache, "the ticket cache " + l.cache + " cannot be used", "make a new one with: kdestroy; kinit", err}
	}
	if l.lib == nil {
		l.principal, l.realm = owner, c.GetClientRealm()
	} else {
		l.lib.Destroy()
	}
	l.lib = lib
	if info != nil {
		l.read = info.ModTime()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends, l.renews = tgt.EndTime, tgt.RenewTill
	return nil
}

// Principal is who it is: "alice@EXAMPLE.COM".
func (l *Login) Principal() string { return l.principal }

// Expires is when the ticket in the cache ends, and until when it can be renewed; zero with a keytab, which has no end.
func (l *Login) Expires() (ends, renewable time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ends, l.renews
}

// ServiceTicket implements sasl.TicketSource. A request to a KDC that is under way when ctx ends goes on until the KDC
// has answered or not, some seconds.
func (l *Login) ServiceTicket(ctx context.Context, service string) (gssapi.Credential, error) {
	late := &Error{Unreachable, "the KDC of " + l.realm + " has not answered in time", "is the network up, and is the address in krb5.conf right?", nil}
	select {
	case l.turn <- struct{}{}:
	case <-l.closed:
		return gssapi.Credential{}, errClosed
	case <-ctx.Done():
		return gssapi.Credential{}, late
	}
	type answer struct {
		cred gssapi.Credential
		err  error
	}
	ch := make(chan answer, 1)
	go func() {
		cred, err := l.ticket(service)
		l.giveUpTurn()
		ch <- answer{cred, err}
	}()
	select {
	case a := <-ch:
		return a.cred, a.err
	case <-ctx.Done():
		return gssapi.Credential{}, late
	}
}

// giveUpTurn lets the next one in, or, if it was closed meanwhile, ends what Close could not.
func (l *Login) giveUpTurn() {
	<-l.turn
	if l.isClosed() {
		l.destroy()
	}
}

func (l *Login) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

var errClosed = errors.New("the Kerberos login was closed")

// ticket is ServiceTicket for who has the turn.
func (l *Login) ticket(service string) (gssapi.Credential, error) {
	if l.isClosed() {
		return gssapi.Credential{}, errClosed
	}
	ends, _ := l.Expires()
	if l.cache != "" {
		if err := l.reload(); err != nil && time.Until(ends) < nearEnd {
			return gssapi.Credential{}, err // otherwise what was read still serves
		}
		if ends, renews := l.Expires(); time.Until(ends) < 0 && time.Until(renews) < 0 {
			return gssapi.Credential{}, expired(l.principal)
		}
	}
	if l.wrong != nil && time.Since(l.since) < wrongPause {
		return gssapi.Credential{}, l.wrong
	}
	cred, err := l.ask(service)
	l.wrong = nil
	if kind := KindOf(err); l.cache == "" && (kind == WrongPassword || kind == UnknownUser) {
		l.wrong, l.since = err, time.Now()
	}
	return cred, err
}

// ask is ticket for who may ask the KDC.
func (l *Login) ask(service string) (gssapi.Credential, error) {
	cred, err := l.request(service)
	if kind := KindOf(err); l.cache == "" && (kind == Expired || kind == Refused) {
		// The library renews what it has, and does nothing else as long as that could be renewed; by now it cannot.
		if err := safely(l.lib.Login); err != nil {
			return gssapi.Credential{}, explain(err, asked{l.principal, l.realm, service, l.cache != ""})
		}
		cred, err = l.request(service)
	}
	return cred, err
}

// request has the library get a ticket, from what it keeps or from the KDC.
func (l *Login) request(service string) (gssapi.Credential, error) {
	name, realm, _ := strings.Cut(service, "@")
	if _, host, ok := strings.Cut(name, "/"); ok && realm != "" {
		l.cfg.DomainRealm[host] = realm // the library asks this for the realm of a service
	}
	var tkt messages.Ticket
	var key types.EncryptionKey
	err := safely(func() (err error) { tkt, key, err = l.lib.GetServiceTicket(name); return err })
	if err != nil {
		return gssapi.Credential{}, explain(err, asked{l.principal, l.realm, service, l.cache != ""})
	}
	// It knows what it keeps by name alone, and does not compare what it gets.
	if got := tkt.SName.PrincipalNameString(); got != name || realm != "" && tkt.Realm != realm {
		return gssapi.Credential{}, &Error{UnknownServer, fmt.Sprintf("the ticket for %s is one for %s@%s", service, got, tkt.Realm),
			"make a new ticket cache with: kdestroy; kinit", nil}
	}
	return gssapi.Credential{Ticket: tkt, Key: key, Client: l.lib.Credentials.CName(), Realm: l.realm}, nil
}

// Close forgets all keys and ends what runs; a request to a KDC that is under way ends by itself.
func (l *Login) Close() error {
	l.close.Do(func() {
		close(l.closed)
		l.destroy()
	})
	return nil
}

// destroy ends the library's client, unless somebody has the turn: he does it then.
func (l *Login) destroy() {
	select {
	case l.turn <- struct{}{}: // and nobody gets it any more
		l.lib.Destroy()
	default:
	}
}
