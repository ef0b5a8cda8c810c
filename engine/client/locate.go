package client

import (
	"maps"
	"slices"

	"github.com/yarnd/yarnd/engine/wire"
)

// ask1 gathers questions about single tasks: those that come while one Locate is
// under way share the next. Guarded by Job.mu.
type ask1 struct {
	waiting map[uint32][]func(*Outcome)
	asking  bool
}

// locate asks how and where a task ended; answer gets nil when it has not ended.
// Called with j.mu; answer is called without.
func (j *Job) locate(index uint32, answer func(*Outcome)) {
	l := &j.locating
	if l.waiting == nil {
		l.waiting = map[uint32][]func(*Outcome){}
	}
	l.waiting[index] = append(l.waiting[index], answer)
	if !l.asking {
		j.askWaiting()
	}
}

// askWaiting sends the next Locate, if there are questions. Called with j.mu.
func (j *Job) askWaiting() {
	l := &j.locating
	asked := l.waiting
	l.waiting = nil
	l.asking = len(asked) > 0
	if !l.asking {
		return
	}
	indices := slices.Sorted(maps.Keys(asked))
	if len(indices) > wire.MaxLocate {
		l.waiting = map[uint32][]func(*Outcome){}
		for _, i := range indices[wire.MaxLocate:] {
			l.waiting[i] = asked[i]
		}
		indices = indices[:wire.MaxLocate]
	}
	j.ask(indices, func(outs map[uint32]*Outcome) {
		for _, i := range indices {
			for _, answer := range asked[i] {
				answer(outs[i])
			}
		}
		j.mu.Lock()
		j.askWaiting()
		j.mu.Unlock()
	})
}

// ask sends one Locate. If the scheduler refuses it, the halves are asked for one
// after the other, so that one unknown task spoils nobody else's answer.
func (j *Job) ask(indices []uint32, answer func(map[uint32]*Outcome)) {
	req := &wire.Request{Body: &wire.Request_Locate{Locate: &wire.Locate{Job: uint32(j.id), Index: indices}}}
	k := &call{job: j, req: req, done: func(r *wire.Reply, err error) {
		switch half := len(indices) / 2; {
		case err == nil:
			answer(outcomes(r.GetEnded()))
		case half == 0:
			answer(map[uint32]*Outcome{indices[0]: {Err: err}})
		default:
			j.ask(indices[:half], func(a map[uint32]*Outcome) {
				j.ask(indices[half:], func(b map[uint32]*Outcome) {
					maps.Copy(a, b)
					answer(a)
				})
			})
		}
	}}
	if err := j.c.start(k); err != nil {
		// The caller may hold the lock, and nobody may be waiting for long.
		go answer(failAll(indices, err))
	}
}

func failAll(indices []uint32, err error) map[uint32]*Outcome {
	outs := make(map[uint32]*Outcome, len(indices))
	for _, i := range indices {
		outs[i] = &Outcome{Err: err}
	}
	return outs
}

func outcomes(m *wire.Ended) map[uint32]*Outcome {
	if m == nil {
		return map[uint32]*Outcome{}
	}
	outs := make(map[uint32]*Outcome, m.Len())
	for o, attempt := range m.Outcomes {
		outs[o.Task.Index] = &Outcome{Outcome: o, Attempt: attempt}
	}
	return outs
}
