package worker

import (
	"sync"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/turns"
)

// reports holds what executors said until the loop takes it, all of it at once. Giving
// never waits: there is no more of it than of attempts.
type reports struct {
	turns *turns.Turns
	mu    sync.Mutex
	now   said
	spare said // the loop's, to be used again
}

// said is what became of attempts.
type said struct {
	ends    []local.End
	answers []local.Answer // to recalls
	lost    []local.Key    // inputs that could not be read
	parks   []parks        // in order
	nested  []nestUp
}

// parks says that an attempt waits for others, or wants to go on.
type parks struct {
	key local.Key
	on  bool
}

func (r *reports) give(f func(*said)) {
	r.mu.Lock()
	f(&r.now)
	r.mu.Unlock()
	r.turns.Due()
}

// take returns what is there. It is valid until the next call.
func (r *reports) take() said {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.spare.ends) // let results go
	clear(r.spare.nested)
	for _, p := range r.now.nested {
		p.of.waiting = 0
	}
	r.now, r.spare = said{r.spare.ends[:0], r.spare.answers[:0], r.spare.lost[:0], r.spare.parks[:0], r.spare.nested[:0]}, r.now
	return r.spare
}

// sink makes room in the store for a result that comes in pieces.
func (w *worker) sink(t *executor.Task, size uint64) (executor.Sink, *graph.Failure) {
	to, err := w.store.Create(store.Key{Task: t.ID, Attempt: t.Attempt}, int64(size))
	if err != nil {
		return nil, noRoom(err)
	}
	return to, nil
}

// reported is told by executors what became of attempts. Results that came in pieces
// lie in the store from now on.
func (w *worker) reported(rs []executor.Report) {
	for i := range rs {
		if r := &rs[i]; r.Sink != nil {
			r.Failure = w.keep(r.Sink.(*store.Writer))
		}
	}
	w.results.give(func(s *said) {
		for i := range rs {
			r := &rs[i]
			t := r.Task.Owner.(*work)
			switch r.What {
			case executor.Parks, executor.Returns:
				s.parks = append(s.parks, parks{t.key(), r.What == executor.Parks})
				continue
			case executor.Ended, executor.Recalled:
				t.close()
			}
			if r.What == executor.Ended {
				s.endedWith(t, r)
			} else {
				s.answers = append(s.answers, local.Answer{Key: t.key(), OK: r.What == executor.Recalled})
			}
		}
	})
}

// endedWith notes an end, and an input that is lost.
func (s *said) endedWith(t *work, r *executor.Report) {
	e := local.End{Key: t.key(), Failure: r.Failure, Died: r.Died, Took: uint32(min(r.Took.Microseconds(), 1<<32-1))}
	bad := t.bad.Load()
	switch {
	case r.Failure != nil && bad != nil && !r.Died:
		if bad.holder == 0 {
			s.lost = append(s.lost, bad.key)
		}
		e.Input, e.Holder, e.Failure = bad.key, bad.holder, &graph.Failure{Kind: graph.FailInput, Message: bad.err.Error()}
	case r.Failure != nil:
	case r.Sink != nil:
		e.Size, e.Kept = uint64(r.Sink.(*store.Writer).Size()), true
	default:
		e.Size, e.Inline = uint64(len(r.Data)), r.Data
	}
	s.ends = append(s.ends, e)
}

// keep makes what came in pieces a result that the store holds, or says why not.
func (w *worker) keep(from *store.Writer) *graph.Failure {
	if err := from.Commit(); err != nil {
		return noRoom(err)
	}
	return nil
}

// died reports whether an attempt ended with its executor. Those that did so together
// belong into one frame; there are no more of them than slots.
func died(f *graph.Failure) bool {
	return f.Kind == graph.FailDied || f.Kind == graph.FailMemory
}
