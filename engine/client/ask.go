package client

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// MaxCall is the most bytes of a call's argument, of its answer, and of a checkpoint.
const MaxCall = wire.MaxCall

// ActorCall is what an actor is asked for.
type ActorCall struct {
	Task       graph.TaskID // the actor
	Actor      string       // the name of its class
	Method     string
	Payload    []byte // not to be changed any more
	Idempotent bool   // it may be done twice
}

// Asked is a call of an actor that is under way, or answered.
type Asked struct {
	c    *Client
	call *call
	done chan struct{} // closed when the rest is valid

	answer *wire.Answered
	err    error
	unwait atomic.Pointer[func() bool] // ends the watch for the end of the call's context
}

// Ask calls an actor. When ctx ends before the answer is there the call is taken back: it
// is not done if it has not begun, else the method's context ends. It does not wait, and
// calls of one client are done in the order of Ask.
func (c *Client) Ask(ctx context.Context, a *ActorCall) *Asked {
	w := &Asked{c: c, done: make(chan struct{})}
	w.call = &call{
		req: &wire.Request{Body: &wire.Request_Call{Call: &wire.Call{
			Job: uint32(a.Task.Job), Index: a.Task.Index, Actor: a.Actor, Method: a.Method, Payload: a.Payload, Idempotent: a.Idempotent,
		}}},
		done: func(r *wire.Reply, err error) {
			w.answer, w.err = r.GetAnswered(), err
			if err == nil && w.answer == nil {
				w.err = errNoAnswer
			}
			close(w.done)
			w.unwatch()
		},
	}
	if err := context.Cause(ctx); err != nil {
		w.call.done(nil, err)
	} else if err := c.start(w.call); err != nil {
		w.call.done(nil, err)
	} else if ctx.Done() != nil {
		stop := context.AfterFunc(ctx, func() { w.withdraw(context.Cause(ctx)) })
		w.unwait.Store(&stop)
		select {
		case <-w.done: // who answered did not see it
			stop()
		default:
		}
	}
	return w
}

func (w *Asked) unwatch() {
	if stop := w.unwait.Load(); stop != nil {
		(*stop)()
	}
}

// withdraw takes the call back, unless it was answered.
func (w *Asked) withdraw(why error) {
	c, m := w.c, w.call.req.GetCall()
	c.mu.Lock()
	sent := m.Sent
	_, waits := c.calls[w.call.req.Id]
	delete(c.calls, w.call.req.Id)
	c.mu.Unlock()
	if !waits {
		return
	}
	_ = c.start(&call{ // an error: the session ends, and the call with it
		req: &wire.Request{Body: &wire.Request_Withdraw{Withdraw: &wire.Withdraw{
			Job: m.Job, Index: m.Index, Request: w.call.req.Id, Sent: sent,
		}}},
		done: func(*wire.Reply, error) {},
	})
	w.call.done(nil, why)
}

// Done returns a channel that is closed when the call is answered, or will not be.
func (w *Asked) Done() <-chan struct{} { return w.done }

// Wait waits for the answer. What the method gave is the bytes, how it failed a
// *graph.Failure; with ended that is the actor's own end. When ctx ends, the wait ends
// and the call goes on.
func (w *Asked) Wait(ctx context.Context) (result []byte, ended bool, err error) {
	select {
	case <-w.done:
	default:
		back := w.c.Wait()
		select {
		case <-w.done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		back()
		if err != nil {
			return nil, false, err
		}
	}
	switch {
	case w.err != nil:
		return nil, false, w.err
	case w.answer.Failure != nil:
		return nil, w.answer.Ended, wire.FailureFromWire(w.answer.Failure)
	}
	return w.answer.Result, false, nil
}

var errCut = &Error{Kind: ErrInterrupted, Err: errors.New("the session was lost while the call was under way, so that it may have had its effects")}

// cutCalls takes out the calls that another session must not send, as they may have been
// done: it is not known to be the same who asks. Called with c.mu.
func (c *Client) cutCalls() (cut []*call) {
	for id, k := range c.calls {
		m := k.req.GetCall()
		if m != nil && !m.Idempotent || k.sent && k.req.GetPublish().GetRemove() {
			delete(c.calls, id)
			cut = append(cut, k)
		}
	}
	return cut
}
