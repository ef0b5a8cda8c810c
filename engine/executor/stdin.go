package executor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// Standard input that comes while a command runs (CommandSpec.Feed) is pushed by its
// client and pulled by the executor, with one piece in between:
//
//	client ──Give──► stdin.piece ──Data──► executor ──pipe──► command
//	       ◄─ so far              ◄─ Read ─
//
// So nothing gathers anywhere: a command that does not read holds up its client. What
// was given is told in bytes from the beginning, so a piece that is given twice, as the
// answer was lost, counts once.
//
// A command that begins again elsewhere, as its worker was lost, must not get the rest
// of what the first one had. Hence an attempt that is not the first starts when its
// client has said how far it is, and only if that is the beginning.

// MaxStdinPiece bounds what one Give takes, in bytes.
const MaxStdinPiece = 64 << 10

// giveWait is how long a Give waits for room.
const giveWait = 5 * time.Second

// stdin is the standard input of one attempt.
type stdin struct {
	mu     sync.Mutex
	change chan struct{} // closed at the next change of what follows; nil: nobody waits
	heard  bool          // the client has said where it is
	gap    uint64        // bytes that were given to an attempt before this one
	piece  []byte        // given, and not sent to the executor
	given  uint64        // bytes so far, piece included
	ended  bool          // nothing follows
	over   bool          // no more is wanted
	want   *read         // of the executor, not answered
	from   *process      // whose read that is
}

type attemptKey struct {
	task    graph.TaskID
	attempt graph.Attempt
}

// specFeeds reports whether a command's standard input comes while it runs.
func specFeeds(spec []byte) bool {
	var s struct {
		Feed bool `json:"feed"`
	}
	return json.Unmarshal(spec, &s) == nil && s.Feed
}

// runFed makes t's standard input and runs it as soon as it may begin. Called with
// Manager.mu.
func (m *Manager) runFed(t *Task) {
	t.stdin = &stdin{}
	m.stdins[attemptKey{t.ID, t.Attempt}] = t.stdin
	ctx, cancel := context.WithCancelCause(m.ctx)
	t.feeding = cancel
	m.wg.Go(func() {
		f := m.awaitClient(ctx, t)
		cancel(nil)
		var n turn
		m.mu.Lock()
		if t.feeding = nil; f != nil {
			n.end(t, Result{Failure: f})
		} else {
			m.enqueue(t, &n)
		}
		m.mu.Unlock()
		m.do(&n)
	})
}

// awaitClient waits until t may begin.
func (m *Manager) awaitClient(ctx context.Context, t *Task) *graph.Failure {
	if t.Attempt == 1 {
		return nil
	}
	s := t.stdin
	err := s.await(ctx, func() bool { return s.heard })
	switch {
	case err != nil:
		return &graph.Failure{Kind: graph.FailCancelled, Message: "the command did not start: " + err.Error()}
	case s.gap > 0:
		return &graph.Failure{Kind: graph.FailUser, Message: fmt.Sprintf(
			"%s was lost with its worker after %d bytes of its standard input were read, which cannot be read again: it was not started anew. Run it once more", t.Class.Name, s.gap)}
	}
	return nil
}

func (m *Manager) closeStdin(t *Task) {
	m.mu.Lock()
	delete(m.stdins, attemptKey{t.ID, t.Attempt})
	m.mu.Unlock()
	t.stdin.refuse()
}

// Give offers a piece of at most MaxStdinPiece bytes of a command's standard input,
// which begins at offset; last says that nothing follows. It waits some seconds for
// room, and tells how many bytes have been taken so far, of this piece perhaps none,
// and whether no more is wanted. A piece without bytes, that is not the last, only tells
// where the client is. ok is false when there is no such command here.
func (m *Manager) Give(ctx context.Context, t graph.TaskID, a graph.Attempt, offset uint64, data []byte, last bool) (have uint64, over, ok bool) {
	m.mu.Lock()
	s := m.stdins[attemptKey{t, a}]
	m.mu.Unlock()
	if s == nil {
		return 0, false, false
	}
	ctx, cancel := context.WithTimeout(ctx, giveWait)
	defer cancel()
	have, over = s.give(ctx, offset, data, last)
	return have, over, true
}

func (s *stdin) give(ctx context.Context, offset uint64, data []byte, last bool) (have uint64, over bool) {
	s.mu.Lock()
	if !s.heard {
		if s.heard, s.gap = true, offset; offset > 0 {
			s.over = true
		}
		s.changed()
	}
	s.mu.Unlock()
	if len(data) > 0 || last {
		s.await(ctx, func() bool { // the answer tells whether there was room
			return s.over || s.ended || len(s.piece) == 0 || offset+uint64(len(data)) <= s.given && !last
		}) //nolint:errcheck // see above
	}
	s.mu.Lock()
	if !s.over && !s.ended && len(s.piece) == 0 && offset <= s.given && s.given <= offset+uint64(len(data)) {
		s.piece = append(s.piece, data[s.given-offset:]...)
		s.given, s.ended = offset+uint64(len(data)), last
	}
	have, over = s.given, s.over || s.ended
	send := s.answer()
	s.mu.Unlock()
	send()
	return have, over
}

// await waits until ok, which is called with s.mu.
func (s *stdin) await(ctx context.Context, ok func() bool) error {
	for {
		s.mu.Lock()
		if ok() {
			s.mu.Unlock()
			return nil
		}
		if s.change == nil {
			s.change = make(chan struct{})
		}
		change := s.change
		s.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// changed wakes who waits. Called with s.mu.
func (s *stdin) changed() {
	if s.change != nil {
		close(s.change)
		s.change = nil
	}
}

// refuse says that no more is wanted.
func (s *stdin) refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over, s.piece, s.want = true, nil, nil
	s.changed()
}

// ask takes the executor's wish for more.
func (s *stdin) ask(p *process, r read) {
	s.mu.Lock()
	s.want, s.from = &r, p
	send := s.answer()
	s.mu.Unlock()
	send()
}

// answer returns what sends the executor what it waits for, if that is here. Called
// with s.mu, what it returns without: the executor always reads, but takes its time.
func (s *stdin) answer() (send func()) {
	r, p := s.want, s.from
	if r == nil || s.over || len(s.piece) == 0 && !s.ended {
		return func() {}
	}
	data := s.piece[:min(len(s.piece), int(r.n))]
	s.want, s.piece = nil, s.piece[len(data):]
	s.changed()
	return func() {
		p.in.write(kindData, func(b []byte) []byte { //nolint:errcheck // it is ending
			return append(appendDataHead(b, r.id, true), data...)
		})
	}
}

// stdinRead handles a Read of standard input.
func (p *process) stdinRead(r read) {
	var s *stdin
	p.with(r.call, func(t *Task) { s = t.stdin })
	switch {
	case s == nil: // the call has ended, and nobody waits
	case r.n == 0:
		s.refuse()
	default:
		s.ask(p, r)
	}
}

// Signal sends a signal to the process group of a command that runs. It reports false
// when there is no such command here, or it has not begun.
func (m *Manager) Signal(t graph.TaskID, a graph.Attempt, sig syscall.Signal) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.all {
		if id, ok := p.callOf(t, a); ok {
			return p.in.write(kindSignal, func(b []byte) []byte { return appendStop(b, id, byte(sig)) }) == nil
		}
	}
	return false
}

// callOf finds an attempt that has begun a process of its own: its executor says so when
// it takes long, and the page from the beginning.
func (p *process) callOf(id graph.TaskID, a graph.Attempt) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.calls.all() {
		if t.ID == id && t.Attempt == a {
			return t.id, t.pid != 0 || t.Class.Kind == graph.KindCommand && slices.Contains(p.running(), t.id)
		}
	}
	return 0, false
}
