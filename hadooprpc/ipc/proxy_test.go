package ipc

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

func TestJudge(t *testing.T) {
	standby := &RemoteError{Class: "org.apache.hadoop.ipc.StandbyException"}
	retriable := &RemoteError{Class: "org.apache.hadoop.ipc.RetriableException"}
	other := &RemoteError{Class: "java.io.IOException"}
	for _, tc := range []struct {
		name         string
		err          error
		safe, unsafe verdict
	}{
		{"standby", standby, elsewhere, elsewhere},
		{"standby while authenticating", &ConnError{Err: standby}, elsewhere, elsewhere},
		{"retriable", retriable, again, again},
		{"exception", other, giveUp, giveUp},
		{"connection refused as a whole", &ConnError{Sent: true, Err: other}, giveUp, giveUp},
		{"not connected", &ConnError{Err: io.EOF}, elsewhere, elsewhere},
		{"no reply", &ConnError{Sent: true, Err: io.EOF}, elsewhere, giveUp},
		{"no reply in time", &ConnError{Sent: true, Err: ErrTimeout}, elsewhere, giveUp},
		{"we refuse the server", &ConnError{Err: &sasl.Error{}}, giveUp, giveUp},
		{"not Hadoop", &ConnError{Err: &wire.LimitError{}}, giveUp, giveUp},
		{"cancelled before sending", &ConnError{Err: context.Canceled}, giveUp, giveUp},
		{"caller's deadline", &ConnError{Sent: true, Err: context.DeadlineExceeded}, giveUp, giveUp},
		{"closed", &ConnError{Err: ErrClosed}, giveUp, giveUp},
		{"request cannot be encoded", errors.New("proto: required field"), giveUp, giveUp},
	} {
		if got := judge(tc.err, Method{Idempotent: true}); got != tc.safe {
			t.Errorf("%s, idempotent: %d, want %d", tc.name, got, tc.safe)
		}
		if got := judge(tc.err, Method{}); got != tc.unsafe {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.unsafe)
		}
	}
}

func TestPace(t *testing.T) {
	for _, jitter := range []float64{0, 0.999999} {
		p := pace{base: 100 * time.Millisecond, max: 2 * time.Second, addrs: 2, jitter: func() float64 { return jitter }}
		var got []time.Duration
		for n := 1; n <= 14; n++ {
			got = append(got, p.pause(n, elsewhere).Round(time.Millisecond))
		}
		ms := func(v ...int) (out []time.Duration) {
			for _, x := range v {
				out = append(out, time.Duration(x)*time.Millisecond)
			}
			return out
		}
		want := ms(0, 50, 50, 100, 100, 200, 200, 400, 400, 800, 800, 1000, 1000, 1000)
		if jitter > 0 {
			want = ms(0, 100, 100, 200, 200, 400, 400, 800, 800, 1600, 1600, 2000, 2000, 2000)
		}
		if !slices.Equal(got, want) {
			t.Errorf("jitter %v:\n got %v\nwant %v", jitter, got, want)
		}
		if d := p.pause(1, again); d < 50*time.Millisecond {
			t.Errorf("pause of %v before asking the same server again", d)
		}
		if d := p.pause(1<<30, elsewhere); d > 2*time.Second || d <= 0 {
			t.Errorf("pause of %v", d)
		}
	}
}

// pair is two servers of an HA service and the record of what each was asked.
type pair struct {
	s   [2]*hadooptest.Server
	mu  sync.Mutex
	log []attempt
}

type attempt struct {
	server    int
	id, retry int32
	client    string
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{}
	for i := range p.s {
		p.s[i], _ = server(t, hadooptest.Options{})
		p.fault(i, hadooptest.Fault{})
	}
	return p
}

func (p *pair) fault(i int, faults ...hadooptest.Fault) {
	n := 0
	p.s[i].SetFault(func(c *hadooptest.Call) hadooptest.Fault {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.log = append(p.log, attempt{i, c.ID, c.Retry, c.ClientID})
		f := faults[min(n, len(faults)-1)]
		n++
		return f
	})
}

// servers lists who was asked, and checks that all attempts name the same call with rising retry counts.
func (p *pair) servers(t *testing.T) (out []int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, a := range p.log {
		out = append(out, a.server)
		if i == 0 {
			continue
		}
		if prev := p.log[i-1]; a.id != prev.id || a.client != prev.client || a.retry <= prev.retry || len(a.client) != 16 {
			t.Errorf("attempt %+v after %+v", a, prev)
		}
	}
	p.log = nil
	return out
}

func (p *pair) proxy(t *testing.T, o Options) *Proxy {
	t.Helper()
	o.BackoffBase = time.Millisecond
	px := NewProxy([]string{p.s[0].Addr(), p.s[1].Addr()}, testProtocol, o)
	t.Cleanup(func() { px.Close() })
	return px
}

func TestFailover(t *testing.T) {
	standby, retriable := hadooptest.Fault{Exception: hadooptest.Standby()}, hadooptest.Fault{Exception: hadooptest.Retriable()}
	lost, never := hadooptest.Fault{CloseAfter: true}, hadooptest.Fault{CloseBefore: true}
	fine := hadooptest.Fault{}
	for _, tc := range []struct {
		name          string
		first, second []hadooptest.Fault
		m             Method
		want          []int
		wantErr       bool
	}{
		{"first is active", []hadooptest.Fault{fine}, []hadooptest.Fault{fine}, echo, []int{0}, false},
		{"first is standby", []hadooptest.Fault{standby}, []hadooptest.Fault{fine}, echoOnce, []int{0, 1}, false},
		{"both standby for a while", []hadooptest.Fault{standby, standby, fine}, []hadooptest.Fault{standby}, echoOnce, []int{0, 1, 0, 1, 0}, false},
		{"server asks for patience", []hadooptest.Fault{retriable, retriable, fine}, []hadooptest.Fault{fine}, echoOnce, []int{0, 0, 0}, false},
		{"reply lost, idempotent", []hadooptest.Fault{lost}, []hadooptest.Fault{fine}, echo, []int{0, 1}, false},
		{"reply lost, not idempotent", []hadooptest.Fault{lost}, []hadooptest.Fault{fine}, echoOnce, []int{0}, true},
		{"call lost, not idempotent: nobody can tell", []hadooptest.Fault{never}, []hadooptest.Fault{fine}, echoOnce, []int{0}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := newPair(t)
			p.fault(0, tc.first...)
			p.fault(1, tc.second...)
			_, err := say(t.Context(), p.proxy(t, Options{}), tc.m, "x")
			if (err != nil) != tc.wantErr {
				t.Errorf("%v", err)
			}
			if got := p.servers(t); !slices.Equal(got, tc.want) {
				t.Errorf("asked %v, want %v", got, tc.want)
			}
		})
	}
}

func TestFailoverStaysWhereItSucceeded(t *testing.T) {
	p := newPair(t)
	px := p.proxy(t, Options{})
	p.s[0].Refuse(true)
	mustSay(t, px, "x")
	if got := p.servers(t); !slices.Equal(got, []int{1}) {
		t.Fatalf("asked %v", got)
	}
	p.s[0].Refuse(false)
	mustSay(t, px, "stays at the second")
	p.s[1].Refuse(true)
	p.s[1].CloseConns()
	p.servers(t)
	mustSay(t, px, "and back")
	if got := p.servers(t); !slices.Equal(got, []int{0}) && !slices.Equal(got, []int{1, 0}) {
		t.Errorf("asked %v", got)
	}
}

// Who speaks to the servers by other means tells a proxy which one answers, and which does not.
func TestPreferAndAvoid(t *testing.T) {
	px := NewProxy([]string{"a:1", "b:2", "c:3"}, testProtocol, Options{})
	defer px.Close()
	for _, step := range []struct {
		tell func(string)
		addr string
		want string
	}{
		{px.Prefer, "a:1", "a:1"}, {px.Prefer, "c:3", "c:3"}, {px.Avoid, "a:1", "c:3"}, {px.Avoid, "c:3", "a:1"},
		{px.Prefer, "elsewhere:4", "a:1"}, {px.Avoid, "elsewhere:4", "a:1"}, {px.Avoid, "a:1", "b:2"},
	} {
		if step.tell(step.addr); px.Next() != step.want {
			t.Errorf("told of %s the next is %s, want %s", step.addr, px.Next(), step.want)
		}
	}
	alone := NewProxy([]string{"a:1"}, testProtocol, Options{})
	defer alone.Close()
	if alone.Avoid("a:1"); alone.Next() != "a:1" {
		t.Errorf("the only one is %s", alone.Next())
	}
}

// A server that says nothing until the caller's time is over is not the first that the next caller asks; one whose caller
// loses interest is.
func TestFailoverAfterDeadline(t *testing.T) {
	p := newPair(t)
	p.fault(0, hadooptest.Fault{Drop: true}, hadooptest.Fault{Drop: true})
	px := p.proxy(t, Options{})
	asked := func(want int) {
		t.Helper()
		if got := p.servers(t); !slices.Equal(got, []int{want}) {
			t.Errorf("asked %v, want %d", got, want)
		}
	}
	interest, lose := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, lose)
	if _, err := say(interest, px, echo, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	asked(0)
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := say(brief, px, echo, "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	asked(0)
	mustSay(t, px, "x")
	asked(1)
}

// Many calls that meet the same failure move on together, not one address each.
func TestFailoverUnderLoad(t *testing.T) {
	p := newPair(t)
	for i := range p.s {
		p.s[i].SetFault(nil)
	}
	px := p.proxy(t, Options{})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					mustSay(t, px, "x")
				}
			}
		})
	}
	for i := range 10 { // each in turn goes away and comes back
		s := p.s[i%2]
		s.Refuse(true)
		s.CloseConns()
		other := p.s[(i+1)%2]
		eventually(t, "the other has a connection", func() bool { return other.Conns() > 0 })
		if err := s.Refuse(false); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
}

// Calls that share a failure count as one: the second must not move on to the address that just failed.
func TestFailoverOncePerFailure(t *testing.T) {
	s, _ := server(t, hadooptest.Options{})
	var dead atomic.Int32
	fail := make(chan struct{})
	px := NewProxy([]string{"dead:1", s.Addr()}, testProtocol, Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr == "dead:1" {
			dead.Add(1)
			<-fail
			return nil, syscall.ECONNREFUSED
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}})
	defer px.Close()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { mustSay(t, px, "x") })
	}
	eventually(t, "all wait for the dead server", func() bool { return len(px.clients[0].slots) == 4 })
	close(fail)
	wg.Wait()
	if n := dead.Load(); n != 1 || px.active.Load() != 1 {
		t.Errorf("the dead server was dialled %d times, active is %d", n, px.active.Load())
	}
}

func TestStandbyInsideAuthentication(t *testing.T) {
	standby := hadooptest.Standby()
	a, _ := server(t, hadooptest.Options{TokenOnly: true, Passwords: func([]byte) ([]byte, error) { return nil, standby }})
	b, _ := server(t, hadooptest.Options{TokenOnly: true, Passwords: passwords})
	px := NewProxy([]string{a.Addr(), b.Addr()}, testProtocol, Options{Token: tokenFor("t")})
	defer px.Close()
	if got := mustSay(t, px, "x"); string(got.GetIdentifier()) != "t" {
		t.Errorf("%v", got)
	}
	px.SetToken(*tokenFor("u"))
	if got := mustSay(t, px, "x"); string(got.GetIdentifier()) != "u" {
		t.Errorf("%v", got)
	}
}

// A server that does not take who we are does not keep us from another that does, and where none does we are told at once what
// the first said.
func TestRefusedByOne(t *testing.T) {
	says := func(word string) *hadooptest.Server {
		s, _ := server(t, hadooptest.Options{TokenOnly: true, Passwords: func([]byte) ([]byte, error) { return nil, errors.New(word) }})
		return s
	}
	standby, _ := server(t, hadooptest.Options{TokenOnly: true, Passwords: func([]byte) ([]byte, error) { return nil, hadooptest.Standby() }})
	good, _ := server(t, hadooptest.Options{TokenOnly: true, Passwords: passwords})
	gone, _ := server(t, hadooptest.Options{})
	gone.Refuse(true)
	bad, worse := says("the first"), says("the second")
	for _, tc := range []struct {
		what  string
		addrs []*hadooptest.Server
		want  string // "": it is good
	}{
		{"the other is well", []*hadooptest.Server{bad, good}, ""},
		{"the third is", []*hadooptest.Server{bad, standby, good}, ""},
		{"standby, bad, well", []*hadooptest.Server{standby, bad, good}, ""},
		{"both refuse", []*hadooptest.Server{bad, worse}, "the first"},
		{"the other is standby", []*hadooptest.Server{bad, standby}, "the first"},
		{"the other is away", []*hadooptest.Server{bad, gone}, "the first"},
		{"there is no other", []*hadooptest.Server{worse}, "the second"},
	} {
		var addrs []string
		for _, s := range tc.addrs {
			addrs = append(addrs, s.Addr())
		}
		px := NewProxy(addrs, testProtocol, Options{Token: tokenFor("t"), RetryFor: time.Hour, BackoffBase: time.Hour, BackoffMax: time.Hour})
		defer px.Close()
		_, err := say(t.Context(), px, echoOnce, "x")
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !NotSent(err)) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
		if _, err := say(t.Context(), px, echoOnce, "x"); tc.want == "" && err != nil {
			t.Errorf("%s, once more: %v", tc.what, err)
		}
	}
}

// What the second server did, or may have done, counts, whatever the first said of us.
func TestRefusedThenAnswered(t *testing.T) {
	bad, _ := server(t, hadooptest.Options{TokenOnly: true, Passwords: func([]byte) ([]byte, error) { return nil, errors.New("the first") }})
	good, _ := server(t, hadooptest.Options{TokenOnly: true, Passwords: passwords})
	for _, tc := range []struct {
		fault hadooptest.Fault
		want  func(error) bool
	}{
		{hadooptest.Fault{Exception: &hadooptest.Exception{Class: "java.io.IOException", Message: "no such queue"}}, func(err error) bool { return strings.Contains(err.Error(), "no such queue") }},
		{hadooptest.Fault{CloseAfter: true}, func(err error) bool { return !NotSent(err) }},
	} {
		good.SetFault(func(*hadooptest.Call) hadooptest.Fault { return tc.fault })
		px := NewProxy([]string{bad.Addr(), good.Addr()}, testProtocol, Options{Token: tokenFor("t")})
		defer px.Close()
		if _, err := say(t.Context(), px, echoOnce, "x"); err == nil || !tc.want(err) {
			t.Errorf("%+v: %v", tc.fault, err)
		}
	}
}

func TestGivingUp(t *testing.T) {
	p := newPair(t)
	p.s[0].Refuse(true)
	p.s[1].Refuse(true)
	var ue *UnreachableError
	t.Run("after RetryFor", func(t *testing.T) {
		began := time.Now()
		_, err := say(t.Context(), p.proxy(t, Options{RetryFor: 100 * time.Millisecond, BackoffMax: 20 * time.Millisecond}), echoOnce, "x")
		if !errors.As(err, &ue) || len(ue.Addrs) != 2 || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%v", err)
		}
		if d := time.Since(began); d < 50*time.Millisecond || d > 5*time.Second {
			t.Errorf("gave up after %v", d)
		}
	})
	t.Run("one round", func(t *testing.T) {
		if _, err := say(t.Context(), p.proxy(t, Options{RetryFor: -1}), echoOnce, "x"); !errors.As(err, &ue) {
			t.Errorf("%v", err)
		}
	})
	t.Run("caller's deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := say(ctx, p.proxy(t, Options{RetryFor: time.Hour}), echoOnce, "x")
		if !errors.As(err, &ue) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("%v", err)
		}
	})
	t.Run("patience asked for too long", func(t *testing.T) {
		q := newPair(t)
		q.fault(0, hadooptest.Fault{Exception: hadooptest.Retriable()})
		_, err := say(t.Context(), q.proxy(t, Options{RetryFor: 50 * time.Millisecond}), echoOnce, "x")
		if !IsRetriable(err) || errors.As(err, &ue) {
			t.Errorf("%v", err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		px := p.proxy(t, Options{RetryFor: time.Hour})
		done := make(chan error, 1)
		go func() { _, err := say(t.Context(), px, echo, "x"); done <- err }()
		eventually(t, "an attempt", func() bool { return px.active.Load() > 0 })
		px.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

// The back-off of a service that is down, on a clock of its own: one address, refused at once.
func TestBackoffGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		px := NewProxy([]string{"rm:8032"}, testProtocol, Options{RetryFor: 15 * time.Second, User: "u",
			Dial: refusing(func() { at = append(at, time.Since(began)) })})
		_, err := say(t.Context(), px, echo, "x")
		px.Close()
		var ue *UnreachableError
		if !errors.As(err, &ue) || ue.Elapsed > 15*time.Second || ue.Elapsed < 12*time.Second {
			t.Errorf("%v", err)
		}
		if len(at) < 10 || len(at) > 24 {
			t.Errorf("%d attempts: %v", len(at), at)
		}
		for i := 2; i < len(at); i++ {
			if gap := at[i] - at[i-1]; gap > 2*time.Second || gap < 50*time.Millisecond {
				t.Errorf("pause of %v", gap)
			}
		}
	})
}
