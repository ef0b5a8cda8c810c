package schedtest

import (
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

func (w *World) jobNamed(name int) *job {
	if n := slices.IndexFunc(w.jobs, func(j *job) bool { return j.name == name }); n >= 0 {
		return w.jobs[n]
	}
	return nil
}

// idOf returns the id of a task that a script names.
func (w *World) idOf(n Name) (graph.TaskID, bool) {
	j := w.jobNamed(n.Job)
	if j == nil {
		return graph.TaskID{}, false
	}
	i, ok := j.tasks[n.Task]
	return graph.TaskID{Job: j.id, Index: i}, ok
}

func (w *World) idsOf(names []Name) (ids []graph.TaskID) {
	for _, n := range names {
		if id, ok := w.idOf(n); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// doRequest makes a client's request.
func (w *World) doRequest(a *Action) bool {
	j := w.jobNamed(a.J)
	ids := w.idsOf(a.Names)
	switch {
	case a.Op == OpOpen && j == nil:
		w.nextJob++
		w.jobs = append(w.jobs, &job{name: a.J, id: w.nextJob, tasks: map[int]uint32{}})
		w.request(sched.OpenJob{Job: w.nextJob}, func() {
			w.nextJob--
			w.jobs = w.jobs[:len(w.jobs)-1]
		})
	case a.Op == OpOpen: // asked again
		w.step(sched.OpenJob{Job: j.id})
	case a.Op == OpClass && j != nil:
		w.declare(j, a.Class)
	case a.Op == OpSubmit && j != nil:
		return w.submit(j, a.Tasks)
	case a.Op == OpResubmit && j != nil && j.last != nil:
		w.resubmit(j)
	case a.Op == OpRange && j != nil && len(a.Tasks) == 1:
		return w.submitRange(j, a.Tasks[0], int(a.N))
	case a.Op == OpReleaseRun && len(ids) > 0:
		w.step(sched.ReleaseRun{Run: graph.Run{Job: ids[0].Job, First: ids[0].Index, N: uint32(a.N)}})
	case a.Op == OpCancelRun && len(ids) > 0:
		w.step(sched.CancelRun{Run: graph.Run{Job: ids[0].Job, First: ids[0].Index, N: uint32(a.N)}})
	case a.Op == OpRelease && len(ids) > 0:
		w.step(sched.Release{Tasks: ids})
	case a.Op == OpCancel && len(ids) > 0:
		w.step(sched.Cancel{Tasks: ids})
	case a.Op == OpPin && len(ids) > 0:
		w.pin(ids[0])
	case a.Op == OpUnpin && len(ids) > 0:
		w.unpin(ids[0])
	case a.Op == OpRetry && len(ids) > 0:
		w.step(sched.Retry{Tasks: ids})
	case a.Op == OpClose && j != nil:
		closed := j.closed
		j.closed = true
		w.request(sched.CloseJob{Job: j.id}, func() { j.closed = closed })
	case a.Op == OpRead && len(ids) > 0:
		w.read(ids[0])
	case a.Op == OpLeave && j != nil && len(j.pinned) > 0:
		for _, id := range slices.Clone(j.pinned) {
			w.unpin(id)
		}
	default:
		return false
	}
	return true
}

func (w *World) declare(j *job, b *behaviour) {
	k := graph.ClassID(len(j.classes))
	if !j.closed {
		j.classes = append(j.classes, b)
	}
	w.request(sched.DeclareClass{Job: j.id, Class: k, Spec: b.spell()}, func() { j.classes = j.classes[:k] })
}

// request is step for what a client asks for. Should it be lost with a scheduler before it
// was acknowledged, forget has the client ask for it, or for something else, anew.
func (w *World) request(ev sched.Event, forget func()) {
	w.forget = forget
	w.step(ev)
}

// submitted is request for tasks from first on, by their numbers in scripts.
func (w *World) submitted(j *job, ev sched.Event, first uint32, numbers []int) {
	last, held, closed := j.last, j.held, j.closed
	j.last = ev
	w.request(ev, func() {
		j.last, j.held = last, held
		for k, n := range numbers {
			if id := (graph.TaskID{Job: j.id, Index: first + uint32(k)}); !closed {
				delete(j.tasks, n)
				delete(w.oracle.specs, id)
				delete(w.oracle.values, id)
			}
		}
	})
}

// submit adds tasks. Dependencies that were never submitted become ones that do not
// exist.
func (w *World) submit(j *job, tasks []taskSpec) bool {
	tasks = slices.DeleteFunc(slices.Clone(tasks), func(t taskSpec) bool {
		_, ok := j.tasks[t.Task]
		return ok || t.Class >= len(j.classes)
	})
	if len(tasks) == 0 {
		return false
	}
	n, first := len(tasks), uint32(len(j.tasks))
	b := &graph.Batch{Job: j.id, First: first, Class: make([]graph.ClassID, n), HostNames: []string{"host0", "host1", "host2", "host3"}}
	b.Loose = make([]byte, (n+7)/8)
	var numbers []int
	for k, t := range tasks {
		id := graph.TaskID{Job: j.id, Index: first + uint32(k)}
		numbers = append(numbers, t.Task)
		b.Class[k] = graph.ClassID(t.Class)
		var deps []graph.TaskID
		for _, d := range t.Deps {
			switch in, ok := w.idOf(d); {
			case ok:
				deps = append(deps, in)
			case d.Job != j.name: // of another job, or of none
				deps = append(deps, graph.TaskID{Job: j.id + 1000, Index: uint32(d.Task)})
			}
		}
		b.Deps = append(b.Deps, deps...)
		b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
		for _, h := range t.Hosts {
			b.Hosts = append(b.Hosts, uint32(h%len(b.HostNames)))
		}
		b.HostEnd = append(b.HostEnd, uint32(len(b.Hosts)))
		if t.Loose {
			b.Loose[k/8] |= 1 << (k % 8)
		} else {
			j.held++
		}
		if !j.closed {
			j.tasks[t.Task] = id.Index
			w.oracle.specs[id] = &spec{Name{j.name, t.Task}, j.classes[t.Class], deps}
		}
	}
	w.submitted(j, sched.Submit{Batch: b}, first, numbers)
	return true
}

// submitRange adds n tasks from first on as a range, unless some of them are there.
func (w *World) submitRange(j *job, first taskSpec, n int) bool {
	for k := range n {
		if _, ok := j.tasks[first.Task+k]; ok {
			return false
		}
	}
	if n <= 0 || first.Class >= len(j.classes) {
		return false
	}
	ev := sched.SubmitRange{Job: j.id, First: uint32(len(j.tasks)), N: uint32(n), Class: graph.ClassID(first.Class)}
	var numbers []int
	for k := range n {
		numbers = append(numbers, first.Task+k)
		if !j.closed {
			id := graph.TaskID{Job: j.id, Index: ev.First + uint32(k)}
			j.tasks[first.Task+k] = id.Index
			w.oracle.specs[id] = &spec{Name{j.name, first.Task + k}, j.classes[first.Class], nil}
		}
	}
	j.held += n
	w.submitted(j, ev, ev.First, numbers)
	return true
}

// resubmit has a job's last submission come again.
func (w *World) resubmit(j *job) {
	if s, ok := j.last.(sched.Submit); ok { // the core takes its batch over
		again := *s.Batch
		w.step(sched.Submit{Batch: &again})
		return
	}
	w.step(j.last)
}

func (w *World) jobOf(id graph.TaskID) *job {
	return w.jobs[slices.IndexFunc(w.jobs, func(j *job) bool { return j.id == id.Job })]
}

func (w *World) pin(id graph.TaskID) {
	j := w.jobOf(id)
	before := slices.Clone(j.pinned)
	if t, ok := w.core.Task(id); ok && t.State != sched.StateForgotten {
		j.pinned = append(j.pinned, id)
	}
	w.request(sched.Pin{Task: id, Delta: 1}, func() { j.pinned = before })
}

func (w *World) unpin(id graph.TaskID) {
	j := w.jobOf(id)
	before := slices.Clone(j.pinned)
	if n := slices.Index(j.pinned, id); n >= 0 {
		j.pinned = slices.Delete(j.pinned, n, n+1)
	}
	w.request(sched.Pin{Task: id, Delta: -1}, func() { j.pinned = before })
}

// read does what a client does that gathers: it asks where a result is, fetches it
// there, and tells when it is not there. What it reads is what it must be.
func (w *World) read(id graph.TaskID) {
	got, ok := w.core.Task(id)
	if !ok || got.State != sched.StateDone {
		return
	}
	at := sched.TaskAttempt{Task: id, Attempt: got.Attempt}
	if got.Inline {
		if v, ok := w.inline[at]; !ok || v != w.oracle.value(id) {
			w.must(fmt.Errorf("%v: small result %x (there: %v), must be %x", id, v, ok, w.oracle.value(id)))
		}
		return
	}
	for _, h := range w.core.Holders(nil, id) {
		switch s, ok := w.fetch(nil, h, at); {
		case ok && s.value != w.oracle.value(id):
			w.must(fmt.Errorf("%v: result %x on worker %d, must be %x", id, s.value, h, w.oracle.value(id)))
		case !ok:
			w.step(sched.Missing{Worker: h, Tasks: []sched.TaskAttempt{at}})
		}
	}
}
