package appmaster

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/claim"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/provider/local"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
	"github.com/yarnd/yarnd/identity"
)

// vouched is a provider whose cluster vouches for clients.
type vouched struct {
	provider.Provider
	v provider.Vouching
}

func (p *vouched) Vouching() provider.Vouching { return p.v }

// vouch has the application run in its second attempt, on a cluster that vouches.
func (w *world) vouch(v provider.Vouching) {
	w.Helper()
	p, err := local.New(local.Options{App: w.spec.ID, Dir: w.dir, Grace: 5 * time.Second, Log: w.opt.Log})
	if err != nil {
		w.Fatal(err)
	}
	w.opt.Provider, w.opt.Attempt = &vouched{p, v}, 2
	w.opt.ShortName = func(principal string) (string, error) {
		name, ok := strings.CutSuffix(principal, "@EXAMPLE.COM")
		if !ok {
			return "", errors.New("nobody here is called " + principal)
		}
		return name, nil
	}
	w.begin()
}

// vouchedApp is the id of an application that the cluster of these tests vouches for: the
// token's identifier can name no other kind.
const vouchedApp = "application_1700000000000_0001"

var masterKey = provider.Key("the master key of attempt 2")

// letter is a token for somebody.
func letter(t *testing.T, key []byte, attempt int32, principal string) amclient.Introduction {
	t.Helper()
	return letterFor(t, key, yarn.AttemptID{App: yarn.ApplicationID{ClusterTimestamp: 1700000000000, ID: 1}, Attempt: attempt}, principal)
}

func letterFor(t *testing.T, key []byte, at yarn.AttemptID, principal string) amclient.Introduction {
	t.Helper()
	id, err := proto.Marshal(&pb.ClientToAMTokenIdentifier{AppAttemptId: at.PB(), ClientName: &principal})
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	mac.Write(id)
	return amclient.Introduction{Identifier: id, Password: mac.Sum(nil)}
}

func prepareVouched(t *testing.T, workers int) *world {
	t.Helper()
	w := prepare(t, workers)
	w.spec.ID = vouchedApp
	w.spec.Access = spec.Access{View: "bob", Modify: "svc", Submit: "ann"}
	var err error
	if w.ca, err = identity.NewCA(w.seed, w.spec.ID); err != nil {
		t.Fatal(err)
	}
	return w
}

// claim claims an identity with a token, at the application master's own address.
func (w *world) claim(l amclient.Introduction) (*identity.Identity, error) {
	w.Helper()
	l.Address = w.address()
	ctx, cancel := context.WithTimeout(w.Context(), time.Second)
	defer cancel()
	return amclient.Claim(ctx, w.spec.ID, func(context.Context) (amclient.Introduction, error) { return l, nil }, amclient.Options{})
}

// Each gets the role that is his, and can do with it what that is for.
func TestClaims(t *testing.T) {
	w := prepareVouched(t, 1)
	w.vouch(provider.Vouching{Key: masterKey})
	w.until("a worker", running(1))
	for name, want := range map[string]struct {
		role         identity.Role
		look, change bool
	}{
		"alice": {identity.Client, true, true},
		"ann":   {identity.Client, true, true},
		"svc":   {identity.Operator, true, true},
		"bob":   {identity.Viewer, true, false},
	} {
		id, err := w.claim(letter(t, masterKey, 2, name+"@EXAMPLE.COM"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if who := (identity.Subject{App: w.spec.ID, Role: want.role, Name: name}); id.Subject() != who || !bytes.Equal(id.CA().Raw, w.ca.Certificate().Raw) {
			t.Errorf("%s is %v", name, id.Subject())
		}
		if left := time.Until(id.NotAfter()); left > claimTTL || left < claimTTL-time.Minute {
			t.Errorf("%s has a certificate for %v", name, left)
		}
		c := w.dial(id)
		check := func(what string, err error, may bool) {
			t.Helper()
			var e *amclient.Error
			if may && err != nil || !may && (!errors.As(err, &e) || !e.Refused()) {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
		_, err = c.Info(t.Context())
		check("asks for the state", err, want.look)
		_, err = c.Events(t.Context(), 0)
		check("asks for events", err, want.look)
		_, err = c.Scale(t.Context(), "", 1)
		check("scales", err, want.change)
		_, err = c.Adapt(t.Context(), "", &ampb.Limits{Max: 1})
		check("adapts", err, want.change)
		if !want.change {
			check("stops", c.Stop(t.Context(), "", "", true), false)
			check("kills", c.Kill(t.Context(), "c"), false)
			_, err = c.Retire(t.Context(), []string{"c"}, false)
			check("retires", err, false)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		check("is a scheduler", amclient.Attach(c, amclient.ControlOptions{Address: "x:1", Epoch: 1 << 40}).Run(ctx), false)
		check("renews as a container", c.Renew(ctx, id), false)
		cancel()
	}
}

// The cluster's word of who may look and change comes before the submission's; of who may
// submit it has none.
func TestClusterDecidesAccess(t *testing.T) {
	w := prepareVouched(t, 0)
	w.vouch(provider.Vouching{Key: masterKey, Told: true, Access: spec.Access{View: "*"}})
	for name, role := range map[string]identity.Role{"eve": identity.Viewer, "svc": identity.Viewer, "ann": identity.Client} {
		if id, err := w.claim(letter(t, masterKey, 2, name+"@EXAMPLE.COM")); err != nil || id.Subject().Role != role {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
}

func TestClaimsThatAreRefused(t *testing.T) {
	w := prepareVouched(t, 0)
	w.vouch(provider.Vouching{Key: masterKey})
	good := letter(t, masterKey, 2, "alice@EXAMPLE.COM")
	wrong := good
	wrong.Password = bytes.Clone(good.Password)
	wrong.Password[0] ^= 1
	bobs := letter(t, masterKey, 2, "bob@EXAMPLE.COM")
	forged := amclient.Introduction{Identifier: good.Identifier, Password: bobs.Password}
	unproven := "does not prove to be the application master"
	for name, tc := range map[string]struct {
		letter amclient.Introduction
		denied bool // by a master that has proven itself
		says   string
	}{
		"a wrong password":                        {wrong, false, unproven},
		"one's own password, another's name":      {forged, false, unproven},
		"the key of attempt 1":                    {letter(t, []byte("the master key of attempt 1"), 1, "alice@EXAMPLE.COM"), false, unproven},
		"another attempt's, by the right key":     {letter(t, masterKey, 1, "alice@EXAMPLE.COM"), true, "attempt 1"},
		"another application's, by the right key": {letterFor(t, masterKey, yarn.AttemptID{App: yarn.ApplicationID{ClusterTimestamp: 1700000000000, ID: 9}, Attempt: 2}, "alice@EXAMPLE.COM"), true, "_0009"},
		"nobody with access":                      {letter(t, masterKey, 2, "eve@EXAMPLE.COM"), true, "eve has no access to " + vouchedApp + ", which is alice's"},
		"another realm":                           {letter(t, masterKey, 2, "alice@EVIL.COM"), true, "nobody here is called alice@EVIL.COM"},
		"no name":                                 {letter(t, masterKey, 2, ""), true, "without an attempt or a client"},
	} {
		id, err := w.claim(tc.letter)
		if err == nil || id != nil || errors.As(err, new(*amclient.DeniedError)) != tc.denied || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, %v", name, id, err)
		}
	}
	if _, err := w.claim(good); err != nil {
		t.Errorf("the control case: %v", err)
	}
}

// Without a key from the cluster nobody is admitted: whatever the proof, and not for the
// password of an empty key.
func TestClaimWithoutVouching(t *testing.T) {
	w := prepareVouched(t, 0)
	w.vouch(provider.Vouching{})
	if id, err := w.claim(letter(t, nil, 2, "alice@EXAMPLE.COM")); err == nil || !strings.Contains(err.Error(), "no key for clients' tokens") {
		t.Errorf("%v, %v", id, err)
	}
}

// knock opens a connection for a claim.
func (w *world) knock(t *testing.T) (*tls.Conn, claim.Binding) {
	t.Helper()
	conn, err := tls.Dial("tcp", w.address(), identity.StrangerClient())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	b, err := claim.BindingOf(conn.ConnectionState())
	if err != nil {
		t.Fatal(err)
	}
	return conn, b
}

func frameOf(t *testing.T, l amclient.Introduction, b claim.Binding) []byte {
	t.Helper()
	req, err := identity.NewRequest()
	if err != nil {
		t.Fatal(err)
	}
	r := &claim.Request{Identifier: l.Identifier, CSR: req.CSR()}
	claim.SignRequest(r, l.Password, b)
	frame, err := claim.AppendRequest(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// A frame that was good on one connection is refused on another, with nothing in the answer
// that would tell a password.
func TestReplayedClaim(t *testing.T) {
	w := prepareVouched(t, 0)
	w.vouch(provider.Vouching{Key: masterKey})
	first, b := w.knock(t)
	second, b2 := w.knock(t)
	if b == b2 {
		t.Fatal("two connections with one binding")
	}
	l := letter(t, masterKey, 2, "alice@EXAMPLE.COM")
	frame := frameOf(t, l, b)
	first.Write(frame)
	answer, err := claim.ReadAnswer(first)
	if err != nil || answer.Verdict != claim.Granted || !answer.Proven(l.Password, b) || answer.Proven(l.Password, b2) {
		t.Fatalf("%v, %v", answer, err)
	}
	second.Write(frame)
	if answer, err = claim.ReadAnswer(second); err != nil || answer.Verdict != claim.Refused || answer.Proof != (claim.Proof{}) || len(answer.Authority) > 0 {
		t.Errorf("replayed: %v, %v", answer, err)
	}
	if rest, err := io.ReadAll(second); err != nil || len(rest) > 0 {
		t.Errorf("%d bytes after the answer, %v", len(rest), err)
	}
}

// Who has a claim's connection and says something else, or nothing, or a joining process's
// words, gets no answer; the strangers' bounds hold for him.
func TestStrangeClaims(t *testing.T) {
	w := prepareVouched(t, 0)
	w.vouch(provider.Vouching{Key: masterKey})
	for name, text := range map[string]string{
		"half a frame":  "YC\x01",
		"join":          "YJ\x01\x01c" + strings.Repeat("x", 64),
		"HTTP/2":        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"too long":      "YC\x01\xff\xff" + strings.Repeat("x", 70_000),
		"an empty name": "YC\x01\x00\x00",
	} {
		conn, _ := w.knock(t)
		began := time.Now()
		io.WriteString(conn, text) //nolint:errcheck // it may be cut off meanwhile
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: %d bytes of an answer", name, n)
		}
		if took := time.Since(began); took > strangerTime+5*time.Second {
			t.Errorf("%s: cut off after %v", name, took)
		}
	}
	// Neither of the brief protocols is a way to another one.
	for _, protos := range [][]string{{identity.ClaimProtocol, "h2"}, {"h2", identity.ClaimProtocol}, {identity.ClaimProtocol, identity.JoinProtocol}} {
		cfg := identity.StrangerClient()
		cfg.NextProtos, cfg.VerifyConnection = protos, nil
		conn, err := tls.Dial("tcp", w.address(), cfg)
		if err != nil {
			continue // no protocol in common
		}
		conn.SetDeadline(time.Now().Add(patience))
		if _, err := claim.BindingOf(conn.ConnectionState()); err == nil {
			t.Errorf("%q made a claim's connection", protos)
		}
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%q: got %d bytes", protos, n)
		}
		conn.Close()
	}
}

// Who stands in between, with whatever certificate, can neither pass a claim on nor answer it.
func TestManInTheMiddle(t *testing.T) {
	w := prepareVouched(t, 0)
	w.vouch(provider.Vouching{Key: masterKey})
	target := w.address()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	mallory := w.stranger(identity.AppMaster, "am")
	passed := make(chan claim.Answer, 16)
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			in := tls.Server(nc, mallory.ClaimServer())
			if out, err := tls.Dial("tcp", target, identity.StrangerClient()); err == nil {
				if req, err := claim.ReadRequest(in); err == nil {
					frame, _ := claim.AppendRequest(nil, req)
					out.Write(frame)
					if a, err := claim.ReadAnswer(out); err == nil {
						passed <- *a
						a.Verdict, a.Text, a.Authority = claim.Granted, []byte("his"), mallory.CA().Raw
						frame, _ = claim.AppendAnswer(nil, a)
						in.Write(frame)
					}
				}
				out.Close()
			}
			in.Close()
		}
	}()
	l := letter(t, masterKey, 2, "alice@EXAMPLE.COM")
	l.Address = ln.Addr().String()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	id, err := amclient.Claim(ctx, w.spec.ID, func(context.Context) (amclient.Introduction, error) { return l, nil }, amclient.Options{})
	if err == nil || id != nil || !strings.Contains(err.Error(), "is not the application master") {
		t.Errorf("%v, %v", id, err)
	}
	if a := <-passed; a.Verdict != claim.Refused || a.Proof != (claim.Proof{}) {
		t.Errorf("the claim that was passed on was answered %v", a)
	}
}

// A person's connection ends with the certificate; who has renewed it comes again.
func TestGuestsLeaveWithTheirCertificate(t *testing.T) {
	w := prepareVouched(t, 0)
	w.vouch(provider.Vouching{Key: masterKey})
	short, err := w.ca.NewIdentity(identity.Subject{App: w.spec.ID, Role: identity.Viewer, Name: "bob"}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	w.address()
	ended := make(chan error, 1)
	go func() {
		var last error
		for _, err := range w.dial(short).Watch(t.Context()) {
			if last = err; err != nil {
				break
			}
		}
		ended <- last
	}()
	select {
	case err := <-ended:
		if err == nil || time.Now().Before(short.NotAfter()) {
			t.Errorf("ended %v before its time: %v", time.Until(short.NotAfter()), err)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l := letter(t, masterKey, 2, "bob@EXAMPLE.COM")
		l.Address = w.address()
		amclient.KeepClaimed(ctx, short, func(context.Context) (amclient.Introduction, error) { return l, nil }, amclient.Options{CallTimeout: patience})
	}()
	for short.NotAfter().Before(time.Now().Add(time.Hour)) {
		if ctx.Err() != nil {
			t.Fatal("not renewed")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if _, err := w.dial(short).Info(t.Context()); err != nil {
		t.Errorf("with the new certificate: %v", err)
	}
	cancel()
	<-done
}

// What is the owner's alone another client may not, whatever his role.
func TestOwnersMethods(t *testing.T) {
	for _, m := range []string{ampb.Session_Delegate_FullMethodName, ampb.Session_Tokens_FullMethodName} {
		for _, role := range []identity.Role{identity.Client, identity.Operator, identity.Viewer, identity.Worker, identity.AppMaster} {
			for _, name := range []string{"alice", "ann", ""} {
				want := role == identity.Client && name == "alice"
				if got := callers[m].includes(identity.Subject{Role: role, Name: name}, "alice"); got != want {
					t.Errorf("%s by %s %q: %v", m, role, name, got)
				}
			}
		}
	}
}

// Whoever may only look does not keep another's application alive.
func TestViewersDoNotCount(t *testing.T) {
	w := prepareVouched(t, 0)
	w.spec.IdleTimeout = spec.Duration(time.Second)
	w.vouch(provider.Vouching{Key: masterKey})
	w.address()
	c := w.dial(w.identity(identity.Viewer, "bob"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for info, err := range c.Watch(ctx) {
		if err != nil && ctx.Err() != nil {
			t.Fatalf("it goes on while somebody looks: %v", err)
		}
		if info.GetState() == ampb.State_ENDED || info.GetState() == ampb.State_STOPPING {
			break
		}
	}
	if err := w.end(); err != nil {
		var end *EndError
		if !errors.As(err, &end) || end.Status != reconcile.Succeeded {
			t.Error(err)
		}
	}
}
