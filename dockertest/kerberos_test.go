//go:build hadoop

package dockertest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/hadooprpc/authtolocal"
	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// kerberized is a cluster with Kerberos as seen by clients in this process.
type kerberized struct {
	*dockertest.Cluster
	conf *conf.Conf
	krb  *krb5.Config
}

func openKerberized(t *testing.T, composition string) kerberized {
	t.Helper()
	c := dockertest.Running(t, composition)
	site, err := conf.Load(conf.Options{Dirs: []string{c.ConfDir("edge1")}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "krb5.conf")
	if err := os.WriteFile(path, c.Krb5Conf(), 0o600); err != nil {
		t.Fatal(err)
	}
	krb, err := krb5.LoadConfig(func(name string) string { return map[string]string{"KRB5_CONFIG": path}[name] })
	if err != nil {
		t.Fatal(err)
	}
	return kerberized{c, site, krb}
}

// login is a user's, by the keytab.
func (k kerberized) login(t *testing.T, user string) *krb5.Login {
	t.Helper()
	key, err := k.Keytab(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), user+".keytab")
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := krb5.FromKeytab(k.krb, path, user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (k kerberized) addresses(t *testing.T) []string {
	t.Helper()
	addrs, err := yarn.AddressesFromConf(k.conf)
	if err != nil {
		t.Fatal(err)
	}
	return addrs.Client
}

func (k kerberized) rm(t *testing.T, site *conf.Conf, l *krb5.Login) *yarn.Client {
	t.Helper()
	o, err := ipc.Options{Dial: k.Dial}.WithSecurity(site, "yarn.resourcemanager.principal", l)
	if err != nil {
		t.Fatal(err)
	}
	rm := yarn.NewClient(yarn.Options{Addresses: k.addresses(t), IPC: o})
	t.Cleanup(func() { rm.Close() })
	return rm
}

// Hadoop's own daemons take our tickets, and we their proofs; with the other protections in make test-matrix.
func TestKerberosPrivacy(t *testing.T) { speakKerberos(t, "secure") }

func speakKerberos(t *testing.T, composition string) {
	k := openKerberized(t, composition)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	alice, bob := k.login(t, "alice"), k.login(t, "bob")

	rm := k.rm(t, k.conf, alice)
	m, err := rm.ClusterMetrics(ctx)
	if err != nil || m.GetNumNodeManagers() == 0 {
		t.Fatalf("%v, %v", m, err)
	}
	tok, err := rm.DelegationToken(ctx, "yarn") // only who came with Kerberos gets one
	if err != nil {
		t.Fatal(err)
	}
	byToken, err := ipc.Options{Dial: k.Dial, Token: &tok}.WithSecurity(k.conf, "yarn.resourcemanager.principal", nil)
	ok(t, err)
	holder := yarn.NewClient(yarn.Options{Addresses: k.addresses(t), IPC: byToken})
	defer holder.Close()
	if _, err := holder.ClusterMetrics(ctx); err != nil {
		t.Errorf("by delegation token: %v", err)
	}
	if err := rm.CancelDelegationToken(ctx, tok); err != nil {
		t.Errorf("cancel: %v", err)
	}

	fsys := k.hdfs(t, alice, "alice")
	home := "/user/alice/kerberos-test"
	ok(t, fsys.RemoveAll(ctx, home))
	ok(t, fsys.MkdirAll(ctx, home+"/"+strings.Repeat("long name ", 20), 0o700))
	t.Cleanup(func() { fsys.RemoveAll(context.Background(), home) })
	entries, err := fsys.ReadDir(ctx, home)
	if err != nil || len(entries) != 1 || entries[0].Owner != "alice" {
		t.Errorf("%+v, %v", entries, err)
	}
	ok(t, fsys.Chmod(ctx, home, 0o700))
	if _, err := k.hdfs(t, bob, "bob").ReadDir(ctx, home); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("bob in alice's folder: %v", err)
	}
	if err := fsys.RenameNew(ctx, home, home+"2"); err != nil { // by our own RPC
		t.Error(err)
	}
	ok(t, fsys.RemoveAll(ctx, home+"2"))

	k.transfer(t, fsys, "/user/alice/kerberos-data")
	k.delegate(t, fsys)

	rules, err := authtolocal.FromConf(k.conf, k.krb.DefaultRealm)
	if err != nil {
		t.Fatal(err)
	}
	if short, err := rules.ShortName("rm/rm.example.test@" + k.krb.DefaultRealm); short != "yarn" {
		t.Errorf("the ResourceManager's user is %q, %v", short, err)
	}
}

// delegate has somebody without a ticket come by alice's token, until it is cancelled.
func (k kerberized) delegate(t *testing.T, alice hdfs.FS) {
	t.Helper()
	ctx := t.Context()
	issuer := alice.(hdfs.Delegation)
	tok, given, err := issuer.DelegationToken(ctx, "yarn")
	ok(t, err)
	if !given || tok.Kind != token.KindHDFS || !strings.HasSuffix(tok.Service, ":8020") {
		t.Fatalf("%v, %v", tok, given)
	}
	tokens := &token.Credentials{}
	tokens.Add(tok.Service, tok)
	holder, err := hdfs.Open(ctx, k.conf, "", hdfs.Options{Login: login.With("alice", nil, tokens), Dial: k.Dial})
	ok(t, err)
	defer holder.Close()
	ok(t, holder.MkdirAll(ctx, "by-token", 0o700))
	info, err := alice.Stat(ctx, "/user/alice/by-token")
	ok(t, err)
	if info.Owner != "alice" {
		t.Errorf("made by token, and is %s's", info.Owner)
	}
	data := bytes.Repeat([]byte("by token alone "), 100_000)
	_, err = hdfs.Upload(ctx, holder, "by-token/file", bytes.NewReader(data), hdfs.UploadOptions{})
	ok(t, err)
	if got, err := hdfs.ReadFile(ctx, holder, "by-token/file", 1<<30); err != nil || !bytes.Equal(got, data) {
		t.Errorf("read by token: %d of %d bytes, %v", len(got), len(data), err)
	}
	ok(t, holder.RemoveAll(ctx, "by-token"))
	if _, _, err := holder.(hdfs.Delegation).DelegationToken(ctx, "yarn"); err == nil || !strings.Contains(err.Error(), "kerberos or web authentication") {
		t.Errorf("a token for who has one only: %v", err)
	}
	if _, err := issuer.RenewToken(ctx, tok); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "renew") {
		t.Errorf("renewed by its owner, whom it does not name: %v", err)
	}
	own, _, err := issuer.DelegationToken(ctx, "alice")
	ok(t, err)
	until, err := issuer.RenewToken(ctx, own)
	if err != nil || time.Until(until) < time.Minute {
		t.Errorf("renewed until %v, %v", until, err)
	}
	ok(t, issuer.CancelToken(ctx, own))
	if err := issuer.CancelToken(ctx, own); !errors.Is(err, hdfs.ErrAuth) || !strings.Contains(err.Error(), "kinit") {
		t.Errorf("cancelled twice: %v", err)
	}
	ok(t, issuer.CancelToken(ctx, tok))
	late, err := hdfs.Open(ctx, k.conf, "", hdfs.Options{Login: login.With("alice", nil, tokens), Dial: k.Dial})
	if err == nil {
		late.Close()
	}
	if !errors.Is(err, hdfs.ErrAuth) || !strings.Contains(err.Error(), "can't be found in cache") || !strings.Contains(err.Error(), "kinit") {
		t.Errorf("a cancelled token: %v", err)
	}
}

// transfer writes data, by the library and by our own appender, and reads it.
func (k kerberized) transfer(t *testing.T, fsys hdfs.FS, dir string) {
	t.Helper()
	ctx := t.Context()
	ok(t, fsys.RemoveAll(ctx, dir))
	ok(t, fsys.MkdirAll(ctx, dir, 0o700))
	t.Cleanup(func() { fsys.RemoveAll(context.Background(), dir) })
	data := bytes.Repeat([]byte("what travels to a DataNode "), 200_000) // 5.4 MB
	_, err := hdfs.Upload(ctx, fsys, dir+"/file", bytes.NewReader(data), hdfs.UploadOptions{CreateOptions: hdfs.CreateOptions{BlockSize: 1 << 20}})
	ok(t, err)
	k.reads(t, fsys, dir+"/file", data)
	f, err := fsys.Open(ctx, dir+"/file")
	ok(t, err)
	defer f.Close()
	for off := int64(100); off < int64(len(data)); off += 300_001 { // over the blocks' ends, too
		b := make([]byte, min(70_000, int64(len(data))-off))
		if n, err := f.ReadAt(b, off); n != len(b) || err != nil || !bytes.Equal(b, data[off:off+int64(n)]) {
			t.Errorf("at %d: %d bytes, %v, or other ones", off, n, err)
		}
	}
	a, err := fsys.Append(ctx, dir+"/journal", hdfs.CreateOptions{})
	ok(t, err)
	defer a.Close()
	for part := range slices.Chunk(data[:2<<20], 300_000) {
		_, err := a.Write(part)
		ok(t, err)
		ok(t, a.Flush(ctx))
	}
	ok(t, fsys.Recover(ctx, dir+"/journal")) // its writer still lives, and is fenced
	k.reads(t, fsys, dir+"/journal", data[:2<<20])
	_, err = a.Write([]byte("x"))
	if err == nil {
		err = a.Flush(ctx)
	}
	if !errors.Is(err, hdfs.ErrFenced) {
		t.Errorf("a writer whose file was recovered: %v", err)
	}
}

// reads compares a file with what it must be, as this package reads it and as Hadoop's own client does.
func (k kerberized) reads(t *testing.T, fsys hdfs.FS, name string, want []byte) {
	t.Helper()
	start := time.Now()
	got, err := hdfs.ReadFile(t.Context(), fsys, name, 1<<30)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d of %d bytes, %v, or other ones", name, len(got), len(want), err)
	}
	t.Logf("%s: %d bytes after %v", name, len(got), time.Since(start).Round(time.Millisecond))
	out := ticketed(t, k.Cluster, "alice").Must(t, "sh", "-c", "hadoop-java org.apache.hadoop.fs.FsShell -cat '"+name+"' | sha256sum")
	if sum := fmt.Sprintf("%x", sha256.Sum256(want)); !strings.HasPrefix(out, sum) {
		t.Errorf("%s has hash %s, want %s", name, out, sum)
	}
}

func (k kerberized) hdfs(t *testing.T, l *krb5.Login, user string) hdfs.FS {
	t.Helper()
	fsys, err := hdfs.Open(t.Context(), k.conf, "", hdfs.Options{Login: login.With(user, l, nil), Dial: k.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fsys.Close() })
	return fsys
}

// Whoever is not who he must be is refused by us, before anything is sent; and we are by the daemons.
func TestKerberosRefusals(t *testing.T) {
	k := openKerberized(t, "secure")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	alice := k.login(t, "alice")
	for name, x := range map[string]struct {
		set  map[string]string
		want string
	}{
		"another service":     {map[string]string{"yarn.resourcemanager.principal": "nn/_HOST@EXAMPLE.TEST"}, "it must be nn/rm.example.test"},
		"another host":        {map[string]string{"yarn.resourcemanager.principal": "rm/nn.example.test@EXAMPLE.TEST"}, "it must be rm/nn.example.test"},
		"no principal":        {map[string]string{"yarn.resourcemanager.principal": ""}, "yarn.resourcemanager.principal is not set"},
		"no service of realm": {map[string]string{"yarn.resourcemanager.principal": "rm/_HOST@OTHER.TEST"}, "OTHER.TEST"},
	} {
		start := time.Now()
		_, err := k.rm(t, k.conf.With(x.set), alice).ClusterMetrics(ctx)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
		t.Logf("%s, after %v: %v", name, time.Since(start).Round(time.Millisecond), err)
	}
	plain := yarn.NewClient(yarn.Options{Addresses: k.addresses(t), IPC: ipc.Options{User: "alice", Dial: k.Dial}})
	defer plain.Close()
	if _, err := plain.ClusterMetrics(ctx); err == nil || !strings.Contains(err.Error(), "SIMPLE authentication is not enabled") {
		t.Errorf("a name instead of a ticket: %v", err)
	}
	// A key that the KDC has not: another's, under bob's name.
	key, err := k.Keytab(ctx, "svc")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "old")
	ok(t, os.WriteFile(path, bytes.ReplaceAll(key, []byte("svc"), []byte("bob")), 0o600))
	old, err := krb5.FromKeytab(k.krb, path, "bob")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if _, err := old.ServiceTicket(ctx, "rm/rm.example.test@EXAMPLE.TEST"); krb5.KindOf(err) != krb5.WrongPassword {
		t.Errorf("an old key: %v", err)
	}
	if _, err := alice.ServiceTicket(ctx, "rm/nowhere.example.test@EXAMPLE.TEST"); krb5.KindOf(err) != krb5.UnknownServer {
		t.Errorf("a service that does not exist: %v", err)
	}
}

// The ticket cache that MIT's kinit makes is read.
func TestKerberosCache(t *testing.T) {
	k := openKerberized(t, "secure")
	e := ticketed(t, k.Cluster, "alice")
	text := e.Must(t, "sh", "-c", `cat "$(klist | sed -n 's/^Ticket cache: FILE://p')"`)
	path := filepath.Join(t.TempDir(), "cache")
	ok(t, os.WriteFile(path, []byte(text), 0o600))
	l, err := krb5.FromCache(k.krb, path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ends, renews := l.Expires()
	if l.Principal() != "alice@EXAMPLE.TEST" || time.Until(ends) < time.Hour || !renews.After(ends) {
		t.Errorf("%s until %v, renewable until %v", l.Principal(), ends, renews)
	}
	if _, err := k.rm(t, k.conf, l).Applications(t.Context(), &pb.GetApplicationsRequest{}); err != nil {
		t.Error(err)
	}
}
