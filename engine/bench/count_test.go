package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/yarnd/yarnd/identity"
)

// handshake connects over counted connections and returns what both sides counted.
func handshake(t *testing.T, most uint16) (client, server *counter) {
	t.Helper()
	ca, err := identity.NewCA(identity.NewSeed(), "local_1_0001")
	if err != nil {
		t.Fatal(err)
	}
	id, err := ca.NewIdentity(identity.Subject{App: ca.App(), Role: identity.Worker, Name: "w"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	client, server = new(counter), new(counter)
	ln, err := server.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	config := id.Server(identity.Worker)
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, most
	echoed := make(chan error, 1)
	go func() {
		nc, err := ln.Accept()
		if err == nil {
			tc := tls.Server(nc, config)
			_, err = io.Copy(tc, tc)
			tc.Close()
		}
		echoed <- err
	}()
	ours := id.Client(identity.Worker, "")
	ours.MinVersion = tls.VersionTLS12
	tc, err := identity.Dial(t.Context(), client.dial, ln.Addr().String(), ours)
	if err != nil {
		t.Fatal(err)
	}
	if got := tc.ConnectionState().Version; got != most {
		t.Fatalf("%s was negotiated", tls.VersionName(got))
	}
	if _, err := tc.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(tc, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if err := tc.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, tc); err != nil {
		t.Fatal(err)
	}
	tc.Close()
	if err := <-echoed; err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestCounter(t *testing.T) {
	client, server := handshake(t, tls.VersionTLS13)
	c, s := client.now(), server.now()
	if c.Sent != s.Received || c.Received != s.Sent || c.Sent < 500 {
		t.Errorf("client %+v, server %+v", c, s)
	}
	for _, got := range []traffic{c, s} {
		if got.Conns != 1 || got.Plain != 0 || got.TLS != tls.VersionTLS13 {
			t.Errorf("counted %+v", got)
		}
	}
	older, _ := handshake(t, tls.VersionTLS12)
	for _, k := range []struct {
		all  []traffic
		want string
	}{
		{nil, "none"},
		{[]traffic{{}, c, s}, "TLS 1.3"},
		{[]traffic{c, older.now(), s}, "TLS 1.2"},
		{[]traffic{c, {Plain: 1}}, "none"},
	} {
		if got := tlsName(k.all); got != k.want {
			t.Errorf("%+v: %s, want %s", k.all, got, k.want)
		}
	}
}

// A connection without TLS is noticed, whichever side it is of.
func TestCounterPlain(t *testing.T) {
	for _, server := range []bool{false, true} {
		a, b := net.Pipe()
		c := new(counter)
		n := &countedConn{Conn: a, c: c, server: server}
		text := []byte("HTTP/1.1 400 Bad Request\r\n")
		got := make(chan []byte, 1)
		from, to := net.Conn(n), b
		if !server {
			from, to = b, n
		}
		go func() {
			buf := make([]byte, len(text))
			io.ReadFull(to, buf) //nolint:errcheck // what came is compared
			got <- buf
		}()
		if _, err := from.Write(text); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(<-got, text) || c.now().Plain != 1 {
			t.Errorf("server %v: counted %+v", server, c.now())
		}
		a.Close()
		b.Close()
	}
}

func FuzzHelloVersion(f *testing.F) {
	f.Add([]byte("\x16\x03\x03\x00\x05\x02\x00\x00\x01\x00"))
	f.Add([]byte("HTTP/1.1"))
	hello := append([]byte{22, 3, 3, 0, 46, 2, 0, 0, 42, 3, 3}, make([]byte, 32)...)
	f.Add(append(hello, 0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		version, more := helloVersion(b)
		if more {
			if version != 0 {
				t.Fatalf("%x: version %x of too few bytes", b, version)
			}
			return
		}
		// What follows a whole hello changes nothing.
		if again, _ := helloVersion(append(bytes.Clone(b), 0)); again != version && len(b) >= 5 {
			t.Fatalf("%x: version %x, and with a byte more %x", b, version, again)
		}
	})
}
