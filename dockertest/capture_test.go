//go:build hadoop

package dockertest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// sniffer looks at every packet of this machine for words, until it is stopped.
type sniffer struct {
	seen []atomic.Int64 // by word
	all  atomic.Int64   // packets
	fd   int
	done chan struct{}
}

func sniff(t *testing.T, words ...string) *sniffer {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can look at packets")
	}
	all := int(binary.BigEndian.Uint16([]byte{syscall.ETH_P_ALL & 0xff, syscall.ETH_P_ALL >> 8}))
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 64<<20)
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 100_000}); err != nil {
		t.Fatal(err)
	}
	s := &sniffer{seen: make([]atomic.Int64, len(words)), fd: fd, done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(s.done)
		b := make([]byte, 1<<16)
		for ctx.Err() == nil {
			n, _, err := syscall.Recvfrom(fd, b, 0)
			if err != nil {
				continue // its time was up
			}
			s.all.Add(1)
			for i, w := range words {
				if bytes.Contains(b[:n], []byte(w)) {
					s.seen[i].Add(1)
				}
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-s.done; syscall.Close(fd) })
	return s
}

// Under privacy nothing that is said to NameNodes and DataNodes can be read on the wire, names of files as little as what is
// in them. Without, all of it can: so the looking works.
func TestPrivacyOnTheWire(t *testing.T) {
	const name, text = "a-name-to-look-for", "what-is-to-be-looked-for "
	s := sniff(t, name, text)
	k := openKerberized(t, "secure")
	talk(t, k.hdfs(t, k.login(t, "alice"), "alice"), "/user/alice/"+name, text)
	if s.seen[0].Load() != 0 || s.seen[1].Load() != 0 || s.all.Load() < 100 {
		t.Errorf("under privacy, in %d packets: the name in %d, the text in %d", s.all.Load(), s.seen[0].Load(), s.seen[1].Load())
	}
	plain := openHDFS(t, dockertest.Running(t, "simple"), "nn")
	talk(t, plain, "/user/alice/"+name, text)
	for end := time.Now().Add(10 * time.Second); (s.seen[0].Load() == 0 || s.seen[1].Load() == 0) && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	if s.seen[0].Load() == 0 || s.seen[1].Load() == 0 {
		t.Errorf("in clear, in %d packets: the name in %d, the text in %d", s.all.Load(), s.seen[0].Load(), s.seen[1].Load())
	}
	t.Logf("%d packets", s.all.Load())
}

// talk writes a file in each way, reads it and removes it.
func talk(t *testing.T, fsys hdfs.FS, name, text string) {
	t.Helper()
	ctx := t.Context()
	ok(t, fsys.RemoveAll(ctx, name))
	ok(t, fsys.MkdirAll(ctx, name, 0o700))
	t.Cleanup(func() { fsys.RemoveAll(context.Background(), name) })
	data := bytes.Repeat([]byte(text), 20_000)
	_, err := hdfs.Upload(ctx, fsys, name+"/file", bytes.NewReader(data), hdfs.UploadOptions{})
	ok(t, err)
	got, err := hdfs.ReadFile(ctx, fsys, name+"/file", 1<<20)
	ok(t, err)
	if !bytes.Equal(got, data) {
		t.Errorf("read %d bytes that are others than the %d written", len(got), len(data))
	}
	a, err := fsys.Append(ctx, name+"/journal", hdfs.CreateOptions{})
	ok(t, err)
	defer a.Close()
	_, err = a.Write(data)
	ok(t, err)
	ok(t, a.Flush(ctx))
}
