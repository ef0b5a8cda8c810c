package worker

import (
	"sync"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/wire"
)

// reports holds what executors said until the loop takes it, all of it at once. Giving
// never waits: there is no more of it than of attempts.
type reports struct {
	there chan struct{} // capacity 1: there is something
	mu    sync.Mutex
	now   said
	spare said // the loop's, to be used again
}

// said is what became of attempts.
type said struct {
	ends    []local.End
	answers []local.Answer // to recalls
}

func (r *reports) give(f func(*said)) {
	r.mu.Lock()
	f(&r.now)
	r.mu.Unlock()
	select {
	case r.there <- struct{}{}:
	default:
	}
}

// take returns what is there. It is valid until the next call.
func (r *reports) take() said {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.spare.ends) // let results go
	r.now, r.spare = said{r.spare.ends[:0], r.spare.answers[:0]}, r.now
	return r.spare
}

// reported is told by executors what became of attempts.
func (w *worker) reported(rs []executor.Report) {
	w.results.give(func(s *said) {
		for i := range rs {
			r := &rs[i]
			t := r.Task.Owner.(*work)
			if r.What != executor.Kept {
				t.close()
			}
			if r.What == executor.Ended {
				w.endedWith(s, t.of.Key, r)
			} else {
				s.answers = append(s.answers, local.Answer{Key: t.of.Key, OK: r.What == executor.Recalled})
			}
		}
	})
}

// endedWith notes an end. A large result goes into the store first.
func (w *worker) endedWith(s *said, k local.Key, r *executor.Report) {
	e := local.End{Key: k, Failure: r.Failure, Died: r.Died, Took: uint32(min(r.Took.Microseconds(), 1<<32-1))}
	if r.Failure == nil {
		e.Size, e.Inline = uint64(len(r.Data)), r.Data
	}
	if len(e.Inline) <= wire.MaxInline {
		s.ends = append(s.ends, e)
		return
	}
	w.tasks.Go(func() {
		e := w.keep(e)
		w.results.give(func(s *said) { s.ends = append(s.ends, e) })
	})
}

// keep puts a large result into the store.
func (w *worker) keep(e local.End) local.End {
	data := e.Inline
	e.Inline = nil
	if err := w.store.Put(store.Key(e.Key), data); err != nil {
		e.Failure = noRoom(err)
		return e
	}
	e.Kept = true
	return e
}

// died reports whether an attempt ended with its executor. Those that did so together
// belong into one frame; there are no more of them than slots.
func died(f *graph.Failure) bool {
	return f.Kind == graph.FailDied || f.Kind == graph.FailMemory
}
