package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// talk makes one connection over a real socket and says a byte in each
// direction. It returns what each side thought of it and whom it saw.
func talk(t *testing.T, server, client *tls.Config) (atServer, atClient outcome) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan outcome, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			done <- outcome{err: err}
			return
		}
		done <- converse(tls.Server(conn, server))
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	atClient = converse(tls.Client(conn, client))
	return <-done, atClient
}

type outcome struct {
	peer Subject
	err  error
}

// converse shakes hands, writes a byte and reads one: in TLS 1.3 a client learns
// only by reading that the server refused its certificate.
func converse(conn *tls.Conn) outcome {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := conn.Handshake(); err != nil {
		return outcome{err: err}
	}
	if _, err := conn.Write([]byte{1}); err != nil {
		return outcome{err: err}
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return outcome{err: err}
	}
	peer, err := Peer(conn.ConnectionState())
	return outcome{peer, err}
}

func TestFriendsTalk(t *testing.T) {
	ca := testCA(t, testApp)
	am, worker := testIdentity(t, ca, AppMaster, "c0"), testIdentity(t, ca, Worker, "c2")
	for _, name := range []string{"", "c0"} {
		s, c := talk(t, am.Server(Worker, Client), worker.Client(AppMaster, name))
		if s.err != nil || c.err != nil || s.peer != worker.Subject() || c.peer != am.Subject() {
			t.Errorf("name %q: server %+v, client %+v", name, s, c)
		}
	}
}

// An attempt of the application master that derives the authority anew is
// trusted by workers whose certificates the first attempt signed, and trusts them.
func TestNextAttemptIsTrusted(t *testing.T) {
	seed := NewSeed()
	first, second := must(NewCA(seed, testApp))(t), must(NewCA(seed, testApp))(t)
	worker, am := testIdentity(t, first, Worker, "w"), testIdentity(t, second, AppMaster, "c0")
	if s, c := talk(t, am.Server(Worker), worker.Client(AppMaster, "")); s.err != nil || c.err != nil {
		t.Errorf("server: %v, client: %v", s.err, c.err)
	}
}

func TestServerRefuses(t *testing.T) {
	ca, foreign, otherApp := testCA(t, testApp), testCA(t, testApp), testCA(t, "application_1700000000000_0002")
	am := testIdentity(t, ca, AppMaster, "c0")

	expired := testCA(t, testApp)
	expired.key, expired.cert = ca.key, ca.cert
	expired.now = func() time.Time { return time.Now().Add(-2 * time.Hour) }
	future := testCA(t, testApp)
	future.key, future.cert = ca.key, ca.cert
	future.now = func() time.Time { return time.Now().Add(Backdate + time.Hour) }

	// trusting makes a client that would talk to anybody, so that the refusal
	// seen is the server's.
	trusting := func(id *Identity) *tls.Config {
		cfg := id.base()
		cfg.InsecureSkipVerify = true
		return cfg
	}
	w := Subject{testApp, Worker, "w"}
	clients := map[string]*tls.Config{
		"wrong role":             trusting(testIdentity(t, ca, Client, "alice")),
		"another application":    trusting(testIdentity(t, otherApp, Worker, "w")),
		"foreign CA, same names": trusting(testIdentity(t, foreign, Worker, "w")),
		"expired":                trusting(must(expired.NewIdentity(w, time.Hour))(t)),
		"not yet valid":          trusting(must(future.NewIdentity(w, time.Hour))(t)),
		"no certificate":         {InsecureSkipVerify: true, MinVersion: tls.VersionTLS13},
		"the authority's own certificate": {InsecureSkipVerify: true, MinVersion: tls.VersionTLS13,
			Certificates: []tls.Certificate{{Certificate: [][]byte{ca.cert.Raw}, PrivateKey: ca.key}}},
	}
	older := trusting(testIdentity(t, ca, Worker, "w"))
	older.MinVersion, older.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	clients["TLS 1.2"] = older
	for name, cfg := range clients {
		t.Run(name, func(t *testing.T) {
			if s, c := talk(t, am.Server(Worker), cfg); s.err == nil || c.err == nil {
				t.Errorf("let in: server %+v, client %+v", s, c)
			}
		})
	}
	if s, c := talk(t, am.Server(Worker), trusting(testIdentity(t, ca, Worker, "w"))); s.err != nil || c.err != nil {
		t.Errorf("the control case failed: %v, %v", s.err, c.err)
	}
}

func TestClientRefuses(t *testing.T) {
	ca, foreign, otherApp := testCA(t, testApp), testCA(t, testApp), testCA(t, "application_1700000000000_0002")
	worker := testIdentity(t, ca, Worker, "w")
	welcoming := func(id *Identity) *tls.Config {
		cfg := id.base()
		cfg.ClientAuth = tls.RequireAnyClientCert
		return cfg
	}
	for name, server := range map[string]*Identity{
		"worker posing as application master": testIdentity(t, ca, Worker, "c0"),
		"client posing as application master": testIdentity(t, ca, Client, "c0"),
		"application master of another":       testIdentity(t, otherApp, AppMaster, "c0"),
		"foreign CA, same names":              testIdentity(t, foreign, AppMaster, "c0"),
	} {
		t.Run(name, func(t *testing.T) {
			if s, c := talk(t, welcoming(server), worker.Client(AppMaster, "")); s.err == nil || c.err == nil {
				t.Errorf("talked: server %+v, client %+v", s, c)
			}
			if s, c := talk(t, welcoming(server), JoinClient(ca.Certificate(), testApp)); s.err == nil || c.err == nil {
				t.Errorf("joined: server %+v, client %+v", s, c)
			}
		})
	}
	s, c := talk(t, welcoming(testIdentity(t, ca, Worker, "w2")), worker.Client(Worker, "w3"))
	var rejected *RejectedError
	if s.err == nil || !errors.As(c.err, &rejected) || rejected.Peer.Name != "w2" {
		t.Errorf("another worker than the wanted one: server %v, client %v", s.err, c.err)
	}
}

// A node whose clock is twenty hours behind can still talk, one whose clock is a
// year behind cannot.
func TestClockSkew(t *testing.T) {
	ca := testCA(t, testApp)
	am := testIdentity(t, ca, AppMaster, "c0")
	for _, tc := range []struct {
		skew time.Duration
		ok   bool
	}{{0, true}, {-20 * time.Hour, true}, {20 * time.Hour, true}, {-365 * 24 * time.Hour, false}} {
		worker := testIdentity(t, ca, Worker, "w")
		worker.now = func() time.Time { return time.Now().Add(tc.skew) }
		if _, c := talk(t, am.Server(Worker), worker.Client(AppMaster, "")); (c.err == nil) != tc.ok {
			t.Errorf("clock off by %v: %v", tc.skew, c.err)
		}
		am.now = worker.now
		if s, _ := talk(t, am.Server(Worker), testIdentity(t, ca, Worker, "w").Client(AppMaster, "")); (s.err == nil) != tc.ok {
			t.Errorf("server's clock off by %v: %v", tc.skew, s.err)
		}
		am.now = time.Now
	}
}

// A configuration made before a renewal serves the new certificate after it.
func TestOldConfigurationsUseTheNewCertificate(t *testing.T) {
	ca := testCA(t, testApp)
	past := testCA(t, testApp)
	past.key, past.cert = ca.key, ca.cert
	past.now = func() time.Time { return time.Now().Add(-2 * time.Hour) }
	worker := must(past.NewIdentity(Subject{testApp, Worker, "w"}, time.Hour))(t) // ended an hour ago
	am := testIdentity(t, ca, AppMaster, "c0")
	client, server := worker.Client(AppMaster, ""), worker.Server(AppMaster)
	if s, _ := talk(t, am.Server(Worker), client); s.err == nil {
		t.Fatal("the expired certificate was accepted")
	}
	if err := worker.Renew(must(ca.Sign(must(worker.CSR())(t), worker.Subject(), 0))(t)); err != nil {
		t.Fatal(err)
	}
	if s, c := talk(t, am.Server(Worker), client); s.err != nil || c.err != nil {
		t.Errorf("as client: %v, %v", s.err, c.err)
	}
	if s, c := talk(t, server, am.Client(Worker, "w")); s.err != nil || c.err != nil {
		t.Errorf("as server: %v, %v", s.err, c.err)
	}
}

func TestPlaintextIsRefused(t *testing.T) {
	am := testIdentity(t, testCA(t, testApp), AppMaster, "c0")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, hello := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", strings.Repeat("\x00", 100)} {
		done := make(chan outcome, 1)
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				done <- outcome{err: err}
				return
			}
			done <- converse(tls.Server(conn, am.Server(Worker)))
		}()
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(hello))
		if s := <-done; s.err == nil {
			t.Errorf("%q was understood", hello)
		}
		conn.Close()
	}
}

func TestJoining(t *testing.T) {
	ca := testCA(t, testApp)
	am := testIdentity(t, ca, AppMaster, "c0")
	s, c := talk(t, am.JoinServer(), JoinClient(ca.Certificate(), testApp))
	if c.err != nil || c.peer != am.Subject() {
		t.Errorf("the joining side: %+v", c)
	}
	if !errors.Is(s.err, ErrNoPeer) {
		t.Errorf("the application master thinks it knows who joins: %+v", s)
	}
}

// A program without a certificate verifies nobody, but talks only to who speaks its protocol,
// by TLS 1.3; the other side knows nothing of it.
func TestClaiming(t *testing.T) {
	ca := testCA(t, testApp)
	am := testIdentity(t, ca, AppMaster, "c0")
	s, c := talk(t, am.ClaimServer(), StrangerClient())
	if c.err != nil || !errors.Is(s.err, ErrNoPeer) {
		t.Errorf("client %+v, server %+v", c, s)
	}
	old := am.ClaimServer()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, server := range map[string]*tls.Config{"a server of another protocol": am.JoinServer(), "one of none": am.base(), "TLS 1.2": old} {
		if s, c := talk(t, server, StrangerClient()); c.err == nil || s.err == nil {
			t.Errorf("%s: client %+v, server %+v", name, c, s)
		}
	}
}

func TestServerWithoutRolesPanics(t *testing.T) {
	id := testIdentity(t, testCA(t, testApp), AppMaster, "c0")
	defer func() {
		if recover() == nil {
			t.Error("a server for nobody was made")
		}
	}()
	id.Server()
}

func TestPeerOfNothing(t *testing.T) {
	if _, err := Peer(tls.ConnectionState{}); !errors.Is(err, ErrNoPeer) {
		t.Errorf("%v", err)
	}
	if _, err := Peer(tls.ConnectionState{PeerCertificates: []*x509.Certificate{testCA(t, testApp).cert}}); err == nil {
		t.Error("a handshake that is not complete has a peer")
	}
}
