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

	mu     sync.Mutex     // of requests to the KDC too: they come one after the other
	lib    *client.Client // keeps the tickets that it got
	read   time.Time      // modification time of the cache that lib has
	ends   time.Time      // of the ticket that gets others; zero with a keytab
	renews time.Time      // until when it can be renewed
	closed bool
}

// FromCache is the login of who has run kinit. Where the cache is filled anew, that is noticed.
func FromCache(c *Config, path string) (*Login, error) {
	l := newLogin(c)
	l.cache = path
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.reload(); err != nil {
		return nil, err
	}
	if time.Until(l.ends) < nearEnd {
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
	return &Login{cfg: &own}
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
	if l.principal != "" && cacheOwner(c) != l.principal {
		return &Error{BadCache, fmt.Sprintf("the ticket cache %s was of %s and is of %s now", l.cache, l.principal, cacheOwner(c)), "run: kinit " + l.principal, nil}
	}
	tgt, err := ticketGranting(c)
	if err != nil {
		return err
	}
	lib, err := client.NewFromCCache(c, l.cfg, client.DisablePAFXFAST(true))
	if err != nil {
		return &Error{BadCache, "the ticket cache " + l.cache + " cannot be used", "make a new one with: kdestroy; kinit", err}
	}
	if l.lib != nil {
		l.lib.Destroy()
	}
	l.lib, l.principal, l.realm, l.ends, l.renews = lib, cacheOwner(c), c.GetClientRealm(), tgt.EndTime, tgt.RenewTill
	if info != nil {
		l.read = info.ModTime()
	}
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
// has answered or not, some seconds, and serves whoever asks next.
func (l *Login) ServiceTicket(ctx context.Context, service string) (gssapi.Credential, error) {
	type answer struct {
		cred gssapi.Credential
		err  error
	}
	ch := make(chan answer, 1)
	go func() {
		cred, err := l.ticket(service)
		ch <- answer{cred, err}
	}()
	select {
	case a := <-ch:
		return a.cred, a.err
	case <-ctx.Done():
		return gssapi.Credential{}, &Error{Unreachable, "the KDC of " + l.realm + " has not answered in time", "is the network up, and is the address in krb5.conf right?", ctx.Err()}
	}
}

var errClosed = errors.New("the Kerberos login was closed")

func (l *Login) ticket(service string) (gssapi.Credential, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return gssapi.Credential{}, errClosed
	}
	if l.cache != "" {
		if err := l.reload(); err != nil && time.Until(l.ends) < nearEnd {
			return gssapi.Credential{}, err // otherwise what was read still serves
		}
	}
	if l.cache != "" && time.Until(l.ends) < 0 && time.Until(l.renews) < 0 {
		return gssapi.Credential{}, expired(l.principal)
	}
	name, realm, _ := strings.Cut(service, "@")
	if _, host, ok := strings.Cut(name, "/"); ok && realm != "" {
		l.cfg.DomainRealm[host] = realm // the library asks this for the realm of a service
	}
	var tkt messages.Ticket
	var key types.EncryptionKey
	err := safely(func() (err error) { tkt, key, err = l.lib.GetServiceTicket(name); return err })
	if err != nil {
		return gssapi.Credential{}, explain(err, l.principal, service, l.realm)
	}
	return gssapi.Credential{Ticket: tkt, Key: key, Client: l.lib.Credentials.CName(), Realm: l.realm}, nil
}

// Close forgets all keys and ends what runs.
func (l *Login) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.lib.Destroy()
	}
	return nil
}
