package hdfs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
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

// openFake opens an HDFS in this process.
func openFake(t *testing.T, opts Options) (*hdfstest.Cluster, FS) {
	t.Helper()
	c := startFake(t, hdfstest.Options{})
	dir := t.TempDir() // for the writers that are killed, which are processes of their own
	site := fmt.Sprintf("<configuration><property><name>fs.defaultFS</name><value>%s</value></property></configuration>", c.URL())
	must(t, os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(site), 0o644))
	t.Setenv("HADOOP_CONF_DIR", dir)
	loaded, err := conf.Load(conf.Options{})
	must(t, err)
	fsys, err := Open(t.Context(), loaded, "", opts)
	must(t, err)
	t.Cleanup(func() { fsys.Close() })
	return c, fsys
}

func startFake(t testing.TB, o hdfstest.Options) *hdfstest.Cluster {
	t.Helper()
	o.Dir = t.TempDir()
	c, err := hdfstest.Start(o)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// The suite again, by ticket and by token, with each protection.
func TestFakeSecured(t *testing.T) {
	realm := &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}
	const service = "nn/127.0.0.1"
	u, err := user.Current() // who owns what the fake has
	must(t, err)
	me := u.Username
	ticket := login.With(me, gssapi.Tickets{Issuer: realm, Client: me}, nil)
	password := func([]byte) ([]byte, error) { return []byte("password"), nil }
	for protection, qop := range map[string]sasl.QOP{"authentication": sasl.QOPAuth, "integrity": sasl.QOPInt, "privacy": sasl.QOPConf} {
		c := startFake(t, hdfstest.Options{Security: hadooptest.Options{Kerberos: func() *gssapi.Acceptor { return realm.Acceptor(service) }, Service: service,
			Passwords: password, QOPs: []sasl.QOP{qop}}})
		site := conf.FromMap(map[string]string{"fs.defaultFS": c.URL(), "hadoop.security.authentication": "kerberos",
			"hadoop.rpc.protection": protection, "dfs.namenode.kerberos.principal": "nn/_HOST@EXAMPLE.COM"})
		service := strings.TrimPrefix(c.URL(), "hdfs://")
		tokens := &token.Credentials{}
		tokens.Add("other", token.Token{Kind: token.KindHDFS, Service: "127.0.0.2:8020"})
		tokens.Add("this", token.Token{Kind: token.KindHDFS, Service: service, Identifier: []byte("id"), Password: []byte("password")})
		for how, who := range map[string]*login.Identity{"ticket": ticket, "token": login.With(me, nil, tokens)} {
			t.Run(protection+" by "+how, func(t *testing.T) {
				fsys, err := Open(t.Context(), site, "", Options{Login: who})
				must(t, err)
				defer fsys.Close()
				testFS(t, fsys, "/"+how, 1<<20)
				a, err := fsys.Append(t.Context(), "/"+how+"/journal", CreateOptions{})
				must(t, err)
				defer a.Close()
				_, err = a.Write([]byte("flushed"))
				must(t, err)
				must(t, a.Flush(t.Context()))
				must(t, fsys.Recover(t.Context(), "/"+how+"/journal"))
			})
		}
		if protection == "privacy" {
			continue
		}
		stricter := site.With(map[string]string{"hadoop.rpc.protection": "privacy"})
		before := c.NameNode().Accepted()
		if _, err := Open(t.Context(), stricter, "", Options{Login: ticket}); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "insist on auth-conf") {
			t.Errorf("%s where privacy is wanted: %v", protection, err)
		}
		if n := c.NameNode().Accepted() - before; n != 1 {
			t.Errorf("%s where privacy is wanted: it was tried %d times", protection, n)
		}
		tokens = tokens.Without(token.KindRM)
		delete(tokens.Tokens, "this")
		if _, err := Open(t.Context(), site, "", Options{Login: login.With(me, nil, tokens)}); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "no token for "+c.URL()) {
			t.Errorf("a token for another NameNode: %v", err)
		}
	}
	plain := startFake(t, hdfstest.Options{})
	site := conf.FromMap(map[string]string{"fs.defaultFS": plain.URL(), "hadoop.security.authentication": "kerberos", "dfs.namenode.kerberos.principal": "nn/_HOST@EXAMPLE.COM"})
	if _, err := Open(t.Context(), site, "", Options{Login: ticket}); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "configured to be secure") {
		t.Errorf("a NameNode that wants no proof: %v", err)
	}
}

// The suite that real daemons pass.
func TestFake(t *testing.T) {
	_, fsys := openFake(t, Options{})
	testFS(t, fsys, "/suite", 1<<20)
	testAppend(t, fsys, "/suite", 1<<20)
}

// Each trouble is met as the cluster's own is, and ends with it.
func TestFakeTroubles(t *testing.T) {
	c, fsys := openFake(t, Options{Timeout: 2 * time.Second})
	ctx := t.Context()
	must(t, fsys.MkdirAll(ctx, "/d", 0o755))
	flush := func(name string) error {
		a, err := fsys.Append(ctx, name, CreateOptions{})
		if err != nil {
			return err
		}
		defer a.Close()
		if _, err := a.Write([]byte("x")); err != nil {
			return err
		}
		brief, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		return a.Flush(brief)
	}
	for i, tc := range []struct {
		trouble hdfstest.Trouble
		want    error
	}{
		{hdfstest.Trouble{NameNode: hdfstest.Refuses}, ErrUnreachable},
		{hdfstest.Trouble{NameNode: hdfstest.Hangs}, ErrUnreachable},
		{hdfstest.Trouble{SafeMode: true}, ErrSafeMode},
		{hdfstest.Trouble{Full: true}, ErrNoDataNode},
		{hdfstest.Trouble{DataNode: hdfstest.Refuses}, ErrNoDataNode},
		{hdfstest.Trouble{DataNode: hdfstest.Hangs}, context.DeadlineExceeded},
	} {
		must(t, c.SetTrouble(tc.trouble))
		wants(t, flush(fmt.Sprint("/d/troubled", i)), tc.want)
		if c.Met() == 0 && tc.trouble.NameNode != hdfstest.Refuses {
			t.Errorf("nothing has met %+v", tc.trouble)
		}
		if by := c.MetBy(); by["127.0.0.1"] != c.Met() {
			t.Errorf("%+v was met from %v: somebody else", tc.trouble, by)
		}
		must(t, c.SetTrouble(hdfstest.Trouble{}))
		must(t, flush(fmt.Sprint("/d/healed", i)))
	}
}
