package wires

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const inside = "YARND_WIRES_INSIDE"

// private tells whether a test is in namespaces of its own. If not it runs the test there, as a process
// of its own.
func private(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	Private(cmd)
	out, err := cmd.CombinedOutput()
	if (errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC)) && os.Getenv("CI") == "" {
		t.Skipf("no private namespaces for this user: %v", err)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

// on runs f on a node.
func on[T any](t *testing.T, n *Network, node int, f func() (T, error)) T {
	t.Helper()
	type result struct {
		v   T
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		leave, err := n.Enter(node)
		var r result
		if err == nil {
			r.v, r.err = f()
			r.err = errors.Join(r.err, leave())
			runtime.UnlockOSThread()
		} else {
			r.err = err
		}
		done <- r
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.v
}

// Nodes reach each other and this process; a wire that is cut lets nothing through in its direction, and
// when it is whole again everything comes that was sent.
func TestCut(t *testing.T) {
	if !private(t) {
		return
	}
	n, err := New(2)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for _, way := range []struct {
		from, to int // -1 is this process
		host     string
		a, b     string // addresses of both ends
	}{
		{0, 1, n.Host(1), n.Host(0), n.Host(1)},
		{0, -1, n.RMHost(), n.Host(0), n.RMHost()},
		{-1, 1, n.Host(1), n.gate(1), n.Host(1)},
		{1, -1, n.gate(0), n.Host(1), n.gate(0)},
	} {
		listen := func() (net.Listener, error) { return net.Listen("tcp", net.JoinHostPort(way.host, "0")) }
		var l net.Listener
		if way.to < 0 {
			if l, err = listen(); err != nil {
				t.Fatal(err)
			}
		} else {
			l = on(t, n, way.to, listen)
		}
		defer l.Close()
		dial := func() (net.Conn, error) { return net.DialTimeout("tcp", l.Addr().String(), 5*time.Second) }
		var out net.Conn
		if way.from < 0 {
			if out, err = dial(); err != nil {
				t.Fatal(err)
			}
		} else {
			out = on(t, n, way.from, dial)
		}
		defer out.Close()
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		send := func(c net.Conn) {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		got := func(c net.Conn, wait time.Duration) bool {
			c.SetReadDeadline(time.Now().Add(wait))
			_, err := c.Read(make([]byte, 1))
			return err == nil
		}
		send(out)
		send(in)
		if !got(in, time.Minute) || !got(out, time.Minute) {
			t.Fatalf("%+v: nothing comes through a whole wire", way)
		}
		for _, cut := range []struct {
			from, to       string
			sender, reader net.Conn
		}{{way.a, way.b, out, in}, {way.b, way.a, in, out}} {
			lost := n.Lost()
			if err := n.Cut(cut.from, cut.to, true); err != nil {
				t.Fatal(err)
			}
			send(cut.sender)
			if got(cut.reader, 100*time.Millisecond) {
				t.Errorf("%+v: a cut wire lets through", way)
			}
			send(cut.reader)
			if !got(cut.sender, time.Minute) {
				t.Errorf("%+v: the other way is cut too", way)
			}
			if err := n.Cut(cut.from, cut.to, false); err != nil {
				t.Fatal(err)
			}
			if !got(cut.reader, time.Minute) {
				t.Errorf("%+v: nothing comes through a healed wire", way)
			}
			if n.Lost() == lost {
				t.Errorf("%+v: no packet was lost from %s to %s", way, cut.from, cut.to)
			}
			lost = n.Lost()
			if err := errors.Join(n.Cut(cut.from, cut.to, true), n.Cut(cut.from, cut.to, false)); err != nil {
				t.Fatal(err)
			}
			if now := n.Lost(); now != lost {
				t.Errorf("%+v: %d packets were lost while nobody sent any", way, now-lost)
			}
		}
	}
	if err := n.Cut(n.RMHost(), n.HDFSHost(), false); err == nil {
		t.Error("a whole wire was healed")
	}
}

// A small disk is full when it is full, and is seen by nobody else.
func TestDisk(t *testing.T) {
	if !private(t) {
		return
	}
	dir := t.TempDir()
	if err := Disk(dir, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/f", make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("2 MiB on 1 MiB: %v", err)
	}
	if err := Unmount(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/f"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there still: %v", err)
	}
}
