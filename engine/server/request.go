package server

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// request is a client's.
type request struct {
	conn    link
	req     *wire.Request
	batch   *graph.Batch  // of a Submit
	classes graph.ClassID // one above the highest that batch uses
	done    chan struct{} // if set: closed when the request was handled
}

func (in request) origin() *wire.Conn {
	conn, _ := in.conn.(*wire.Conn)
	return conn
}

func (in request) handle(l *loop) {
	if in.done != nil {
		defer l.then(func() { close(in.done) })
	}
	s := l.clients[in.conn]
	if s == nil {
		return // the session has a newer connection
	}
	l.asking = s
	defer func() { l.asking = nil }()
	reply := &wire.Reply{Id: in.req.Id}
	answered, err := in.do(l, s, reply)
	if err != nil {
		reply = &wire.Reply{Id: in.req.Id, Error: wire.AsError(err)}
	} else if answered {
		return
	}
	if err == nil && l.ledger == nil && submits(in.req) && l.owing.wait(in.conn) {
		in.conn.Put(wire.KindReply, reply) //nolint:errcheck // the reader notices
		return
	}
	l.say(in.conn, reply) //nolint:errcheck // the reader notices
}

// submits reports whether a request brings tasks.
func submits(r *wire.Request) bool { return r.GetSubmit() != nil || r.GetSubmitRange() != nil }

// do handles the request and fills in the reply, unless it is answered otherwise.
func (in *request) do(l *loop, s *session, reply *wire.Reply) (answered bool, err error) {
	switch b := in.req.Body.(type) {
	case *wire.Request_OpenJob:
		return false, l.requestOpen(s, b.OpenJob, reply)
	case *wire.Request_Classes:
		return false, l.withJob(b.Classes.Job, func(j *job) error { return l.declare(j, b.Classes.Class) })
	case *wire.Request_Submit:
		return false, l.withJob(b.Submit.Job, func(j *job) error {
			if int(in.classes) > len(j.classes) {
				return wire.Errorf(wire.Invalid, "submit: class %d of %s is not declared", in.classes-1, j.title())
			}
			return l.submit(j, in.batch, b.Submit, s.id)
		})
	case *wire.Request_SubmitRange:
		return false, l.withJob(b.SubmitRange.Job, func(j *job) error {
			r, err := wire.RangeFromWire(b.SubmitRange, len(j.classes))
			if err != nil {
				return err
			}
			return l.submitRange(j, r, b.SubmitRange, s.id)
		})
	case *wire.Request_Release:
		return true, l.release(b.Release)
	case *wire.Request_Cancel:
		return false, l.cancel(b.Cancel, reply)
	case *wire.Request_Retry:
		return false, l.retry(s, b.Retry, reply)
	case *wire.Request_CloseJob:
		return false, l.withJob(b.CloseJob.Job, func(j *job) error {
			l.closeJob(j, "a client closed it")
			return nil
		})
	case *wire.Request_Watch:
		return true, l.requestWatch(s, in.req.Id, b.Watch)
	case *wire.Request_Locate:
		return false, l.requestLocate(b.Locate, reply)
	case *wire.Request_ResultLost:
		return false, l.requestLost(b.ResultLost)
	case *wire.Request_Gate:
		return l.requestGate(s, in.req.Id, b.Gate, reply)
	case *wire.Request_Call:
		return l.requestCall(s, in.req.Id, b.Call, reply)
	case *wire.Request_Withdraw:
		l.requestWithdraw(s, b.Withdraw)
	case *wire.Request_Serve:
		return true, l.requestServe(s, in.req.Id, b.Serve)
	case *wire.Request_Answer:
		return true, l.requestAnswer(s, in.req.Id, b.Answer)
	case *wire.Request_Checkpoint:
		return false, l.requestCheckpoint(s, b.Checkpoint, reply)
	case *wire.Request_Publish:
		if b.Publish.Remove {
			return false, l.requestUnpublish(s, in.req.Id, b.Publish.Name)
		}
		return false, l.publish(b.Publish)
	case *wire.Request_Lookup:
		return false, l.lookup(b.Lookup.Name, reply)
	case *wire.Request_ListNames:
		l.listNames(reply)
	case *wire.Request_ListEvents:
		l.listEvents(b.ListEvents, reply)
	case *wire.Request_Explain:
		return false, l.explain(b.Explain, reply)
	case *wire.Request_ListJobs:
		l.listJobs(reply)
	case *wire.Request_ListWorkers:
		l.listWorkers(reply)
	case *wire.Request_ListTasks:
		return false, l.listTasks(b.ListTasks, reply)
	case *wire.Request_GetTask:
		return false, l.getTask(b.GetTask, reply)
	default:
		return false, wire.Errorf(wire.Invalid, "this scheduler (protocol %d) does not know the request", wire.Version)
	}
	return false, nil
}

func (l *loop) withJob(id uint32, do func(*job) error) error {
	j, err := l.find(id)
	if err != nil {
		return err
	}
	return do(j)
}

func (j *job) rows(index []uint32) []graph.TaskID {
	ids := make([]graph.TaskID, len(index))
	for i, x := range index {
		ids[i] = j.taskID(x)
	}
	return ids
}

// requestOpen opens a job, or finds one by name or id.
func (l *loop) requestOpen(s *session, m *wire.OpenJob, reply *wire.Reply) error {
	var j *job
	switch {
	case m.Id != 0:
		var err error
		if j, err = l.find(m.Id); err != nil {
			return err
		}
	case m.Name != "":
		if err := checkTitle("job name", m.Name); err != nil {
			return err
		}
		if j = l.jobNames[m.Name]; j == nil && m.Attach {
			return wire.Errorf(wire.NotFound, "there is no job named %q; one that nobody used for long has ended, which yarnd events says", m.Name)
		}
	case m.Attach:
		return wire.Errorf(wire.Invalid, "attach to which job? Give a name or an id")
	}
	if j == nil {
		j = l.openJob(m.Name, s)
	}
	l.use(j)
	reply.Body = &wire.Reply_Job{Job: l.jobInfo(j)}
	return nil
}

// checkTitle keeps names fit for tables, logs and command lines.
func checkTitle(what, s string) error {
	if s == "" || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return wire.Errorf(wire.Invalid, "%s %q: use printable characters", what, s)
	}
	return nil
}

// maxLocated bounds the bytes of one answer to a Locate of several tasks: failures
// hold texts, so that a few thousand of them may be more than a frame takes.
const maxLocated = 8 << 20

// requestLocate tells how tasks ended and where their results are. If that is too
// much for one answer, the client has to ask for fewer.
func (l *loop) requestLocate(m *wire.Locate, reply *wire.Reply) error {
	ended := &wire.Ended{Job: m.Job}
	reply.Body = &wire.Reply_Ended{Ended: ended}
	if len(m.Index) == 0 {
		return nil // a barrier behind requests that are not answered
	}
	j, err := l.find(m.Job)
	if err != nil {
		return err
	}
	bytes := 0
	for _, index := range m.Index {
		o, a, present, ok := l.outcome(j, index)
		if ok && !present && l.released(o.Task) {
			o.Failure = &graph.Failure{Kind: graph.FailLost, Task: o.Task, Attempt: a, Message: fmt.Sprintf("the result of task %s was released", o.Task)}
			present = true
		}
		if !ok || !present {
			continue
		}
		if bytes += outcomeSize(&o); bytes > maxLocated && len(m.Index) > 1 {
			return wire.Errorf(wire.TooLarge, "how %d tasks of %s ended does not fit one answer: ask for fewer at once", len(m.Index), j.title())
		}
		ended.Add(&o, a)
	}
	return nil
}

// requestLost takes a client's word that a result is not where it was said to be.
func (l *loop) requestLost(m *wire.ResultLost) error {
	j, err := l.find(m.Job)
	if err != nil {
		return err
	}
	t := sched.TaskAttempt{Task: j.taskID(m.Index), Attempt: graph.Attempt(m.Attempt)}
	l.log.Info("a client cannot fetch a result", "task", t.Task.String(), "attempt", t.Attempt, "holder", m.Holder)
	l.step(sched.Missing{Worker: graph.WorkerID(m.Holder), Tasks: []sched.TaskAttempt{t}})
	return nil
}
