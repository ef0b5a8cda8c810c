package ipc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
	"github.com/yarnd/yarnd/hadooprpc/sasl/krb5"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

func TestIdentity(t *testing.T) {
	for _, tc := range []struct {
		name         string
		srv          hadooptest.Options
		o            Options
		user, real   string
		tokenID      string
		wantErr      string
		wantNotAsked bool
	}{
		{name: "name believed", o: Options{User: "alice"}, user: "alice"},
		{name: "proxy user", o: Options{User: "alice", RealUser: "oozie"}, user: "alice", real: "oozie"},
		{name: "token", srv: hadooptest.Options{Passwords: passwords, TokenOnly: true}, o: Options{User: "ignored", Token: tokenFor("t1")}, tokenID: "t1"},
		{name: "token preferred to a name", srv: hadooptest.Options{Passwords: passwords}, o: Options{Token: tokenFor("t2")}, tokenID: "t2"},
		{name: "token where none is asked for", o: Options{User: "alice", Token: tokenFor("t3")}, user: "alice"},
		{name: "integrity", srv: hadooptest.Options{Passwords: passwords, QOPs: []sasl.QOP{sasl.QOPInt}}, o: Options{Token: tokenFor("t4"), Secure: true}, tokenID: "t4"},
		{name: "privacy", srv: hadooptest.Options{Passwords: passwords, QOPs: []sasl.QOP{sasl.QOPConf}}, o: Options{Token: tokenFor("t5"), Secure: true, MinQOP: sasl.QOPConf}, tokenID: "t5"},
		{name: "Kerberos", srv: kerberized(), o: withTicket("nn/_HOST", 0), user: "alice@EXAMPLE.COM"},
		{name: "Kerberos, integrity", srv: kerberized(sasl.QOPAuth, sasl.QOPInt), o: withTicket("nn/_HOST", sasl.QOPInt), user: "alice@EXAMPLE.COM"},
		{name: "Kerberos, privacy", srv: kerberized(sasl.QOPAuth, sasl.QOPInt, sasl.QOPConf), o: withTicket("nn/_HOST@EXAMPLE.COM", sasl.QOPConf), user: "alice@EXAMPLE.COM"},
		{name: "Kerberos, protection too weak", srv: kerberized(sasl.QOPInt), o: withTicket("nn/_HOST", sasl.QOPConf), wantErr: "insist on auth-conf", wantNotAsked: true},
		{name: "Kerberos, another service", srv: kerberized(), o: withTicket("rm/_HOST", 0), wantErr: "it must be rm/127.0.0.1", wantNotAsked: true},
		{name: "Kerberos, an impostor", srv: hadooptest.Options{Kerberos: func() *gssapi.Acceptor { return realm.Acceptor("dn/other") }, Service: "nn/127.0.0.1"}, o: withTicket("nn/_HOST", 0), wantErr: "a ticket for nn/127.0.0.1"},
		{name: "Kerberos for somebody", srv: kerberized(sasl.QOPConf), o: Options{Kerberos: withTicket("nn/_HOST", 0).Kerberos, User: "bob", RealUser: "alice@EXAMPLE.COM", Secure: true}, user: "bob", real: "alice@EXAMPLE.COM"},
		{name: "Kerberos and a token", srv: hadooptest.Options{Passwords: passwords, Kerberos: kerberized().Kerberos, Service: "nn/127.0.0.1"}, o: Options{Kerberos: withTicket("nn/_HOST", 0).Kerberos, Token: tokenFor("t6"), Secure: true}, tokenID: "t6"},
		{name: "Kerberos, and a token for want of a ticket", srv: hadooptest.Options{Passwords: passwords, Kerberos: kerberized().Kerberos, Service: "nn/127.0.0.1"},
			o: Options{Kerberos: withTicket("nn/_HOST", 0).Kerberos, Tokens: func() (token.Token, bool) { return *tokenFor("t6"), true }, Secure: true}, user: "alice@EXAMPLE.COM"},
		{name: "a token, as no KDC answers", srv: hadooptest.Options{Passwords: passwords, Kerberos: kerberized().Kerberos, Service: "nn/127.0.0.1"},
			o: Options{Kerberos: &sasl.KerberosMechanism{Tickets: hungKDC{}, Service: sasl.Service{Principal: "nn/_HOST", Key: "the.key"}}, ConnectTimeout: 2 * time.Second,
				Tokens: func() (token.Token, bool) { return *tokenFor("t6"), true }, Secure: true}, tokenID: "t6"},
		{name: "name refused by Kerberos", srv: kerberized(), o: Options{User: "alice"}, wantErr: "SIMPLE authentication is not enabled.  Available:[TOKEN, KERBEROS]"},
		{name: "ticket where none is asked for", o: withTicket("nn/_HOST", 0), wantErr: "configured to be secure", wantNotAsked: true},
		{name: "name refused", srv: hadooptest.Options{Passwords: passwords, TokenOnly: true}, o: Options{User: "alice"}, wantErr: "SIMPLE authentication is not enabled"},
		{name: "wrong password", srv: hadooptest.Options{Passwords: func([]byte) ([]byte, error) { return []byte("x"), nil }, TokenOnly: true}, o: Options{Token: tokenFor("t")}, wantErr: "wrong password", wantNotAsked: true},
		{name: "downgrade refused", o: Options{Secure: true, Token: tokenFor("t")}, wantErr: "configured to be secure", wantNotAsked: true},
		{name: "secure without credentials", srv: hadooptest.Options{Passwords: passwords}, o: Options{Secure: true}, wantErr: "no way to authenticate", wantNotAsked: true},
		{name: "protection too weak", srv: hadooptest.Options{Passwords: passwords}, o: Options{Token: tokenFor("t"), MinQOP: sasl.QOPInt}, wantErr: "insist on auth-int", wantNotAsked: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := server(t, tc.srv)
			c := newTestClient(t, s.Addr(), tc.o)
			text := strings.Repeat("long enough to be cut into pieces ", 8000) // 272 kB, both ways
			got, err := say(t.Context(), c, echo, text)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("%v, want %q", err, tc.wantErr)
				}
				var re *RemoteError
				if tc.name == "name refused" && (!errors.As(err, &re) || !Is(err, "AccessControlException")) {
					t.Errorf("%#v hides the server's exception", err)
				}
				if tc.wantNotAsked && !NotSent(err) {
					t.Errorf("%v: the call counts as sent", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.GetService() != text || got.GetKind() != tc.user || string(got.GetPassword()) != tc.real || string(got.GetIdentifier()) != tc.tokenID {
				t.Errorf("user %q, real %q, token %q, %d bytes", got.GetKind(), got.GetPassword(), got.GetIdentifier(), len(got.GetService()))
			}
		})
	}
}

func TestWhoWeAre(t *testing.T) {
	for _, tc := range []struct {
		auth       sasl.Method
		user, real string
		want       string
	}{
		{sasl.Simple, "alice", "", "alice/"}, {sasl.Simple, "alice", "oozie", "alice/oozie"},
		{sasl.Token, "alice", "", "none"}, {sasl.Token, "alice", "oozie", "none"},
		{sasl.Kerberos, "alice", "", "none"}, {sasl.Kerberos, "alice", "oozie@R", "alice/oozie@R"},
	} {
		got := "none"
		if info := whoWeAre(tc.auth, Options{User: tc.user, RealUser: tc.real}); info != nil {
			got = info.GetEffectiveUser() + "/" + info.GetRealUser()
		}
		if got != tc.want {
			t.Errorf("%s, %s for %s: %s, want %s", tc.auth, tc.real, tc.user, got, tc.want)
		}
	}
}

// hungKDC is where tickets are waited for in vain.
type hungKDC struct{}

func (hungKDC) ServiceTicket(ctx context.Context, _ string) (gssapi.Credential, error) {
	<-ctx.Done()
	return gssapi.Credential{}, &krb5.Error{Kind: krb5.Unreachable, Reason: "the KDC has not answered in time"}
}

func TestRepliesOutOfOrderOnOneConnection(t *testing.T) {
	s, release := server(t, hadooptest.Options{})
	c := newTestClient(t, s.Addr(), Options{})
	var slow sync.WaitGroup
	for i := range 20 {
		slow.Go(func() { mustSay(t, c, fmt.Sprint("wait ", i)) })
	}
	eventually(t, "20 calls in flight", func() bool { return pendingCalls(c) == 20 })
	var fast sync.WaitGroup
	for i := range 200 {
		fast.Go(func() { mustSay(t, c, fmt.Sprint("fast ", i)) })
	}
	fast.Wait() // while the slow ones still wait
	close(release)
	slow.Wait()
	if s.Accepted() != 1 {
		t.Errorf("%d connections", s.Accepted())
	}
}

func TestRemoteErrors(t *testing.T) {
	s, _ := server(t, hadooptest.Options{})
	c := newTestClient(t, s.Addr(), Options{})
	s.SetFault(func(call *hadooptest.Call) hadooptest.Fault {
		return hadooptest.Fault{Exception: &hadooptest.Exception{
			Class:   "org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException",
			Message: "org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException: no such application\nsecond line",
			Trace:   "\tat org.apache.Foo.bar(Foo.java:1)\n\tat more"}}
	})
	_, err := say(t.Context(), c, echo, "x")
	var re *RemoteError
	if !errors.As(err, &re) || re.Message != "no such application\nsecond line" || !strings.HasPrefix(re.Trace, "\tat org.apache") || re.Fatal || re.Method != "echo" {
		t.Fatalf("%#v", err)
	}
	if want := "echo at " + s.Addr() + ": ApplicationNotFoundException: no such application\nsecond line"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	for class, want := range map[string]bool{
		"ApplicationNotFoundException": true, "org.apache.hadoop.yarn.exceptions.ApplicationNotFoundException": true,
		"NotFoundException": false, "org.example.ApplicationNotFoundException": false,
	} {
		if Is(err, class) != want {
			t.Errorf("Is(%q) = %v", class, !want)
		}
	}
	s.SetFault(nil)
	mustSay(t, c, "the connection goes on")
	if err := c.Call(t.Context(), Method{Name: "unheard"}, &emptyMessage, &emptyMessage); !Is(err, "RpcNoSuchMethodException") {
		t.Error(err)
	}
	if s.Accepted() != 1 {
		t.Errorf("an ERROR cost the connection")
	}
}

func TestFatalEndsTheConnection(t *testing.T) {
	s, release := server(t, hadooptest.Options{})
	defer close(release)
	c := newTestClient(t, s.Addr(), Options{})
	s.SetFault(func(call *hadooptest.Call) hadooptest.Fault {
		if call.ID == 1 {
			return hadooptest.Fault{}
		}
		return hadooptest.Fault{Exception: &hadooptest.Exception{Class: "a.b.Bad", Message: "cannot read that", Fatal: true}}
	})
	other := make(chan error, 1)
	go func() { _, err := say(t.Context(), c, echo, "wait"); other <- err }()
	eventually(t, "a call in flight", func() bool { return sentCalls(c) == 1 })
	_, err := say(t.Context(), c, echo, "x")
	var re *RemoteError
	if !errors.As(err, &re) || !re.Fatal {
		t.Errorf("%v", err)
	}
	var ce *ConnError
	if err := <-other; !errors.As(err, &ce) || !ce.Sent || errors.As(err, &re) || !strings.Contains(err.Error(), "cannot read that") {
		t.Errorf("the innocent call got %#v", err)
	}
	s.SetFault(nil)
	mustSay(t, c, "on a new connection")
}

func TestCancelLeavesNothingBehind(t *testing.T) {
	s, release := server(t, hadooptest.Options{})
	c := newTestClient(t, s.Addr(), Options{})
	mustSay(t, c, "connect")
	boom := errors.New("had enough")
	for _, tc := range []struct {
		cancel func(context.Context) (context.Context, func())
		want   error
	}{
		{func(p context.Context) (context.Context, func()) { return context.WithCancel(p) }, context.Canceled},
		{func(p context.Context) (context.Context, func()) {
			ctx, f := context.WithCancelCause(p)
			return ctx, func() { f(boom) }
		}, boom},
	} {
		ctx, cancel := tc.cancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := say(ctx, c, echo, "wait"); done <- err }()
		eventually(t, "a call in flight", func() bool { return sentCalls(c) == 1 })
		cancel()
		var ce *ConnError
		if err := <-done; !errors.Is(err, tc.want) || !errors.Is(err, context.Canceled) || !errors.As(err, &ce) || !ce.Sent {
			t.Errorf("%v", err)
		}
		if n := pendingCalls(c); n != 0 {
			t.Errorf("%d calls left in the table", n)
		}
	}
	close(release) // the late replies are dropped
	mustSay(t, c, "still there")
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	if _, err := say(ctx, c, echo, "too late"); !errors.Is(err, context.DeadlineExceeded) || !NotSent(err) {
		t.Errorf("%v", err)
	}
	if s.Accepted() != 1 {
		t.Errorf("cancelling cost the connection")
	}
}

// gate is a connection whose writes can be held back.
type gate struct {
	net.Conn
	held atomic.Pointer[chan struct{}]
}

func (g *gate) Write(b []byte) (int, error) {
	if ch := g.held.Load(); ch != nil {
		<-*ch
	}
	return g.Conn.Write(b)
}

func dialGate(g *gate) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		g.Conn = c
		return g, err
	}
}

// A call that is cancelled while it waits for the writer is not sent.
func TestCancelBeforeSending(t *testing.T) {
	s, _ := server(t, hadooptest.Options{})
	var seen sync.Map
	s.SetFault(func(call *hadooptest.Call) hadooptest.Fault { seen.Store(call.ID, true); return hadooptest.Fault{} })
	g := &gate{}
	c := newTestClient(t, s.Addr(), Options{Dial: dialGate(g)})
	mustSay(t, c, "call 1")
	open := make(chan struct{})
	g.held.Store(&open)
	first := make(chan error, 1)
	go func() { _, err := say(t.Context(), c, echo, "call 2 holds the writer"); first <- err }()
	c.mu.Lock()
	cn := c.cur
	c.mu.Unlock()
	eventually(t, "the writer took call 2", func() bool {
		cn.mu.Lock()
		defer cn.mu.Unlock()
		call := cn.pending[2]
		return call != nil && call.state.Load() == sent
	})
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { _, err := say(ctx, c, echo, "call 3"); second <- err }()
	eventually(t, "call 3 queued", func() bool { return pendingCalls(c) == 2 && len(cn.queue) == 1 })
	cancel()
	if err := <-second; !NotSent(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	g.held.Store(nil)
	close(open)
	if err := <-first; err != nil {
		t.Error(err)
	}
	mustSay(t, c, "call 4")
	if _, ok := seen.Load(int32(3)); ok {
		t.Error("a cancelled call was sent")
	}
}

func TestServerMayCloseIdleConnections(t *testing.T) {
	s, _ := server(t, hadooptest.Options{})
	c := newTestClient(t, s.Addr(), Options{})
	for i := range 5 {
		mustSay(t, c, "hello")
		s.CloseConns()
		eventually(t, "the client noticed", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return !c.cur.alive() })
		if s.Accepted() != i+1 {
			t.Errorf("%d connections", s.Accepted())
		}
	}
}

func TestBrokenReplies(t *testing.T) {
	var limit *wire.LimitError
	for _, tc := range []struct {
		name string
		f    hadooptest.Fault
		want func(error) bool
	}{
		{"closed before the reply", hadooptest.Fault{CloseAfter: true}, func(err error) bool { return errors.Is(err, io.EOF) }},
		{"closed before the handler", hadooptest.Fault{CloseBefore: true}, func(err error) bool { return errors.Is(err, io.EOF) }},
		{"cut in the middle", hadooptest.Fault{Midway: true}, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"absurd length", hadooptest.Fault{Oversize: 1 << 30}, func(err error) bool { return errors.As(err, &limit) && limit.Length == 1<<30 }},
		{"too short a length", hadooptest.Fault{Oversize: 5}, func(err error) bool { return errors.Is(err, wire.ErrMalformed) || errors.As(err, &limit) }},
		{"garbage", hadooptest.Fault{Garbage: true}, func(err error) bool { return errors.Is(err, wire.ErrMalformed) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, _ := server(t, hadooptest.Options{})
			c := newTestClient(t, s.Addr(), Options{})
			s.SetFault(func(*hadooptest.Call) hadooptest.Fault { return tc.f })
			_, err := say(t.Context(), c, echo, "x")
			var ce *ConnError
			if !errors.As(err, &ce) || !ce.Sent || !tc.want(err) {
				t.Errorf("%T %v", err, err)
			}
			s.SetFault(nil)
			mustSay(t, c, "a new connection")
			if s.Accepted() != 2 {
				t.Errorf("%d connections", s.Accepted())
			}
		})
	}
}

func TestPingsWhileCallsWait(t *testing.T) {
	s, release := server(t, hadooptest.Options{Passwords: passwords, QOPs: []sasl.QOP{sasl.QOPInt}})
	c := newTestClient(t, s.Addr(), Options{PingInterval: 5 * time.Millisecond, Token: tokenFor("t")})
	done := make(chan struct{})
	go func() { defer close(done); mustSay(t, c, "wait") }()
	eventually(t, "three pings", func() bool { return s.Pings() >= 3 })
	close(release)
	<-done
}

func TestIdleConnectionIsClosed(t *testing.T) {
	s, release := server(t, hadooptest.Options{})
	c := newTestClient(t, s.Addr(), Options{IdleTimeout: 20 * time.Millisecond})
	done := make(chan struct{})
	go func() { defer close(done); mustSay(t, c, "wait") }()
	eventually(t, "a call in flight", func() bool { return pendingCalls(c) == 1 })
	began := time.Now()
	eventually(t, "several idle times passed", func() bool { return time.Since(began) > 100*time.Millisecond })
	mustSay(t, c, "on the same connection")
	close(release)
	<-done
	if s.Accepted() != 1 {
		t.Error("a connection with a waiting call counted as idle")
	}
	eventually(t, "no connections", func() bool { return s.Conns() == 0 })
	mustSay(t, c, "again")
	if s.Accepted() != 2 {
		t.Errorf("%d connections", s.Accepted())
	}
}

func TestMaxInFlight(t *testing.T) {
	s, release := server(t, hadooptest.Options{})
	c := newTestClient(t, s.Addr(), Options{MaxInFlight: 2})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { mustSay(t, c, "wait") })
	}
	eventually(t, "two calls in flight", func() bool { return pendingCalls(c) == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := say(ctx, c, echo, "third"); !errors.Is(err, context.DeadlineExceeded) || !NotSent(err) {
		t.Errorf("a third call went out: %v", err)
	}
	close(release)
	wg.Wait()
	mustSay(t, c, "room again")
}

func TestCallTimeoutGivesUpASilentConnection(t *testing.T) {
	s, _ := server(t, hadooptest.Options{})
	c := newTestClient(t, s.Addr(), Options{CallTimeout: 50 * time.Millisecond})
	mustSay(t, c, "connect")
	s.SetFault(func(*hadooptest.Call) hadooptest.Fault { return hadooptest.Fault{Drop: true} })
	_, err := say(t.Context(), c, echo, "into the void")
	var ce *ConnError
	if !errors.Is(err, ErrTimeout) || !errors.As(err, &ce) || !ce.Sent || !ce.Timeout() {
		t.Fatalf("%v", err)
	}
	s.SetFault(nil)
	mustSay(t, c, "elsewhere")
	if s.Accepted() != 2 {
		t.Errorf("%d connections, want the silent one replaced", s.Accepted())
	}
}

func TestSetToken(t *testing.T) {
	s, release := server(t, hadooptest.Options{Passwords: passwords, TokenOnly: true})
	c := newTestClient(t, s.Addr(), Options{Token: tokenFor("old")})
	if got := mustSay(t, c, "x"); string(got.GetIdentifier()) != "old" {
		t.Fatalf("%q", got.GetIdentifier())
	}
	inFlight := make(chan string, 1)
	go func() { got := mustSay(t, c, "wait"); inFlight <- string(got.GetIdentifier()) }()
	eventually(t, "a call in flight", func() bool { return pendingCalls(c) == 1 })
	c.SetToken(*tokenFor("new"))
	if got := mustSay(t, c, "x"); string(got.GetIdentifier()) != "new" {
		t.Errorf("after the change: %q", got.GetIdentifier())
	}
	close(release)
	if got := <-inFlight; got != "old" {
		t.Errorf("the call in flight finished as %q", got)
	}
	eventually(t, "the old connection is gone", func() bool { return s.Conns() == 1 })
}

// A token that changes while a connection is being made with the old one: the call goes out under the new one.
func TestSetTokenWhileConnecting(t *testing.T) {
	s, _ := server(t, hadooptest.Options{Passwords: passwords, TokenOnly: true})
	dialled, open := make(chan struct{}, 2), make(chan struct{})
	c := newTestClient(t, s.Addr(), Options{Token: tokenFor("old"), Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		dialled <- struct{}{}
		<-open
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}})
	who := make(chan string, 1)
	go func() { who <- string(mustSay(t, c, "x").GetIdentifier()) }()
	<-dialled
	c.SetToken(*tokenFor("new"))
	close(open)
	if got := <-who; got != "new" {
		t.Errorf("called as %q", got)
	}
	eventually(t, "the unused connection is gone", func() bool { return s.Conns() == 1 })
}

func TestClose(t *testing.T) {
	s, _ := server(t, hadooptest.Options{})
	c := NewClient(s.Addr(), testProtocol, Options{})
	done := make(chan error, 3)
	for range 3 {
		go func() { _, err := say(t.Context(), c, echo, "wait"); done <- err }()
	}
	eventually(t, "calls in flight", func() bool { return pendingCalls(c) == 3 })
	c.SetToken(*tokenFor("x")) // leaves a retired connection with calls on it
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := say(t.Context(), c, echo, "x"); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestConnectFailures(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Run("silent server", func(t *testing.T) {
		c := newTestClient(t, silent.Addr().String(), Options{ConnectTimeout: 30 * time.Millisecond, Token: tokenFor("x")})
		if _, err := say(t.Context(), c, echo, "x"); !errors.Is(err, ErrTimeout) || !NotSent(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("close while connecting", func(t *testing.T) {
		c := NewClient(silent.Addr().String(), testProtocol, Options{Token: tokenFor("x")})
		done := make(chan error, 1)
		go func() { _, err := say(t.Context(), c, echo, "x"); done <- err }()
		eventually(t, "a dial", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.dial != nil })
		c.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	})
	t.Run("cancel while connecting", func(t *testing.T) {
		c := newTestClient(t, silent.Addr().String(), Options{Token: tokenFor("x")})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { _, err := say(ctx, c, echo, "x"); done <- err }()
		eventually(t, "a dial", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.dial != nil })
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || !NotSent(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("web server", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				io.ReadAtLeast(nc, make([]byte, 512), 8)
				io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
				nc.Close()
			}
		}()
		p := NewProxy([]string{l.Addr().String()}, testProtocol, Options{})
		defer p.Close()
		if _, err := say(t.Context(), p, echo, "x"); err == nil || !strings.Contains(err.Error(), "web address") {
			t.Errorf("%v", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		s, _ := server(t, hadooptest.Options{})
		s.Refuse(true)
		c := newTestClient(t, s.Addr(), Options{})
		_, err := say(t.Context(), c, echo, "x")
		if err == nil || !NotSent(err) || err.Error() != "echo: connect "+s.Addr()+": connect: connection refused" {
			t.Errorf("%v", err)
		}
	})
}

// FuzzDispatch feeds replies of any content to a connection on which calls wait.
func FuzzDispatch(f *testing.F) {
	ok, _ := wire.AppendFrame(nil, &okHeader, &emptyMessage)
	bad, _ := wire.AppendFrame(nil, &fatalHeader)
	f.Add(ok[4:])
	f.Add(bad[4:])
	f.Add([]byte{})
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, frame []byte) {
		cn := newConn("test", nil, Options{}.withDefaults())
		call := &call{ticket: ticket{id: 1}, method: "m", done: make(chan struct{})}
		cn.enroll(call)
		err := cn.dispatch(bytes.Clone(frame))
		select {
		case <-call.done:
			if call.err == nil {
				if b, err := responseBody(call.body); err == nil && len(b) > len(frame) {
					t.Fatal("a body longer than its frame")
				}
			}
		default:
			if n := len(cn.pending); n != 1 {
				t.Fatalf("the call is neither answered nor waiting (%d in the table)", n)
			}
		}
		var re *RemoteError
		if err != nil && !errors.Is(err, wire.ErrMalformed) && !errors.As(err, &re) && !strings.Contains(err.Error(), "another call") {
			t.Fatalf("untyped error %v", err)
		}
	})
}
