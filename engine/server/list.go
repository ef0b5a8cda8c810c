package server

import (
	"cmp"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

const (
	// ListTasks looks at so many tasks and gives so many rows at the most.
	maxTasksScanned = 1 << 16
	maxTaskRows     = 4096
	// ListJobs gives the newest so many.
	maxJobRows = 10_000
)

// jobInfo tells how a job stands. Done counts results that were let go since, and
// loose tasks that nobody has wanted yet.
func (l *loop) jobInfo(j *job) *wire.JobInfo {
	n, _ := l.core.Job(j.id)
	count := func(in ...sched.State) uint32 { return n.Count(in...) }
	failed, cancelled := count(sched.StateFailed), count(sched.StateCancelled)
	// What a worker has in its queue does not run yet.
	waiting, ready, running := count(sched.StateWaiting), count(sched.StateReady, sched.StateAssigned), count(sched.StateRunning)
	return &wire.JobInfo{
		Job: uint32(j.id), Name: j.name, Owner: j.owner, OpenedMs: j.opened.UnixMilli(),
		KeptMs: uint64(l.keptFor(j).Milliseconds()), Tasks: j.tasks, Classes: uint32(len(j.classes)),
		Waiting: waiting, Ready: ready, Running: running, Failed: failed, Cancelled: cancelled,
		Done: count(sched.StateDone, sched.StateReleased, sched.StateForgotten),
	}
}

// openJobs returns the jobs that clients see, the oldest first.
func (l *loop) openJobs() []*job {
	jobs := make([]*job, 0, len(l.jobs))
	for _, j := range l.jobs {
		if !j.closed {
			jobs = append(jobs, j)
		}
	}
	slices.SortFunc(jobs, func(a, b *job) int { return cmp.Compare(a.id, b.id) })
	return jobs[max(0, len(jobs)-maxJobRows):]
}

func (l *loop) listJobs(reply *wire.Reply) {
	m := &wire.Jobs{}
	for _, j := range l.openJobs() {
		m.Job = append(m.Job, l.jobInfo(j))
	}
	reply.Body = &wire.Reply_Jobs{Jobs: m}
}

// allWorkers returns the settled workers in the order in which they joined.
func (l *loop) allWorkers() []*worker {
	ws := make([]*worker, 0, len(l.workers))
	for _, w := range l.workers {
		if w.settled {
			ws = append(ws, w)
		}
	}
	slices.SortFunc(ws, func(a, b *worker) int { return cmp.Compare(a.id, b.id) })
	return ws
}

func (l *loop) listWorkers(reply *wire.Reply) {
	m := &wire.Workers{}
	for _, w := range l.allWorkers() {
		info, _ := l.core.Worker(w.id)
		m.Worker = append(m.Worker, &wire.WorkerInfo{
			Id: uint32(w.id), Name: w.name, Host: w.hello.Host, Pool: w.hello.Pool,
			Slots: w.hello.Slots, Memory: w.hello.Memory, Address: w.hello.DataAddress, Pid: w.hello.Pid,
			JoinedMs: w.joined.UnixMilli(), State: w.state(info.Phase != "working"), Load: w.load,
		})
	}
	reply.Body = &wire.Reply_Workers{Workers: m}
}

// listTasks gives a page of a job's tasks.
func (l *loop) listTasks(m *wire.ListTasks, reply *wire.Reply) error {
	j, err := l.find(m.Job)
	if err != nil {
		return err
	}
	rows := &wire.TaskRows{}
	limit := maxTaskRows
	if m.Limit > 0 {
		limit = int(min(m.Limit, maxTaskRows))
	}
	index := m.From
	for end := min(uint64(j.tasks), uint64(m.From)+maxTasksScanned); uint64(index) < end && len(rows.Index) < limit; index++ {
		info, ok := l.core.Task(j.taskID(index))
		if !ok || m.State != "" && m.State != info.State.String() {
			continue
		}
		class, _ := j.chunkOf(index).spec(index)
		rows.Index = append(rows.Index, index)
		rows.State = append(rows.State, info.State.String())
		rows.Class = append(rows.Class, j.classes[class].Name)
		var when moment
		if r := j.ends.at(index); r != nil {
			when = r.when
		}
		rows.Worker = append(rows.Worker, uint32(cmp.Or(info.Worker, when.by)))
		rows.StartedMs = append(rows.StartedMs, j.millis(when.start))
		rows.EndedMs = append(rows.EndedMs, j.millis(when.end))
		rows.Attempt = append(rows.Attempt, uint32(info.Attempt))
	}
	if index < j.tasks {
		rows.Next = index
	}
	reply.Body = &wire.Reply_Tasks{Tasks: rows}
	return nil
}

// report tells the fleet how things stand.
func (l *loop) report() Report {
	r := Report{At: l.now, Clients: len(l.clients)}
	for _, w := range l.allWorkers() {
		info, _ := l.core.Worker(w.id)
		row := WorkerRow{
			ID: w.id, Name: w.name, Host: w.hello.Host, Pool: w.hello.Pool, State: w.state(info.Phase != "working"),
			Slots: int(w.hello.Slots), Running: info.Running, Queued: info.Assigned - info.Running, Memory: w.hello.Memory, Joined: w.joined,
		}
		if w.load != nil {
			row.MemoryUsed, row.RSS, row.Done, row.CPU = w.load.MemoryUsed, w.load.Rss, w.load.Done, w.load.Cpu
		}
		r.Workers = append(r.Workers, row)
	}
	for _, j := range l.openJobs() {
		m := l.jobInfo(j)
		r.Unfinished += int(m.Waiting + m.Ready + m.Running)
		r.Jobs = append(r.Jobs, JobRow{
			ID: j.id, Name: j.name, Owner: j.owner, Opened: j.opened,
			Tasks: int(m.Tasks), Waiting: int(m.Waiting), Ready: int(m.Ready), Running: int(m.Running),
			Done: int(m.Done), Failed: int(m.Failed), Cancelled: int(m.Cancelled), Kept: l.keptFor(j),
		})
	}
	switch {
	case r.Unfinished > 0 || r.Clients > 0:
		l.idleSince = time.Time{}
	case l.idleSince.IsZero():
		l.idleSince = l.now
	}
	r.IdleSince = l.idleSince
	return r
}

// released reports whether a task's result was let go by everybody.
func (l *loop) released(t graph.TaskID) bool {
	info, ok := l.core.Task(t)
	return !ok || info.State == sched.StateReleased || info.State == sched.StateForgotten
}
