package amclient

import (
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/identity"
)

const testApp = "application_1700000000000_0001"

// serveAs listens as an attempt's application master and ends each connection after its
// handshake.
func serveAs(t *testing.T, ca *identity.CA, attempt int) string {
	t.Helper()
	id, err := ca.NewIdentity(identity.Subject{App: testApp, Role: identity.AppMaster, Name: identity.MasterName(attempt, "container")}, 0)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", id.Server(identity.Client))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.(*tls.Conn).HandshakeContext(t.Context())
			conn.Close()
		}
	}()
	return ln.Addr().String()
}

// Who has spoken to the second attempt of the application master does not listen to the
// first again, which may live on where the cluster cannot reach it.
func TestAnEarlierAttemptIsRefused(t *testing.T) {
	ca, err := identity.NewCA(identity.NewSeed(), testApp)
	if err != nil {
		t.Fatal(err)
	}
	me, err := ca.NewIdentity(identity.Subject{App: testApp, Role: identity.Client, Name: "alice"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	first, second := serveAs(t, ca, 1), serveAs(t, ca, 2)
	at := first
	r := &route{tls: me.Client(identity.AppMaster, ""), locate: func(context.Context) ([]string, error) { return []string{at}, nil }}
	dial := func() (net.Conn, error) {
		conn, err := r.dial(t.Context())
		if err == nil {
			conn.Close()
		}
		return conn, err
	}
	if _, err := dial(); err != nil || r.attempt != 1 {
		t.Fatalf("%v, attempt %d", err, r.attempt)
	}
	r.known, at = nil, second // the first does not answer
	if _, err := dial(); err != nil || r.attempt != 2 || len(r.known) != 1 || r.known[0] != second {
		t.Fatalf("%v, attempt %d, known %v", err, r.attempt, r.known)
	}
	r.known, at = nil, first
	if _, err := dial(); err == nil || !strings.Contains(err.Error(), "attempt 1 of the application master is past, there is attempt 2") {
		t.Errorf("%v", err)
	}
	at = second
	if _, err := dial(); err != nil {
		t.Error(err)
	}
}
