package kms_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/kms"
	"github.com/yarnd/yarnd/hadooprpc/kms/kmstest"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/sasl/spnego"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var realm = &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}

func as(name string) gssapi.Tickets { return gssapi.Tickets{Issuer: realm, Client: name} }

func start(t *testing.T, o kmstest.Options) *kmstest.Server {
	t.Helper()
	o.Realm = realm
	k := kmstest.Start(o)
	t.Cleanup(k.Close)
	return k
}

func client(t *testing.T, uri string, o kms.Options) *kms.Client {
	t.Helper()
	p, ok, err := kms.Parse(uri)
	if err != nil || !ok {
		t.Fatalf("%s: %v, %v", uri, ok, err)
	}
	return kms.New(p, o)
}

// refused is true where err is of a kind, and says all of that.
func refused(t *testing.T, what string, err error, kind kms.Kind, texts ...string) {
	t.Helper()
	if e := (*kms.Error)(nil); !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("%s: %v, want kind %s", what, err, kind)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", what, err, text)
		}
	}
}

// The life of a token: given to who has a ticket, renewed by its renewer, and ended by whoever has it.
func TestToken(t *testing.T) {
	for _, tls := range []bool{false, true} {
		k := start(t, kmstest.Options{TLS: tls})
		ctx, roots := t.Context(), k.Roots()
		c := client(t, k.URI(), kms.Options{Tickets: as("alice"), Roots: roots})
		tok, err := c.DelegationToken(ctx, "yarn/rm.example.com@EXAMPLE.COM")
		if err != nil {
			t.Fatal(err)
		}
		if tok.Kind != token.KindKMS || tok.Service != k.URI() {
			t.Errorf("%v, want service %s", tok, k.URI())
		}
		if d, err := token.ParseDelegation(tok.Identifier); err != nil || d.Owner != "alice" || d.Renewer != "yarn" {
			t.Errorf("%+v, %v", d, err)
		}
		_, err = c.RenewToken(ctx, tok)
		refused(t, "renewed by its owner", err, kms.Refused, "alice tries to renew", "ask its administrator")
		until, err := client(t, k.URI(), kms.Options{Tickets: as("yarn"), Roots: roots}).RenewToken(ctx, tok)
		if left := time.Until(until); err != nil || left < 23*time.Hour || left > 25*time.Hour {
			t.Errorf("until %v, %v", until, err)
		}
		stranger := client(t, k.URI(), kms.Options{Roots: roots})
		forged := tok
		forged.Password = []byte("guessed")
		refused(t, "a forged one", stranger.CancelToken(ctx, forged), kms.Refused, "Invalid delegation token")
		if err := stranger.CancelToken(ctx, tok); err != nil || len(k.Tokens()) != 0 {
			t.Errorf("%v; left: %v", err, k.Tokens())
		}
		if _, err := c.DelegationToken(ctx, ""); err != nil || !slices.Equal(k.Tokens(), []string{"alice for "}) {
			t.Errorf("for nobody: %v, %v", k.Tokens(), err)
		}
		_, err = stranger.DelegationToken(ctx, "yarn")
		refused(t, "without a ticket", err, kms.NoTicket, "there is no ticket", "kinit")
	}
}

// oldTicket is of an old key of the service, until it is forgotten.
type oldTicket struct {
	gssapi.Tickets
	forgotten bool
}

func (o *oldTicket) ServiceTicket(ctx context.Context, service string) (gssapi.Credential, error) {
	if o.forgotten {
		return o.Tickets.ServiceTicket(ctx, service)
	}
	return (&gssapi.Issuer{Realm: realm.Realm, KeyType: realm.KeyType, Life: time.Hour}).Ticket("alice", service)
}

func (o *oldTicket) Forget(string, gssapi.Credential) bool {
	o.forgotten = true
	return true
}

// A server that has got another key takes no ticket that was got before; the next time another is got.
func TestTicketOfAnOldKey(t *testing.T) {
	k := start(t, kmstest.Options{})
	o := &oldTicket{Tickets: as("alice")}
	c := client(t, k.URI(), kms.Options{Tickets: o})
	_, err := c.DelegationToken(t.Context(), "yarn")
	refused(t, "with the old ticket", err, kms.Refused)
	if _, err := c.DelegationToken(t.Context(), "yarn"); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// Who acts for another gets a token that is the other's, if the KMS lets him.
func TestProxyUser(t *testing.T) {
	k := start(t, kmstest.Options{Proxies: []string{"oozie"}})
	for _, c := range []struct {
		who  string
		fine bool
	}{{"oozie", true}, {"mallory", false}} {
		tok, err := client(t, k.URI(), kms.Options{Tickets: as(c.who), DoAs: "alice"}).DelegationToken(t.Context(), "yarn")
		if !c.fine {
			refused(t, c.who, err, kms.Refused, "mallory is not allowed to impersonate alice", "hadoop.kms.proxyuser")
		} else if d, e := token.ParseDelegation(tok.Identifier); err != nil || e != nil || d.Owner != "alice" {
			t.Errorf("%+v, %v, %v", d, err, e)
		}
	}
}

// Of several servers any will do that answers, and it is asked first from then on.
func TestSeveralServers(t *testing.T) {
	k := start(t, kmstest.Options{})
	_, port, _ := net.SplitHostPort(k.Addr())
	uri := "kms://http@127.0.0.2;127.0.0.1:" + port + "/kms"
	first, err := net.Listen("tcp", "127.0.0.2:"+port) // hangs up
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	var met atomic.Int32
	go func() {
		for {
			conn, err := first.Accept()
			if err != nil {
				return
			}
			met.Add(1)
			conn.Close()
		}
	}()
	c := client(t, uri, kms.Options{Tickets: as("alice"), Timeout: 5 * time.Second})
	tok, err := c.DelegationToken(t.Context(), "alice")
	if err != nil || tok.Service != uri {
		t.Fatalf("%v, %v", tok, err)
	}
	if _, err := c.RenewToken(t.Context(), tok); err != nil {
		t.Error(err)
	}
	if met.Load() != 1 {
		t.Errorf("the first one was asked %d times", met.Load())
	}
	if got, want := k.Log(), []string{"GETDELEGATIONTOKEN by alice", "RENEWDELEGATIONTOKEN by alice"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	k.SetTrouble(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, `{"RemoteException":{"message":"no \u001b[2J\nkeys","exception":"IOException"}}`, http.StatusInternalServerError)
	})
	_, err = c.DelegationToken(t.Context(), "alice")
	refused(t, "all fail", err, kms.Unreachable, uri, "http://127.0.0.1:"+port+"/kms: it fails (HTTP 500): IOException: no [2J keys", "http://127.0.0.2:"+port+"/kms: it does not answer", "ignore.namenode.default.kms.uri")
	if strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("%q", err)
	}
}

// A server that takes connections and says nothing costs the others no more than a share of the time.
func TestSilentServer(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("there is one loopback address only: ", err)
	}
	defer silent.Close()
	_, port, _ := net.SplitHostPort(silent.Addr().String())
	c := client(t, "kms://http@127.0.0.2;127.0.0.3:"+port+"/kms", kms.Options{Tickets: anyService{}, Timeout: time.Second})
	began := time.Now()
	_, err = c.DelegationToken(t.Context(), "yarn")
	refused(t, "silent", err, kms.Unreachable, "127.0.0.2:"+port+"/kms: it has not answered in time", "127.0.0.3:"+port+"/kms: it does not answer: dial tcp")
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
	short, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	_, err = c.DelegationToken(short, "yarn")
	refused(t, "the caller's time is over", err, kms.Unreachable, "it has not answered in time")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := c.DelegationToken(ctx, "yarn"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// anyService gives tickets for every host.
type anyService struct{}

func (anyService) ServiceTicket(_ context.Context, service string) (gssapi.Credential, error) {
	return realm.Ticket("alice", service)
}

// What anybody could say is not believed, and no error holds a token.
func TestImpostors(t *testing.T) {
	k := start(t, kmstest.Options{})
	c := client(t, k.URI(), kms.Options{Tickets: as("alice"), Timeout: 5 * time.Second})
	secret := token.Token{Identifier: []byte("id"), Password: []byte("secret"), Kind: token.KindKMS}
	says := func(code int, h http.Header, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for name, values := range h {
				w.Header()[name] = values
			}
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	proven := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			h, err := spnego.Accept(realm.Acceptor(kmstest.Service), r.Header.Get(spnego.RequestHeader), time.Now())
			if err != nil {
				t.Error(err)
			}
			w.Header().Set(spnego.AnswerHeader, h)
			fmt.Fprint(w, body)
		}
	}
	good := `{"Token":{"urlString":"` + secret.URLString() + `"},"long":4102444800000}`
	elsewhere := http.Header{"Location": {"http://127.0.0.1:1/kms/v1/"}}
	for what, x := range map[string]struct {
		does http.HandlerFunc
		kind kms.Kind
		text string
	}{
		"no proof":           {says(200, nil, good), kms.NoProof, "the server does not prove who it is"},
		"a wrong proof":      {says(200, http.Header{spnego.AnswerHeader: {"Negotiate oRQwEqADCgEAoQsGCSqGSIb3EgECAg=="}}, good), kms.NoProof, "hadoop.kms.authentication.type"},
		"another way":        {says(307, elsewhere, ""), kms.Refused, "HTTP 307"},
		"our ticket is none": {says(401, http.Header{spnego.AnswerHeader: {"Negotiate"}}, ""), kms.NoTicket, "it does not take our ticket"},
		"not found":          {says(404, nil, ""), kms.Refused, "usually /kms"},
		"nothing":            {proven(""), kms.Malformed, "its answer cannot be read"},
		"no token":           {proven(`{"Token":{"urlString":"AAAA"}}`), kms.Malformed, ""},
		"an endless answer":  {proven(strings.Repeat(" ", 2<<20) + good), kms.Malformed, "its answer cannot be read"},
		"hangs up":           {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, kms.Unreachable, "it does not answer"},
	} {
		k.SetTrouble(x.does)
		_, err := c.DelegationToken(t.Context(), "yarn")
		refused(t, what, err, x.kind, x.text, "http://"+k.Addr()+"/kms")
		_, err = c.RenewToken(t.Context(), secret)
		refused(t, what+", renewing", err, x.kind, x.text)
		if strings.Contains(err.Error(), secret.URLString()) {
			t.Errorf("%s: the error holds the token", what)
		}
	}
	k.SetTrouble(proven(good))
	if tok, err := c.DelegationToken(t.Context(), "yarn"); err != nil || string(tok.Password) != "secret" {
		t.Errorf("the same with a proof: %v", err)
	}
}

func TestTrouble(t *testing.T) {
	k := start(t, kmstest.Options{TLS: true})
	_, err := client(t, k.URI(), kms.Options{Tickets: as("alice")}).DelegationToken(t.Context(), "yarn")
	refused(t, "a certificate of nobody", err, kms.Unknown, "nobody whom this machine trusts", "SSL_CERT_FILE", "ssl-client.xml")
	byName := strings.Replace(k.URI(), "127.0.0.1", "localhost", 1)
	_, err = client(t, byName, kms.Options{Tickets: anyService{}, Roots: k.Roots()}).DelegationToken(t.Context(), "yarn")
	refused(t, "a certificate of another", err, kms.Unknown, "another host's")
	expired := &krb5.Error{Kind: krb5.Expired, Reason: "the ticket of alice has expired", Cure: "get a new one with: kinit alice"}
	_, err = client(t, k.URI(), kms.Options{Tickets: failing{expired}}).DelegationToken(t.Context(), "yarn")
	refused(t, "expired", err, kms.NoTicket, "kinit alice")
	if krb5.KindOf(err) != krb5.Expired {
		t.Errorf("%v", err)
	}
	plain := start(t, kmstest.Options{})
	_, err = client(t, strings.Replace(plain.URI(), "http@", "https@", 1), kms.Options{Tickets: as("alice")}).DelegationToken(t.Context(), "yarn")
	refused(t, "HTTPS where HTTP is spoken", err, kms.Unreachable, "HTTP response to HTTPS client")
}

type failing struct{ err error }

func (f failing) ServiceTicket(context.Context, string) (gssapi.Credential, error) {
	return gssapi.Credential{}, f.err
}

func TestParse(t *testing.T) {
	for uri, want := range map[string]kms.Provider{
		"kms://http@a.example.com:9600/kms":   {"kms://http@a.example.com:9600/kms", []string{"http://a.example.com:9600/kms"}, false},
		"kms://https@a;b:9700/kms/":           {"kms://https@a;b:9700/kms/", []string{"https://a:9700/kms", "https://b:9700/kms"}, true},
		" kms://http@a:9600/kms#later\n":      {"kms://http@a:9600/kms", []string{"http://a:9600/kms"}, false},
		"kms://http@a":                        {"kms://http@a", []string{"http://a"}, false},
		"kms://http@a:9600/gateway/kms?x=y":   {"kms://http@a:9600/gateway/kms?x=y", []string{"http://a:9600/gateway/kms"}, false},
		"jceks://file@/etc/hadoop/keys.jceks": {},
		"":                                    {},
	} {
		p, ok, err := kms.Parse(uri)
		if err != nil || ok != (want.Service != "") || p.Service != want.Service || !slices.Equal(p.Servers, want.Servers) || p.TLS != want.TLS {
			t.Errorf("%q: %+v, %v, %v", uri, p, ok, err)
		}
	}
	for _, uri := range []string{"kms://a:9600/kms", "kms://ftp@a:9600/kms", "kms://http@", "kms://http@a;:9600/kms", "kms://http@a:x/kms", "kms://http@a:/kms",
		"kms://http@a:1:2/kms", "kms://http@x@a:9600/kms", "kms://http@a b:9600/kms", "kms://"} {
		_, ok, err := kms.Parse(uri)
		if refused(t, uri, err, kms.BadURI, uri, "correct hadoop.security.key.provider.path"); ok {
			t.Errorf("%q was taken", uri)
		}
	}
}

func TestAs(t *testing.T) {
	none := func(string) string { return "" }
	who, err := login.Find(conf.FromMap(nil), login.Options{User: "oozie", ProxyUser: "alice", Getenv: none})
	if err != nil {
		t.Fatal(err)
	}
	if o := kms.As(who); o.DoAs != "alice" || o.Tickets != nil {
		t.Errorf("%+v", o)
	}
	if o := kms.As(login.With("alice", as("alice"), nil)); o.DoAs != "" || o.Tickets != sasl.TicketSource(as("alice")) {
		t.Errorf("%+v", o)
	}
}
