package executor

import (
	"context"
	"sync"
	"time"
)

// reporter writes what an executor says. Ends of calls wait for one another as long as
// calls follow one another: they go out together when
//
//   - a goroutine finds nothing more to run;
//   - flushEvery has passed since the last time;
//   - the goroutine of run gets a processor, which is at once when one is idle.
//
// The last is for ends that come before a long call.
type reporter struct {
	pipe frameWriter
	kick chan struct{} // capacity 1

	mu    sync.Mutex
	rows  dones
	spare dones         // the other one, which is being written or empty
	last  time.Duration // when it was written, by clock
	since time.Duration // when the first of rows came that hold knows; 0: there is none
	notes [2]page       // of the calls in rows and in spare, for commands
}

// note has the ids of calls that wait to be reported written there; no more wait than fit.
func (r *reporter) note(to page) {
	half := len(to) / 2
	r.notes = [2]page{to[:half:half], to[half:]}
}

// done reports a small result.
func (r *reporter) done(call uint64, took time.Duration, data []byte) {
	r.doneOf(call, took, uint64(len(data)), data)
}

// doneOf reports a result whose last piece is here.
func (r *reporter) doneOf(call uint64, took time.Duration, size uint64, last []byte) {
	r.mu.Lock()
	if n := len(r.notes[0]); n > 0 && len(r.rows.calls) >= n {
		r.mu.Unlock()
		r.flush()
		r.mu.Lock()
	}
	r.notes[0].set(len(r.rows.calls), call)
	r.rows.add(call, took, size, last)
	full := len(r.rows.data) >= chunkSize
	r.mu.Unlock()
	if full {
		r.flush()
	}
}

// flush writes all that is there, unless somebody else is about to.
func (r *reporter) flush() {
	r.pipe.mu.Lock()
	defer r.pipe.mu.Unlock()
	r.pipe.writeLocked(func(dst []byte) []byte { //nolint:errcheck // the worker is gone
		r.mu.Lock()
		r.rows, r.spare = r.spare, r.rows
		r.notes[0], r.notes[1] = r.notes[1], r.notes[0]
		r.last, r.since = clock(), 0
		r.mu.Unlock()
		if len(r.spare.calls) == 0 {
			return dst
		}
		return endFrame(appendDones(beginFrame(dst, kindDone), &r.spare), 0)
	})
	for i := range r.spare.calls {
		r.notes[1].set(i, 0)
	}
	r.spare.reset()
}

// later flushes now, or sees to it that it will be done.
func (r *reporter) later(now time.Duration) {
	r.mu.Lock()
	due := now-r.last > flushEvery
	r.mu.Unlock()
	if due {
		r.flush()
		return
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// holdTime is how long the ends of commands wait for others while commands follow one
// another. A command costs a millisecond at the least, what is written wakes the worker,
// the scheduler and the client, which together costs nearly as much.
const holdTime = 10 * time.Millisecond

// hold flushes if as many calls have ended as are left, so that more come in time, or
// what has ended has waited for long enough. Who calls it sees to it that something is
// flushed within holdTime, by what it does next.
func (r *reporter) hold(now time.Duration, left int) {
	r.mu.Lock()
	if r.since == 0 {
		r.since = now
	}
	due := len(r.rows.calls) >= 3*left || now-r.since > holdTime
	r.mu.Unlock()
	if due {
		r.flush()
	}
}

// run flushes when it is told to, until ctx ends.
func (r *reporter) run(ctx context.Context) {
	for {
		select {
		case <-r.kick:
			r.flush()
		case <-ctx.Done():
			return
		}
	}
}

// write writes one frame.
func (r *reporter) write(k kind, body func(dst []byte) []byte) error { return r.pipe.write(k, body) }
