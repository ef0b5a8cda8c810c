package ipc

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
)

// dialsNumbered refuses the dials, numbered from 1, for which refuse says so.
func dialsNumbered(refuse func(n int32) bool) func(context.Context, string, string) (net.Conn, error) {
	var n atomic.Int32
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if refuse(n.Add(1)) {
			return nil, syscall.ECONNREFUSED
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
}

// Whether a call may be repeated depends on all of its attempts: a refused connection at the end does not undo a
// request that got through before, nor one at the beginning a request that got through after.
func TestNotSentLooksAtEveryAttempt(t *testing.T) {
	s, release := server(t, hadooptest.Options{})
	defer close(release)
	t.Run("reply lost, then refused", func(t *testing.T) {
		s.SetFault(func(*hadooptest.Call) hadooptest.Fault { return hadooptest.Fault{CloseAfter: true} })
		defer s.SetFault(nil)
		px := NewProxy([]string{s.Addr()}, testProtocol, Options{RetryFor: 100 * time.Millisecond, BackoffBase: time.Millisecond,
			Dial: dialsNumbered(func(n int32) bool { return n > 1 })})
		defer px.Close()
		_, err := say(t.Context(), px, echo, "x")
		var ue *UnreachableError
		if !errors.As(err, &ue) || !ue.Sent || NotSent(err) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%#v", err)
		}
	})
	t.Run("reply lost, then told to be patient", func(t *testing.T) {
		var n atomic.Int32
		s.SetFault(func(*hadooptest.Call) hadooptest.Fault {
			if n.Add(1) == 1 {
				return hadooptest.Fault{CloseAfter: true}
			}
			return hadooptest.Fault{Exception: hadooptest.Retriable()}
		})
		defer s.SetFault(nil)
		px := NewProxy([]string{s.Addr()}, testProtocol, Options{RetryFor: 100 * time.Millisecond, BackoffBase: time.Millisecond})
		defer px.Close()
		_, err := say(t.Context(), px, echo, "x")
		var ue *UnreachableError
		if !errors.As(err, &ue) || !ue.Sent || !IsRetriable(err) {
			t.Errorf("%#v", err)
		}
	})
	t.Run("refused, then no reply in time", func(t *testing.T) {
		px := NewProxy([]string{s.Addr()}, testProtocol, Options{BackoffBase: time.Millisecond,
			Dial: dialsNumbered(func(n int32) bool { return n == 1 })})
		defer px.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := say(ctx, px, echoOnce, "wait")
		if NotSent(err) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "refused") {
			t.Errorf("%v", err)
		}
	})
	t.Run("closed while under way", func(t *testing.T) {
		c := newTestClient(t, s.Addr(), Options{})
		done := make(chan error, 1)
		go func() { _, err := say(t.Context(), c, echoOnce, "wait"); done <- err }()
		eventually(t, "the call was sent", func() bool {
			c.mu.Lock()
			cn := c.cur
			c.mu.Unlock()
			if cn == nil {
				return false
			}
			cn.mu.Lock()
			defer cn.mu.Unlock()
			call := cn.pending[1]
			return call != nil && call.state.Load() == sent
		})
		c.Close()
		if err := <-done; !errors.Is(err, ErrClosed) || NotSent(err) {
			t.Errorf("%v", err)
		}
		if _, err := say(t.Context(), c, echo, "x"); !NotSent(err) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// A dialler has deadlines of its own: one for each address of a host, for example. When such a one ends the attempt,
// the caller's time is not over, and another server may do.
func TestDiallersOwnDeadlineIsNotTheCallers(t *testing.T) {
	s, _ := server(t, hadooptest.Options{})
	px := NewProxy([]string{"black-hole:1", s.Addr()}, testProtocol, Options{
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if addr == "black-hole:1" {
				return nil, &net.OpError{Op: "dial", Net: network, Err: context.DeadlineExceeded}
			}
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}})
	defer px.Close()
	mustSay(t, px, "x")
}
