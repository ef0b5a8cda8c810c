package hdfs

import (
	"errors"
	"io/fs"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// The life of a delegation token: given to who has a ticket, used by who has none, renewed by its renewer, and ended.
func TestDelegation(t *testing.T) {
	realm := &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: 30 * 24 * time.Hour}
	const service = "nn/127.0.0.1"
	u, err := user.Current() // who owns what the fake has
	must(t, err)
	me, ctx := u.Username, t.Context()
	c := startFake(t, hdfstest.Options{Transfer: hdfstest.Transfer{Protection: sasl.QOPInt}, Security: hadooptest.Options{
		Kerberos: func() *gssapi.Acceptor { return realm.Acceptor(service) }, Service: service, QOPs: []sasl.QOP{sasl.QOPConf}}})
	site := conf.FromMap(map[string]string{"fs.defaultFS": c.URL(), "hadoop.security.authentication": "kerberos", "hadoop.rpc.protection": "privacy",
		"dfs.namenode.kerberos.principal": "nn/_HOST@EXAMPLE.COM", "dfs.data.transfer.protection": "integrity"})
	open := func(who *login.Identity) (*remote, error) {
		fsys, err := Open(ctx, site, "", Options{Login: who})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { fsys.Close() })
		return fsys.(*remote), nil
	}
	ticketed := func(name string) *remote {
		r, err := open(login.With(name, gssapi.Tickets{Issuer: realm, Client: name}, nil))
		must(t, err)
		return r
	}
	bearer := func(tok token.Token) (*remote, error) {
		tokens := &token.Credentials{}
		tokens.Add("it", tok)
		return open(login.With(me, nil, tokens))
	}
	refusedAs := func(what string, err, kind error, texts ...string) {
		t.Helper()
		if !errors.Is(err, kind) {
			t.Errorf("%s: %v, want kind %q", what, err, kind)
			return
		}
		for _, text := range texts {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %q", what, err, text)
			}
		}
	}
	owner, renewer, stranger := ticketed(me), ticketed("yarn"), ticketed("stranger")
	tok, given, err := owner.DelegationToken(ctx, "yarn/rm.example.com@EXAMPLE.COM")
	must(t, err)
	if !given || tok.Kind != token.KindHDFS || "hdfs://"+tok.Service != c.URL() {
		t.Fatalf("%v, %v, want the service of %s", tok, given, c.URL())
	}

	holder, err := bearer(tok)
	must(t, err)
	testFS(t, holder, "/by-token", 1<<20)
	_, _, err = holder.DelegationToken(ctx, "yarn")
	if e := (*Error)(nil); !errors.As(err, &e) || !strings.Contains(e.Detail, "only with kerberos") {
		t.Errorf("a token for who has one only: %v", err)
	}

	_, err = owner.RenewToken(ctx, tok)
	refusedAs("renewed by its owner", err, fs.ErrPermission, "non-matching renewer yarn")
	refusedAs("cancelled by a stranger", stranger.CancelToken(ctx, tok), fs.ErrPermission, "stranger is not authorized to cancel")
	until, err := renewer.RenewToken(ctx, tok)
	if left := time.Until(until); err != nil || left < 23*time.Hour || left > 25*time.Hour {
		t.Errorf("renewed until %v, %v", until, err)
	}
	c.PassTime(20 * time.Hour)
	_, err = renewer.RenewToken(ctx, tok)
	must(t, err)
	c.PassTime(20 * time.Hour) // longer than it would have lasted
	_, err = bearer(tok)
	must(t, err)
	c.PassTime(5 * time.Hour)
	_, err = bearer(tok)
	refusedAs("an expired token", err, ErrAuth, "is expired", "kinit")
	c.PassTime(7 * 24 * time.Hour)
	_, err = renewer.RenewToken(ctx, tok)
	refusedAs("renewed after its longest life", err, ErrAuth, "tried to renew an expired token", "kinit")

	second, _, err := owner.DelegationToken(ctx, "")
	must(t, err)
	_, err = renewer.RenewToken(ctx, second)
	refusedAs("renewed without a renewer", err, fs.ErrPermission, "without a renewer")
	must(t, owner.CancelToken(ctx, second))
	_, err = bearer(second)
	refusedAs("a cancelled token", err, ErrAuth, "can't be found in cache", "kinit")
	refusedAs("cancelled twice", owner.CancelToken(ctx, second), ErrAuth, "the delegation token of "+c.URL(), "Token not found", "kinit")

	plain := startFake(t, hdfstest.Options{})
	fsys, err := Open(ctx, conf.FromMap(map[string]string{"fs.defaultFS": plain.URL()}), "", Options{})
	must(t, err)
	defer fsys.Close()
	if tok, given, err := fsys.(Delegation).DelegationToken(ctx, "yarn"); given || err != nil {
		t.Errorf("where names are believed: %v, %v, %v", tok, given, err)
	}
}

// Where the keys are says the NameNode, else the configuration.
func TestKeyProvider(t *testing.T) {
	const theirs, ours = "kms://http@nn.example.com:9600/kms", "kms://http@conf.example.com:9600/kms"
	named, silent, none := startFake(t, hdfstest.Options{KeyProvider: theirs}), startFake(t, hdfstest.Options{OldNameNode: true}), startFake(t, hdfstest.Options{})
	for _, c := range []struct {
		fake *hdfstest.Cluster
		set  map[string]string
		want string
	}{
		{none, nil, ""},
		{none, map[string]string{"hadoop.security.key.provider.path": ours}, ""}, // Hadoop's clients ask nobody either
		{silent, nil, ""},
		{silent, map[string]string{"hadoop.security.key.provider.path": " " + ours + "\n"}, ours},
		{silent, map[string]string{"dfs.encryption.key.provider.uri": ours}, ours},
		{named, map[string]string{"hadoop.security.key.provider.path": ours}, theirs},
		{named, map[string]string{"hadoop.security.key.provider.path": ours, "dfs.client.ignore.namenode.default.kms.uri": "true"}, ours},
		{named, map[string]string{"dfs.client.ignore.namenode.default.kms.uri": "true"}, ""},
	} {
		fsys, err := Open(t.Context(), conf.FromMap(c.set).With(map[string]string{"fs.defaultFS": c.fake.URL()}), "", Options{})
		must(t, err)
		if got, err := fsys.(Delegation).KeyProvider(t.Context()); err != nil || got != c.want {
			t.Errorf("%v: %q, %v, want %q", c.set, got, err, c.want)
		}
		must(t, fsys.Close())
	}
	wrong := conf.FromMap(map[string]string{"fs.defaultFS": named.URL(), "dfs.client.ignore.namenode.default.kms.uri": "perhaps"})
	if _, err := Open(t.Context(), wrong, "", Options{}); err == nil || !strings.Contains(err.Error(), "dfs.client.ignore.namenode.default.kms.uri") {
		t.Errorf("%v", err)
	}
}

// What a token is for is written as Java writes it.
func TestNameNodeService(t *testing.T) {
	set := map[string]string{"hadoop.security.authentication": "kerberos", "dfs.nameservices": "ProdNS,fed",
		"dfs.ha.namenodes.ProdNS": "a,b", "dfs.namenode.rpc-address.ProdNS.a": "127.0.0.1:8020", "dfs.namenode.rpc-address.ProdNS.b": "127.0.0.2:8020",
		"dfs.namenode.rpc-address.fed": "127.0.0.3:9000"}
	for authority, want := range map[string]string{"prodns": "ha-hdfs:ProdNS", "fed": "127.0.0.3:9000", "127.0.0.4": "127.0.0.4:8020"} {
		addresses, err := NameNodes(conf.FromMap(set), authority)
		must(t, err)
		if names := login.NameNode(conf.FromMap(set), authority, addresses).Names; len(names) == 0 || names[0] != want {
			t.Errorf("%s: %q, want %q first", authority, names, want)
		}
	}
	byName := conf.FromMap(set).With(map[string]string{"hadoop.security.token.service.use_ip": "false"})
	if names := login.NameNode(byName, "localhost", []string{"LocalHost:8020"}).Names; names[0] != "localhost:8020" || !slices.Contains(names, "127.0.0.1:8020") {
		t.Errorf("by name: %q", names)
	}
}
