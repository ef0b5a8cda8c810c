package client

import (
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/wire"
)

// release gathers tasks that are let go of. Guarded by Job.mu.
type release struct {
	waiting []uint32
	sending bool
}

// Release lets go of tasks: results that nobody else needs are freed, and what is
// not finished and not needed is dropped. Whoever waits for one gets ErrReleased.
func (j *Job) Release(indices ...uint32) {
	var to news
	j.mu.Lock()
	for _, i := range indices {
		c := j.find(i)
		if !c.held() {
			continue
		}
		c.end(&Outcome{Err: ErrReleased}, &to)
		j.forget(i)
		delete(j.loose, i)
		if j.own { // results of other sessions are not ours to free
			j.letting.waiting = append(j.letting.waiting, i)
		}
	}
	j.sendReleases()
	j.mu.Unlock()
	to.tell()
}

// releaseLoose lets go of what was submitted loose.
func (j *Job) releaseLoose() {
	j.mu.Lock()
	loose := slices.Collect(maps.Keys(j.loose))
	j.mu.Unlock()
	j.Release(loose...)
}

// sendReleases sends what has gathered, unless some are on their way. A Release has
// no reply: an empty question behind it tells that it arrived, and if the
// connection breaks before, both are sent again. Called with j.mu.
func (j *Job) sendReleases() {
	if j.letting.sending || len(j.letting.waiting) == 0 || j.err != nil {
		return
	}
	j.flush(true) // the scheduler must know them
	m := &wire.Release{Job: uint32(j.id), Index: j.letting.waiting}
	j.letting = release{sending: true}
	_ = j.c.start(&call{ // an error: the job is gone, and its results with it
		job:    j,
		before: &wire.Request{Body: &wire.Request_Release{Release: m}},
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
