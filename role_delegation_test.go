package yarnd

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/delegation"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
	"github.com/yarnd/yarnd/hadooprpc/kms/kmstest"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// secureHDFS is a file system with Kerberos, of the account that runs the test, and an application master with a ticket of his.
func secureHDFS(t *testing.T, keyProvider string, realm *gssapi.Issuer, log io.Writer) (*hdfstest.Cluster, *master) {
	t.Helper()
	u, err := user.Current() // who owns what the fake has
	if err != nil {
		t.Fatal(err)
	}
	const service = "nn/127.0.0.1"
	nn, err := hdfstest.Start(hdfstest.Options{Dir: t.TempDir(), KeyProvider: keyProvider, Transfer: hdfstest.Transfer{Protection: sasl.QOPConf}, Security: hadooptest.Options{
		Kerberos: func() *gssapi.Acceptor { return realm.Acceptor(service) }, Service: service, QOPs: []sasl.QOP{sasl.QOPConf}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nn.Close() })
	m := &master{
		conf: conf.FromMap(map[string]string{"fs.defaultFS": nn.URL(), "hadoop.security.authentication": "kerberos", "hadoop.rpc.protection": "privacy",
			"dfs.namenode.kerberos.principal": "nn/_HOST@EXAMPLE.COM", "dfs.data.transfer.protection": "privacy"}),
		app: &spec.Application{User: u.Username, Keytab: u.Username + "@EXAMPLE.COM"},
		who: login.With(u.Username, gssapi.Tickets{Issuer: realm, Client: u.Username}, nil),
		log: slog.New(slog.NewTextHandler(log, nil)),
	}
	t.Cleanup(m.close)
	return nn, m
}

// newTokens are those that a master's source gives, and the source.
func newTokens(t *testing.T, m *master) (*tokenSource, delegation.Grant) {
	t.Helper()
	s, err := m.source()
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, g
}

func exampleRealm() *gssapi.Issuer {
	return &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}
}

// An application master with its owner's keytab gets new tokens of the KMS too; that it is away does not keep HDFS's from
// being replaced.
func TestMasterGetsTokensOfKMS(t *testing.T) {
	realm := exampleRealm()
	k := kmstest.Start(kmstest.Options{Realm: realm, RenewLife: time.Hour})
	defer k.Close()
	var log strings.Builder
	nn, m := secureHDFS(t, k.URI(), realm, &log)
	s, g := newTokens(t, m)
	if tok, ok := g.Tokens.Select(token.KindKMS); !ok || tok.Service != k.URI() || !slices.Equal(k.Tokens(), []string{m.app.User + " for "}) {
		t.Errorf("%v; it gave %v", g.Tokens, k.Tokens())
	}
	if left := time.Until(g.Until); left > time.Hour || left < 50*time.Minute {
		t.Errorf("they end in %v", left)
	}
	if m.refused(t.Context(), g.Tokens) {
		t.Error("good tokens are refused")
	}
	nn.PassTime(25 * time.Hour) // nobody renews them
	if !m.refused(t.Context(), g.Tokens) {
		t.Error("tokens that have ended are not refused")
	}
	var err error
	if m.fs, err = hdfs.Open(t.Context(), m.conf, "", hdfs.Options{Login: m.who}); err != nil {
		t.Fatal(err)
	}
	g.Tokens.Add("other", token.Token{Kind: token.KindHDFS, Service: "ha-hdfs:other"})
	if tok, ok := m.shown(g.Tokens); !ok || "hdfs://"+tok.Service != nn.URL() {
		t.Errorf("refused is taken to ask by %v, %v", tok, ok)
	}
	if tok, ok := m.shown(&token.Credentials{}); ok {
		t.Errorf("of none refused is taken to ask by %v", tok)
	}
	if m.refused(t.Context(), &token.Credentials{}) {
		t.Error("that there are none was taken for a refusal")
	}
	k.SetTrouble(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	g, err = s.Get(t.Context())
	if err != nil || len(g.Tokens.Tokens) != 1 || !strings.Contains(log.String(), "no new token for a KMS") || !strings.Contains(log.String(), k.URI()) {
		t.Errorf("while it is away: %v, %v; it said %q", g.Tokens, err, log.String())
	}
}

// noKDC is where tickets come from while no KDC answers.
type noKDC struct{}

func (noKDC) ServiceTicket(context.Context, string) (gssapi.Credential, error) {
	return gssapi.Credential{}, &krb5.Error{Kind: krb5.Unreachable, Reason: "no KDC of the realm EXAMPLE.COM answers"}
}

// While no ticket can be got the tokens that an application master was started with serve; when these have ended, too, it
// waits for a KDC. New tokens are asked for by tickets alone.
func TestMasterWithoutKDC(t *testing.T) {
	realm := exampleRealm()
	nn, m := secureHDFS(t, "", realm, io.Discard)
	s, first := newTokens(t, m)
	m.who = login.With(m.app.User, gssapi.Tickets{Issuer: realm, Client: m.app.User}, first.Tokens)
	if _, err := s.Get(t.Context()); err != nil {
		t.Errorf("with a ticket, and a token that is not to be shown: %v", err)
	}
	m.who = login.With(m.app.User, noKDC{}, first.Tokens)
	f, err := hdfs.Open(t.Context(), m.conf, "", hdfs.Options{Login: m.who, Timeout: time.Second})
	if err != nil {
		t.Fatalf("by the token: %v", err)
	}
	f.Close()
	brief, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.Get(brief); err == nil || !strings.Contains(err.Error(), "no KDC of the realm EXAMPLE.COM answers") {
		t.Errorf("new tokens, without a KDC: %v", err)
	}
	nn.PassTime(25 * time.Hour) // nobody renews them
	_, err = hdfs.Open(t.Context(), m.conf, "", hdfs.Options{Login: m.who, Timeout: time.Second})
	if err == nil || !waitsForKDC(err) || !strings.Contains(err.Error(), "for want of a ticket: Kerberos: no KDC of the realm EXAMPLE.COM answers") {
		t.Errorf("by a token that has ended: %v", err)
	}
}

// Containers are started with the submission's token of the application's file system, by which logs are collected, and with
// the newest of the KMS, which nobody has asked.
func TestMasterStartsContainersWithWhatLasts(t *testing.T) {
	realm := exampleRealm()
	k := kmstest.Start(kmstest.Options{Realm: realm, RenewLife: time.Hour})
	defer k.Close()
	nn, m := secureHDFS(t, k.URI(), realm, io.Discard)
	_, first := newTokens(t, m)
	m.app.Staging = nn.URL() + "/staging"
	var err error
	if m.fs, err = hdfs.Open(t.Context(), m.conf, m.app.Staging, hdfs.Options{Login: m.who}); err != nil {
		t.Fatal(err)
	}
	start := &token.Credentials{}
	keeper, err := m.keeper(t.Context(), first.Tokens, func(c *token.Credentials) { start = c })
	if err != nil || keeper.Trouble() != nil || keeper.Since().IsZero() {
		t.Fatalf("%v, %v", err, keeper.Trouble())
	}
	newest := keeper.Now().Tokens
	for kind, from := range map[string]*token.Credentials{token.KindHDFS: first.Tokens, token.KindKMS: newest} {
		want, _ := from.Select(kind)
		if got, ok := start.Select(kind); !ok || !got.Equal(want) {
			t.Errorf("%s: %v, want %v; the first ones are %v, the newest %v", kind, got, want, first.Tokens, newest)
		}
	}
}
