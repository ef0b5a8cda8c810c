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

	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/iana/errorcode"
	"github.com/jcmturner/gokrb5/v8/iana/nametype"
	"github.com/jcmturner/gokrb5/v8/keytab"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

// Login is an identity with which tickets can be got. It is a sasl.TicketSource, and safe for concurrent use. Nothing
// is asked of a KDC before the first ticket, and nothing is done between calls.
type Login struct {
	client    client
	principal string
	realm     string
	cache     string // path of the ticket cache; "" with a keytab

	open context.Context // ends by Close
	end  context.CancelFunc

	// turn is held by who uses what follows, requests to the KDC included: they come one after the other.
	turn  chan struct{}
	kept  map[string]ticket // that were got, or are in the cache, by name, as in "nn/host@REALM"
	read  time.Time         // modification time of the cache that was read
	wrong error             // the KDC does not know this key or principal
	at    time.Time         // of wrong

	mu     sync.Mutex
	ends   time.Time // of the cache's ticket that gets others; zero with a keytab
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
	l.client.who = credentials.New(name, realm).WithKeytab(kt)
	return l, nil
}

func newLogin(c *Config) *Login {
	l := &Login{client: client{kdcs: kdcs{c.lib}}, turn: make(chan struct{}, 1), kept: map[string]ticket{}}
	l.open, l.end = context.WithCancel(context.Background())
	return l
}

// reload reads the ticket cache, if it is another than the one that was read.
func (l *Login) reload() error {
	info, err := os.Stat(l.cache)
	if err == nil && l.client.who != nil && info.ModTime().Equal(l.read) {
		return nil
	}
	c, err := loadCache(l.cache)
	if err != nil {
		return err
	}
	owner := cacheOwner(c)
	if l.client.who != nil && owner != l.principal {
		return &Error{BadCache, fmt.Sprintf("the ticket cache %s was of %s and is of %s now", l.cache, l.principal, owner), "run: kinit " + l.principal, nil}
	}
	tgt, err := ticketGranting(c)
	if err != nil {
		return err
	}
	kept, err := cachedTickets(c)
	if err != nil {
		return &Error{BadCache, "the ticket cache " + l.cache + " cannot be used", "make a new one with: kdestroy; kinit", err}
	}
	if l.client.who == nil {
		l.principal, l.realm, l.client.who = owner, c.GetClientRealm(), c.GetClientCredentials()
	}
	l.kept = kept
	if info != nil {
		l.read = info.ModTime()
	}
	l.setExpires(tgt.EndTime, tgt.RenewTill)
	return nil
}

// Principal is who it is: "alice@EXAMPLE.COM".
func (l *Login) Principal() string { return l.principal }

// Expires is when the ticket of the cache ends, as far as it is known to have been renewed, and until when it can be
// renewed; zero with a keytab, which has no end.
func (l *Login) Expires() (ends, renewable time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ends, l.renews
}

func (l *Login) setExpires(ends, renews time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends, l.renews = ends, renews
}

var errClosed = errors.New("the Kerberos login was closed")

// ServiceTicket implements sasl.TicketSource.
func (l *Login) ServiceTicket(ctx context.Context, service string) (gssapi.Credential, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.open, cancel)()
	var err error
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
		var t ticket
		if t, err = l.ticket(ctx, service); err == nil {
			return gssapi.Credential{Ticket: t.Ticket, Key: t.key, Client: l.client.who.CName(), Realm: l.realm}, nil
		}
	case <-ctx.Done():
	}
	switch {
	case l.open.Err() != nil:
		return gssapi.Credential{}, errClosed
	case ctx.Err() != nil:
		return gssapi.Credential{}, &Error{Unreachable, "the KDC of " + l.realm + " has not answered in time", "is the network up, and is the address in krb5.conf right?", nil}
	}
	return gssapi.Credential{}, explain(err, asked{who: l.principal, realm: l.realm, what: service, cache: l.cache != ""})
}

// ticket is ServiceTicket for who has the turn.
func (l *Login) ticket(ctx context.Context, service string) (ticket, error) {
	if l.open.Err() != nil {
		return ticket{}, errClosed
	}
	if l.cache != "" {
		if err := l.reload(); err != nil && time.Until(l.own().ends) < nearEnd {
			return ticket{}, err // otherwise what was read still serves
		}
	}
	name, realm, exact := strings.Cut(service, "@")
	if !exact {
		realm = l.realmOf(name)
	}
	key := name + "@" + realm
	t, ok := l.kept[key]
	if !ok || time.Until(t.ends) < nearEnd {
		var err error
		if t, err = l.obtain(ctx, name, realm); err != nil {
			return ticket{}, err
		}
		l.keep(key, t)
	}
	if exact && t.Realm != realm {
		return ticket{}, &Error{UnknownServer, fmt.Sprintf("the ticket for %s is one of the realm %s", service, t.Realm), "is the realm of its principal in Hadoop's configuration right?", nil}
	}
	return t, nil
}

// obtain is request, once more where a keytab can do something about what went wrong.
func (l *Login) obtain(ctx context.Context, name, realm string) (ticket, error) {
	before := l.own()
	t, err := l.request(ctx, name, realm)
	if l.cache == "" && notTaken(err) && l.own().since.Equal(before.since) {
		delete(l.kept, l.ownName()) // the KDC's own key is another than when it gave the ticket, say
		t, err = l.request(ctx, name, realm)
	}
	return t, err
}

// notTaken tells whether a KDC refused the ticket that others were to be got with, or may have.
func notTaken(err error) bool {
	e, refused := errors.AsType[messages.KRBError](err)
	return refused && e.ErrorCode != errorcode.KDC_ERR_S_PRINCIPAL_UNKNOWN && e.ErrorCode != errorcode.KDC_ERR_ETYPE_NOSUPP
}

// realmOf is that of a service, such as "nn/host", by [domain_realm]; its owner's where that says nothing: its KDC knows.
func (l *Login) realmOf(service string) string {
	if _, host, ok := strings.Cut(service, "/"); ok {
		if realm := l.client.cfg.ResolveRealm(host); realm != "" {
			return realm
		}
	}
	return l.realm
}

// request gets a ticket for a service of a realm from the KDCs.
func (l *Login) request(ctx context.Context, name, realm string) (ticket, error) {
	by, err := l.granting(ctx)
	if err != nil {
		return ticket{}, err
	}
	if realm != l.realm {
		there := "krbtgt/" + realm + "@" + l.realm
		t, ok := l.kept[there]
		if !ok || time.Until(t.ends) < nearEnd {
			if t, err = l.client.service(ctx, by, l.realm, grants(realm), false); err != nil {
				return ticket{}, err
			}
			l.keep(there, t)
		}
		by = t
	}
	return l.client.service(ctx, by, realm, types.NewPrincipalName(nametype.KRB_NT_PRINCIPAL, name), false)
}

func (l *Login) ownName() string { return "krbtgt/" + l.realm + "@" + l.realm }

// own is the ticket that gets others; zero where there is none.
func (l *Login) own() ticket { return l.kept[l.ownName()] }

// granting is own as it should be. In the last sixth of its life it is got anew; that this does not go well harms
// nobody before its end.
func (l *Login) granting(ctx context.Context) (ticket, error) {
	t := l.own()
	left := time.Until(t.ends)
	if left > nearEnd && left > t.ends.Sub(t.since)/6 {
		return t, nil
	}
	fresh, err := l.regain(ctx, t)
	switch {
	case err == nil:
		l.keep(l.ownName(), fresh)
		return fresh, nil
	case left > 0 && ctx.Err() == nil:
		return t, nil
	}
	return ticket{}, err
}

// regain gets the ticket that gets others: by the key, or by what is left of the one in the cache.
func (l *Login) regain(ctx context.Context, old ticket) (ticket, error) {
	if l.cache != "" {
		if time.Until(old.ends) < 0 || time.Until(old.renews) < 0 { // what has ended is renewed by no KDC
			return ticket{}, expired(l.principal)
		}
		t, err := l.client.service(ctx, old, l.realm, grants(l.realm), true)
		if err == nil {
			l.setExpires(t.ends, t.renews)
		}
		return t, err
	}
	if l.wrong != nil && time.Since(l.at) < wrongPause {
		return ticket{}, l.wrong
	}
	t, err := l.client.login(ctx)
	l.wrong = nil
	if err = explain(err, asked{who: l.principal, realm: l.realm, what: grants(l.realm).PrincipalNameString(), key: true}); KindOf(err) == WrongPassword || KindOf(err) == UnknownUser {
		l.wrong, l.at = err, time.Now()
	}
	return t, err
}

// keep keeps a ticket, and none that has ended.
func (l *Login) keep(name string, t ticket) {
	maps.DeleteFunc(l.kept, func(_ string, t ticket) bool { return time.Until(t.ends) < 0 })
	l.kept[name] = t
}

// Close forgets all keys; requests to a KDC that are under way end.
func (l *Login) Close() error {
	l.end()
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	clear(l.kept)
	l.client.who = credentials.New("", "")
	return nil
}
