package worker

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/wire"
)

// act does what the core wants. Results that cannot be opened make new events for
// the core, hence the second round.
func (w *worker) act(ctx context.Context) {
	for again := true; again; {
		o := w.core.Output()
		for _, a := range o.Cancel {
			if t, ok := a.Owner.(*work); ok {
				w.exec.Stop(&t.task)
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
		lost := w.start(o.Run)
		w.handed(o)
		w.forgetPartial()
		again = false
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
	if len(o.Parked) > 0 {
		w.push(wire.KindParked, tasks(o.Parked))
	}
	if len(o.Unparked) > 0 {
		w.push(wire.KindUnparked, tasks(o.Unparked))
	}
	if len(o.Done) > 0 {
		m := &w.spare.done
		m.Clear()
		for i := range o.Done {
			d := &o.Done[i]
			m.Add(wire.Result{Task: d.Task, Attempt: d.Attempt, Size: d.Size, Duration: d.Took, IsInline: !d.Kept, Inline: d.Inline})
		}
		w.done += uint64(len(o.Done))
		w.push(wire.KindDone, m)
		if cap(m.Inline) > keepInline {
			w.spare.done = wire.Done{}
		}
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

// keepInline is how many bytes of results the memory of a Done frame may have to be kept.
const keepInline = 1 << 20

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
		if len(frames) == 0 || size+texts > maxFailed && !died(f.Failure) {
			frames, size = append(frames, &wire.Failed{}), 0
		}
		m := frames[len(frames)-1]
		m.Failure = append(m.Failure, row)
		size += texts
	}
	return frames
}

func tasks(keys []local.Key) *wire.Tasks {
	m := &wire.Tasks{}
	for _, k := range keys {
		m.Add(k.Task, k.Attempt)
	}
	return m
}

// ---- attempts ------------------------------------------------------------------

// work is an attempt in an executor.
type work struct {
	task  executor.Task
	blobs []*store.Blob            // inputs that are open
	bad   atomic.Pointer[badInput] // one that could not be read while it ran
	ctx   context.Context          // of reads of inputs that lie elsewhere; nil: none do
	quit  context.CancelFunc       // ends them
	reads reading                  // of results that are no inputs

	nested atomic.Bool // there is a client within it

	// Of that client, under reports.mu:
	up, waiting int    // bytes and pieces that were taken
	stream      uint32 // the last stream that was heard of
	broken      uint32 // up to which streams are broken
}

// key names the attempt.
func (t *work) key() local.Key { return local.Key{Task: t.task.ID, Attempt: t.task.Attempt} }

// manyInputs is how many make an attempt large.
const manyInputs = 64

// start runs attempts. It returns events for those whose inputs are not there.
func (w *worker) start(run []local.Start) (lost []event) {
	if len(run) == 0 {
		return nil
	}
	works, tasks := make([]work, len(run)), w.spare.run[:0]
	for i := range run {
		a, t := run[i], &works[i]
		if len(a.Inputs) > manyInputs {
			t = &work{} // what it has must not stay for the others
		}
		a.Owner = t
		t.task = executor.Task{
			ID: a.Task, Attempt: a.Attempt, Class: a.Class.Class, Payload: a.Payload,
			Place: executor.Place(a.Class.Place), Limit: a.Limit, Ahead: a.Ahead, Owner: t,
		}
		if e := w.open(t, a.Assignment); e != nil {
			lost = append(lost, e...)
			continue
		}
		tasks = append(tasks, &t.task)
	}
	if len(tasks) > 0 {
		w.exec.Run(tasks)
	}
	clear(tasks)
	w.spare.run = tasks
	return lost
}

// handed tells executors of attempts that were handed out ahead, and of those that were
// parked and go on.
func (w *worker) handed(o *local.Output) {
	for _, a := range o.Begun {
		if t, ok := a.Owner.(*work); ok {
			w.exec.Begun(&t.task)
		}
	}
	for _, a := range o.Resumed {
		if t, ok := a.Owner.(*work); ok {
			w.exec.Resume(&t.task)
		}
	}
	if len(o.Recall) == 0 {
		return
	}
	tasks := make([]*executor.Task, 0, len(o.Recall))
	for _, a := range o.Recall {
		if t, ok := a.Owner.(*work); ok {
			tasks = append(tasks, &t.task)
		}
	}
	w.exec.Recall(tasks)
}

// open opens an attempt's inputs, before anything can delete them. It returns events
// instead if one is not there.
func (w *worker) open(t *work, a *local.Assignment) []event {
	if len(a.Inputs) == 0 {
		return nil
	}
	inputs := make([]executor.TaskInput, len(a.Inputs))
	for i := range a.Inputs {
		in := &a.Inputs[i]
		if in.IsInline() {
			inputs[i] = executor.TaskInput{Task: in.Task, Size: int64(len(in.Inline)), Data: in.Inline}
			continue
		}
		b, err := w.store.Open(store.Key(in.Key))
		if errors.Is(err, store.ErrNotFound) && a.Class.Lazy && in.Size > graph.LazyInput {
			inputs[i] = executor.TaskInput{Task: in.Task, Size: int64(in.Size), At: w.far(t, in), Far: true}
			continue
		}
		if err != nil {
			t.close()
			w.opts.Log.Error("an input is lost", "task", a.Task.String(), "input", in.Key.Task.String(), "err", err)
			failed := local.End{Key: a.Key, Input: in.Key, Failure: &graph.Failure{Kind: graph.FailInput, Message: err.Error()}}
			return []event{lost{in.Key}, ends{failed}}
		}
		t.blobs = append(t.blobs, b)
		inputs[i] = executor.TaskInput{Task: in.Task, Size: b.Size(), At: input{b, t, in.Key}}
	}
	t.task.Inputs = inputs
	return nil
}

// input is an input that is read while its task runs. One that the store cannot read any
// more, or that is damaged, is lost: that is not the task's failure.
type input struct {
	*store.Blob
	of  *work
	key local.Key
}

// ReadAt implements io.ReaderAt.
func (in input) ReadAt(p []byte, off int64) (int, error) {
	n, err := in.Blob.ReadAt(p, off)
	_, unreadable := errors.AsType[*store.DiskError](err)
	_, damaged := errors.AsType[*store.CorruptError](err)
	if unreadable || damaged {
		in.of.bad.Store(&badInput{key: in.key, err: err})
	}
	return n, err
}

type badInput struct {
	key    local.Key
	err    error
	holder graph.WorkerID // 0: this worker
}

func (t *work) close() {
	for _, b := range t.blobs {
		b.Close()
	}
	t.blobs = nil
	t.reads.end()
	if t.quit != nil {
		t.quit()
	}
}

// ends are attempts that have ended.
type ends []local.End

func (e ends) handle(w *worker) { w.core.Step(local.Ended{Attempts: e}) }

// lost is a result that should be in the store and is not.
type lost struct{ key local.Key }

func (e lost) handle(w *worker) { w.core.Step(local.Lost{Key: e.key}) }

// noRoom is the failure of a task whose result or input this worker cannot keep.
func noRoom(err error) *graph.Failure {
	kind := graph.FailSetup // the disk
	if _, ok := errors.AsType[*store.FullError](err); ok {
		kind = graph.FailMemory
	}
	return &graph.Failure{Kind: kind, Message: err.Error()}
}
