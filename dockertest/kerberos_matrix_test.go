//go:build hadoop && matrix

package dockertest_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/login"
)

func TestMatrixKerberosIntegrity(t *testing.T) { speakKerberos(t, "secure-integrity") }
func TestMatrixKerberosAuth(t *testing.T)      { speakKerberos(t, "secure-auth") }
func TestMatrixKerberosAES(t *testing.T)       { speakKerberos(t, "secure-aes") }

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
