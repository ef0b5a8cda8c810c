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
}

// done reports a small result.
func (r *reporter) done(call uint64, took time.Duration, data []byte) {
	r.doneOf(call, took, uint64(len(data)), data)
}

// doneOf reports a result whose last piece is here.
func (r *reporter) doneOf(call uint64, took time.Duration, size uint64, last []byte) {
	r.mu.Lock()
	r.rows.add(call, took, size, last)
	full := len(r.rows.data) >= chunkSize
	r.mu.Unlock()
	if full {
		r.flush()
	}
}

// flush writes all that is there, unless somebody else is about to.
func (r *reporter) flush() {
	r.pipe.writeAll(func(dst []byte) []byte { //nolint:errcheck // the worker is gone
		r.mu.Lock()
		r.rows, r.spare = r.spare, r.rows
		r.last = clock()
		r.mu.Unlock()
		if len(r.spare.calls) == 0 {
			return dst
		}
		dst = endFrame(appendDones(beginFrame(dst, kindDone), &r.spare), 0)
		r.spare.reset()
		return dst
	})
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
