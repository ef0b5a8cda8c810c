package sasl

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

const kerberosService = "nn/host.example.com"

var realm = &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}

func withTickets(min QOP) *KerberosMechanism {
	return &KerberosMechanism{Tickets: gssapi.Tickets{Issuer: realm, Client: "alice"}, MinQOP: min,
		Service: Service{Principal: "nn/_HOST@EXAMPLE.COM", Key: "the.key"}}
}

// play is an exchange of x with s.
func play(x Exchange, s *KerberosServer) error {
	token, err := x.Step(nil)
	for err == nil {
		if token, err = s.Step(token); err != nil || s.Done() {
			return err
		}
		token, err = x.Step(token)
	}
	return err
}

func begin(t *testing.T, m *KerberosMechanism) Exchange {
	t.Helper()
	x, err := m.To(t.Context(), "Host.example.com").Begin(Offer{Method: Kerberos, Mechanism: GSSAPI, Protocol: "nn", ServerID: "host.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestKerberos(t *testing.T) {
	for _, qops := range [][]QOP{nil, {QOPInt}, {QOPAuth, QOPConf}, {QOPAuth, QOPInt, QOPConf}} {
		x, s := begin(t, withTickets(0)), &KerberosServer{Acceptor: realm.Acceptor(kerberosService), QOPs: qops}
		if err := play(x, s); err != nil {
			t.Fatalf("%v: %v", qops, err)
		}
		if !x.Done() || s.Client() != "alice@EXAMPLE.COM" {
			t.Fatalf("%v: done %v, client %s", qops, x.Done(), s.Client())
		}
		want := QOPAuth
		for _, q := range qops {
			want = max(want, q)
		}
		a, b := x.Layer(), s.Layer()
		if want == QOPAuth {
			if a != nil || b != nil {
				t.Fatalf("%v: there is a layer", qops)
			}
			continue
		}
		for _, way := range []struct{ from, to Layer }{{a, b}, {b, a}, {a, b}} {
			msg := bytes.Repeat([]byte("secret"), way.from.MaxWrap()/6)
			token, err := way.from.Wrap(nil, msg)
			if err != nil {
				t.Fatal(err)
			}
			if len(token) > defaultMaxBuf {
				t.Errorf("a token of %d bytes", len(token))
			}
			if bytes.Contains(token, []byte("secret")) != (want == QOPInt) {
				t.Errorf("%v: in clear, or not, against what was agreed", qops)
			}
			if got, err := way.to.Unwrap(token); err != nil || !bytes.Equal(got, msg) {
				t.Errorf("%v: %v", qops, err)
			}
		}
		if _, err := a.Wrap(nil, make([]byte, a.MaxWrap()+1)); err == nil {
			t.Error("a piece that is too long was wrapped")
		}
	}
}

// What is agreed to be private is never read in clear, though a token in clear is as genuine.
func TestKerberosInClear(t *testing.T) {
	x, s := begin(t, withTickets(0)), &KerberosServer{Acceptor: realm.Acceptor(kerberosService), QOPs: []QOP{QOPConf}}
	if err := play(x, s); err != nil {
		t.Fatal(err)
	}
	token, _ := s.Acceptor.Messages().Wrap(nil, []byte("x"), false)
	if _, err := x.Layer().Unwrap(token); err == nil || !strings.Contains(err.Error(), "in clear") {
		t.Error(err)
	}
}

func TestKerberosRefuses(t *testing.T) {
	acceptor := func() *gssapi.Acceptor { return realm.Acceptor(kerberosService) }
	if err := play(begin(t, withTickets(QOPInt)), &KerberosServer{Acceptor: acceptor()}); err == nil || !strings.Contains(err.Error(), "insist on auth-int") {
		t.Errorf("less than is insisted on: %v", err)
	}
	if err := play(begin(t, withTickets(0)), &KerberosServer{Acceptor: realm.Acceptor("dn/other")}); err == nil {
		t.Error("another service took the ticket")
	}
	x := begin(t, withTickets(0))
	x.Step(nil)
	if _, err := x.Step([]byte("no AP-REP")); err == nil || x.Done() {
		t.Errorf("noise for AP-REP: %v", err)
	}
	// A protection that was not offered.
	x, s := begin(t, withTickets(0)), &KerberosServer{Acceptor: acceptor(), QOPs: []QOP{QOPConf}}
	token, _ := x.Step(nil)
	token, _ = s.Step(token)
	token, _ = x.Step(token)
	s.Step(token)
	weak, _ := x.(*gssClient).init.Messages().Wrap(nil, protections(1, 0), false)
	if _, err := s.Step(weak); err == nil || s.Done() {
		t.Errorf("a protection that was not offered: %v", err)
	}
	want := errors.New("no ticket")
	m := withTickets(0)
	m.Tickets = noTickets{want}
	if _, err := m.To(t.Context(), "host.example.com").Begin(Offer{Protocol: "nn", ServerID: "host.example.com"}); !errors.Is(err, want) {
		t.Errorf("without a ticket: %v", err)
	}
}

type noTickets struct{ err error }

func (n noTickets) ServiceTicket(context.Context, string) (gssapi.Credential, error) {
	return gssapi.Credential{}, n.err
}

func TestService(t *testing.T) {
	for _, c := range []struct {
		service    Service
		said, host string
		want, err  string
	}{
		{Service{Principal: "nn/_HOST@R"}, "nn/a.b", "A.b", "nn/a.b@R", ""},
		{Service{Principal: "nn/_HOST"}, "nn/a.b", "a.b", "nn/a.b", ""},
		{Service{Principal: "nn/a.b@R"}, "nn/a.b", "alias", "nn/a.b@R", ""},
		{Service{Principal: "nn/_HOST@R"}, "nn/c.d", "a.b", "", "it must be nn/a.b"},
		{Service{Principal: "nn/_HOST@R"}, "rm/a.b", "a.b", "", "it must be nn/a.b"},
		{Service{Principal: "nn@R", Key: "k"}, "nn/a.b", "a.b", "", "k = nn@R has no host"},
		{Service{Key: "k"}, "nn/a.b", "a.b", "", "k is not set"},
		{Service{Principal: "x/_HOST@R", Pattern: "nn/*"}, "nn/c.d", "a.b", "nn/c.d@R", ""},
		{Service{Principal: "x/_HOST@R", Pattern: "nn/*@R"}, "nn/c.d", "a.b", "nn/c.d@R", ""},
		{Service{Principal: "x/_HOST@R", Pattern: "nn/*@Q", Key: "k"}, "nn/c.d", "a.b", "", "does not match k.pattern"},
		{Service{Pattern: "{nn,rm}/h[0-9]?.b"}, "rm/h1x.b", "a.b", "rm/h1x.b", ""},
		{Service{Pattern: "{nn,rm}/h[!0-9]"}, "rm/h1", "a.b", "", "does not match"},
		{Service{Pattern: "nn/a.b"}, "nn/aXb", "a.b", "", "does not match"},
		{Service{Pattern: `nn/a\*`}, "nn/ab", "a.b", "", "does not match"},
		{Service{Pattern: "nn/*"}, "nn/x@EVIL", "a.b", "", "no service on a host"},
		{Service{Pattern: "{nn"}, "nn/ab", "a.b", "", "not closed"},
	} {
		proto, id, _ := strings.Cut(c.said, "/")
		got, err := c.service.verify(Offer{Protocol: proto, ServerID: id}, c.host)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%+v, %s says that it is %s: %q, %v", c.service, c.host, c.said, got, err)
		}
	}
}
