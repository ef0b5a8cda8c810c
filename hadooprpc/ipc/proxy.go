package ipc

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Proxy calls one protocol of a service that may have several addresses of which one is active. It tries again as
// long as RetryFor and the context allow and doing so is safe. It is safe for concurrent use.
type Proxy struct {
	clients []*Client
	opts    Options
	tickets *tickets
	active  atomic.Uint32 // index of the client that answered last, or is worth trying next; grows, taken modulo
}

// NewProxy returns a proxy for the service at addrs, of which there must be at least one. It does not connect yet.
func NewProxy(addrs []string, protocol string, o Options) *Proxy {
	if len(addrs) == 0 {
		panic("ipc: NewProxy without an address")
	}
	p := &Proxy{opts: o.withDefaults(), tickets: newTickets()}
	for _, a := range addrs {
		p.clients = append(p.clients, newClient(a, protocol, p.opts, p.tickets))
	}
	return p
}

// Call calls a method and decodes its reply into resp. All attempts carry the same client and call id, so that a
// server with a retry cache recognizes them.
func (p *Proxy) Call(ctx context.Context, m Method, req, resp proto.Message) error {
	var (
		t     = p.tickets.next()
		pace  = newPace(p.opts, len(p.clients))
		began = time.Now()
		last  error // why the attempt before failed
		seen  bool  // a server can have seen one of the attempts
		round refusedRound
	)
	for {
		at := p.active.Load()
		err := p.clients[int(at)%len(p.clients)].attempt(ctx, t, m, req, resp)
		if err == nil {
			return nil
		}
		seen = seen || mayHaveArrived(err)
		v := judge(err, m)
		if !seen && round.goesOn(err, v) {
			p.active.CompareAndSwap(at, at+1)
			if round.asked == len(p.clients) || ctx.Err() != nil {
				return round.first
			}
			t.retry++
			continue
		}
		if v == giveUp && errors.As(err, new(*ConnError)) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			p.active.CompareAndSwap(at, at+1) // the caller had no time to ask another: the next one does
		}
		if v == giveUp && last != nil && ctx.Err() != nil && !errors.As(err, new(*RemoteError)) {
			return p.unreachable(ctx, last, began, seen) // what went wrong says more than that time ran out
		}
		if v == giveUp && seen && NotSent(err) {
			return p.unreachable(ctx, err, began, seen) // an attempt before this one may have arrived
		}
		if v == giveUp {
			return err
		}
		last = err
		if v == elsewhere {
			// Only the first of several calls that met the same failure moves on.
			p.active.CompareAndSwap(at, at+1)
		}
		t.retry++
		if pause := pace.pause(int(t.retry), v); !p.worthWaiting(int(t.retry), began, pause) || !sleep(ctx, pause) {
			return p.unreachable(ctx, err, began, seen)
		}
		p.opts.Logger.DebugContext(ctx, "hadoop rpc tries again", "method", m.Name, "attempt", t.retry, "after", err)
	}
}

// refusedRound is for a server that does not take who we are, or whom we do not take: its keytab may be old, and the other one
// active and well. Each is asked once, without a pause, and where none serves it is the first refusal that tells.
type refusedRound struct {
	first error
	asked int // since then
}

// goesOn tells whether the outcome of an attempt, of which no server can have seen anything, leaves the round going.
func (r *refusedRound) goesOn(err error, v verdict) bool {
	refused := v == giveUp && refusedUs(err)
	if r.first == nil && refused {
		r.first = err
	}
	if r.first == nil || !refused && v != elsewhere {
		return false
	}
	r.asked++
	return true
}

// refusedUs tells whether authentication failed for good.
func refusedUs(err error) bool {
	var ce *ConnError
	return errors.As(err, &ce) && !ce.Sent && (errors.As(ce.Err, new(*RemoteError)) || errors.As(ce.Err, new(*sasl.Error)))
}

func (p *Proxy) worthWaiting(attempts int, began time.Time, pause time.Duration) bool {
	if p.opts.RetryFor < 0 {
		return attempts < len(p.clients)
	}
	return time.Since(began)+pause < p.opts.RetryFor
}

// mayHaveArrived tells that the attempt got no answer and that its server can have executed it all the same.
func mayHaveArrived(err error) bool {
	var ce *ConnError
	return errors.As(err, &ce) && ce.Sent
}

// unreachable wraps the outcome of the last attempt when no server could be had. Where a server did answer and asked
// for patience, its words stay on top, unless an attempt before may have arrived: seen.
func (p *Proxy) unreachable(ctx context.Context, err error, began time.Time, seen bool) error {
	var ce *ConnError
	if !seen && !IsStandby(err) && !errors.As(err, &ce) {
		return err
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", err, reason(ctx))
	}
	return &UnreachableError{Addrs: p.Addrs(), Elapsed: time.Since(began), Sent: seen, Err: err}
}

// SetToken changes the identity: calls from now on use new connections. Calls in flight finish on the old ones.
func (p *Proxy) SetToken(t token.Token) {
	for _, c := range p.clients {
		c.SetToken(t)
	}
}

// Next is the address that the next call goes to first. Next, Prefer and Avoid are for who speaks to the same servers
// by other means as well.
func (p *Proxy) Next() string { return p.clients[int(p.active.Load())%len(p.clients)].addr }

// Prefer has the next call go to addr first: it has answered.
func (p *Proxy) Prefer(addr string) {
	for range p.clients {
		at := p.active.Load()
		if p.clients[int(at)%len(p.clients)].addr == addr {
			return
		}
		p.active.CompareAndSwap(at, at+1)
	}
}

// Avoid has the next call not go to addr first, if there is another one: it has not answered.
func (p *Proxy) Avoid(addr string) {
	if at := p.active.Load(); p.clients[int(at)%len(p.clients)].addr == addr {
		p.active.CompareAndSwap(at, at+1)
	}
}

// Addrs lists the service's addresses.
func (p *Proxy) Addrs() []string {
	out := make([]string, len(p.clients))
	for i, c := range p.clients {
		out[i] = c.addr
	}
	return out
}

// Close ends all calls in flight with ErrClosed and waits until nothing of the proxy is left. It may be called twice.
func (p *Proxy) Close() error {
	for _, c := range p.clients {
		c.Close()
	}
	return nil
}

// sleep waits for d and tells whether ctx lasted.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
