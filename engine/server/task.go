package server

import (
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// moment is when a task ran, and where. Times are in 10 ms since the job was opened,
// from 1 on, 0 for none: so a job may live for 497 days.
type moment struct {
	start, end uint32
	by         graph.WorkerID // of the last attempt that is known to have started
}

const momentUnit = 10 * time.Millisecond

func (j *job) mark(t time.Time) uint32 { return uint32(max(0, t.Sub(j.opened))/momentUnit) + 1 }

// millis is a mark as milliseconds since 1970; 0 is 0.
func (j *job) millis(mark uint32) int64 {
	if mark == 0 {
		return 0
	}
	return j.opened.Add(time.Duration(mark-1) * momentUnit).UnixMilli()
}

// noteRuns keeps when and where attempts ran, before the core takes the event in: a
// row that is not about a live attempt of this worker is nothing to it.
func (l *loop) noteRuns(w *worker, ev sched.Event) {
	switch ev := ev.(type) {
	case sched.Started:
		for _, a := range ev.Tasks {
			l.noteRun(w, a, 0, true)
		}
	case sched.Done:
		for i := range ev.Tasks {
			f := &ev.Tasks[i]
			l.noteRun(w, f.TaskAttempt, time.Duration(f.Duration)*time.Microsecond, false)
		}
	case sched.Failed:
		for i := range ev.Tasks {
			l.noteRun(w, ev.Tasks[i].TaskAttempt, 0, false)
		}
	}
}

func (l *loop) noteRun(w *worker, a sched.TaskAttempt, took time.Duration, starts bool) {
	j := l.jobs[a.Task.Job]
	if j == nil || j.closed {
		return
	}
	info, ok := l.core.Task(a.Task)
	if !ok || !info.State.Given() || info.Worker != w.id || info.Attempt != a.Attempt {
		return
	}
	if starts || info.State != sched.StateRunning {
		j.ends.make(a.Task.Index).when = moment{start: j.mark(l.now.Add(-took)), by: w.id}
	}
}

// getTask tells all that is known of one task.
func (l *loop) getTask(m *wire.GetTask, reply *wire.Reply) error {
	j, err := l.find(m.Job)
	if err != nil {
		return err
	}
	info, ok := l.core.Task(j.taskID(m.Index))
	if !ok || m.Index >= j.tasks {
		return wire.Errorf(wire.NotFound, "%s has %d tasks, none of index %d", j.title(), j.tasks, m.Index)
	}
	c := j.chunkOf(m.Index)
	id, _ := c.spec(m.Index)
	class, r := &j.classes[id], j.ends.at(m.Index)
	if r == nil { // let go of, with all of its page
		r = &row{kind: notEnded}
	}
	when := r.when
	d := &wire.TaskDetail{
		Job: m.Job, Index: m.Index, JobName: j.name, State: info.State.String(),
		Class: class.Name, Kind: class.Kind.String(), Attempt: uint32(info.Attempt), Retries: uint32(class.Retries), Pool: class.Pool,
		Size: info.Size, SubmittedMs: c.at.UnixMilli(), StartedMs: j.millis(when.start), EndedMs: j.millis(when.end),
	}
	by := when.by
	if info.Worker != 0 {
		by = info.Worker
	}
	d.Worker = uint32(by)
	d.WorkerName, d.WorkerHost = l.whereabouts(by)
	for _, h := range l.core.Holders(nil, info.ID) {
		name, _ := l.whereabouts(h)
		d.Holder = append(d.Holder, name)
	}
	if r.kind != notEnded && r.kind != graph.FailNone {
		d.Failure = wire.FailureToWire(info.ID, r.attempt, l.failure(j, m.Index))
	}
	reply.Body = &wire.Reply_Task{Task: d}
	return nil
}

// cancel ends tasks, and answers how many that were.
func (l *loop) cancel(m *wire.Cancel, reply *wire.Reply) error {
	j, err := l.find(m.Job)
	if err != nil {
		return err
	}
	tasks, runs := j.rows(m.Index), wire.RunsFromWire(j.id, m.From, m.Count)
	if m.All {
		tasks, runs = nil, []graph.Run{j.all()}
	}
	if err := l.mayTouch(tasks); err != nil {
		return err
	}
	ended := func() uint32 {
		info, _ := l.core.Job(j.id)
		return info.Count(sched.StateCancelled, sched.StateFailed)
	}
	before := ended()
	l.step(sched.Cancel{Tasks: tasks})
	for _, r := range runs {
		l.step(sched.CancelRun{Run: r})
	}
	reply.Body = &wire.Reply_Changed{Changed: &wire.Changed{Tasks: ended() - before}}
	return nil
}

// release lets go of tasks.
func (l *loop) release(m *wire.Release) error {
	j := l.jobs[graph.JobID(m.Job)]
	if j == nil {
		return nil
	}
	tasks := j.rows(m.Index)
	if err := l.mayTouch(tasks); err != nil {
		return err
	}
	l.recordOf(j, 0, &wire.Record{Body: &wire.Record_Release{Release: m}})
	l.step(sched.Release{Tasks: tasks})
	for _, r := range wire.RunsFromWire(j.id, m.From, m.Count) {
		l.step(sched.ReleaseRun{Run: r})
	}
	return nil
}

// pastWorkers remembers who workers were that have left, the last few thousand.
type pastWorkers struct {
	who   map[graph.WorkerID][2]string // container and host
	order []graph.WorkerID             // ring, oldest at next
	next  int
}

const maxPast = 4096

func (p *pastWorkers) add(w *worker) {
	if p.who == nil {
		p.who = map[graph.WorkerID][2]string{}
	}
	p.who[w.id] = [2]string{w.name, w.hello.Host}
	if len(p.order) < maxPast {
		p.order = append(p.order, w.id)
		return
	}
	delete(p.who, p.order[p.next])
	p.order[p.next] = w.id
	p.next = (p.next + 1) % maxPast
}

// whereabouts gives a worker's container and host, as far as they are remembered.
func (l *loop) whereabouts(id graph.WorkerID) (name, host string) {
	if w := l.workers[id]; w != nil {
		return w.name, w.hello.Host
	}
	past := l.past.who[id]
	return past[0], past[1]
}
