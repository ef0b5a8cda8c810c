package executor

import (
	"fmt"
	"io"
	"sync"

	"github.com/yarnd/yarnd/engine/graph"
)

// Sink takes a result piece by piece, as it comes from an executor, so that it is never
// whole in this process's heap. One that has it all is in Result.Sink, and the caller's
// to end; of all others Abort is called.
type Sink interface {
	io.Writer
	Abort()
}

// pouring is a result that goes into a sink. The goroutine that listens to the executor
// writes, without a lock that anybody waits for; whoever ends the call for another
// reason may be another.
type pouring struct {
	size uint64 // of all of it, as it was announced
	have uint64 // the listener's

	mu   sync.Mutex
	to   Sink
	dead bool // aborted
}

func (s *pouring) write(piece []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead {
		return nil // the call has ended
	}
	s.have += uint64(len(piece))
	_, err := s.to.Write(piece)
	return err
}

// abort ends it. It may be called many times, and waits for the piece that is written.
func (s *pouring) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dead {
		s.dead = true
		s.to.Abort()
	}
}

// pour does a frame with a piece of a result. It is called by the listener alone.
func (p *process) pour(body []byte) error {
	id, size, piece, err := parseChunk(body)
	if err != nil {
		return err
	}
	p.mu.Lock()
	t := p.calls.get(id)
	if t == nil { // it has ended
		p.mu.Unlock()
		return nil
	}
	s := t.sink
	p.mu.Unlock()
	var failure *graph.Failure
	if s == nil {
		if s, failure = p.openSink(t, size); failure == nil && !p.enter(t, id, s) {
			s.abort()
			return nil
		}
	}
	if failure == nil {
		if size != s.size || uint64(len(piece)) > s.size-s.have {
			return protocolError(fmt.Sprintf("task %s: a result of more than the %d bytes that were announced", t.ID, s.size))
		}
		if err := s.write(piece); err != nil {
			failure = &graph.Failure{Kind: graph.FailSetup, Message: err.Error()}
		}
	}
	if failure == nil {
		return nil
	}
	var n turn
	p.mu.Lock()
	if p.calls.get(id) == t {
		p.refuse(t, failure, &n)
	}
	p.mu.Unlock()
	p.m.do(&n)
	return nil
}

func (p *process) openSink(t *Task, size uint64) (*pouring, *graph.Failure) {
	if size > p.m.opts.MaxResult {
		return nil, p.tooMuch(t)
	}
	to, failure := p.m.opts.Sink(t, size)
	if failure != nil {
		return nil, failure
	}
	return &pouring{size: size, to: to}, nil
}

// enter makes s the sink of a call, unless that has ended meanwhile.
func (p *process) enter(t *Task, id uint64, s *pouring) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls.get(id) != t {
		return false
	}
	t.sink = s
	return true
}
