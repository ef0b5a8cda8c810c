package client

import (
	"cmp"
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// release gathers tasks that are let go of. Guarded by Job.mu.
type release struct {
	waiting []graph.Run
	sending bool
}

// add adds a task.
func (r *release) add(index uint32) { r.addRun(index, 1) }

func (r *release) addRun(first, n uint32) {
	if k := len(r.waiting) - 1; k >= 0 && r.waiting[k].End() == first {
		r.waiting[k].N += n
		return
	}
	r.waiting = append(r.waiting, graph.Run{First: first, N: n})
}

// take returns what has gathered as a message: neighbours as runs.
func (r *release) take(job graph.JobID) *wire.Release {
	runs := r.waiting
	slices.SortFunc(runs, func(a, b graph.Run) int { return cmp.Compare(a.First, b.First) })
	*r = release{sending: true}
	for _, x := range runs {
		r.addRun(x.First, x.N)
	}
	m := &wire.Release{Job: uint32(job)}
	for _, x := range r.waiting {
		if x.N == 1 {
			m.Index = append(m.Index, x.First)
		} else {
			m.From, m.Count = append(m.From, x.First), append(m.Count, x.N)
		}
	}
	r.waiting = nil
	return m
}

// Release lets go of tasks: results that nobody else needs are freed, and what is
// not finished and not needed is dropped. Whoever waits for one gets ErrReleased.
func (j *Job) Release(indices ...uint32) {
	var to news
	j.mu.Lock()
	for _, i := range indices {
		j.letGo(i, &to)
	}
	j.sendReleases()
	j.mu.Unlock()
	to.tell()
}

// ReleaseRuns is Release for tasks whose indices follow one another.
func (j *Job) ReleaseRuns(runs ...graph.Run) {
	var to news
	j.mu.Lock()
	for _, r := range runs {
		for i := r.First; i < r.End(); {
			next := j.releaseBare(i, r.End(), &to)
			if next == i {
				j.letGo(i, &to)
				i++
				continue
			}
			if j.own {
				j.letting.addRun(i, next-i)
			}
			i = next
		}
	}
	j.sendReleases()
	j.mu.Unlock()
	to.tell()
}

// letGo lets go of a task, if it is held. Called with j.mu.
func (j *Job) letGo(i uint32, to *news) {
	c := j.find(i)
	if !c.held() {
		return
	}
	c.end(&Outcome{Err: ErrReleased}, to)
	j.forget(i)
	delete(j.loose, i)
	if j.own { // results of other sessions are not ours to free
		j.letting.add(i)
	}
}

// releaseLoose lets go of what was submitted loose.
func (j *Job) releaseLoose() {
	j.mu.Lock()
	loose, runs := slices.Collect(maps.Keys(j.loose)), j.looseRuns
	j.looseRuns = nil
	j.mu.Unlock()
	j.Release(loose...)
	j.ReleaseRuns(runs...)
}

// sendReleases sends what has gathered, unless some are on their way. A Release has
// no reply: an empty question behind it tells that it arrived, and if the
// connection breaks before, both are sent again. Called with j.mu.
func (j *Job) sendReleases() {
	if j.letting.sending || len(j.letting.waiting) == 0 || j.err != nil {
		return
	}
	j.flush(true)        // the scheduler must know them
	_ = j.c.start(&call{ // an error: the job is gone, and its results with it
		job:    j,
		before: &wire.Request{Body: &wire.Request_Release{Release: j.letting.take(j.id)}},
		req:    &wire.Request{Body: &wire.Request_Locate{Locate: &wire.Locate{Job: uint32(j.id)}}},
		done: func(*wire.Reply, error) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.letting.sending = false
			j.sendReleases()
			j.outbox.wake()
		},
	})
}
