package executor

import (
	"errors"
	"fmt"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// notStarted is the failure of a task that found no executor.
func (m *Manager) notStarted(t *Task, err error) *graph.Failure {
	if t.stopped || m.ctx.Err() != nil {
		return &graph.Failure{Kind: graph.FailCancelled, Message: "the task did not start: " + err.Error()}
	}
	f := &graph.Failure{Kind: graph.FailSetup, Message: fmt.Sprintf("no executor for %s: %v", t.Class.Name, err)}
	if s, ok := errors.AsType[*startError](err); ok {
		f.Output, f.ExitCode = s.output, int32(s.code)
	}
	return f
}

// startError is a start that failed.
type startError struct {
	err    error
	code   int    // exit code
	output []byte // tail of standard error
}

func (e *startError) Error() string { return e.err.Error() + firstPanic(e.output) }
func (e *startError) Unwrap() error { return e.err }

// startTries is how many starts must fail in a row before waiting tasks fail.
const startTries = 3

// tryLaunch starts an executor, with a pause after each death and failure.
func (m *Manager) tryLaunch(s *slot) (p *process, err error) {
	for range startTries {
		m.mu.Lock()
		wait := time.Until(s.until)
		m.mu.Unlock()
		if !pause(m.ctx, max(wait, 0)) {
			return nil, errFamilyClosed
		}
		if p, err = m.launch(s); err == nil {
			return p, nil
		}
		m.opts.Log.Warn("executor did not start", "executor", s.key.String(), "err", err)
		m.mu.Lock()
		m.penalize(s)
		m.mu.Unlock()
	}
	return nil, err
}

// start fills a slot and gives the new process what waits for one.
func (m *Manager) start(s *slot) {
	p, err := m.tryLaunch(s)
	var n turn
	m.mu.Lock()
	s.starting = false
	waiting := s.waiting
	s.waiting = nil
	if err == nil {
		p.opens()
		s.current = p
	}
	for _, t := range waiting {
		if err != nil {
			n.end(t, Result{Failure: m.notStarted(t, err)})
		} else {
			m.enqueue(t, &n)
		}
	}
	m.mu.Unlock()
	m.do(&n)
}

// penalize puts off the slot's next start. Called with the lock.
func (m *Manager) penalize(s *slot) {
	d := min(m.opts.Backoff[0]<<min(s.deaths, 20), m.opts.Backoff[1])
	s.deaths++
	s.until = time.Now().Add(d)
}
