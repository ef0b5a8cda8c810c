package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
)

// act does what the core wants. Results that cannot be opened make new events for
// the core, hence the second round.
func (w *worker) act(ctx context.Context) {
	for again := true; again; {
		o := w.core.Output()
		for _, k := range o.Cancel {
			if cancel := w.running[k]; cancel != nil {
				cancel()
			}
		}
		for _, k := range o.Abandon {
			if cancel := w.fetches[k]; cancel != nil {
				cancel()
			}
		}
		for _, k := range o.Drop {
			w.store.Delete(store.Key(k))
		}
		w.report(o)
		again = false
		var lost []event
		for _, a := range o.Run {
			if e := w.start(ctx, a); e != nil {
				lost = append(lost, e...)
			}
		}
		for _, f := range o.Fetch {
			if e := w.fetch(ctx, f); e != nil {
				lost = append(lost, e)
			}
		}
		for _, e := range lost {
			again = true
			e.handle(w)
		}
	}
}

// report tells the scheduler what there is to tell, in a frame of each kind; failures
// hold texts and may take several.
func (w *worker) report(o *local.Output) {
	if n := len(o.Started); n > 0 {
		w.push(wire.KindStarted, tasks(o.Started))
	}
	if len(o.Done) > 0 {
		m := &wire.Done{}
		for _, d := range o.Done {
			m.Add(wire.Result{Task: d.Task, Attempt: d.Attempt, Size: d.Size, Duration: d.Took, IsInline: !d.Kept, Inline: d.Inline})
		}
		w.done += uint64(len(o.Done))
		w.push(wire.KindDone, m)
	}
	for _, m := range failedFrames(o.Failed, w.opts.Host) {
		w.push(wire.KindFailed, m)
	}
	if len(o.Retracted) > 0 {
		m := &wire.Tasks{}
		for _, r := range o.Retracted {
			m.AddOK(r.Task, r.Attempt, r.OK)
		}
		w.push(wire.KindRetracted, m)
	}
	if len(o.Copied) > 0 {
		m := &wire.Held{}
		for _, h := range o.Copied {
			m.Add(h.Task, h.Attempt, h.Size)
		}
		w.push(wire.KindCopied, m)
	}
	if len(o.Missing) > 0 {
		w.push(wire.KindMissing, tasks(o.Missing))
	}
}

// maxFailed is where a frame of failures is full, in bytes of their texts.
const maxFailed = 4 << 20

// failedFrames reports failures in as many frames as their texts need: a thousand
// that end together with long ones are more than the scheduler reads in one.
func failedFrames(failed []local.Failed, host string) (frames []*wire.Failed) {
	size := 0
	for _, f := range failed {
		row := wire.FailureToWire(f.Task, f.Attempt, f.Failure)
		row.Host = host
		if f.Input != (graph.TaskID{}) {
			row.InputJob, row.InputIndex, row.Holder = uint32(f.Input.Job), f.Input.Index, uint32(f.Holder)
		}
		texts := len(row.Message) + len(row.Stack) + len(row.Output)
		if len(frames) == 0 || size+texts > maxFailed && !isDeath(f.Failure) {
			frames, size = append(frames, &wire.Failed{}), 0
		}
		m := frames[len(frames)-1]
		m.Failure = append(m.Failure, row)
		size += texts
	}
	return frames
}

// isDeath reports whether an attempt ended with its executor. Those that did so
// together belong into one frame; there are no more of them than slots.
func isDeath(f *graph.Failure) bool {
	return f.Kind == graph.FailDied || f.Kind == graph.FailMemory
}

func tasks(keys []local.Key) *wire.Tasks {
	m := &wire.Tasks{}
	for _, k := range keys {
		m.Add(k.Task, k.Attempt)
	}
	return m
}

// ---- attempts ------------------------------------------------------------------

// start runs an attempt. Its inputs are opened here, before anything can delete
// them. It returns events instead if one is not there.
func (w *worker) start(ctx context.Context, a *local.Assignment) []event {
	t := &executor.Task{ID: a.Task, Attempt: a.Attempt, Class: a.Class, Payload: a.Payload}
	var blobs []*store.Blob
	for i := range a.Inputs {
		in := &a.Inputs[i]
		if in.IsInline() {
			t.Inputs = append(t.Inputs, executor.TaskInput{Task: in.Task, Size: int64(len(in.Inline)), At: bytes.NewReader(in.Inline)})
			continue
		}
		b, err := w.store.Open(store.Key(in.Key))
		if err != nil {
			closeAll(blobs)
			w.opts.Log.Error("an input is lost", "task", a.Task.String(), "input", in.Key.Task.String(), "err", err)
			return []event{lost{in.Key}, ended{local.Ended{Key: a.Key, Input: in.Key, Failure: &graph.Failure{Kind: graph.FailInput, Message: err.Error()}}, nil}}
		}
		blobs = append(blobs, b)
		t.Inputs = append(t.Inputs, executor.TaskInput{Task: in.Task, Size: b.Size(), At: b})
	}
	ctx, cancel := context.WithCancel(ctx)
	w.running[a.Key] = cancel
	w.tasks.Go(func() {
		defer cancel()
		r := w.exec.Run(ctx, t)
		closeAll(blobs)
		w.send(ended{w.keep(a.Key, r), r.Death})
	})
	return nil
}

func closeAll(blobs []*store.Blob) {
	for _, b := range blobs {
		b.Close()
	}
}

// keep puts a large result into the store and says how the attempt ended.
func (w *worker) keep(k local.Key, r executor.Result) local.Ended {
	e := local.Ended{Key: k, Failure: r.Failure, Took: uint32(min(r.Took.Microseconds(), 1<<32-1))}
	if r.Failure != nil {
		return e
	}
	e.Size = uint64(len(r.Data))
	if len(r.Data) <= wire.MaxInline {
		e.Inline = r.Data
		return e
	}
	if err := w.store.Put(store.Key(k), r.Data); err != nil {
		e.Failure = noRoom(err)
		return e
	}
	e.Kept = true
	return e
}

// noRoom is the failure of a task whose result or input this worker cannot keep.
func noRoom(err error) *graph.Failure {
	kind := graph.FailSetup // the disk
	if _, ok := errors.AsType[*store.FullError](err); ok {
		kind = graph.FailMemory
	}
	return &graph.Failure{Kind: kind, Message: err.Error()}
}

// ended is the end of an attempt that start started.
type ended struct {
	local.Ended
	death *executor.Death // nil: its executor lives on
}

// handle keeps the ends that came with one death until all of them are there: they go
// into one report, for none of these attempts was alone.
func (e ended) handle(w *worker) {
	delete(w.running, e.Key)
	if e.death == nil {
		w.core.Step(e.Ended)
		return
	}
	w.deaths[e.death] = append(w.deaths[e.death], e.Ended)
	if all := w.deaths[e.death]; len(all) == e.death.Attempts {
		delete(w.deaths, e.death)
		for _, e := range all {
			w.core.Step(e)
		}
	}
}

// lost is a result that should be in the store and is not.
type lost struct{ key local.Key }

func (e lost) handle(w *worker) { w.core.Step(local.Lost{Key: e.key}) }

// ---- fetches -------------------------------------------------------------------

// fetchTries is how often one holder is asked when it cannot be reached.
const fetchTries = 3

// fetch gets a result from another into the store.
func (w *worker) fetch(ctx context.Context, f local.Fetch) event {
	peer, ok := w.peer(f.From)
	if !ok {
		w.opts.Log.Warn("a holder that nobody introduced", "worker", f.From, "task", f.Task.String())
		return fetched{key: f.Key, err: errUnknown}
	}
	ctx, cancel := context.WithCancel(ctx)
	w.fetches[f.Key] = cancel
	w.tasks.Go(func() {
		defer cancel()
		data, err := w.get(ctx, peer, f)
		if err == nil {
			if err := w.store.Put(store.Key(f.Key), data); err != nil && !errors.Is(err, store.ErrHeld) {
				w.send(fetched{key: f.Key, err: err, here: noRoom(err)})
				return
			}
		}
		w.send(fetched{key: f.Key, err: err})
	})
	return nil
}

var errUnknown = errors.New("unknown holder")

// get asks a holder, again if it cannot be reached.
func (w *worker) get(ctx context.Context, peer transfer.Peer, f local.Fetch) (data []byte, err error) {
	for try := range fetchTries {
		if try > 0 && !sleep(ctx, time.Duration(try*try)*100*time.Millisecond) {
			return nil, fmt.Errorf("%w (given up)", err)
		}
		data, err = w.pool.Result(ctx, peer, f.Task, f.Attempt, f.Size)
		e, ok := errors.AsType[*transfer.Error](err)
		if err == nil || !ok || e.Missing() || e.Abandoned() {
			return data, err
		}
	}
	return nil, err
}

// fetched is the end of a fetch.
type fetched struct {
	key  local.Key
	err  error
	here *graph.Failure
}

func (e fetched) handle(w *worker) {
	delete(w.fetches, e.key)
	if e.err == nil {
		w.core.Step(local.Fetched{Key: e.key})
		return
	}
	w.opts.Log.Warn("fetch failed", "task", e.key.Task.String(), "err", e.err)
	w.core.Step(local.FetchFailed{Key: e.key, Here: e.here})
}
