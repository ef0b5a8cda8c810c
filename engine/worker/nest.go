package worker

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// A client within a task speaks to the scheduler through this worker, which passes its
// pieces on as they are (wire.Nested) and looks at nothing but their size.

// nestUp is a piece on its way to the scheduler.
type nestUp struct {
	of *work
	m  *wire.Nested
}

// maxNestUp is how many pieces of one attempt wait for the loop. A client that keeps to
// its window has far fewer.
const maxNestUp = 2 * wire.NestedWindow / wire.NestedPiece * 64

// nested takes a piece from an executor, which is not trusted to keep to the window.
func (w *worker) nested(t *executor.Task, n executor.Nested) {
	m := &wire.Nested{
		Job: uint32(t.ID.Job), Index: t.ID.Index, Attempt: uint32(t.Attempt),
		Stream: n.Stream, Ack: n.Ack, Data: append([]byte(nil), n.Data...),
	}
	if err := m.Check(); err != nil {
		w.opts.Log.Warn("a task's client breaks the protocol", "task", t.ID.String(), "err", err)
		return
	}
	of := t.Owner.(*work)
	of.nested.Store(true)
	w.results.give(func(s *said) {
		of.stream = max(of.stream, m.Stream)
		if m.Stream <= of.broken {
			return
		}
		of.up += len(m.Data)
		if of.waiting++; of.waiting > maxNestUp || of.up > 2*wire.NestedWindow {
			return // it will wait for ever for an answer
		}
		s.nested = append(s.nested, nestUp{of, m})
	})
}

// eachNested calls f for the attempts that have clients.
func (w *worker) eachNested(f func(local.Key, *work)) {
	for _, k := range w.core.AppendRunning(nil) {
		if a := w.core.Running(k); a != nil {
			if t, ok := a.Owner.(*work); ok && t.nested.Load() {
				f(k, t)
			}
		}
	}
}

// breakNested is a new connection to the scheduler: what clients said on the last one may not
// have come, so they are to begin anew, each with its session. Another scheduler does not know
// the jobs of what is no actor: such an attempt ends.
func (w *worker) breakNested(another bool) {
	w.eachNested(func(k local.Key, t *work) {
		if another && !w.core.Running(k).Class.Actor {
			w.core.Step(local.Stop{Tasks: []local.Key{k}})
			return
		}
		w.results.mu.Lock()
		stream := t.stream
		t.broken, t.up = stream, 0
		w.results.mu.Unlock()
		w.exec.Nested(&t.task, executor.Nested{Stream: stream, Code: executor.Broken, End: "the worker has another connection to the scheduler"})
	})
}

// passUp sends pieces to the scheduler.
func (w *worker) passUp(pieces []nestUp) {
	for _, p := range pieces {
		if p.m.Stream > p.of.broken { // else it was given before that broke
			w.push(wire.KindNested, p.m)
		}
	}
}

// passDown gives a piece to the client that it is for, if its task still runs.
func (w *worker) passDown(m *wire.Nested) {
	task, attempt := m.At()
	a := w.core.Running(local.Key{Task: task, Attempt: attempt})
	if a == nil {
		return
	}
	t, ok := a.Owner.(*work)
	if !ok {
		return
	}
	w.results.mu.Lock()
	t.up = max(0, t.up-int(m.Ack))
	w.results.mu.Unlock()
	w.exec.Nested(&t.task, executor.Nested{Stream: m.Stream, Ack: m.Ack, Code: m.Code, End: m.End, Data: m.Data})
}

// reading is what an attempt has for results that it asks for.
type reading struct {
	once   sync.Once
	ctx    context.Context // ends with the attempt
	cancel context.CancelFunc
}

func (r *reading) begin() context.Context {
	r.once.Do(func() { r.ctx, r.cancel = context.WithCancel(context.Background()) })
	return r.ctx
}

func (r *reading) end() {
	r.once.Do(func() {}) // it has not begun, and will not
	if r.cancel != nil {
		r.cancel()
	}
}

// resultAt is a result that a task asks for and that is none of its inputs.
type resultAt struct {
	w   *worker
	ctx context.Context
	executor.ResultAt
}

// result returns a reader of what a task asks for.
func (w *worker) result(t *executor.Task, r executor.ResultAt) io.ReaderAt {
	ctx := t.Owner.(*work).reads.begin()
	if ctx == nil {
		return nil // the attempt has ended
	}
	return &resultAt{w, ctx, r}
}

// ReadAt implements io.ReaderAt: from this worker's store, or from the holder.
func (r *resultAt) ReadAt(p []byte, off int64) (int, error) {
	if b, err := r.w.store.Open(store.Key{Task: r.Task, Attempt: r.Attempt}); err == nil {
		defer b.Close()
		return b.ReadAt(p, off)
	}
	peer := transfer.Peer{Role: identity.Worker, Name: r.Name, Address: r.Address}
	if r.Name == "" {
		s := r.w.scheduler.Load()
		if s == nil {
			return 0, errUnknown
		}
		peer = *s
	}
	for n := 0; n < len(p); n += transfer.MaxPart {
		part := p[n:min(len(p), n+transfer.MaxPart)]
		if err := r.w.pool.ReadAt(r.ctx, peer, r.Task, r.Attempt, part, off+int64(n)); err != nil {
			return n, fmt.Errorf("the result of task %s could not be read from %s: %w", r.Task, peer.Address, err)
		}
	}
	return len(p), nil
}
