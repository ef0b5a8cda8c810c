package schedtest

import (
	"fmt"
	"strings"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// Coverage counts, for each state that a task can be in and each kind of event, how
// often such an event was about a task in that state. It is gathered from outside:
// each event's tasks are looked up before the core takes it.
type Coverage [eventKinds][taskStates]int

// eventKind is a kind of event, or the taking of an output.
type eventKind int

const (
	kindOpenJob      eventKind = iota // about the tasks of the job that is opened twice
	kindDeclareClass                  // about the tasks of the job
	kindSubmit                        // about the tasks that it names again, and those that the new ones depend on
	kindRelease
	kindPin
	kindUnpin
	kindCancel
	kindRetry
	kindCloseJob     // about the tasks of the job
	kindWorkerJoined // about what the worker holds
	kindWorkerLeft   // about what it was given or held
	kindStarted
	kindParked
	kindUnparked
	kindDone
	kindFailed
	kindRetracted
	kindCopied
	kindMissing
	kindAdopt    // about what the worker brings along
	kindRecall   // about the fact's task
	kindRestored // about all tasks, as is Resume
	kindResume
	kindRetire // about what the workers that are named, or of the pool, were given or hold
	kindTick   // about all tasks, as is the next
	kindOutput

	eventKinds = iota
)

const taskStates = int(sched.StateForgotten) + 1

var kindNames = [eventKinds]string{
	"OpenJob", "DeclareClass", "Submit", "Release", "Pin", "Unpin", "Cancel", "Retry", "CloseJob", "WorkerJoined",
	"WorkerLeft", "Started", "Parked", "Unparked", "Done", "Failed", "Retracted", "Copied", "Missing", "Adopt", "Recall", "Restored", "Resume", "Retire", "Tick", "Output",
}

// Add adds what another run covered.
func (v *Coverage) Add(o *Coverage) {
	for k := range v {
		for s := range v[k] {
			v[k][s] += o[k][s]
		}
	}
}

// String returns the table, a line an event.
func (v *Coverage) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-13s", "")
	for s := range taskStates {
		fmt.Fprintf(&b, "%11s", sched.State(s))
	}
	for k := range v {
		fmt.Fprintf(&b, "\n%-13s", kindNames[k])
		for _, n := range v[k] {
			fmt.Fprintf(&b, "%11d", n)
		}
	}
	return b.String()
}

// of counts an event about one task.
func (v *Coverage) of(c *sched.Core, k eventKind, id graph.TaskID) {
	var t sched.Task
	if c.Look(id, &t) {
		v[k][t.State]++
	}
}

func (v *Coverage) all(c *sched.Core, tw *twin, k eventKind, about func(*twinTask) bool) {
	for _, t := range tw.tasks {
		if about(t) {
			v.of(c, k, t.id)
		}
	}
}

func (v *Coverage) turn(c *sched.Core, tw *twin) {
	v.all(c, tw, kindOutput, func(*twinTask) bool { return true })
}

// see counts an event, before the core takes it.
func (v *Coverage) see(c *sched.Core, tw *twin, ev sched.Event) {
	job := func(id graph.JobID) func(*twinTask) bool {
		return func(t *twinTask) bool { return t.id.Job == id }
	}
	switch ev := ev.(type) {
	case sched.OpenJob:
		v.all(c, tw, kindOpenJob, job(ev.Job))
	case sched.DeclareClass:
		v.all(c, tw, kindDeclareClass, job(ev.Job))
	case sched.CloseJob:
		v.all(c, tw, kindCloseJob, job(ev.Job))
	case sched.Submit:
		v.submit(c, ev.Batch)
	case sched.SubmitRange:
		v.ids(c, kindSubmit, idsOf([]graph.Run{{Job: ev.Job, First: ev.First, N: ev.N}}))
	case sched.Release:
		v.ids(c, kindRelease, ev.Tasks)
	case sched.ReleaseRun:
		v.ids(c, kindRelease, idsOf([]graph.Run{ev.Run}))
	case sched.Cancel:
		v.ids(c, kindCancel, ev.Tasks)
	case sched.CancelRun:
		v.ids(c, kindCancel, idsOf([]graph.Run{ev.Run}))
	case sched.Retry:
		v.ids(c, kindRetry, ev.Tasks)
	case sched.Pin:
		k := kindPin
		if ev.Delta < 0 {
			k = kindUnpin
		}
		v.of(c, k, ev.Task)
	case sched.Resume:
		v.all(c, tw, kindResume, func(*twinTask) bool { return true })
	case sched.Tick:
		v.all(c, tw, kindTick, func(*twinTask) bool { return true })
	default:
		v.seeWorker(c, tw, ev)
	}
}

func (v *Coverage) ids(c *sched.Core, k eventKind, ids []graph.TaskID) {
	for _, id := range ids {
		v.of(c, k, id)
	}
}

func (v *Coverage) submit(c *sched.Core, b *graph.Batch) {
	for _, d := range b.Deps {
		v.of(c, kindSubmit, d)
	}
	for k := range b.Len() {
		v.of(c, kindSubmit, graph.TaskID{Job: b.Job, Index: b.First + uint32(k)})
	}
}

// seeWorker counts an event that a worker is about.
func (v *Coverage) seeWorker(c *sched.Core, tw *twin, ev sched.Event) {
	attempts := func(k eventKind, as []sched.TaskAttempt) {
		for _, a := range as {
			v.of(c, k, a.Task)
		}
	}
	held := func(k eventKind, hs []sched.Held) {
		for _, h := range hs {
			v.of(c, k, h.Task)
		}
	}
	switch ev := ev.(type) {
	case sched.WorkerJoined:
		held(kindWorkerJoined, ev.Held)
	case sched.WorkerLeft:
		v.all(c, tw, kindWorkerLeft, func(t *twinTask) bool { return t.isOn(ev.Worker) })
	case sched.Started:
		attempts(kindStarted, ev.Tasks)
	case sched.Parked:
		attempts(kindParked, ev.Tasks)
	case sched.Unparked:
		attempts(kindUnparked, ev.Tasks)
	case sched.Retracted:
		attempts(kindRetracted, ev.Tasks)
	case sched.Missing:
		attempts(kindMissing, ev.Tasks)
	case sched.Adopt:
		attempts(kindAdopt, ev.Tasks)
	case sched.Copied:
		held(kindCopied, ev.Tasks)
	case sched.Done:
		for _, f := range ev.Tasks {
			v.of(c, kindDone, f.Task)
		}
	case sched.Failed:
		for _, f := range ev.Tasks {
			v.of(c, kindFailed, f.Task)
		}
	case sched.Retire:
		v.all(c, tw, kindRetire, func(t *twinTask) bool { return t.isOnAny(c, ev) })
	}
}

// isOn reports whether a worker was given a task, or holds its result.
func (t *twinTask) isOn(id graph.WorkerID) bool {
	if t.worker == id && id != 0 {
		return true
	}
	for _, h := range t.holders {
		if h == id {
			return true
		}
	}
	return false
}

func (t *twinTask) isOnAny(c *sched.Core, ev sched.Retire) bool {
	for _, id := range ev.Workers {
		if t.isOn(id) {
			return true
		}
	}
	for _, id := range append([]graph.WorkerID{t.worker}, t.holders...) {
		if k, ok := c.Worker(id); ok && len(ev.Workers) == 0 && k.Pool == ev.Pool {
			return true
		}
	}
	return false
}
