package ipc

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// keptTickets are of a service's old key, and of its new one once they were forgotten, if there are others.
type keptTickets struct {
	old     *gssapi.Issuer
	renewed bool // whether there are others
	given   int
	gone    bool
}

func (k *keptTickets) ServiceTicket(_ context.Context, service string) (gssapi.Credential, error) {
	k.given++
	from := k.old
	if k.gone && k.renewed {
		from = realm
	}
	name, _, _ := strings.Cut(service, "@")
	return from.Ticket("alice", name)
}

func (k *keptTickets) Forget(string, gssapi.Credential) bool {
	was := !k.gone
	k.gone = true
	return was
}

// A server that has got another key takes no ticket that was got before. Another is got then; and where that is of no use, a
// token that there is serves.
func TestTicketOfAnOldKey(t *testing.T) {
	aToken := func() (token.Token, bool) { return *tokenFor("t1"), true }
	for _, tc := range []struct {
		name    string
		renewed bool
		tokens  func() (token.Token, bool)
		user    string
		tokenID string
		wantErr string
		given   int
	}{
		{name: "another", renewed: true, user: "alice@EXAMPLE.COM", given: 2},
		{name: "another, and a token", renewed: true, tokens: aToken, user: "alice@EXAMPLE.COM", given: 2},
		{name: "a token", tokens: aToken, tokenID: "t1", given: 2},
		{name: "neither", wantErr: "SaslException", given: 2},
		{name: "a token that is none", tokens: func() (token.Token, bool) { return token.Token{}, false }, wantErr: "SaslException", given: 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := kerberized()
			s, _ := server(t, hadooptest.Options{Passwords: passwords, Kerberos: srv.Kerberos, Service: srv.Service})
			k := &keptTickets{old: &gssapi.Issuer{Realm: realm.Realm, KeyType: realm.KeyType, Life: time.Hour}, renewed: tc.renewed}
			c := newTestClient(t, s.Addr(), Options{Secure: true, Tokens: tc.tokens,
				Kerberos: &sasl.KerberosMechanism{Tickets: k, Service: sasl.Service{Principal: "nn/_HOST", Key: "the.key"}}})
			got, err := say(t.Context(), c, echo, "x")
			if k.given != tc.given {
				t.Errorf("%d tickets were got, want %d", k.given, tc.given)
			}
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) || !NotSent(err) {
					t.Errorf("%v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || got.GetKind() != tc.user || string(got.GetIdentifier()) != tc.tokenID {
				t.Errorf("user %q, token %q, %v", got.GetKind(), got.GetIdentifier(), err)
			}
		})
	}
}
