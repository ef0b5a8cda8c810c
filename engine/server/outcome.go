package server

import (
	"fmt"
	"strings"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// outcomes tells how the tasks of a job ended.
type outcomes struct {
	rows
	// log holds the indices of tasks in the order in which they ended; a task whose
	// lost result was computed again is there again, and so is one that failed and
	// was retried, at its retry and at its new end. A position in it is a cursor for
	// ever.
	log graph.Log

	cause     map[uint32]graph.TaskID   // of FailUpstream
	failures  map[uint32]*graph.Failure // texts
	textBytes int                       // of failures, about
}

const (
	notEnded = graph.FailKind(255)
	// maxTexts bounds the texts of one job's failures. Beyond it they are cut to
	// cutText bytes of message.
	maxTexts = 64 << 20
	cutText  = 200

	wasCancelled = "the task was cancelled"
)

// forgetEnds drops what only clients of the job could ask for. The rows stay, for inline
// results that tasks of other jobs need, now or when they are there.
func (o *outcomes) forgetEnds() { o.log, o.ended, o.cause, o.failures = graph.Log{}, nil, nil, nil }

// record keeps how a task ended. f is what a worker said of it; it may be nil.
func (o *outcomes) record(e *sched.Ended, f *graph.Failure) {
	i := e.Task.Index
	r := o.make(i)
	r.kind, r.attempt = e.Kind, e.Attempt
	if r.keeps == keepsSize {
		r.put(e.Size)
	}
	if e.Kind == graph.FailUpstream {
		if o.cause == nil {
			o.cause = map[uint32]graph.TaskID{}
		}
		o.cause[i] = e.Cause
	}
	if f == nil || e.Kind == graph.FailNone {
		return
	}
	if o.textBytes > maxTexts {
		f = &graph.Failure{Kind: f.Kind, Message: f.Message[:min(len(f.Message), cutText)], ExitCode: f.ExitCode, Task: f.Task, Attempt: f.Attempt, Host: f.Host}
	}
	if old := o.failures[i]; old != nil {
		o.textBytes -= textSize(old)
	}
	if o.failures == nil {
		o.failures = map[uint32]*graph.Failure{}
	}
	o.failures[i] = f
	o.textBytes += textSize(f)
}

// takeBack forgets that a task failed: it runs again.
func (o *outcomes) takeBack(i uint32) {
	r := o.make(i)
	r.kind, r.attempt, r.when.end = notEnded, 0, 0
	o.log.Add(i)
	delete(o.cause, i)
	if f := o.failures[i]; f != nil {
		o.textBytes -= textSize(f)
		delete(o.failures, i)
	}
}

func textSize(f *graph.Failure) int {
	return len(f.Message) + len(f.Stack) + len(f.Output) + len(f.Host)
}

// ended takes the core's word that a task has an outcome, or none any more.
func (l *loop) ended(e *sched.Ended) {
	j := l.jobs[e.Task.Job]
	if j == nil || j.closed {
		return
	}
	if e.Again {
		j.ends.takeBack(e.Task.Index)
	} else {
		l.recordEnd(j, e)
		l.mailOf(e.Task)
	}
	l.hasNews(j)
}

// hasNews sees that watchers are told what is new in a job's log, in this turn.
func (l *loop) hasNews(j *job) {
	if !j.news {
		j.news = true
		l.news = append(l.news, j)
	}
}

func (l *loop) recordEnd(j *job, e *sched.Ended) {
	f := l.texts[sched.TaskAttempt{Task: e.Task, Attempt: e.Attempt}]
	if f == nil {
		f = l.unsaid(e)
	}
	j.ends.record(e, f)
	j.ends.log.Add(e.Task.Index)
	l.tellFailure(e, f)
	j.ends.make(e.Task.Index).when.end = j.mark(l.now)
}

// cancelled takes the core's word on tasks of a range that were cancelled before anything
// else was known of them.
func (l *loop) cancelled(r graph.Run) {
	j := l.jobs[r.Job]
	if j == nil || j.closed {
		return
	}
	j.ends.cancel(r.First, r.End(), j.mark(l.now))
	j.ends.log.AddRun(r.First, r.N)
	l.hasNews(j)
}

// unsaid makes the text for a failure that no worker told of.
func (l *loop) unsaid(e *sched.Ended) *graph.Failure {
	if e.Kind == graph.FailNone || e.Kind == graph.FailUpstream {
		return nil
	}
	f := &graph.Failure{Kind: e.Kind, Task: e.Task, Attempt: e.Attempt}
	switch e.Kind {
	case graph.FailCancelled:
		f.Message = wasCancelled
	case graph.FailDied, graph.FailMemory:
		f.Message = "workers died again and again while they ran the task; the last one: " + l.lastDeath
	case graph.FailLost:
		f.Message = "the result is gone and cannot be computed again"
	default:
		f.Message = "the task failed (" + e.Kind.String() + ")"
	}
	return f
}

// failure returns how a task failed, for clients.
func (l *loop) failure(j *job, index uint32) *graph.Failure {
	t, r := j.taskID(index), j.ends.at(index)
	kind := r.kind
	if kind != graph.FailUpstream {
		if f := j.ends.failures[index]; f != nil {
			out := *f
			out.Kind = kind
			return &out
		}
		f := &graph.Failure{Kind: kind, Task: t, Attempt: r.attempt, Message: "the task failed (" + kind.String() + ")"}
		if kind == graph.FailCancelled { // with many others
			f.Message = wasCancelled
		}
		return f
	}
	cause := j.ends.cause[index]
	out := graph.Failure{Message: "it is not there any more: it was let go of, or its job closed"}
	if cj := l.jobs[cause.Job]; cj != nil && cause.Index < cj.tasks {
		switch cr := cj.ends.at(cause.Index); {
		case l.forgot(cause), cr.kind == graph.FailUpstream:
		case cr.kind != notEnded && cr.kind != graph.FailNone:
			out = *l.failure(cj, cause.Index)
			out.Message += l.hints(cj, cause)
		default:
			out.Message = "it failed, and was retried since"
		}
	}
	out.Kind, out.Task, out.Attempt = graph.FailUpstream, cause, r.attempt
	return &out
}

// forgot reports whether a task is one that the core forgot: its row may be gone.
func (l *loop) forgot(t graph.TaskID) bool {
	info, ok := l.core.Task(t)
	return !ok || info.State == sched.StateForgotten
}

// hints tells, of a task that failed and took others with it, what people call it and
// how to have it run again. Jobs without a name end with their program: there is no
// time to type that.
func (l *loop) hints(j *job, t graph.TaskID) string {
	var hints []string
	if name := l.publishedAs[t]; name != "" {
		hints = append(hints, fmt.Sprintf("published as %q", name))
	}
	if j.name != "" && l.core.Held(t) {
		hints = append(hints, fmt.Sprintf("to run it again: yarnd task retry last %s", t))
	}
	if len(hints) == 0 {
		return ""
	}
	return " (" + strings.Join(hints, "; ") + ")"
}

// outcome returns how a task ended, and where its result is now. ok is false while
// it has not ended. present is false for a result that is nowhere: freed, or lost
// and being computed again.
func (l *loop) outcome(j *job, index uint32) (o graph.Outcome, a graph.Attempt, present, ok bool) {
	if index >= j.tasks {
		return o, 0, false, false
	}
	o.Task = j.taskID(index)
	r := j.ends.at(index)
	if r == nil { // let go of, with all of its page
		return o, 0, false, true
	}
	a = r.attempt
	if r.keeps == keepsSize {
		o.Size = r.number()
	} else {
		o.Size = uint64(len(j.inline.result(r)))
	}
	switch r.kind {
	case graph.FailNone:
	case notEnded:
		// The result of a loose task is not told of, but it can be asked for.
		info, _ := l.core.Task(o.Task)
		if info.State != sched.StateDone {
			return o, 0, false, false
		}
		o.Size, a = info.Size, info.Attempt
	default:
		o.Failure = l.failure(j, index)
		return o, a, true, true
	}
	if b, has := j.inline.get(index, a); has {
		o.Inline = b
		return o, a, true, true
	}
	for _, id := range l.core.Holders(nil, o.Task) {
		if w := l.workers[id]; w != nil {
			o.Holders = append(o.Holders, w.location())
		}
	}
	return o, a, len(o.Holders) > 0, true
}

// keepInline stores the inline results of a Done that the core has accepted.
func (l *loop) keepInline(m *wire.Done) {
	for i := range m.Len() {
		r := m.At(i)
		if !r.IsInline {
			continue
		}
		j := l.jobs[r.Task.Job]
		if j == nil {
			continue
		}
		if info, _ := l.core.Task(r.Task); info.State == sched.StateDone && info.Inline && info.Attempt == r.Attempt {
			j.inline.put(r.Task.Index, r.Attempt, r.Inline)
		}
	}
}
