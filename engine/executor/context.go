package executor

import (
	"context"
	"errors"
	"sync"
	"time"
)

// callContext is the context of a call. Most functions never look at theirs, so it is
// a real one only from the moment at which somebody does.
type callContext struct {
	mu       sync.Mutex
	real     context.Context // nil: nobody looked
	cancel   context.CancelCauseFunc
	cause    error     // why it ended; nil: it did not
	hurry    bool      // it did, or then something else came up, and what is left may take no time
	deadline *deadline // nil: none
	told     func()    // called when it ends; nil: nobody
}

type deadline struct {
	at    time.Time
	timer *time.Timer // ends the context
}

// limit gives it a deadline.
func (c *callContext) limit(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = &deadline{time.Now().Add(d), time.AfterFunc(d, func() { c.end(errTime) })}
}

// end ends it; the first cause counts, but a later one can be more urgent.
func (c *callContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.cause == nil
	hurry := !c.hurry && (errors.Is(cause, errMemory) || errors.Is(cause, errLeaving))
	c.hurry = c.hurry || hurry
	if c.told != nil && (first || hurry) {
		c.told()
	}
	if !first {
		return
	}
	c.cause = cause
	if c.cancel != nil {
		c.cancel(cause)
	}
	if c.deadline != nil {
		c.deadline.timer.Stop()
	}
}

// onEnd has f called when it ends, which is at once when it has, and when that becomes
// urgent; nil ends that: f is not called any more. f must not wait, nor use the context.
func (c *callContext) onEnd(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told = f; f != nil && c.cause != nil {
		f()
	}
}

// ends returns why, and whether there is no time to lose.
func (c *callContext) ends() (why error, hurry bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause, c.hurry
}

// why returns the cause of its end, nil before.
func (c *callContext) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

func (c *callContext) get() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.real, c.cancel = context.WithCancelCause(context.Background())
		if c.cause != nil {
			c.cancel(c.cause)
		}
	}
	return c.real
}

// Deadline is of context.Context, like what follows.
func (c *callContext) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline == nil {
		return time.Time{}, false
	}
	return c.deadline.at, true
}

// Done returns a channel that is closed at its end.
func (c *callContext) Done() <-chan struct{} { return c.get().Done() }

// Err returns nil before its end.
func (c *callContext) Err() error {
	switch cause := c.why(); cause {
	case nil:
		return nil
	case errTime:
		return context.DeadlineExceeded
	}
	return context.Canceled
}

// Value answers package context's own questions: context.Cause, and contexts that
// derive from this one.
func (c *callContext) Value(key any) any { return c.get().Value(key) }

// finish ends it when its call has ended, for those who derived from it.
func (c *callContext) finish() {
	c.mu.Lock()
	idle := c.real == nil && c.deadline == nil
	c.mu.Unlock()
	if !idle {
		c.end(context.Canceled)
	}
}
