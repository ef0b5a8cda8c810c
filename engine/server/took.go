package server

import (
	"math"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// tookEvery is how often it is recorded, at most, how long tasks take: a scheduler that takes over knows it from
// that, for what it decides before any of its own have ended.
const tookEvery = 3 * time.Second

// recordTooks records which classes take another time than before.
func (l *loop) recordTooks() {
	g := l.ledger
	if g == nil || l.now.Sub(g.tooksAt) < tookEvery {
		return
	}
	g.tooks = l.core.Tooks(g.tooks[:0])
	m := &wire.TookRecord{}
	for _, k := range g.tooks {
		if j := l.jobs[k.Job]; j != nil && !j.quiet {
			addTook(m, k)
		}
	}
	if len(m.Job) > 0 {
		g.tooksAt = l.now
		l.record(0, &wire.Record{Body: &wire.Record_Took{Took: m}})
	}
}

func addTook(m *wire.TookRecord, k sched.ClassTook) {
	m.Job, m.Class, m.Micros = append(m.Job, uint32(k.Job)), append(m.Class, uint32(k.Class)), append(m.Micros, uint64(k.Micros))
}

// recallTooks takes in what was recorded.
func (l *loop) recallTooks(m *wire.TookRecord) {
	for i, job := range m.Job {
		l.step(sched.RecallTook{Job: graph.JobID(job), Class: graph.ClassID(m.Class[i]), Micros: int64(min(m.Micros[i], math.MaxInt64))})
	}
}

// tooks says how long a job's tasks take.
func (s *snapshot) tooks(j *savedJob) {
	m := &wire.TookRecord{}
	for id := range j.classes {
		if k, ok := s.l.core.Took(j.id, graph.ClassID(id)); ok {
			addTook(m, k)
		}
	}
	if len(m.Job) > 0 {
		s.put(0, &wire.Record{Body: &wire.Record_Took{Took: m}})
	}
}
