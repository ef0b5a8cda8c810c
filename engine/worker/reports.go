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
	ends  []local.End
	spare []local.End // the loop's, to be used again
}

func (r *reports) give(ends ...local.End) {
	r.mu.Lock()
	r.ends = append(r.ends, ends...)
	r.mu.Unlock()
	select {
	case r.there <- struct{}{}:
	default:
	}
}

// take returns what is there. It is valid until the next call.
func (r *reports) take() []local.End {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.spare) // let results go
	r.ends, r.spare = r.spare[:0], r.ends
	return r.spare
}

// reported is told by executors what became of attempts. Large results go into the
// store first.
func (w *worker) reported(rs []executor.Report) {
	small := make([]local.End, 0, len(rs))
	for i := range rs {
		r := &rs[i]
		t := r.Task.Owner.(*work)
		t.close()
		e := local.End{Key: t.of.Key, Failure: r.Failure, Took: uint32(min(r.Took.Microseconds(), 1<<32-1))}
		if r.Failure == nil {
			e.Size, e.Inline = uint64(len(r.Data)), r.Data
		}
		if len(e.Inline) <= wire.MaxInline {
			small = append(small, e)
			continue
		}
		w.tasks.Go(func() { w.results.give(w.keep(e)) })
	}
	if len(small) > 0 {
		w.results.give(small...)
	}
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
