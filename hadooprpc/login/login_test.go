package login

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

func site(values ...string) *conf.Conf {
	m := map[string]string{}
	for i := 0; i < len(values); i += 2 {
		m[values[i]] = values[i+1]
	}
	return conf.FromMap(m)
}

func secured(values ...string) *conf.Conf {
	return site(append([]string{"hadoop.security.authentication", "kerberos"}, values...)...)
}

func env(vars ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(vars); i += 2 {
		m[vars[i]] = vars[i+1]
	}
	return func(name string) string { return m[name] }
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keytab has a key of name@EXAMPLE.COM.
func keytab(t *testing.T, name string) string {
	t.Helper()
	b, err := (&gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18}).Keytab(name)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "keytab", b)
}

const krb5Conf = "[libdefaults]\n default_realm = EXAMPLE.COM\n[realms]\n EXAMPLE.COM = {\n  kdc = 127.0.0.1:1\n }\n"

func tokenFile(t *testing.T, tokens ...token.Token) string {
	t.Helper()
	c := &token.Credentials{}
	for _, x := range tokens {
		c.Add(x.Service, x)
	}
	return write(t, "tokens", c.Append(nil, token.V0))
}

func find(t *testing.T, c *conf.Conf, o Options) *Identity {
	t.Helper()
	who, err := Find(c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { who.Close() })
	return who
}

// Where names are believed the environment says one, and no Kerberos is looked for.
func TestByName(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Getenv: env(UserVar, "alice")}, "alice"},
		{Options{User: "bob", Getenv: env(UserVar, "alice")}, "bob"},
		{Options{Getenv: env()}, account(env())},
		{Options{Getenv: env(UserVar, "alice", TokenFileVar, "/nowhere/tokens")}, "alice"}, // nobody asks for tokens there
	} {
		who := find(t, site(), c.o)
		if who.User() != c.want || who.Principal() != "" || who.Ticketed() {
			t.Errorf("%s (%s), want %s", who.User(), who.Principal(), c.want)
		}
		o, err := who.IPC(ipc.Options{}, site(), Service{})
		if err != nil || o.User != c.want || o.RealUser != "" || o.Secure {
			t.Errorf("%+v, %v", o, err)
		}
	}
	who := find(t, site(), Options{Getenv: env(UserVar, "oozie", ProxyUserVar, "alice")})
	o, err := who.IPC(ipc.Options{}, site(), Service{})
	if err != nil || o.User != "alice" || o.RealUser != "oozie" || !who.Proxied() {
		t.Errorf("as a proxy user: %+v, %v", o, err)
	}
}

func TestByKeytab(t *testing.T) {
	vars := env("KRB5_CONFIG", write(t, "krb5.conf", []byte(krb5Conf)), UserVar, "mallory")
	o := Options{Principal: "alice@EXAMPLE.COM", Keytab: keytab(t, "alice"), Getenv: vars}
	who := find(t, secured(), o)
	if who.User() != "alice" || who.Principal() != "alice@EXAMPLE.COM" || !who.Ticketed() {
		t.Errorf("%s, %s", who.User(), who.Principal())
	}
	if ends, _ := who.Expires(); !ends.IsZero() {
		t.Errorf("a keytab ends %v", ends)
	}
	got, err := who.IPC(ipc.Options{}, secured(), Service{Key: "some.principal"})
	if err != nil || !got.Secure || got.Kerberos == nil || got.Kerberos.Service.Key != "some.principal" || got.RealUser != "" {
		t.Errorf("%+v, %v", got, err)
	}
	o.Getenv = env("KRB5_CONFIG", vars("KRB5_CONFIG"), TokenFileVar, tokenFile(t, token.Token{Kind: token.KindHDFS, Service: "nn"}))
	if who := find(t, secured(), o); who.Tokens() != nil || !who.Ticketed() {
		t.Errorf("beside a keytab the tokens of a file count: %v", who.Tokens())
	}
	o.Getenv = vars
	o.ProxyUser = "bob"
	who = find(t, secured(), o)
	got, err = who.IPC(ipc.Options{}, secured(), Service{Key: "some.principal"})
	if err != nil || got.User != "bob" || got.RealUser != "alice@EXAMPLE.COM" {
		t.Errorf("for bob: %+v, %v", got, err)
	}
	o.ProxyUser = ""
	who = find(t, secured("hadoop.security.auth_to_local", "RULE:[1:$1@$0](a.*@EXAMPLE.COM)s/.*/service/"), o)
	if who.User() != "service" {
		t.Errorf("the short name is %s", who.User())
	}
	if _, err := Find(secured("hadoop.security.auth_to_local", "RULE:[1:$1@$0](x@Y)s/.*/z/"), o); err == nil || !strings.Contains(err.Error(), "auth_to_local") {
		t.Errorf("a principal without a short name: %v", err)
	}
}

// What a cluster gave to a process is what it uses, and no ticket that may be the node manager's.
func TestByTokens(t *testing.T) {
	mine := token.Token{Kind: token.KindHDFS, Service: "10.0.0.1:8020", Identifier: []byte("id"), Password: []byte("pw")}
	other := token.Token{Kind: token.KindHDFS, Service: "ha-hdfs:other", Identifier: []byte("x"), Password: []byte("y")}
	file := tokenFile(t, mine, other)
	vars := env(TokenFileVar, file, "USER", "alice")
	who := find(t, secured(), Options{Getenv: vars})
	if who.User() != "alice" || who.Ticketed() {
		t.Errorf("%s, with tickets: %v", who.User(), who.Ticketed())
	}
	nn := Service{Key: "dfs.namenode.kerberos.principal", Kind: token.KindHDFS, Names: []string{"nn:8020", "10.0.0.1:8020"}, What: "hdfs://nn"}
	o, err := who.IPC(ipc.Options{}, secured(), nn)
	if err != nil || !o.Secure || o.Kerberos != nil {
		t.Fatalf("%+v, %v", o, err)
	}
	if got, ok := o.Tokens(); !ok || !got.Equal(mine) {
		t.Errorf("%v, %v", got, ok)
	}
	newer := mine
	newer.Password = []byte("from the file")
	if err := os.Rename(tokenFile(t, newer), file); err != nil {
		t.Fatal(err)
	}
	if got, ok := o.Tokens(); !ok || !got.Equal(newer) {
		t.Errorf("after the file was replaced: %v, %v", got, ok)
	}
	if err := os.WriteFile(file, []byte("HDTS"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, ok := o.Tokens(); !ok || !got.Equal(newer) {
		t.Errorf("a file that is broken: %v, %v", got, ok)
	}
	newer.Password = []byte("newer")
	c := &token.Credentials{}
	c.Add("any", newer)
	who.SetTokens(c)
	if got, ok := o.Tokens(); !ok || !got.Equal(newer) {
		t.Errorf("after new ones came: %v, %v", got, ok)
	}
	_, err = who.IPC(ipc.Options{}, secured(), Service{Key: "k", Kind: token.KindRM, Names: []string{"10.0.0.1:8020"}, What: "the ResourceManager"})
	if want := (*Error)(nil); !errors.As(err, &want) || !strings.Contains(err.Error(), "no ticket, and no token for the ResourceManager: run: kinit") {
		t.Errorf("a service without a token: %v", err)
	}
	vars = env(TokenFileVar, tokenFile(t, mine), "USER", "alice")
	_, err = find(t, secured(), Options{Getenv: vars}).IPC(ipc.Options{}, secured(), Service{Key: "k", Kind: token.KindRM, What: "the ResourceManager"})
	if err == nil || !strings.Contains(err.Error(), "unset HADOOP_TOKEN_FILE_LOCATION; kinit") {
		t.Errorf("a service without a token in the file: %v", err)
	}
	if w := find(t, secured(), Options{User: "svc", Getenv: vars}); w.User() != "svc" {
		t.Errorf("whose tokens they are, as was said: %s", w.User())
	}
}

func TestFindErrors(t *testing.T) {
	krb := write(t, "krb5.conf", []byte(krb5Conf))
	for what, c := range map[string]struct {
		o    Options
		kind krb5.Kind
		want string
	}{
		"no krb5.conf":                          {Options{Getenv: env("KRB5_CONFIG", "/nowhere/krb5.conf")}, krb5.BadConfig, "there is no /nowhere/krb5.conf"},
		"no cache":                              {Options{Getenv: env("KRB5_CONFIG", krb, "KRB5CCNAME", "/nowhere/cache")}, krb5.NoCache, "kinit"},
		"a cache in the kernel":                 {Options{Getenv: env("KRB5_CONFIG", krb, "KRB5CCNAME", "KEYRING:persistent:0")}, krb5.BadCache, "KEYRING"},
		"principal alone":                       {Options{Principal: "alice", Getenv: env("KRB5_CONFIG", krb)}, "", "belong together"},
		"another's keytab":                      {Options{Principal: "bob", Keytab: keytab(t, "alice"), Getenv: env("KRB5_CONFIG", krb)}, krb5.BadKeytab, "alice@EXAMPLE.COM"},
		"tokens, and a cache that is not there": {Options{Getenv: env("KRB5_CONFIG", krb, "KRB5CCNAME", "/nowhere/cache", TokenFileVar, tokenFile(t))}, krb5.NoCache, "kinit"},
		"no token file":                         {Options{Getenv: env(TokenFileVar, "/nowhere/tokens")}, "", TokenFileVar},
	} {
		who, err := Find(secured(), c.o)
		if err == nil {
			who.Close()
			t.Errorf("%s: no error", what)
			continue
		}
		if krb5.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q: %v, want %q", what, krb5.KindOf(err), err, c.want)
		}
	}
}

func TestTokenServices(t *testing.T) {
	got := strings.Join(TokenServices(secured(), []string{"127.0.0.1:8020", "No.Such.Host.Example.Invalid:8020"}), " ")
	if got != "127.0.0.1:8020 no.such.host.example.invalid:8020" {
		t.Error(got)
	}
	got = strings.Join(TokenServices(secured("hadoop.security.token.service.use_ip", "false"), []string{"LOCALHOST:8020"}), " ")
	if !strings.HasPrefix(got, "localhost:8020 ") {
		t.Error(got)
	}
	rm := ResourceManager(secured(), []string{"127.0.0.1:1", "127.0.0.2:1"})
	if rm.Names[0] != "127.0.0.1:1,127.0.0.2:1" { // as YARN's client names it
		t.Error(rm.Names)
	}
}
