package rawio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func pair(t *testing.T) (a, b *Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return NewConn(dialed).(*Conn), NewConn(accepted).(*Conn)
}

// numbered returns n bytes that tell where they were.
func numbered(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func TestConnCarries(t *testing.T) {
	a, b := pair(t)
	want := numbered(8 << 20)
	wrote := make(chan error, 1)
	go func() {
		_, err := a.Write(want)
		wrote <- errors.Join(err, a.Close())
	}()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes, %v", len(got), len(want), err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

// Who spools never waits for a peer that does not read, up to a bound; what it wrote
// arrives in order.
func TestSpool(t *testing.T) {
	a, b := pair(t)
	const most = 1 << 20
	a.Spool(most)
	var sent []byte
	piece := numbered(100_000)
	for a.Rest() == 0 {
		if n, err := a.Write(piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
		sent = append(sent, piece...)
	}
	for {
		n, err := a.Write(piece)
		sent = append(sent, piece[:n]...)
		if err != nil {
			break
		}
		if a.Rest() > most {
			t.Fatalf("%d bytes are kept", a.Rest())
		}
	}
	if a.Rest() <= most-len(piece) {
		t.Errorf("refused with %d bytes kept of %d", a.Rest(), most)
	}
	settled := make(chan error, 1)
	go func() { settled <- errors.Join(a.Settle(), a.Close()) }()
	got, err := io.ReadAll(b)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes, %v", len(got), len(sent), err)
	}
	if err := <-settled; err != nil {
		t.Error(err)
	}
}

func TestConnEnds(t *testing.T) {
	a, b := pair(t)
	if err := a.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err := a.Read(make([]byte, 1))
	if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("past the deadline: %v", err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := b.Read(make([]byte, 1))
		read <- err
	}()
	b.Close()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed here: %v", err)
	}
	if _, err := b.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if err := a.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("closed there: %v", err)
	}
}

func TestUnder(t *testing.T) {
	a, b := pair(t)
	if Under(a) != a || Under(tls.Client(b, nil)) != b {
		t.Error("not found below TLS")
	}
	if c, d := net.Pipe(); Under(c) != nil || NewConn(c) != c {
		t.Error("found where there is none")
	} else {
		c.Close()
		d.Close()
	}
}

// What is offered to a full pipe goes before what is written next.
func TestFile(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	from, err1 := NewFile(r)
	to, err2 := NewFile(w)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	want := numbered(1 << 20)
	if err := to.Offer(want[:len(want)/2]); err != nil || to.Rest() == 0 {
		t.Fatalf("offer to a pipe: %v, %d bytes kept", err, to.Rest())
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := to.Write(want[len(want)/2:])
		wrote <- errors.Join(err, to.Close())
	}()
	got, err := io.ReadAll(from)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes, %v", len(got), len(want), err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}
