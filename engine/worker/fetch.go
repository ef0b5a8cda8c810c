package worker

import (
	"context"
	"errors"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/transfer"
)

// fetchTries is how often one holder is asked when it cannot be reached.
const fetchTries = 3

// partial is a result that is fetched, straight into the store. What has come is kept
// while another holder is asked.
type partial struct {
	*store.Writer
	*transfer.Download
}

// fetch gets a result from another into the store.
func (w *worker) fetch(ctx context.Context, f local.Fetch) event {
	p := w.partial[f.Key]
	delete(w.partial, f.Key)
	peer, ok := w.peer(f.From)
	if !ok {
		w.opts.Log.Warn("a holder that nobody introduced", "worker", f.From, "task", f.Task.String())
		return fetched{key: f.Key, err: errUnknown, part: p}
	}
	ctx, cancel := context.WithCancel(ctx)
	w.fetches[f.Key] = cancel
	w.tasks.Go(func() {
		defer cancel()
		e := w.get(ctx, peer, f, p)
		if !w.send(e) && e.part != nil {
			e.part.Abort()
		}
	})
	return nil
}

var errUnknown = errors.New("unknown holder")

// get asks a holder for what is missing of a result, again if it cannot be reached.
func (w *worker) get(ctx context.Context, peer transfer.Peer, f local.Fetch, p *partial) fetched {
	if p == nil {
		to, err := w.store.Create(store.Key(f.Key), int64(f.Size))
		if errors.Is(err, store.ErrHeld) {
			return fetched{key: f.Key}
		}
		if err != nil {
			return fetched{key: f.Key, err: err, here: noRoom(err)}
		}
		p = &partial{to, transfer.NewDownload(f.Task, f.Attempt, f.Size, to)}
	}
	err := w.ask(ctx, peer, p)
	if err == nil {
		if err = p.Commit(); err == nil || errors.Is(err, store.ErrHeld) {
			return fetched{key: f.Key}
		}
	}
	if _, there := errors.AsType[*transfer.Error](err); there {
		return fetched{key: f.Key, err: err, part: p}
	}
	p.Abort()
	return fetched{key: f.Key, err: err, here: noRoom(err)}
}

func (w *worker) ask(ctx context.Context, peer transfer.Peer, p *partial) (err error) {
	for try := range fetchTries {
		if try > 0 && !sleep(ctx, time.Duration(try*try)*100*time.Millisecond) {
			return err
		}
		err = w.pool.Fetch(ctx, peer, p.Download)
		if e, ok := errors.AsType[*transfer.Error](err); !ok || e.Missing() || e.Abandoned() {
			return err
		}
	}
	return err
}

// fetched is the end of a fetch.
type fetched struct {
	key  local.Key
	err  error
	here *graph.Failure
	part *partial // what another holder may complete; nil: nothing
}

func (e fetched) handle(w *worker) {
	delete(w.fetches, e.key)
	if e.err == nil {
		w.core.Step(local.Fetched{Key: e.key})
		return
	}
	w.opts.Log.Warn("fetch failed", "task", e.key.Task.String(), "err", e.err)
	if e.part != nil {
		w.partial[e.key] = e.part
	}
	w.core.Step(local.FetchFailed{Key: e.key, Here: e.here})
}

// forgetPartial drops what has come of results that are no longer wanted.
func (w *worker) forgetPartial() {
	for k, p := range w.partial {
		if !w.core.Wants(k) {
			p.Abort()
			delete(w.partial, k)
		}
	}
}

// dropPartial drops all, at the end, when no fetch is under way.
func (w *worker) dropPartial() {
	for {
		select {
		case e := <-w.events:
			if f, ok := e.(fetched); ok && f.part != nil {
				f.part.Abort()
			}
			continue
		default:
		}
		break
	}
	for _, p := range w.partial {
		p.Abort()
	}
}
