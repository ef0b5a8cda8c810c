package server

import (
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

const (
	// maxRetriedRows bounds the tasks that the answer to a Retry names.
	maxRetriedRows = 1 << 22
	// maxRetries bounds the answers that a session keeps.
	maxRetries = 16
)

// retry has failed tasks run again.
func (l *loop) retry(s *session, m *wire.Retry, reply *wire.Reply) error {
	if l.retryAgain(s, reply) {
		return nil
	}
	j, err := l.find(m.Job)
	if err != nil {
		return err
	}
	tasks := j.rows(m.Index)
	if m.All {
		tasks = l.failedOf(j)
	} else {
		for _, t := range tasks {
			if err := l.mayRetry(j, t); err != nil {
				return err
			}
		}
	}
	l.step(sched.Retry{Tasks: tasks})
	out := &wire.Retried{}
	for _, t := range l.core.Revived() {
		if len(out.Job) < maxRetriedRows {
			out.Job, out.Index = append(out.Job, uint32(t.Job)), append(out.Index, t.Index)
		}
	}
	if m.All {
		info, _ := l.core.Job(j.id)
		out.Left = info.Count(sched.StateFailed)
	}
	if n := len(l.core.Revived()); n > 0 {
		l.tell("task.retried", j.title(), "%d tasks that had failed run again: %s asked for it", n, s.user)
		l.log.Info("tasks retried", "job", j.id, "name", j.name, "tasks", n, "user", s.user)
	}
	reply.Body = &wire.Reply_Retried{Retried: out}
	if !s.nested {
		l.record(s.id, &wire.Record{Body: &wire.Record_Retried{Retried: &wire.RetriedRecord{Request: reply.Id, Retried: out}}})
	}
	s.keepRetried(reply)
	return nil
}

func (s *session) keepRetried(reply *wire.Reply) {
	s.retried = append(s.retried, reply)
	s.retried = s.retried[max(0, len(s.retried)-maxRetries):]
}

// retryAgain answers a Retry that was carried out: its client did not get the answer, as
// its connection broke, and asks again. That must neither be refused, since the tasks
// run, nor run them once more. The answer takes back what the client knows of them, so
// whatever has ended since is told again after it.
func (l *loop) retryAgain(s *session, reply *wire.Reply) bool {
	i := slices.IndexFunc(s.retried, func(r *wire.Reply) bool { return r.Id == reply.Id })
	if i < 0 {
		return false
	}
	reply.Body = s.retried[i].Body
	done := reply.GetRetried()
	for k, id := range done.Job {
		j := l.jobs[graph.JobID(id)]
		if j == nil || j.closed {
			continue
		}
		if r := j.ends.at(done.Index[k]); r == nil || r.kind == notEnded {
			continue
		}
		j.ends.log.Add(done.Index[k])
		l.hasNews(j)
	}
	return true
}

func (l *loop) failedOf(j *job) (tasks []graph.TaskID) {
	if info, _ := l.core.Job(j.id); info.Count(sched.StateFailed) == 0 {
		return nil
	}
	for i := range j.tasks {
		if info, _ := l.core.Task(j.taskID(i)); info.State == sched.StateFailed {
			tasks = append(tasks, info.ID)
		}
	}
	return tasks
}

// mayRetry says why a task cannot be retried.
func (l *loop) mayRetry(j *job, t graph.TaskID) error {
	why, at := l.core.MayRetry(t)
	switch why {
	case sched.NoObstacle:
		return nil
	case sched.NoSuchTask:
		if t.Index >= j.tasks {
			return wire.Errorf(wire.NotFound, "%s has %d tasks, none of index %d", j.title(), j.tasks, t.Index)
		}
		return wire.Errorf(wire.NotFound, "task %s was let go of: nothing is left of it. Submit it again", t)
	case sched.DidNotFail:
		info, _ := l.core.Task(t)
		return wire.Errorf(wire.Conflict, "task %s is %v: only a task that failed can be retried", t, info.State)
	case sched.InputGone:
		return wire.Errorf(wire.Conflict, "task %s cannot be retried: task %s, on which it depends, was let go of, and with it what it needs to run. Submit both again", t, at)
	case sched.InputCancelled:
		return wire.Errorf(wire.Conflict, "task %s cannot be retried: task %s, on which it depends, was cancelled. Submit both again", t, at)
	}
	return wire.Errorf(wire.Conflict, "task %s cannot be retried: nobody holds it any more, and what it needs to run went with that. Submit it again", t)
}
