package schedtest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// The world keeps what a scheduler's loop would write into its journal: what clients asked
// for, and the core's facts, in order. A scheduler that takes over is made of that.
//
//	                         told up to here
//	  Submit  facts  Pin  facts │ Submit  facts  Release
//	                            └──── may be lost ──────
//
// Of what is lost nobody was told anything: clients ask for it again, or for something else,
// whose tasks have the same numbers then.

// record is an event of a client's, or the facts of one Step or Output.
type record struct {
	ev         sched.Event
	forget     func() // has the client forget that it asked
	facts      []sched.Fact
	small      map[sched.TaskAttempt]uint64 // the results of facts that are inline
	generation uint32                       // of the scheduler that wrote it
	refused    bool                         // the core did not take ev
	asked      *graph.Batch                 // of a Submit, as the journal has it
}

// isDurable reports whether an event goes into the journal.
func isDurable(ev sched.Event) bool {
	switch ev.(type) {
	case sched.OpenJob, sched.DeclareClass, sched.Submit, sched.SubmitRange, sched.Release, sched.ReleaseRun, sched.Pin, sched.CloseJob:
		return true
	}
	return false
}

// record writes an event down, and the facts that have come of it, or of an Output.
func (w *World) record(ev sched.Event) {
	if isDurable(ev) {
		w.journal = append(w.journal, record{ev: ev, forget: w.forget, asked: w.asked, generation: w.generation})
		w.forget, w.asked = nil, nil
	}
	facts := w.core.Facts()
	if len(facts) == 0 {
		return
	}
	r := record{facts: slices.Clone(facts), small: map[sched.TaskAttempt]uint64{}, generation: w.generation}
	for i := range facts {
		f := &facts[i]
		if !f.Valid() {
			w.must(fmt.Errorf("fact %+v is not valid", *f))
		}
		if at := (sched.TaskAttempt{Task: f.Task, Attempt: f.Attempt}); f.Kind == sched.FactDone && f.Inline {
			r.small[at] = w.inline[at]
		}
	}
	w.journal = append(w.journal, r)
}

// takeOver has a scheduler take over from one whose last records are lost, as many as that
// or up to the last that somebody was told of.
func (w *World) takeOver(lost int) {
	w.dropHaze()
	for range min(lost, len(w.journal)-w.safe) {
		last := len(w.journal) - 1
		if forget := w.journal[last].forget; forget != nil {
			forget()
		}
		w.journal = w.journal[:last]
	}
	w.must(w.tell())
	w.safe = len(w.journal)
	w.rebuild()
	w.turn() // clients are told what follows from all that
}

// tell has clients hear anew how tasks ended, as they do when they come back. It objects if
// they were told something that is not in the journal.
func (w *World) tell() error {
	told := map[graph.TaskID]graph.FailKind{}
	for n := 0; ; n++ {
		if n == w.safe && !maps.Equal(told, w.told) {
			return fmt.Errorf("clients were told %v, the journal says %v", w.told, told)
		}
		if n == len(w.journal) {
			w.told = told
			return nil
		}
		for _, f := range w.journal[n].facts {
			switch {
			case f.Kind == sched.FactCancelled:
				for _, id := range idsOf([]graph.Run{{Job: f.Task.Job, First: f.Task.Index, N: f.N}}) {
					told[id] = graph.FailCancelled
				}
			case f.Kind == sched.FactAgain:
				delete(told, f.Task)
			case f.Told:
				told[f.Task] = f.Fail
			}
		}
	}
}

// rebuild makes a scheduler out of the journal.
func (w *World) rebuild() {
	w.generation++
	w.empty(true)
	for i := range w.journal {
		w.recall(&w.journal[i])
	}
	w.cover.all(w.core, w.twin, kindRestored, func(*twinTask) bool { return true })
	w.core.Step(sched.Restored{})
	w.twin.restored()
	w.record(nil)
	w.must(w.core.Check())
	w.must(w.twin.compare())
}

// recall tells a scheduler that takes over of one record.
func (w *World) recall(r *record) {
	w.twin.era = r.generation
	switch ev := r.ev.(type) {
	case nil:
		for at, v := range r.small {
			w.inline[at] = v
		}
		for _, f := range r.facts {
			w.cover.of(w.core, kindRecall, f.Task)
			w.core.Step(sched.Recall{Fact: f})
			w.must(w.twin.recall(f))
		}
	case sched.Submit:
		w.keepPayloads(ev.Batch.Job, ev.Batch.First, ev.Batch.Len())
		again := *ev.Batch
		w.core.Step(sched.Submit{Batch: &again})
		w.twin.see(ev)
	case sched.SubmitRange:
		w.keepPayloads(ev.Job, ev.First, int(ev.N))
		w.core.Step(ev)
		w.twin.see(ev)
	default:
		w.core.Step(ev)
		w.twin.see(ev)
	}
	w.quietly()
}

// quietly does of an output what is the scheduler's own affair. Clients were told the rest,
// and there are no workers.
func (w *World) quietly() {
	out := w.core.Output()
	if len(out.Assign)+len(out.Stop)+len(out.Retract)+len(out.Copy)+len(out.Retired) > 0 {
		w.must(fmt.Errorf("a core that takes over wants something of workers: %+v", out))
	}
	for _, o := range out.Free {
		w.must(w.twin.freed(o))
		delete(w.inline, sched.TaskAttempt{Task: o.Task, Attempt: o.Attempt})
		if o.Worker != 0 {
			w.must(fmt.Errorf("a core that takes over frees %+v", o))
		}
	}
	w.forgotten(out)
}

// forgotten gives up what is kept of tasks and jobs that are over.
func (w *World) forgotten(out *sched.Output) {
	for _, id := range slices.Concat(out.Forget, idsOf(out.Forgotten)) {
		if !w.payload[id] {
			w.must(fmt.Errorf("%v forgotten twice", id))
		}
		delete(w.payload, id)
	}
	for _, id := range out.Gone {
		w.jobGone(id)
	}
}

// shadow makes a scheduler out of the journal beside the one that lives, has all machines
// come back to it, and objects if it does not know what that one knows.
func (w *World) shadow() {
	live := *w
	w.journal, w.cover = slices.Clip(w.journal), &Coverage{}
	w.rebuild()
	w.quietly()
	w.must(w.bounds())
	brought := map[graph.TaskID][]brings{}
	for _, m := range w.machines {
		if m.epoch == w.epoch {
			w.shadowJoin(m, brought)
		}
	}
	w.must(w.core.Check())
	for _, t := range live.twin.tasks {
		w.must(w.resembles(&live, t, brought[t.id]))
	}
	for at, v := range live.inline {
		if got, ok := w.inline[at]; (!ok || got != v) && w.twin.byID[at.Task].done {
			w.must(fmt.Errorf("who takes over has not the small result %v", at))
		}
	}
	log := w.log
	*w = live
	w.log = log
}

// brings is an attempt that a machine has, or its result.
type brings struct {
	attempt graph.Attempt
	by      graph.WorkerID
	result  bool
}

func (w *World) shadowJoin(m *machine, brought map[graph.TaskID][]brings) {
	w.nextWorker++
	id := w.nextWorker
	adopt := sched.Adopt{Worker: id, Tasks: attemptsOf(m.core.AppendRunning(nil))}
	copied := sched.Copied{Worker: id, Tasks: heldBy(m.core.AppendHeld(nil))}
	for _, ev := range []sched.Event{m.joins(id), adopt, copied} {
		w.core.Step(ev)
		w.twin.see(ev)
		w.must(w.twin.compare())
	}
	for _, a := range adopt.Tasks {
		brought[a.Task] = append(brought[a.Task], brings{a.Attempt, id, false})
	}
	for _, h := range copied.Tasks {
		brought[h.Task] = append(brought[h.Task], brings{h.Attempt, id, true})
	}
}

// resembles objects to what a scheduler that took over knows of a task, of which machines
// brought what they have.
func (w *World) resembles(live *World, t *twinTask, brought []brings) error {
	was, there := live.core.Task(t.id)
	is, ok := w.core.Task(t.id)
	var results []graph.WorkerID
	for _, b := range brought {
		if b.result && b.attempt == t.attempt {
			results = append(results, b.by)
		}
	}
	st := w.twin.byID[t.id]
	if there && !was.State.Final() && !st.gone && !t.sameSetbacks(st) {
		return fmt.Errorf("%v had %d mistakes and %+v, and for who takes over %d and %+v", t.id, t.mistakes, t.setbacks, st.mistakes, st.setbacks)
	}
	if there && was.Suspect && is.State.Active() && !is.Suspect {
		return fmt.Errorf("%v is suspected of having killed a worker, and who takes over does not know: %+v", t.id, is)
	}
	good := false
	switch {
	case !there:
		good = !ok
	case t.closed && was.State.Final():
		good = is.State.Final()
	case !t.held && t.pins == 0 && !was.State.Final() && !st.wanted:
		good = is.State == sched.StateReleased || is.State == sched.StateForgotten || is.Inline // who needed it has been brought
	case was.State.Final():
		good = is.State == was.State && is.Kind == was.Kind && is.Cause == was.Cause
	case was.State == sched.StateDone && (was.Inline || len(results) > 0):
		good = is.State == sched.StateDone && is.Attempt == was.Attempt && is.Inline == was.Inline && len(w.core.Holders(nil, t.id)) == len(results)
		good = good || !t.told && !was.Inline && len(brought) > len(results) && is.State == sched.StateDone
	case was.State == sched.StateReleased:
		good = is.State == sched.StateReleased || st.wanted // a consumer's result is not brought
	case was.State.Given() && len(brought) == 1 && !brought[0].result && brought[0].attempt == was.Attempt:
		good = is.State.Given() && is.Attempt == was.Attempt
	case len(brought) == 0: // a result that nobody has, or an attempt
		good = is.State == sched.StateWaiting || is.State == sched.StateReady
	default:
		good = is.State.Active() || is.State == sched.StateDone
	}
	if !good {
		return fmt.Errorf("%v was %+v, and %+v (known: %v) for who takes over; brought were %+v", t.id, was, is, ok, brought)
	}
	return nil
}

// comeBack connects a machine to a scheduler that took over, or ends the time for that.
func (a *adversary) comeBack() Action {
	m := pick(a, a.w.machines, func(m *machine) bool { return m.conn == nil })
	if m == nil || a.chance(6) {
		return Action{Op: OpResume}
	}
	return a.rejoin(m)
}
