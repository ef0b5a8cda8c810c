package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/transfer"
)

// farInput is an input of a lazy task that is read, part by part, from those who hold it.
type farInput struct {
	w       *worker
	ctx     context.Context // ends with the attempt
	of      *work
	key     local.Key
	holders []holder
}

type holder struct {
	id   graph.WorkerID
	peer transfer.Peer
}

// far returns a reader of an input that is not here. It is called by the loop.
func (w *worker) far(t *work, in *local.Input) *farInput {
	f := &farInput{w: w, of: t, key: in.Key}
	if t.ctx == nil {
		t.ctx, t.quit = context.WithCancel(context.Background())
	}
	f.ctx = t.ctx
	for _, id := range in.Holders {
		if peer, ok := w.peer(id); ok {
			f.holders = append(f.holders, holder{id, peer})
		}
	}
	if len(f.holders) == 0 && len(in.Holders) > 0 { // blamed when it is asked for
		f.holders = []holder{{id: in.Holders[0]}}
	}
	return f
}

// ReadAt implements io.ReaderAt. When no holder gives the part, the input is lost to this
// attempt, which is not the task's failure.
func (f *farInput) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		part := p[n:min(len(p), n+transfer.MaxPart)]
		if err := f.part(part, off+int64(n)); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func (f *farInput) part(p []byte, off int64) (err error) {
	var last graph.WorkerID
	for _, h := range f.holders {
		if err = f.ask(h.peer, p, off); err == nil {
			return nil
		}
		if f.ctx.Err() != nil {
			return err // nobody wants it any more
		}
		last = h.id
	}
	err = fmt.Errorf("the result of task %s could not be read from any of its holders: %w", f.key.Task, err)
	f.w.opts.Log.Warn("read failed", "task", f.key.Task.String(), "err", err)
	f.of.bad.CompareAndSwap(nil, &badInput{key: f.key, err: err, holder: last})
	return err
}

// ask asks one holder, again if it cannot be reached.
func (f *farInput) ask(peer transfer.Peer, p []byte, off int64) (err error) {
	if peer == (transfer.Peer{}) {
		return errUnknown
	}
	for try := range fetchTries {
		if try > 0 && !sleep(f.ctx, time.Duration(try*try)*100*time.Millisecond) {
			return err
		}
		err = f.w.pool.ReadAt(f.ctx, peer, f.key.Task, f.key.Attempt, p, off)
		if e, ok := errors.AsType[*transfer.Error](err); !ok || e.Missing() || e.Abandoned() {
			return err
		}
	}
	return err
}
