package krb5

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
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
// is asked of a KDC before the first ticket, and nothing is done between calls. Where KDCs are is what krb5.conf says when one is asked.
type Login struct {
	client    client
	principal string
	cname     types.PrincipalName // the same without its realm
	realm     string
	cache     string // path of the ticket cache; "" with a keytab

	open context.Context // ends by Close
	end  context.CancelFunc

	// turn is held by who uses what follows, and the client: requests to the KDC come one after the other.
	turn  chan struct{}
	read  time.Time // modification time of the cache that was read
	wrong error     // the KDC does not know this key or principal
	at    time.Time // of wrong

	mu     sync.Mutex
	config *Config           // that the client goes by; changed by who has the turn
	kept   map[string]ticket // that were got, or are in the cache, by name, as in "nn/host@REALM"
	ends   time.Time         // of the cache's ticket that gets others; zero with a keytab
	renews time.Time         // until when it can be renewed
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
	l.cname = l.client.who.CName()
	return l, nil
}

func newLogin(c *Config) *Login {
	l := &Login{client: client{kdcs: newKDCs(c.lib)}, config: c, turn: make(chan struct{}, 1), kept: map[string]ticket{}}
	l.open, l.end = context.WithCancel(context.Background())
	return l
}

// reconfigure goes by krb5.conf as it is now, if that is another: a process that lives for weeks sees its KDCs move.
func (l *Login) reconfigure() {
	now := l.config.newer()
	if now == nil {
		return
	}
	l.client.kdcs = newKDCs(now.lib)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.config = now
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
	kept, err := cachedTickets(c, l.client.cfg.LibDefaults.Clockskew)
	if err != nil {
		return &Error{BadCache, "the ticket cache " + l.cache + " cannot be used", "make a new one with: kdestroy; kinit", err}
	}
	if l.client.who == nil {
		l.principal, l.realm, l.client.who = owner, c.GetClientRealm(), c.GetClientCredentials()
		l.cname = l.client.who.CName()
	}
	l.mu.Lock()
	l.kept = kept
	l.mu.Unlock()
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

// ServiceTicket implements sasl.TicketSource. One that is kept is there at once, whoever waits for a KDC meanwhile.
func (l *Login) ServiceTicket(ctx context.Context, service string) (gssapi.Credential, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.open, cancel)()
	var t ticket
	var err error
	select {
	case l.turn <- struct{}{}:
		t, err = l.ticket(ctx, service)
		<-l.turn
	default:
		t, err = l.whileOthers(ctx, service)
	}
	switch {
	case err == nil:
		return gssapi.Credential{Ticket: t.Ticket, Key: t.key, Client: l.cname, Realm: l.realm}, nil
	case l.open.Err() != nil:
		return gssapi.Credential{}, errClosed
	case ctx.Err() != nil:
		return gssapi.Credential{}, &Error{Unreachable, "the KDC of " + l.realm + " has not answered in time", "is the network up, and is the address in krb5.conf right?", nil}
	}
	return gssapi.Credential{}, explain(err, asked{who: l.principal, realm: l.realm, what: service, cache: l.cache != ""})
}

// whileOthers is ticket for who finds that somebody else has the turn.
func (l *Login) whileOthers(ctx context.Context, service string) (ticket, error) {
	name, realm, exact := l.named(service)
	if t, ok := l.has(name + "@" + realm); ok && !(exact && t.Realm != realm) {
		return t, nil
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
		return l.ticket(ctx, service)
	case <-ctx.Done():
		return ticket{}, ctx.Err()
	}
}

// named takes the name of a service apart. Where it is not exact the realm is what [domain_realm] says, or its owner's, whose
// KDC knows.
func (l *Login) named(service string) (name, realm string, exact bool) {
	name, realm, exact = strings.Cut(service, "@")
	if _, host, ok := strings.Cut(name, "/"); ok && !exact {
		l.mu.Lock()
		realm = l.config.lib.ResolveRealm(host)
		l.mu.Unlock()
	}
	return name, cmp.Or(realm, l.realm), exact
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
	name, realm, exact := l.named(service)
	t, ok := l.has(name + "@" + realm)
	if !ok {
		var err error
		if t, err = l.obtain(ctx, name, realm); err != nil {
			return ticket{}, err
		}
		l.keep(name+"@"+realm, t)
	}
	if exact && t.Realm != realm {
		return ticket{}, &Error{UnknownServer, fmt.Sprintf("the ticket for %s is one of the realm %s", service, t.Realm), "is the realm of its principal in Hadoop's configuration right?", nil}
	}
	return t, nil
}

// obtain is request, once more with another ticket to get others with where the one that there is was not taken and a keytab
// gets one. Until then the old one stays: it may be good for other services.
func (l *Login) obtain(ctx context.Context, name, realm string) (ticket, error) {
	l.reconfigure()
	before := l.own()
	t, err := l.request(ctx, name, realm)
	if l.cache != "" || !notTaken(err) || !l.own().since.Equal(before.since) {
		return t, err
	}
	fresh, failed := l.regain(ctx, before)
	if failed != nil {
		return t, err
	}
	l.keep(l.ownName(), fresh)
	return l.request(ctx, name, realm)
}

// notTaken tells whether a KDC refused the ticket that others were to be got with, because of which it was: its own key is
// another than when it gave it, say.
func notTaken(err error) bool {
	e, refused := errors.AsType[messages.KRBError](err)
	return refused && KindOf(err) == "" && slices.Contains([]int32{errorcode.KDC_ERR_TGT_REVOKED, errorcode.KRB_AP_ERR_BAD_INTEGRITY, errorcode.KRB_AP_ERR_TKT_EXPIRED,
		errorcode.KRB_AP_ERR_TKT_NYV, errorcode.KRB_AP_ERR_MODIFIED, errorcode.KRB_AP_ERR_BADKEYVER, errorcode.KRB_AP_ERR_NOKEY}, e.ErrorCode)
}

// request gets a ticket for a service of a realm from the KDCs.
func (l *Login) request(ctx context.Context, name, realm string) (ticket, error) {
	by, err := l.granting(ctx)
	if err != nil {
		return ticket{}, err
	}
	if realm != l.realm {
		there := "krbtgt/" + realm + "@" + l.realm
		t, ok := l.has(there)
		if !ok {
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
func (l *Login) own() ticket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept[l.ownName()]
}

// has is a ticket that is kept, and good for some time.
func (l *Login) has(name string) (ticket, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.kept[name]
	return t, ok && time.Until(t.ends) > nearEnd
}

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

// Forget implements sasl.Forgetter: one that was kept may be of a key that the service has no more.
func (l *Login) Forget(service string, refused gssapi.Credential) bool {
	name, realm, _ := l.named(service)
	l.mu.Lock()
	defer l.mu.Unlock()
	t, ok := l.kept[name+"@"+realm]
	if !ok || !bytes.Equal(t.key.KeyValue, refused.Key.KeyValue) {
		return false
	}
	delete(l.kept, name+"@"+realm)
	return true
}

// keep keeps a ticket, and none that has ended.
func (l *Login) keep(name string, t ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.kept, func(_ string, t ticket) bool { return time.Until(t.ends) < 0 })
	l.kept[name] = t
}

// Close forgets all keys; requests to a KDC that are under way end.
func (l *Login) Close() error {
	l.end()
	l.turn <- struct{}{}
	defer func() { <-l.turn }()
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.kept)
	l.client.who = credentials.New("", "")
	return nil
}
