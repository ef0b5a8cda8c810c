package yarnd

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// inContainer is an application master's container: its tokens, the keytab, and a krb5.conf, which is to be written.
func inContainer(t *testing.T, m *master, tokens *token.Credentials) (krb5Conf string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	keytab, err := exampleRealm().Keytab(m.app.User)
	if err != nil {
		t.Fatal(err)
	}
	write(spec.KeytabFile, keytab)
	t.Chdir(dir)
	t.Setenv(login.TokenFileVar, write("tokens", tokens.Append(nil, token.V0)))
	krb5Conf = filepath.Join(dir, "krb5.conf")
	t.Setenv("KRB5_CONFIG", krb5Conf)
	return krb5Conf
}

// On a node without a krb5.conf that is of use an application master with a keytab goes on by its tokens, as without a KDC, and
// tells why there are no new ones. When there is one it serves.
func TestMasterOnNodeWithoutKrb5Conf(t *testing.T) {
	const realms = "[realms]\n EXAMPLE.COM = {\n  kdc = 127.0.0.1:1\n }\n"
	nn, given := secureHDFS(t, "", exampleRealm(), io.Discard)
	_, first := newTokens(t, given)
	for what, tt := range map[string]struct{ conf, trouble string }{
		"none":                     {"", "where the application master runs: Kerberos: there is no "},
		"one that includes itself": {"include krb5.conf\n", "where the application master runs: Kerberos: krb5.conf cannot be read"},
		"no default realm":         {realms, "no KDC of the realm EXAMPLE.COM answers"},
		"another's realm":          {"[libdefaults]\n default_realm = ELSEWHERE.ORG\n" + realms, "no KDC of the realm EXAMPLE.COM answers"},
	} {
		t.Run(what, func(t *testing.T) {
			path := inContainer(t, given, first.Tokens)
			if tt.conf != "" {
				if err := os.WriteFile(path, []byte(tt.conf), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			app := *given.app
			app.Staging = nn.URL() + "/staging"
			m, err := openMaster(t.Context(), given.conf, &app, given.log)
			if err != nil {
				t.Fatalf("by its tokens: %v", err)
			}
			defer m.close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			k, err := m.keeper(ctx, first.Tokens, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Trouble(); err == nil || !strings.Contains(err.Error(), tt.trouble) || !k.Renews() || m.who.User() != app.User || m.who.Proxied() {
				t.Errorf("%s, new tokens %v, trouble %v, want %q", m.who.User(), k.Renews(), err, tt.trouble)
			}
			if err := os.WriteFile(path, []byte(realms), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := m.who.Tickets().ServiceTicket(t.Context(), "nn/127.0.0.1"); krb5.KindOf(err) != krb5.Unreachable {
				t.Errorf("when there is one: %v", err)
			}
			if err := m.keys.Close(); err != nil { // and m.close closes them again
				t.Error(err)
			}
			if _, err := m.who.Tickets().ServiceTicket(t.Context(), "nn/127.0.0.1"); err == nil || krb5.KindOf(err) == krb5.Unreachable {
				t.Errorf("after the end: %v", err)
			}
		})
	}
}

// A keytab that is closed is not opened any more.
func TestClosedKeytab(t *testing.T) {
	_, m := secureHDFS(t, "", exampleRealm(), io.Discard)
	path := inContainer(t, m, &token.Credentials{})
	if err := os.WriteFile(path, []byte("[realms]\n EXAMPLE.COM = {\n  kdc = 127.0.0.1:1\n }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := &keytabTickets{principal: m.app.Keytab, file: spec.KeytabFile}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ServiceTicket(t.Context(), "nn/127.0.0.1"); err == nil || krb5.KindOf(err) != "" || k.own != nil {
		t.Errorf("%v, opened: %v", err, k.own != nil)
	}
}
