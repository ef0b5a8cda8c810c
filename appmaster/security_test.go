package appmaster

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/join"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/identity"
)

// stranger is an identity of an authority that is not the application's, with the
// very same names.
func (w *world) stranger(role identity.Role, name string) *identity.Identity {
	w.Helper()
	ca, err := identity.NewCA(identity.NewSeed(), w.spec.ID)
	if err != nil {
		w.Fatal(err)
	}
	id, err := ca.NewIdentity(identity.Subject{App: w.spec.ID, Role: role, Name: name}, 0)
	if err != nil {
		w.Fatal(err)
	}
	return id
}

// A scheduler that was replaced, or whose container is none of ours, cannot attach.
func TestOldSchedulersAreRefused(t *testing.T) {
	w := prepare(t, 0)
	w.begin()
	info := w.until("a scheduler", func(i *ampb.Info) bool { return i.Scheduler != nil })
	attach := func(name string, epoch uint64) error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return amclient.Attach(w.dial(w.identity(identity.Scheduler, name)), amclient.ControlOptions{Address: "zombie:1", Epoch: epoch}).Run(ctx)
	}
	var e *amclient.Error
	if err := attach("container_1_0001_01_000099", info.Scheduler.Epoch+1); !errors.As(err, &e) || !e.Refused() {
		t.Errorf("a stranger: %v", err)
	}
	if err := attach(info.Scheduler.Container, info.Scheduler.Epoch-1); !errors.As(err, &e) || !e.Refused() {
		t.Errorf("a lower epoch: %v", err)
	}
	if err := attach(info.Scheduler.Container, 0); !errors.As(err, &e) || !e.Refused() {
		t.Errorf("epoch 0: %v", err)
	}
	if now := w.info().Scheduler; now.Address == "zombie:1" {
		t.Errorf("the scheduler is now %v", now)
	}
}

// Who is not of the application gets no byte of an answer.
func TestStrangersAreRefused(t *testing.T) {
	w := prepare(t, 0)
	w.begin()
	addr := w.address()
	for name, id := range map[string]*identity.Identity{
		"foreign authority, same names": w.stranger(identity.Client, "alice"),
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		_, err := w.dial(id).Info(ctx)
		var e *amclient.Error
		if !errors.As(err, &e) || !e.Refused() {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
	for name, hello := range map[string]string{
		"HTTP/1.1":   "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"plain gRPC": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
		"plain join": "YJ\x01\x01c" + strings.Repeat("x", 34),
		"zeroes":     strings.Repeat("\x00", 4096),
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, hello)
		answer, _ := io.ReadAll(conn)
		conn.Close()
		// A TLS alert (7 bytes, type 21), or what net/http tells a TLS client; no
		// word of any of our protocols.
		if len(answer) > 7 || (len(answer) > 0 && answer[0] != 21) {
			t.Errorf("%s was answered: %q", name, answer)
		}
	}
	// TLS without a certificate, for gRPC.
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err == nil {
		conn.SetDeadline(time.Now().Add(patience))
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("no certificate: got %d bytes", n)
		}
		conn.Close()
	}
	// TLS for a protocol that we do not have.
	if conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}); err == nil {
		conn.SetDeadline(time.Now().Add(patience))
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("another protocol: got %d bytes", n)
		}
		conn.Close()
	}
}

// joinAs sends one joining frame, over TLS as the real ones do.
func (w *world) joinAs(container string, tok [spec.JoinTokenSize]byte, csr []byte) (join.Answer, error) {
	w.Helper()
	frame, err := join.AppendRequest(nil, &join.Request{Container: container, Token: tok, CSR: csr})
	if err != nil {
		w.Fatal(err)
	}
	conn, err := tls.Dial("tcp", w.address(), identity.JoinClient(w.ca.Certificate(), w.spec.ID))
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(frame); err != nil {
		return join.Answer{}, err
	}
	return join.ReadAnswer(conn)
}

func TestJoinTokens(t *testing.T) {
	w := prepare(t, 2)
	keep := t.TempDir()
	w.spec.Pools[1].Env["TEST_KEEP"] = keep
	w.begin()
	info := w.until("2 workers", running(2))
	a, b := containers(info, "worker")[0].Id, containers(info, "worker")[1].Id
	creds, err := token.ReadFile(filepath.Join(w.dir, "containers", a, "container_tokens"))
	if err != nil {
		t.Fatal(err)
	}
	var tok [spec.JoinTokenSize]byte
	copy(tok[:], creds.Secrets[spec.SecretJoin])
	other, err := identity.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	flipped := tok
	flipped[31] ^= 1
	for name, try := range map[string]struct {
		container string
		token     [spec.JoinTokenSize]byte
	}{
		"the token again, for another key": {a, tok},
		"another container's token":        {b, tok},
		"a token with one bit changed":     {a, flipped},
		"no token":                         {a, [spec.JoinTokenSize]byte{}},
		"a container that is not ours":     {"container_1_0001_01_000001", tok},
	} {
		if answer, err := w.joinAs(try.container, try.token, other.CSR()); err != nil || answer.Verdict != join.Refused {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
	// The same key again, as after a lost answer: the same certificate.
	pem, err := os.ReadFile(filepath.Join(keep, a+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	mine, err := identity.ParsePEM(pem)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := mine.CSR()
	if err != nil {
		t.Fatal(err)
	}
	before := mine.NotAfter()
	answer, err := w.joinAs(a, tok, csr)
	if err != nil || answer.Verdict != join.Granted {
		t.Fatalf("%+v, %v", answer, err)
	}
	if err := mine.Renew(answer.Text); err != nil || !mine.NotAfter().Equal(before) {
		t.Errorf("another certificate: %v, %v and %v", err, before, mine.NotAfter())
	}
	if mine.Subject() != (identity.Subject{App: w.spec.ID, Role: identity.Worker, Name: a}) {
		t.Errorf("joined as %v", mine.Subject())
	}
}

// Secrets are in the credentials file and nowhere else.
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	w := prepare(t, 1)
	w.begin()
	info := w.until("a worker", running(1))
	id := containers(info, "worker")[0]
	creds, err := token.ReadFile(filepath.Join(w.dir, "containers", id.Id, "container_tokens"))
	if err != nil {
		t.Fatal(err)
	}
	environ, err := os.ReadFile("/proc/" + itoa(id.Pid) + "/environ")
	if err != nil {
		t.Fatal(err)
	}
	cmdline, err := os.ReadFile("/proc/" + itoa(id.Pid) + "/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	page := fetch(t, info.Web).body
	everything := w.log.String() + string(environ) + string(cmdline) + page + info.String()
	for name, secret := range map[string][]byte{"join token": creds.Secrets[spec.SecretJoin], "seed": w.seed[:], "seed's text": w.seed.Encode()[:64]} {
		for _, form := range spellings(secret) {
			if strings.Contains(everything, form) {
				t.Errorf("the %s can be seen", name)
			}
		}
	}
	if !strings.Contains(string(cmdline), "yarnd\x00worker") || !strings.Contains(page, w.spec.ID) {
		t.Error("looked in the wrong places")
	}
}

// Connections that say nothing hold only so many places, and only for so long;
// members get through all the same.
func TestSilentConnections(t *testing.T) {
	w := prepare(t, 0)
	w.begin()
	addr := w.address()
	var conns []net.Conn
	closed := make(chan time.Duration, 2*strangersFrom)
	for range 2 * strangersFrom {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		began := time.Now()
		go func() {
			conn.SetReadDeadline(time.Now().Add(patience))
			conn.Read(make([]byte, 1))
			closed <- time.Since(began)
		}()
	}
	atOnce, late := 0, time.Duration(0)
	for range conns {
		d := <-closed
		if d < strangerTime/2 {
			atOnce++
		}
		late = max(late, d)
	}
	for _, c := range conns {
		c.Close()
	}
	if atOnce < strangersFrom/2 || late > strangerTime+5*time.Second {
		t.Errorf("of %d connections %d were closed at once, the last after %v", len(conns), atOnce, late)
	}
	if _, err := w.dial(w.identity(identity.Client, "alice")).Info(t.Context()); err != nil {
		t.Errorf("the owner afterwards: %v", err)
	}
}

// A joining process that does not go on is cut off.
func TestSlowJoin(t *testing.T) {
	w := prepare(t, 0)
	w.begin()
	conn, err := tls.Dial("tcp", w.address(), identity.JoinClient(w.ca.Certificate(), w.spec.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	conn.SetReadDeadline(began.Add(patience))
	conn.Write([]byte("YJ"))
	if _, err := bufio.NewReader(conn).ReadByte(); err == nil {
		t.Error("half a frame was answered")
	}
	if took := time.Since(began); took > strangerTime+5*time.Second {
		t.Errorf("cut off after %v", took)
	}
}

func TestRenewal(t *testing.T) {
	w := prepare(t, 1)
	keep := t.TempDir()
	w.spec.Pools[1].Env["TEST_KEEP"] = keep
	w.begin()
	worker := containers(w.until("a worker", running(1)), "worker")[0].Id
	short, err := w.ca.NewIdentity(identity.Subject{App: w.spec.ID, Role: identity.Worker, Name: worker}, 1500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	before := short.NotAfter()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		amclient.KeepRenewed(ctx, w.dial(short), short)
	}()
	for deadline := time.Now().Add(patience); !short.NotAfter().After(before.Add(time.Hour)); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not renewed")
		}
	}
	cancel()
	<-done
	// A container that does not run gets nothing.
	gone := w.identity(identity.Worker, "container_1_0001_01_000001")
	var e *amclient.Error
	if err := w.dial(gone).Renew(t.Context(), gone); !errors.As(err, &e) || !e.Refused() {
		t.Errorf("%v", err)
	}
}

func TestBadRequests(t *testing.T) {
	w := prepare(t, 1)
	w.begin()
	w.until("a worker", running(1))
	invalid := func(what string, err error, is func(*amclient.Error) bool) {
		t.Helper()
		var e *amclient.Error
		if !errors.As(err, &e) || !is(e) || !strings.HasPrefix(e.Error(), "cannot ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := w.client.Scale(t.Context(), "", -1)
	invalid("-1 workers", err, (*amclient.Error).Invalid)
	_, err = w.client.Scale(t.Context(), "", maxContainers+1)
	invalid("too many workers", err, (*amclient.Error).Invalid)
	_, err = w.client.Scale(t.Context(), "scheduler", 2)
	invalid("two schedulers", err, (*amclient.Error).NotFound)
	_, err = w.client.Scale(t.Context(), "nobody", 2)
	invalid("an unknown pool", err, (*amclient.Error).NotFound)
	invalid("an unknown container", w.client.Kill(t.Context(), "container_9"), (*amclient.Error).NotFound)
	invalid("a strange status", w.client.Stop(t.Context(), "GOOD", "", false), (*amclient.Error).Invalid)
	for _, err := range w.client.Logs(t.Context(), &ampb.LogsRequest{Container: "container_9", File: "../../etc/passwd"}) {
		invalid("a strange log", err, (*amclient.Error).NotFound)
	}
	if reply, err := w.client.ScaleBy(t.Context(), "", -5); err != nil || reply.Wanted != 0 {
		t.Errorf("%v, %v", reply, err)
	}
}

func TestUnreachable(t *testing.T) {
	w := prepare(t, 0)
	c, err := amclient.Dial(w.identity(identity.Client, "alice"), amclient.Options{Addresses: []string{"127.0.0.1:1"}, CallTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Info(t.Context())
	var e *amclient.Error
	if !errors.As(err, &e) || !e.Unreachable() || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("%v", err)
	}
}
