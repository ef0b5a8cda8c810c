package server

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// Results of a job that outlives its client, because it has a name, or what it published has
// one, are kept for Options.Keep after nobody uses them any more: then the job is closed, and
// the names are taken back. A job is in use while any of its tasks has not ended, and while a
// session lives that has opened it, submitted to it, or asked for it, a task of it, or a
// published result. Time counts as this process sees it pass, and not by the clock on the
// wall, which may jump; while there is no scheduler, and while workers come back to the next
// one, none passes.

// defaultKeep lets somebody who submits in the evening see the results in the next one.
const defaultKeep = 24 * time.Hour

const (
	keepParts   = 16          // it is recorded after each such part of Options.Keep for how long a job was not used
	mostExpired = 100         // in one turn; the others wait for the next look
	keepEvery   = time.Minute // jobs are looked at so often, or more often where Options.Keep is short
)

// use notes that the client whose request is being handled uses a job.
func (l *loop) use(j *job) {
	s := l.asking
	if s == nil || j.holder == s {
		return
	}
	l.setUnused(j, 0)
	if s.latest != j {
		if s.uses == nil {
			s.uses = map[graph.JobID]bool{}
		}
		s.latest, s.uses[j.id] = j, true
	}
}

// setUnused sets for how long a job was not used, and has the next scheduler know it, about.
func (l *loop) setUnused(j *job, d time.Duration) {
	j.unused = d
	if d -= j.unusedSafe; d == 0 || d > 0 && d < l.opts.Keep/keepParts {
		return
	}
	j.unusedSafe = j.unused
	l.recordOf(j, 0, &wire.Record{Body: &wire.Record_Unused{Unused: &wire.UnusedRecord{Job: uint32(j.id), Millis: uint64(j.unused.Milliseconds())}}})
}

// expireJobs lets time pass for jobs that nobody uses.
func (l *loop) expireJobs() {
	every := min(keepEvery, max(tickIdle, l.opts.Keep/64))
	since := l.now.Sub(l.keptAt)
	if l.opts.Keep < 0 || since < every {
		return
	}
	first := l.keptAt.IsZero()
	l.keptAt = l.now
	if first || l.back.on || l.ledger != nil && l.ledger.away.Load() != nil { // what is let go of must be safe
		return
	}
	since = min(since, 2*every) // whoever stopped this process for longer stopped its clients, too
	used, carries := l.usedJobs()
	if !carries {
		for _, j := range l.jobs {
			j.carried = false
		}
	}
	var over []*job
	for id, j := range l.jobs {
		switch {
		case j.closed || j.holder != nil:
		case used[id] || j.carried || l.unfinished(j):
			l.setUnused(j, 0)
		case j.unused+since < l.opts.Keep:
			l.setUnused(j, j.unused+since)
		default:
			over = append(over, j)
		}
	}
	slices.SortFunc(over, func(a, b *job) int { return cmp.Compare(a.id, b.id) })
	for _, j := range over[:min(len(over), mostExpired)] {
		l.expire(j)
	}
}

// carry notes at a takeover which jobs were in use: by whom the scheduler before knew.
func (l *loop) carry() {
	for _, j := range l.jobs {
		j.carried = j.unused == 0
	}
	for _, s := range l.sessions {
		s.carries = true
	}
}

// usedJobs are those that sessions use, of clients and of what workers run; carries, that somebody lives who may use what was
// in use when this scheduler took over.
func (l *loop) usedJobs() (used map[graph.JobID]bool, carries bool) {
	used = map[graph.JobID]bool{}
	look := func(s *session) {
		s.latest = nil
		for id := range s.uses {
			if j := l.jobs[id]; j == nil || j.closed {
				delete(s.uses, id)
				continue
			}
			used[id] = true
		}
	}
	for _, s := range l.sessions {
		look(s)
		carries = carries || s.carries
	}
	for _, w := range l.workers {
		for _, n := range w.nests {
			if n.s != nil {
				look(n.s)
				carries = carries || n.carries
			}
		}
	}
	return used, carries
}

// unfinished reports whether any task of a job has not ended.
func (l *loop) unfinished(j *job) bool {
	n, _ := l.core.Job(j.id)
	return n.Count(sched.StateWaiting, sched.StateReady, sched.StateAssigned, sched.StateRunning) > 0
}

// expire closes a job that nobody uses, and takes back what it published.
func (l *loop) expire(j *job) {
	why := fmt.Sprintf("nobody has used its results for %v", l.opts.Keep)
	var names []string
	if j.published > 0 {
		for name, p := range l.names {
			if p.task.Job == j.id {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		l.takeBack(name, l.names[name], newSession(0, ""), 0)
	}
	if n := len(names); n > 0 {
		why += fmt.Sprintf("; %d published with it are gone, such as %q", n, names[0])
		if j.quiet { // of whose end nobody hears otherwise
			l.tell("job.closed", fmt.Sprint("job ", j.id), "%s", why)
		}
	}
	l.closeJob(j, why)
}

// keptFor is for how long a job is kept, if nobody uses it; 0: it is in use, or there is no end.
func (l *loop) keptFor(j *job) time.Duration {
	if l.opts.Keep < 0 || j.unused == 0 {
		return 0
	}
	return max(time.Millisecond, l.opts.Keep-j.unused)
}

// recallUnused takes in for how long nobody had used the job.
func (j *job) recallUnused(millis uint64) {
	j.unused = time.Duration(min(millis, math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
	j.unusedSafe = j.unused
}
