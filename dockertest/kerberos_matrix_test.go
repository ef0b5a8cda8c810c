//go:build hadoop && matrix

package dockertest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

func TestMatrixKerberosIntegrity(t *testing.T) { speakKerberos(t, "secure-integrity") }
func TestMatrixKerberosAuth(t *testing.T)      { speakKerberos(t, "secure-auth") }

// Where connections are authenticated and nothing more, all that is said can be read.
func TestMatrixKerberosAuthOnTheWire(t *testing.T) {
	k := openKerberized(t, "secure-auth")
	wire(t, k.Cluster, k.hdfs(t, k.login(t, "alice"), "alice"), k.rm(t, k.conf, k.login(t, "alice")), true)
}

func TestMatrixKerberosAES(t *testing.T) { speakKerberos(t, "secure-aes") }

// Tokens of blocks are good for a minute there. A reader whose token has expired gets another, and nobody notices.
func TestMatrixKerberosBlockTokens(t *testing.T) {
	k := openKerberized(t, "secure-aes")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	refusals := &refusalCounter{}
	fsys, err := hdfs.Open(ctx, k.conf, "", hdfs.Options{Login: login.With("alice", k.login(t, "alice"), nil), Dial: k.Dial, Logger: slog.New(refusals)})
	ok(t, err)
	defer fsys.Close()
	const name = "/user/alice/token-test"
	data := bytes.Repeat([]byte("for a minute "), 200_000)
	_, err = hdfs.Upload(ctx, fsys, name, bytes.NewReader(data), hdfs.UploadOptions{CreateOptions: hdfs.CreateOptions{Overwrite: true}})
	ok(t, err)
	defer fsys.RemoveAll(context.Background(), name)
	f, err := fsys.Open(ctx, name)
	ok(t, err)
	defer f.Close()
	start := time.Now()
	for i := int64(0); refusals.n.Load() == 0; i++ {
		b, off := make([]byte, 1000), i*500_009%int64(len(data)-1000)
		if n, err := f.ReadAt(b, off); n != len(b) || err != nil || !bytes.Equal(b, data[off:off+1000]) {
			t.Fatalf("after %v: %d bytes, %v, or other ones", time.Since(start), n, err)
		}
		select {
		case <-time.After(5 * time.Second): // connections are not kept for so long
		case <-ctx.Done():
			t.Fatal("no DataNode has refused a token")
		}
	}
	t.Logf("after %v: %s", time.Since(start).Round(time.Second), *refusals.last.Load())
}

// A delegation token that nobody renews any more ends, and who comes by it is told what to do.
func TestMatrixKerberosTokenEnds(t *testing.T) {
	k := openKerberized(t, "secure-short")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	issuer := k.hdfs(t, k.login(t, "alice"), "alice").(hdfs.Delegation)
	tok, given, err := issuer.DelegationToken(ctx, "alice")
	if err != nil || !given {
		t.Fatal(given, err)
	}
	until, err := issuer.RenewToken(ctx, tok)
	ok(t, err)
	tokens := &token.Credentials{}
	tokens.Add(tok.Service, tok)
	comes := func() error {
		fsys, err := hdfs.Open(ctx, k.conf, "", hdfs.Options{Login: login.With("alice", nil, tokens), Dial: k.Dial})
		if err != nil {
			return err
		}
		defer fsys.Close()
		_, err = fsys.Stat(ctx, ".")
		return err
	}
	for err = comes(); err == nil && ctx.Err() == nil; err = comes() {
		time.Sleep(time.Second)
	}
	if left := time.Until(until); left > time.Second {
		t.Errorf("it ended %v before its time", left)
	}
	if !errors.Is(err, hdfs.ErrAuth) || !strings.Contains(err.Error(), "kinit") {
		t.Errorf("an expired token: %v", err)
	}
	t.Log(err)
	for _, err = issuer.RenewToken(ctx, tok); err == nil && ctx.Err() == nil; _, err = issuer.RenewToken(ctx, tok) {
		time.Sleep(time.Second)
	}
	if !errors.Is(err, hdfs.ErrAuth) || !strings.Contains(err.Error(), "kinit") {
		t.Errorf("renewed after its longest life: %v", err)
	}
	t.Log(err)
}

// refusalCounter is a log that counts what DataNodes refuse.
type refusalCounter struct {
	n    atomic.Int64
	last atomic.Pointer[string]
}

func (c *refusalCounter) Enabled(context.Context, slog.Level) bool { return true }
func (c *refusalCounter) WithAttrs([]slog.Attr) slog.Handler       { return c }
func (c *refusalCounter) WithGroup(string) slog.Handler            { return c }

func (c *refusalCounter) Handle(_ context.Context, r slog.Record) error {
	if !strings.Contains(r.Message, "a DataNode failed a reader") {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		if text := a.Value.String(); a.Key == "err" {
			c.last.Store(&text)
		}
		return true
	})
	c.n.Add(1)
	return nil
}
