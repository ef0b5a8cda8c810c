package server

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// replay takes in one record of the scheduler before, at the place at which it was written.
func (l *loop) replay(b []byte) error {
	r := &wire.Record{}
	if err := proto.Unmarshal(b, r); err != nil {
		return err
	}
	if err := r.Check(); err != nil {
		return err
	}
	l.now = time.UnixMilli(r.AtMs)
	if err := l.recall(graph.ClientID(r.Client), r); err != nil {
		return err
	}
	l.dropReplayed()
	return nil
}

func (l *loop) recall(client graph.ClientID, r *wire.Record) error {
	switch b := r.Body.(type) {
	case *wire.Record_Facts:
		return l.recallFacts(b.Facts)
	case *wire.Record_Submit:
		return l.withJob(b.Submit.Job, func(j *job) error { return l.recallSubmit(j, client, b.Submit) })
	case *wire.Record_SubmitRange:
		return l.withJob(b.SubmitRange.Job, func(j *job) error {
			m, err := wire.RangeFromWire(b.SubmitRange, len(j.classes))
			if err == nil {
				err = l.submitRange(j, m, b.SubmitRange, client)
			}
			return err
		})
	case *wire.Record_Release:
		return l.release(b.Release)
	case *wire.Record_Classes:
		return l.withJob(b.Classes.Job, func(j *job) error { return l.declare(j, b.Classes.Class) })
	case *wire.Record_Job:
		return l.recallJob(client, b.Job)
	case *wire.Record_CloseJob:
		return l.withJob(b.CloseJob.Job, func(j *job) error {
			l.closeJob(j, "")
			return nil
		})
	case *wire.Record_Publish:
		if b.Publish.Remove {
			return l.recallUnpublish(client, b.Publish)
		}
		return l.publish(b.Publish)
	case *wire.Record_Session:
		s := newSession(client, b.Session.User)
		s.token, s.host = b.Session.Token, b.Session.Host
		l.sessions[s.token], l.ids[client] = s, s
		l.lastClient = max(l.lastClient, client)
	case *wire.Record_SessionEnded:
		if s := l.ids[client]; s != nil {
			delete(l.sessions, s.token)
			delete(l.ids, client)
		}
	case *wire.Record_Retried:
		if s := l.ids[client]; s != nil {
			s.keepRetried(&wire.Reply{Id: b.Retried.Request, Body: &wire.Reply_Retried{Retried: b.Retried.Retried}})
		}
	case *wire.Record_Checkpoint:
		m := b.Checkpoint
		l.mail.open(graph.TaskID{Job: graph.JobID(m.Job), Index: m.Index}).checkpoint = append([]byte{}, m.Data...)
	case *wire.Record_Member:
		if l.back.expected == nil {
			l.back.expected = map[string]bool{}
		}
		if l.back.expected[b.Member.Name] = true; b.Member.Left {
			delete(l.back.expected, b.Member.Name)
		}
	case *wire.Record_Counters:
		l.lastJob, l.lastClient = max(l.lastJob, graph.JobID(b.Counters.Job)), max(l.lastClient, graph.ClientID(b.Counters.Client))
	case *wire.Record_Log:
		return l.recallLog(b.Log)
	case *wire.Record_Took:
		l.recallTooks(b.Took)
	case *wire.Record_Unused:
		if j := l.jobs[graph.JobID(b.Unused.Job)]; j != nil {
			j.recallUnused(b.Unused.Millis)
		}
	case *wire.Record_Event:
		l.events.add(b.Event)
		if d := b.Event.Decision; d != nil {
			l.scaler.recallDecision(d)
		}
	case *wire.Record_Snapshot:
		l.recallSnapshot(b.Snapshot)
	default:
		return fmt.Errorf("a record of kind %T", r.Body)
	}
	return nil
}

// haze says that a snapshot is told, or what happened while it was taken.
type haze struct {
	on     bool
	number uint64
}

// recallSnapshot begins a snapshot, or ends what it may know of. Ends of earlier ones mean nothing.
func (l *loop) recallSnapshot(m *wire.SnapshotRecord) {
	switch {
	case !m.End:
		l.haze = haze{true, m.Number}
		l.step(sched.Hazy{})
	case l.haze.on && l.haze.number == m.Number:
		l.haze = haze{}
		l.step(sched.Clear{})
	}
}

func (l *loop) recallJob(client graph.ClientID, m *wire.JobRecord) error {
	s, name, last := l.ids[client], m.Name, l.lastJob
	switch {
	case l.jobs[graph.JobID(m.Job)] != nil || m.Job == 0:
		return fmt.Errorf("job %d is opened twice", m.Job)
	case m.Orphan:
		name, s = "", newSession(client, m.Owner)
	case s == nil && name == "":
		return fmt.Errorf("job %d is of session %d, which is not there", m.Job, client)
	case s == nil:
		s = newSession(client, m.Owner) // it has ended since
	}
	l.lastJob = graph.JobID(m.Job) - 1
	j := l.openJob(name, s)
	if m.Orphan {
		j.name, j.holder = m.Name, nil
	}
	l.lastJob = max(l.lastJob, last)
	j.owner, j.opened = m.Owner, time.UnixMilli(m.OpenedMs)
	j.recallUnused(m.UnusedMs)
	return nil
}

func (l *loop) recallLog(m *wire.LogRecord) error {
	j := l.jobs[graph.JobID(m.Job)]
	if j == nil || len(m.From) != len(m.Count) {
		return fmt.Errorf("a log of job %d", m.Job)
	}
	for k, from := range m.From {
		if n := m.Count[k]; n > 1 {
			j.ends.log.AddRun(from, n)
		} else {
			j.ends.log.Add(from)
		}
	}
	return nil
}

func (l *loop) recallSubmit(j *job, client graph.ClientID, m *wire.Submit) error {
	in := request{req: &wire.Request{Body: &wire.Request_Submit{Submit: m}}}
	if err := in.prepare(); err != nil {
		return err
	}
	if int(in.classes) > len(j.classes) {
		return fmt.Errorf("%s has no class %d", j.title(), in.classes-1)
	}
	return l.submit(j, in.batch, m, client)
}

func (l *loop) recallFacts(m *wire.Facts) error {
	inline, failures, from := 0, 0, uint32(0)
	for i, kind := range m.Kind {
		f := sched.Fact{
			Kind: sched.FactKind(kind & factKind), Task: graph.TaskID{Job: graph.JobID(m.Job[i]), Index: m.Index[i]},
			Attempt: graph.Attempt(m.Attempt[i]), Size: m.Size[i], Inline: kind&factInline != 0, Told: kind&(factTold|factSeen) != 0,
		}
		var result []byte
		var failure *wire.Failure
		switch {
		case f.Inline:
			if inline >= len(m.InlineEnd) {
				return errors.New("a fact without its result")
			}
			result, from = m.Inline[from:m.InlineEnd[inline]], m.InlineEnd[inline]
			inline++
		case f.Kind == sched.FactCancelled:
			f.N = uint32(f.Size)
			if j := l.jobs[f.Task.Job]; j != nil && (f.Size > uint64(j.tasks) || uint64(f.Task.Index)+f.Size > uint64(j.tasks)) {
				return fmt.Errorf("%d cancelled tasks from %v on, of %d", f.Size, f.Task, j.tasks)
			}
		case f.Kind == sched.FactFailed:
			if failures >= len(m.Failure) {
				return errors.New("a fact without its failure")
			}
			failure = m.Failure[failures]
			failures++
			f.Fail, f.Cause = graph.FailKind(failure.Kind), graph.TaskID{Job: graph.JobID(failure.CauseJob), Index: failure.CauseIndex}
			if f.Fail != graph.FailUpstream {
				f.Cause = f.Task
			}
		}
		if !f.Valid() {
			return fmt.Errorf("a fact of kind %d, of which nothing is known", f.Kind)
		}
		if f.Kind == sched.FactBegan {
			l.era = f.Attempt.Generation()
			l.step(sched.Recall{Fact: f})
			continue
		}
		if kind&factPast == 0 {
			l.recallFact(&f, result)
		}
		if kind&factTold != 0 {
			l.recallEnd(&f, failure, m.Quiet)
			if j := l.jobs[f.Task.Job]; m.Quiet && j != nil && f.Task.Index < j.tasks {
				if r := j.ends.make(f.Task.Index); r != nil {
					r.when.end = m.End[i]
				}
			}
		}
	}
	return nil
}

// recallFact takes a fact in, with the result if that is small.
func (l *loop) recallFact(f *sched.Fact, result []byte) {
	j := l.jobs[f.Task.Job]
	if j == nil || f.Task.Index >= j.tasks {
		return // of a client within a task, or gone
	}
	l.step(sched.Recall{Fact: *f})
	if info, ok := l.core.Task(f.Task); f.Inline && ok && info.State == sched.StateDone && info.Inline && info.Attempt == f.Attempt {
		j.inline.put(f.Task.Index, f.Attempt, result)
	}
}

// recallEnd records what clients were told. What is quiet is not new.
func (l *loop) recallEnd(f *sched.Fact, failure *wire.Failure, quiet bool) {
	j, i := l.jobs[f.Task.Job], f.Task.Index
	if j == nil || i >= j.tasks || j.closed {
		return
	}
	switch f.Kind {
	case sched.FactAgain:
		if j.ends.at(i) != nil { // else its page was dropped
			j.ends.takeBack(i)
		}
		if b := l.mail.find(f.Task); b != nil { // an actor that failed begins anew
			b.checkpoint = nil
			l.tidy(b)
		}
		return
	case sched.FactCancelled:
		j.ends.cancel(i, i+f.N, j.mark(l.now))
		if !quiet {
			j.ends.log.AddRun(i, f.N)
		}
		return
	}
	e := &sched.Ended{Task: f.Task, Attempt: f.Attempt, Kind: f.Fail, Cause: f.Cause, Size: f.Size, Inline: f.Inline}
	var text *graph.Failure
	if failure != nil && failure.Message != "" {
		failure.Job, failure.Index, failure.Attempt = uint32(f.Task.Job), i, uint32(f.Attempt)
		text = wire.FailureFromWire(failure)
	}
	if j.ends.at(i) == nil {
		return // its page was dropped
	}
	j.ends.record(e, text)
	if !quiet {
		j.ends.log.Add(i)
		l.tellFailure(e, text)
	}
	j.ends.make(i).when.end = j.mark(l.now)
}

// dropReplayed does of the core's output what is about memory. What clients and workers were
// told is past, and in the records.
func (l *loop) dropReplayed() {
	out := l.core.Output()
	for _, o := range out.Free {
		if j := l.jobs[o.Task.Job]; j != nil && o.Worker == 0 {
			j.inline.drop(o.Task.Index, o.Attempt)
		}
	}
	for _, t := range out.Forget {
		if j := l.jobs[t.Job]; j != nil {
			j.forget(t.Index)
		}
	}
	for _, r := range out.Forgotten {
		if j := l.jobs[r.Job]; j != nil {
			j.forgetRun(r)
		}
	}
	for _, id := range out.Gone {
		delete(l.jobs, id)
	}
}
