package hdfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os/user"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

// manner is how a NameNode of a pair is.
type manner int

const (
	active  manner = iota
	standby        // it answers, and refuses
	down           // its port is closed, connections break
	hung           // stopped: it takes all that it is told, existing connections too, and answers nothing
	gone           // its host's name is not known
)

// pair is a fake HDFS behind two NameNodes, of which each can be of any manner.
type pair struct {
	fake  *hdfstest.Cluster
	other *hadooptest.Server // the standby
	site  map[string]string
	time  time.Duration // of an operation
	mu    sync.Mutex
	are   map[string]manner
	dials map[string]int
	conns map[*pairConn]string
}

type pairConn struct {
	net.Conn
	hung atomic.Bool
}

func (c *pairConn) Read(b []byte) (int, error) {
	for {
		if n, err := c.Conn.Read(b); err != nil || !c.hung.Load() {
			return n, err
		}
	}
}

const pairTimeout = 4 * time.Second

// openPair opens it by the name of its nameservice, which has capitals.
func openPair(t *testing.T, nn1, nn2 manner) (*pair, FS) {
	t.Helper()
	p := newPair(t, hadooptest.Options{}, hadooptest.Options{})
	p.other.SetFault(func(*hadooptest.Call) hadooptest.Fault { return hadooptest.Fault{Exception: hadooptest.Standby()} })
	p.become(nn1, nn2)
	return p, p.open(t, nil)
}

func newPair(t *testing.T, one, other hadooptest.Options) *pair {
	t.Helper()
	p := &pair{fake: startFake(t, hdfstest.Options{Security: one}), are: map[string]manner{}, dials: map[string]int{}, conns: map[*pairConn]string{}, time: pairTimeout,
		site: map[string]string{"fs.defaultFS": "hdfs://NS1", "dfs.nameservices": "NS1", "dfs.ha.namenodes.NS1": "nn1,nn2",
			"dfs.namenode.rpc-address.NS1.nn1": "nn1:8020", "dfs.namenode.rpc-address.NS1.nn2": "nn2:8020"}}
	var err error
	p.other, err = hadooptest.NewServer(other)
	must(t, err)
	t.Cleanup(func() { p.other.Close() })
	return p
}

func (p *pair) open(t *testing.T, who *login.Identity) FS {
	t.Helper()
	fsys, err := Open(t.Context(), conf.FromMap(p.site), "hdfs://ns1/", Options{Timeout: p.time, Dial: p.dial, Login: who})
	must(t, err)
	t.Cleanup(func() { fsys.Close() })
	return fsys
}

// become has both NameNodes be so from now on, with the connections that there are.
func (p *pair) become(nn1, nn2 manner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.are["nn1:8020"], p.are["nn2:8020"] = nn1, nn2
	for c, addr := range p.conns {
		switch p.are[addr] {
		case hung:
			c.hung.Store(true)
		case active:
		default: // who becomes a standby closes no connection, but ours would lead to the active one
			c.Close()
			delete(p.conns, c)
		}
	}
}

func (p *pair) dialled(addr string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dials[addr]
}

func (p *pair) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	p.mu.Lock()
	manner, one := p.are[addr]
	p.dials[addr]++
	p.mu.Unlock()
	to := addr
	switch {
	case !one: // a DataNode
	case manner == down:
		return nil, syscall.ECONNREFUSED
	case manner == gone:
		return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
	case manner == standby:
		to = p.other.Addr()
	default:
		to = strings.TrimPrefix(p.fake.URL(), "hdfs://")
	}
	c, err := (&net.Dialer{}).DialContext(ctx, network, to)
	if err != nil || !one {
		return c, err
	}
	pc := &pairConn{Conn: c}
	pc.hung.Store(manner == hung)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[pc] = addr
	return pc, nil
}

// all does one of each, of the library's calls and our own.
func (p *pair) all(t *testing.T, fsys FS, d string) {
	t.Helper()
	ctx := t.Context()
	must(t, fsys.MkdirAll(ctx, d+"/a", 0o755))
	_, err := WriteFile(ctx, fsys, d+"/a/file", []byte("content"), 0o600)
	must(t, err)
	must(t, fsys.RenameNew(ctx, d+"/a/file", d+"/b"))
	got, err := ReadFile(ctx, fsys, d+"/b", 100)
	if err != nil || string(got) != "content" {
		t.Errorf("the file has %q, %v", got, err)
	}
	a, err := fsys.Append(ctx, d+"/log", CreateOptions{})
	must(t, err)
	_, err = a.Write([]byte("flushed"))
	must(t, err)
	must(t, a.Flush(ctx))
	must(t, fsys.Recover(ctx, d+"/log"))
	wants(t, a.Close(), ErrFenced)
	_, err = fsys.Stat(ctx, d+"/missing")
	wants(t, err, fs.ErrNotExist)
	must(t, fsys.Remove(ctx, d+"/b"))
}

// Whatever the first of two NameNodes does, all can be done with the other, and only once is it waited for.
func TestOtherNameNode(t *testing.T) {
	for name, manner := range map[string]manner{"standby": standby, "down": down, "hung": hung, "gone": gone} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			p, fsys := openPair(t, manner, active)
			p.all(t, fsys, "/d")
			asked := p.dialled("nn1:8020")
			t.Logf("%v, with %d connections to the first", time.Since(began), asked)
			if asked != 1 {
				t.Errorf("the one that does not serve was asked on %d connections", asked)
			}
			p.all(t, fsys, "/e")
			if again := p.dialled("nn1:8020"); again > asked {
				t.Errorf("it was asked again, on %d connections", again-asked)
			}
			if took := time.Since(began); took > pairTimeout {
				t.Errorf("all of it took %v", took)
			}
		})
	}
}

// The active NameNode goes away in the middle, and for a while there is none.
func TestNameNodesFailOver(t *testing.T) {
	for name, how := range map[string]manner{"killed": down, "stopped": hung, "its host gone": gone} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			p, fsys := openPair(t, active, standby)
			p.all(t, fsys, "/before")
			must(t, fsys.Mkdir(ctx, "/d", 0o755))
			const blockSize = 1 << 20
			a, err := fsys.Append(ctx, "/d/log", CreateOptions{BlockSize: blockSize})
			must(t, err)
			piece := bytes.Repeat([]byte("x"), blockSize/2)
			write := func() error {
				_, err := a.Write(piece)
				return errors.Join(err, a.Flush(ctx))
			}
			w, err := fsys.Create(ctx, "/d/file", CreateOptions{BlockSize: blockSize})
			must(t, err)
			content := bytes.Repeat([]byte("of a task "), 3*blockSize/10)
			_, err = w.Write(content[:blockSize/2])
			must(t, err)
			must(t, write())
			p.become(how, standby)
			must(t, write()) // DataNodes need no NameNode
			time.AfterFunc(pairTimeout/2, func() { p.become(how, active) })
			began := time.Now()
			must(t, fsys.Rename(ctx, "/before/log", "/d/renamed"))
			t.Logf("a rename took %v, with no active NameNode for %v", time.Since(began), pairTimeout/2)
			for range 3 { // other blocks
				must(t, write())
			}
			must(t, a.Close())
			_, err = w.Write(content[blockSize/2:])
			must(t, err)
			must(t, w.Close())
			if got, err := ReadFile(ctx, fsys, "/d/file", 1<<30); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d of the %d bytes of a file, %v, or others", len(got), len(content), err)
			}
			info, err := fsys.Stat(ctx, "/d/log")
			if err != nil || info.Length != 5*blockSize/2 {
				t.Errorf("the log has %d bytes, %v", info.Length, err)
			}
			p.all(t, fsys, "/after")
			p.become(standby, active) // started again
			p.all(t, fsys, "/healed")
		})
	}
}

// A caller with less time than a NameNode has for an answer does not ask the same one for ever.
func TestImpatientCallersMoveOn(t *testing.T) {
	for what, call := range map[string]func(context.Context, FS) error{
		"the library's": func(ctx context.Context, fsys FS) error { _, err := fsys.Stat(ctx, "/missing"); return err },
		"our own":       func(ctx context.Context, fsys FS) error { return fsys.RenameNew(ctx, "/missing", "/x") },
	} {
		t.Run(what, func(t *testing.T) {
			_, fsys := openPair(t, hung, active)
			for _, want := range []error{context.DeadlineExceeded, fs.ErrNotExist} {
				ctx, cancel := context.WithTimeout(t.Context(), pairTimeout/8)
				wants(t, call(ctx, fsys), want)
				cancel()
			}
		})
	}
}

// Neither answers: an error within the time of an operation, which names both.
func TestNoNameNode(t *testing.T) {
	for name, manner := range map[string]manner{"standby": standby, "down": down, "hung": hung, "gone": gone} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, hadooptest.Options{}, hadooptest.Options{})
			p.other.SetFault(func(*hadooptest.Call) hadooptest.Fault { return hadooptest.Fault{Exception: hadooptest.Standby()} })
			p.become(active, standby)
			p.time = time.Second
			fsys := p.open(t, nil)
			p.become(manner, manner)
			for what, call := range map[string]func(context.Context) error{
				"stat":   func(ctx context.Context) error { _, err := fsys.Stat(ctx, "/"); return err },
				"rename": func(ctx context.Context) error { return fsys.RenameNew(ctx, "/a", "/b") },
			} {
				began := time.Now()
				err := call(t.Context())
				took := time.Since(began)
				if !errors.Is(err, ErrUnreachable) || !strings.Contains(fmt.Sprint(err), "nn1:8020, nn2:8020") {
					t.Errorf("%s: %v", what, err)
				}
				if took > 2*p.time {
					t.Errorf("%s: it took %v", what, took)
				}
			}
		})
	}
}

// Without a time of the caller's an operation waits for a NameNode to take over, but only a little for an answer.
func TestPairsPatience(t *testing.T) {
	site := map[string]string{"dfs.nameservices": "NS1", "dfs.ha.namenodes.NS1": "nn1,nn2",
		"dfs.namenode.rpc-address.NS1.nn1": "nn1:8020", "dfs.namenode.rpc-address.NS1.nn2": "nn2:8020"}
	for _, tc := range []struct {
		authority   string
		given       time.Duration
		all, answer time.Duration
	}{
		{"nn", 0, 20 * time.Second, 20 * time.Second}, {"ns1", 0, 2 * time.Minute, 5 * time.Second},
		{"nn", time.Second, time.Second, time.Second}, {"ns1", time.Second, time.Second, 250 * time.Millisecond},
	} {
		r, err := newRemote(conf.FromMap(site), tc.authority, Options{Timeout: tc.given, User: "alice"})
		must(t, err)
		defer r.Close()
		if r.timeout != tc.all || r.pool.dial.answer != tc.answer {
			t.Errorf("%s, %v: %v, and %v for an answer", tc.authority, tc.given, r.timeout, r.pool.dial.answer)
		}
	}
}

// URLs have the nameservice as the configuration writes it: Java's NodeManagers, which are given them, know no other.
func TestURLsOfNameservice(t *testing.T) {
	_, fsys := openPair(t, active, standby)
	for _, name := range []string{"/d/x", "hdfs://NS1/d/x", "hdfs://ns1/d/x", "hdfs:///d/x"} {
		if u, err := fsys.URL(name); err != nil || u != "hdfs://NS1/d/x" {
			t.Errorf("%s: %s, %v", name, u, err)
		}
	}
	if _, err := fsys.Resolve("hdfs://NS2/x"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("another nameservice: %v", err)
	}
}

// One token, for the nameservice, is good for both; a standby does not look at it, and says so while it is shown.
func TestPairByToken(t *testing.T) {
	realm := &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}
	secured := func(password func([]byte) ([]byte, error)) hadooptest.Options {
		return hadooptest.Options{Kerberos: func() *gssapi.Acceptor { return realm.Acceptor("nn/nn") }, Service: "nn/nn", Passwords: password, QOPs: []sasl.QOP{sasl.QOPConf}}
	}
	good := func([]byte) ([]byte, error) { return []byte("password"), nil }
	u, err := user.Current() // who owns what the fake has
	must(t, err)
	for name, tc := range map[string]struct {
		first         manner
		other         func([]byte) ([]byte, error)
		service, want string
	}{
		"standby first":            {standby, func([]byte) ([]byte, error) { return nil, hadooptest.Standby() }, "ha-hdfs:NS1", ""},
		"active first":             {active, good, "ha-hdfs:NS1", ""},
		"a stopped one first":      {hung, good, "ha-hdfs:NS1", ""},
		"another nameservice's":    {active, good, "ha-hdfs:NS2", "no token for hdfs://ns1"},
		"one NameNode's by itself": {active, good, "nn1:8020", "no token for hdfs://ns1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t, secured(good), secured(tc.other))
			p.become(tc.first, active)
			p.site["hadoop.security.authentication"], p.site["hadoop.rpc.protection"] = "kerberos", "privacy"
			p.site["dfs.namenode.kerberos.principal"] = "nn/_HOST@EXAMPLE.COM"
			tokens := &token.Credentials{}
			tokens.Add("one", token.Token{Kind: token.KindHDFS, Service: tc.service, Identifier: []byte("id"), Password: []byte("password")})
			who := login.With(u.Username, nil, tokens)
			if tc.want != "" {
				if _, err := Open(t.Context(), conf.FromMap(p.site), "", Options{Login: who, Dial: p.dial}); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%v", err)
				}
				return
			}
			p.all(t, p.open(t, who), "/d")
		})
	}

	// The other one refuses the token: that is said, and not that the first is silent.
	p := newPair(t, secured(func([]byte) ([]byte, error) {
		return nil, &hadooptest.Exception{Class: "org.apache.hadoop.security.token.SecretManager$InvalidToken", Message: "token is expired"}
	}), hadooptest.Options{})
	p.become(hung, active)
	p.site["hadoop.security.authentication"], p.site["hadoop.rpc.protection"] = "kerberos", "privacy"
	p.site["dfs.namenode.kerberos.principal"] = "nn/_HOST@EXAMPLE.COM"
	tokens := &token.Credentials{}
	tokens.Add("one", token.Token{Kind: token.KindHDFS, Service: "ha-hdfs:NS1", Identifier: []byte("id"), Password: []byte("password")})
	_, err = Open(t.Context(), conf.FromMap(p.site), "", Options{Login: login.With(u.Username, nil, tokens), Dial: p.dial, Timeout: pairTimeout})
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "token is expired") {
		t.Errorf("a token that has ended: %v", err)
	}
}
