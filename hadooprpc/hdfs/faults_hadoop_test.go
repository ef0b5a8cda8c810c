//go:build hadoop

package hdfs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// saboteur dials like any other, but its connections can be cut or stopped.
type saboteur struct {
	mu    sync.Mutex
	conns map[*sabotaged]bool
	// onWrite sees each write before it is made; what it returns is done
	// instead of nothing.
	onWrite atomic.Pointer[func(c *sabotaged, b []byte) error]
}

type sabotaged struct {
	net.Conn
	s        *saboteur
	nameNode bool
	cut      atomic.Bool // once an answer has come, it gets lost
}

func (s *saboteur) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	sc := &sabotaged{Conn: c, s: s, nameNode: strings.HasSuffix(port, "8020")}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*sabotaged]bool)
	}
	s.conns[sc] = true
	return sc, nil
}

// each does something to all connections of a sort.
func (s *saboteur) each(nameNode bool, do func(*sabotaged)) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.nameNode == nameNode {
			n++
			do(c)
		}
	}
	return n
}

func (c *sabotaged) Write(b []byte) (int, error) {
	if f := c.s.onWrite.Load(); f != nil {
		if err := (*f)(c, b); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

func (c *sabotaged) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.cut.CompareAndSwap(true, false) {
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *sabotaged) Close() error {
	c.s.mu.Lock()
	delete(c.s.conns, c)
	c.s.mu.Unlock()
	return c.Conn.Close()
}

func (s *saboteur) hook(f func(c *sabotaged, b []byte) error) {
	if f == nil {
		s.onWrite.Store(nil)
		return
	}
	s.onWrite.Store(&f)
}

func TestFaults(t *testing.T) {
	ctx := t.Context()
	s := &saboteur{}
	fsys := openReal(t, Options{Dial: s.dial})
	d := fsys.Home() + "/faults-test-" + rand.Text()
	must(t, fsys.MkdirAll(ctx, d, 0o755))
	t.Cleanup(func() { s.hook(nil); must(t, fsys.RemoveAll(context.Background(), d)) })
	left := func(t *testing.T, want string) {
		t.Helper()
		s.hook(nil)
		infos, err := fsys.ReadDir(ctx, d)
		must(t, err)
		var names []string
		for _, i := range infos {
			names = append(names, i.Name())
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("left are: %s, want %s", got, want)
		}
	}

	t.Run("IdleConnectionCut", func(t *testing.T) {
		for range 3 {
			_, err := fsys.Stat(ctx, d)
			must(t, err)
			if n := s.each(true, func(c *sabotaged) { c.Conn.Close() }); n == 0 {
				t.Error("no connection to cut")
			}
		}
	})

	// cutAfter lets one request pass and closes the connection as soon as the
	// answer to it comes: it was carried out, but nobody is told.
	cutAfter := func(method string) {
		var once sync.Once
		s.hook(func(c *sabotaged, b []byte) error {
			if c.nameNode && bytes.Contains(b, []byte(method)) {
				once.Do(func() { c.cut.Store(true) })
			}
			return nil
		})
	}
	t.Run("AnswersLost", func(t *testing.T) {
		cutAfter("mkdirs")
		must(t, fsys.Mkdir(ctx, d+"/dir", 0o700))
		left(t, "dir")
		cutAfter("rename2")
		must(t, fsys.Rename(ctx, d+"/dir", d+"/dir2"))
		left(t, "dir2")
		cutAfter("delete")
		must(t, fsys.Remove(ctx, d+"/dir2"))
		left(t, "")
		_, err := WriteFile(ctx, fsys, d+"/a", []byte("a"), 0o600)
		must(t, err)
		cutAfter("rename2")
		must(t, fsys.RenameNew(ctx, d+"/a", d+"/b"))
		left(t, "b")
		cutAfter("create")
		_, err = Upload(ctx, fsys, d+"/c", bytes.NewReader(pattern(100_000, 1)), UploadOptions{})
		must(t, err)
		left(t, "b c")
		cutAfter("complete")
		_, err = Upload(ctx, fsys, d+"/d", bytes.NewReader(pattern(100_000, 2)), UploadOptions{})
		must(t, err)
		left(t, "b c d")
		must(t, fsys.Remove(ctx, d+"/b"))
		must(t, fsys.Remove(ctx, d+"/c"))
		must(t, fsys.Remove(ctx, d+"/d"))
	})

	data := pattern(3<<20, 3)
	t.Run("DataNodeCutWhileWriting", func(t *testing.T) {
		cuts := 0
		var mu sync.Mutex
		written := 0
		s.hook(func(c *sabotaged, b []byte) error {
			mu.Lock()
			defer mu.Unlock()
			if written += len(b); !c.nameNode && written > 1<<20 && cuts < 2 {
				cuts, written = cuts+1, 0
				c.Conn.Close()
			}
			return nil
		})
		_, err := Upload(ctx, fsys, d+"/f", bytes.NewReader(data), UploadOptions{Size: int64(len(data))})
		must(t, err)
		if cuts != 2 {
			t.Errorf("%d cuts", cuts)
		}
		got, err := ReadFile(ctx, fsys, d+"/f", 1<<30)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		left(t, "f")
	})

	t.Run("DataNodeKeepsFailing", func(t *testing.T) {
		s.hook(func(c *sabotaged, _ []byte) error {
			if !c.nameNode {
				c.Conn.Close()
			}
			return nil
		})
		_, err := Upload(ctx, fsys, d+"/g", bytes.NewReader(data), UploadOptions{})
		if e := (*Error)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), d+"/g") {
			t.Errorf("error %v", err)
		}
		left(t, "f")
	})

	t.Run("CutWhileReading", func(t *testing.T) {
		f, err := fsys.Open(ctx, d+"/f")
		must(t, err)
		defer f.Close()
		got := make([]byte, len(data))
		for i := 0; i < len(data); i += 1 << 20 {
			_, err := io.ReadFull(f, got[i:i+1<<20])
			must(t, err)
			s.each(false, func(c *sabotaged) { c.Conn.Close() })
			s.each(true, func(c *sabotaged) { c.Conn.Close() })
		}
		if !bytes.Equal(got, data) {
			t.Error("other bytes than were written")
		}
	})

	t.Run("CancelledUploadLeavesNothing", func(t *testing.T) {
		c, cancel := context.WithCancel(ctx)
		stuck := make(chan struct{})
		var once sync.Once
		s.hook(func(sc *sabotaged, _ []byte) error {
			if !sc.nameNode {
				once.Do(func() { close(stuck) })
				<-c.Done() // a DataNode that takes no more
			}
			return nil
		})
		go func() { <-stuck; cancel() }()
		start := time.Now()
		_, err := Upload(c, fsys, d+"/g", bytes.NewReader(data), UploadOptions{})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took > cleanupTime {
			t.Errorf("it took %v", took)
		}
		left(t, "f")
	})

	t.Run("AnotherUser", func(t *testing.T) {
		must(t, fsys.Mkdir(ctx, d+"/private", 0o700))
		bob := openReal(t, Options{User: "bob"})
		_, err := bob.Stat(ctx, d+"/private/x")
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "bob") {
			t.Errorf("error %v", err)
		}
		if err := EnsureDir(ctx, bob, d+"/private", 0o700); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("bob may use alice's directory: %v", err)
		}
		if _, err := WriteFile(ctx, bob, d+"/x", nil, 0o600); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("error %v", err)
		}
		left(t, "f private")
	})
}

// TestIdleClientsClose looks whether connections go away once nobody needs
// them: every one asks its NameNode for something each second.
func TestIdleClientsClose(t *testing.T) {
	s := &saboteur{}
	fsys := openReal(t, Options{Dial: s.dial})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := fsys.Stat(t.Context(), "/"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	deadline := time.After(5 * idleTime)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for n := -1; n != 0; {
		select {
		case <-tick.C:
			n = s.each(true, func(*sabotaged) {})
		case <-deadline:
			t.Fatalf("%d connections are still open", n)
		}
	}
	if _, err := fsys.Stat(t.Context(), "/"); err != nil {
		t.Error(err)
	}
	if os.Getenv("HADOOP_CONF_DIR") == "" {
		t.Error("this test needs HADOOP_CONF_DIR")
	}
}

// TestPartitionedAppender cuts an appender off, lets somebody else recover its
// file, and then heals the network: the appender must not go on.
func TestPartitionedAppender(t *testing.T) {
	ctx := t.Context()
	s := &saboteur{}
	cut, whole := openReal(t, Options{Dial: s.dial}), openReal(t, Options{})
	d := whole.Home() + "/partition-test-" + rand.Text()
	must(t, whole.MkdirAll(ctx, d, 0o755))
	t.Cleanup(func() { must(t, whole.RemoveAll(context.Background(), d)) })
	a, err := cut.Append(ctx, d+"/log", CreateOptions{})
	must(t, err)
	_, err = a.Write([]byte("flushed"))
	must(t, err)
	must(t, a.Flush(ctx))

	healed, stuck := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.hook(func(*sabotaged, []byte) error {
		once.Do(func() { close(stuck) })
		<-healed
		return nil
	})
	_, err = a.Write([]byte(" in the dark"))
	must(t, err)
	flushed := make(chan error)
	go func() { flushed <- a.Flush(ctx) }()
	<-stuck
	must(t, whole.Recover(ctx, d+"/log"))
	close(healed)
	wants(t, <-flushed, ErrFenced)
	wants(t, a.Close(), ErrFenced)
	got, err := ReadFile(ctx, whole, d+"/log", 100)
	if err != nil || string(got) != "flushed" {
		t.Errorf("the file has %q, %v", got, err)
	}

	// With nothing of the network to be had, the context ends a Flush.
	a, err = cut.Append(ctx, d+"/bounded", CreateOptions{})
	must(t, err)
	_, err = a.Write([]byte("x"))
	must(t, err)
	s.hook(func(c *sabotaged, _ []byte) error {
		if !c.nameNode {
			return nil
		}
		return errors.New("no way to the NameNode")
	})
	why := errors.New("enough")
	c, cancel := context.WithCancelCause(ctx)
	go cancel(why)
	wants(t, a.Flush(c), why)
	wants(t, a.Close(), why)
	s.hook(nil)
}
