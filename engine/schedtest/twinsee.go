package schedtest

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// see takes an event in, after the core did. What the core is free to decide,
// whether a task whose attempt ended is tried again, is looked up there.
func (tw *twin) see(ev sched.Event) {
	switch ev := ev.(type) {
	case sched.Submit:
		tw.submit(ev.Batch)
		tw.settle()
	case sched.SubmitRange:
		if id := (graph.TaskID{Job: ev.Job, Index: ev.First}); tw.byID[id] == nil && tw.oracle.specs[id] != nil {
			for _, id := range idsOf([]graph.Run{{Job: ev.Job, First: ev.First, N: ev.N}}) {
				tw.add(&twinTask{id: id, held: true})
			}
		}
		tw.settle()
	case sched.Release:
		tw.release(ev.Tasks)
	case sched.ReleaseRun:
		tw.release(tw.there(ev.Run))
	case sched.Pin:
		if t := tw.byID[ev.Task]; t != nil && !t.gone && t.pins+ev.Delta >= 0 && (ev.Delta < 0 || !t.buried()) {
			t.pins += ev.Delta
		}
		tw.settle()
	case sched.Cancel:
		tw.cancel(ev.Tasks)
	case sched.CancelRun:
		tw.cancel(tw.there(ev.Run))
	case sched.Retry:
		tw.revived = 0
		for _, id := range ev.Tasks {
			tw.retry(tw.byID[id])
			tw.settle()
		}
	case sched.CloseJob:
		tw.closeJob(ev.Job)
	case sched.Adopt:
		tw.adopted(ev)
	case sched.Resume:
		tw.awaiting = false
		tw.settle()
	case sched.WorkerJoined:
		tw.slots[ev.Worker], tw.names[ev.Worker] = ev.Slots, ev.Name
		for _, h := range ev.Held {
			tw.holds(ev.Worker, h)
			tw.settle()
		}
	case sched.Copied:
		if _, ok := tw.slots[ev.Worker]; !ok {
			return // it left
		}
		for _, h := range ev.Tasks {
			tw.holds(ev.Worker, h)
			tw.settle()
		}
	case sched.WorkerLeft:
		tw.left(ev.Worker, ev.Blame)
		tw.settle()
	case sched.Started:
		for _, a := range ev.Tasks {
			if t := tw.isLive(ev.Worker, a); t != nil {
				t.started = true
			} else if t := tw.isSecond(ev.Worker, a); t != nil {
				t.second.started = true
			}
		}
	case sched.Parked:
		for _, a := range ev.Tasks {
			if t := tw.isLive(ev.Worker, a); t != nil && t.started {
				t.parked, t.strayed = true, true
			} else if t := tw.isSecond(ev.Worker, a); t != nil && t.second.started {
				t.second.parked, t.second.strayed = true, true
			}
		}
	case sched.Unparked:
		for _, a := range ev.Tasks {
			if t := tw.isLive(ev.Worker, a); t != nil {
				t.parked = false
			} else if t := tw.isSecond(ev.Worker, a); t != nil {
				t.second.parked = false
			}
		}
	case sched.Done:
		for _, f := range ev.Tasks {
			tw.finished(ev.Worker, f)
			tw.settle()
		}
	case sched.Failed:
		ran, waited := tw.deaths(ev)
		for _, f := range ev.Tasks {
			t, second := tw.isLive(ev.Worker, f.TaskAttempt), tw.isSecond(ev.Worker, f.TaskAttempt)
			if t != nil {
				tw.setback(t, f, ran == 1 && !t.parked || ran+waited == 1)
			} else if t = second; t != nil { // it decides nothing
				t.second = secondAttempt{}
			}
			if t != nil {
				if f.Kind == graph.FailInput && slices.Contains(t.deps, f.Input) {
					tw.dropCopy(f.Input, f.Holder)
				}
			}
			tw.settle()
		}
	case sched.Missing:
		for _, a := range ev.Tasks {
			if t := tw.byID[a.Task]; t != nil && (a.Attempt == 0 || a.Attempt == t.attempt) {
				tw.dropCopy(a.Task, ev.Worker)
			}
			tw.settle()
		}
	case sched.Retire:
		for _, t := range tw.tasks {
			if w, ok := tw.core.Worker(t.second.worker); ok && w.Phase != "working" {
				tw.stopSecond(t)
				t.second = secondAttempt{}
			}
		}
	case sched.Retracted:
		for k, a := range ev.Tasks {
			if t := tw.isLive(ev.Worker, a); t != nil && ev.OK[k] {
				t.endAttempt()
				tw.settle()
			}
		}
	}
}

func (tw *twin) submit(b *graph.Batch) {
	if id := (graph.TaskID{Job: b.Job, Index: b.First}); tw.byID[id] != nil || tw.oracle.specs[id] == nil {
		return // submitted before, or to a job that is closed
	}
	for k := range b.Len() {
		t := &twinTask{
			id: graph.TaskID{Job: b.Job, Index: b.First + uint32(k)}, deps: slices.Clone(b.DepsOf(k)),
			held: !b.IsLoose(k), fresh: b.IsLoose(k),
		}
		tw.add(t)
		for n, d := range t.deps {
			if td := tw.byID[d]; td != nil {
				td.consumers = append(td.consumers, t)
			} else {
				t.deps[n] = graph.TaskID{} // whatever comes later under this id
			}
		}
	}
}

func (tw *twin) add(t *twinTask) {
	t.born = tw.era
	t.name, t.class = tw.oracle.specs[t.id].name, &tw.oracle.specs[t.id].does.class
	tw.tasks = append(tw.tasks, t)
	tw.byID[t.id] = t
}

// there returns those tasks of a run that there are.
func (tw *twin) there(r graph.Run) []graph.TaskID {
	return slices.DeleteFunc(idsOf([]graph.Run{r}), func(id graph.TaskID) bool { return tw.byID[id] == nil })
}

func (tw *twin) release(ids []graph.TaskID) {
	for _, id := range ids {
		if t := tw.byID[id]; t != nil {
			t.held, t.fresh = false, false
		}
		tw.settle()
	}
}

func (tw *twin) cancel(ids []graph.TaskID) {
	for _, id := range ids {
		if t := tw.byID[id]; t != nil && t.open() && !t.told && (t.wanted || t.fresh) {
			tw.stop(t)
			t.fail(graph.FailCancelled)
		}
		tw.settle()
	}
}

func (tw *twin) closeJob(id graph.JobID) {
	for _, t := range tw.tasks {
		t.closed = t.closed || t.id.Job == id
	}
	for _, t := range slices.Backward(tw.tasks) {
		if t.id.Job != id {
			continue
		}
		t.held, t.fresh = false, false
		t.unlinked = t.unlinked || t.failed != 0
		if t.open() && t.wanted && !tw.restoring {
			tw.stop(t)
			t.fail(graph.FailCancelled)
		}
		tw.settle()
	}
}

// buried reports whether a task has failed and nobody can retry it.
func (t *twinTask) buried() bool {
	return t.failed != 0 && t.failed != graph.FailCancelled && t.unlinked
}

func (t *twinTask) fail(kind graph.FailKind) {
	t.failed, t.unlinked = kind, kind == graph.FailCancelled || t.closed
	t.first = t.first || kind != graph.FailUpstream
	t.endAttempts()
}

func (tw *twin) isLive(w graph.WorkerID, a sched.TaskAttempt) *twinTask {
	if t := tw.byID[a.Task]; t != nil && t.worker == w && t.live == a {
		return t
	}
	return nil
}

func (tw *twin) isSecond(w graph.WorkerID, a sched.TaskAttempt) *twinTask {
	if t := tw.byID[a.Task]; t != nil && t.second.worker == w && w != 0 && t.second.TaskAttempt == a {
		return t
	}
	return nil
}

func (tw *twin) finished(w graph.WorkerID, f sched.Finished) {
	t := tw.isLive(w, f.TaskAttempt)
	if second := tw.isSecond(w, f.TaskAttempt); second != nil {
		t = second
		tw.stopFirst(t)
		t.endAttempt()
	}
	if t == nil {
		return
	}
	tw.stopSecond(t)
	t.endAttempts()
	t.setbacks.suspect, t.from = false, w
	t.done, t.inline, t.attempt, t.lost = true, f.Inline, f.Attempt, 0
	t.told = t.told || t.held || t.pins > 0
	if f.Inline {
		t.unlinked = true
	} else {
		t.holders = []graph.WorkerID{w}
	}
}

func (tw *twin) holds(w graph.WorkerID, h sched.Held) {
	t := tw.byID[h.Task]
	switch {
	case t == nil:
	case t.done && !t.inline && t.attempt == h.Attempt && !slices.Contains(t.holders, w):
		t.holders = append(t.holders, w)
	case t.open() && t.wanted && h.Attempt != 0 && (t.lost == h.Attempt || t.last == h.Attempt || t.row == h.Attempt ||
		tw.mayTakeOver(t, h.Attempt) && (t.lost == 0 || !t.told)):
		if t.live.Attempt != h.Attempt {
			tw.stopFirst(t)
		}
		tw.stopSecond(t)
		t.endAttempts()
		t.row, t.last, t.from = h.Attempt, max(t.last, h.Attempt), 0
		t.setbacks.suspect = false
		t.done, t.attempt, t.lost, t.holders = true, h.Attempt, 0, []graph.WorkerID{w}
		t.told = t.told || t.held || t.pins > 0
	}
}

func (tw *twin) dropCopy(id graph.TaskID, w graph.WorkerID) {
	t := tw.byID[id]
	if t == nil || !t.done || !slices.Contains(t.holders, w) {
		return
	}
	t.holders = slices.DeleteFunc(t.holders, func(h graph.WorkerID) bool { return h == w })
	if len(t.holders) == 0 {
		t.done, t.lost = false, t.attempt
	}
}
