package client_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// scripted is a scheduler on a real socket that says what a test wants said, about
// one job without a name. It takes submissions and answers nothing else by itself.
type scripted struct {
	t  testing.TB
	ln net.Listener
	wg sync.WaitGroup
	// refuse, if set, answers each Hello.
	refuse *wire.Error
	// answer returns the reply to a request, or nil for the usual one.
	answer func(s *scripted, r *wire.Request) *wire.Reply

	mu      sync.Mutex
	seen    []*wire.Submit // in order, also repeated ones
	watch   uint64         // id of the Watch
	conn    *wire.Conn
	session string // of those that come; "" is "s"
}

func script(t testing.TB, s *scripted) client.Options {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.t, s.ln = t, ln
	config := newIdentity(t, identity.Scheduler, "c0").Server(identity.Client)
	config.NextProtos = []string{wire.Protocol}
	s.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.wg.Go(func() { s.serve(tls.Server(nc, config)) })
		}
	})
	t.Cleanup(func() { ln.Close(); s.wg.Wait() })
	return client.Options{Scheduler: func(context.Context) (string, uint64, error) { return ln.Addr().String(), 0, nil }}
}

func (s *scripted) serve(nc *tls.Conn) {
	if err := nc.Handshake(); err != nil {
		nc.Close()
		return
	}
	conn, _, err := wire.Accept(nc, wire.SideClient, wire.ConnOptions{})
	if err != nil {
		return
	}
	defer conn.Close()
	if s.refuse != nil {
		conn.Refuse(s.refuse)
		return
	}
	s.mu.Lock()
	session := cmp.Or(s.session, "s")
	s.mu.Unlock()
	_ = conn.Welcome(&wire.Welcome{Session: session, Epoch: 1, Id: 1})
	s.mu.Lock()
	s.conn = conn
	s.mu.Unlock()
	for {
		_, m, err := conn.Next()
		if err != nil {
			return
		}
		r := m.(*wire.Request)
		s.mu.Lock()
		if w := r.GetWatch(); w != nil {
			s.watch = r.Id
		}
		if b := r.GetSubmit(); b != nil {
			s.seen = append(s.seen, b)
		}
		s.mu.Unlock()
		reply := s.answer(s, r)
		if reply == nil {
			reply = usual(r)
		}
		if reply != nil {
			reply.Id = r.Id
			_ = conn.Push(wire.KindReply, reply)
		}
	}
}

func usual(r *wire.Request) *wire.Reply {
	switch r.Body.(type) {
	case *wire.Request_Release, *wire.Request_Watch:
		return nil
	case *wire.Request_OpenJob:
		return &wire.Reply{Body: &wire.Reply_Job{Job: &wire.JobInfo{Job: 1}}}
	case *wire.Request_Locate:
		return &wire.Reply{Body: &wire.Reply_Ended{Ended: &wire.Ended{Job: 1}}}
	}
	return &wire.Reply{}
}

// tell sends outcomes on the watch.
func (s *scripted) tell(next uint32, outs ...graph.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.conn.Push(wire.KindReply, &wire.Reply{Id: s.watch, Body: &wire.Reply_Ended{Ended: ended(next, outs...)}})
}

func ended(next uint32, outs ...graph.Outcome) *wire.Ended {
	m := &wire.Ended{Job: 1, Next: next}
	for i := range outs {
		m.Add(&outs[i], 1)
	}
	return m
}

func inline(index uint32, data string) graph.Outcome {
	return graph.Outcome{Task: graph.TaskID{Job: 1, Index: index}, Size: uint64(len(data)), Inline: []byte(data)}
}

// A scheduler that cannot take a submission just now gets it again, and those behind
// it in their order.
func TestBusyScheduler(t *testing.T) {
	refusals := 0
	s := &scripted{answer: func(s *scripted, r *wire.Request) *wire.Reply {
		if b := r.GetSubmit(); b != nil && b.First == 1 && refusals < 1 {
			refusals++
			return &wire.Reply{Error: wire.Errorf(wire.Unavailable, "the disk is full")}
		}
		return nil
	}}
	j := unnamed(t, dial(t, script(t, s)))
	for range 4 {
		submit(t, j, "x")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := j.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var last uint32
	for _, b := range s.seen[len(s.seen)-2:] {
		last = b.First + uint32(len(b.Class))
	}
	if refusals != 1 || last != 4 {
		t.Errorf("%d refusals; the last submission ends at %d", refusals, last)
	}
}

// A refused submission fails its job, with the scheduler's words; the next job is
// another.
func TestRefusedSubmission(t *testing.T) {
	opened := uint32(0)
	s := &scripted{answer: func(s *scripted, r *wire.Request) *wire.Reply {
		switch b := r.Body.(type) {
		case *wire.Request_OpenJob:
			opened++
			return &wire.Reply{Body: &wire.Reply_Job{Job: &wire.JobInfo{Job: opened}}}
		case *wire.Request_Submit:
			if b.Submit.Job == 1 {
				return &wire.Reply{Error: wire.Errorf(wire.Invalid, "task 0 depends on task 9/9, which is not known")}
			}
		}
		return nil
	}}
	c := dial(t, script(t, s))
	j := unnamed(t, c)
	i := submit(t, j, "x", graph.TaskID{Job: 9, Index: 9})
	wantError(t, j, i, wire.Invalid)
	if again := unnamed(t, c); again == j || again.ID() != 2 {
		t.Errorf("the next job is %d", again.ID())
	}
}

// A result that is nowhere is asked for until it has been computed again.
func TestNowhere(t *testing.T) {
	var asked atomic.Int32
	s := &scripted{answer: func(s *scripted, r *wire.Request) *wire.Reply {
		l := r.GetLocate()
		if l == nil || len(l.Index) == 0 {
			return nil
		}
		if asked.Add(1) < 3 {
			return &wire.Reply{Body: &wire.Reply_Ended{Ended: ended(0, graph.Outcome{Task: graph.TaskID{Job: 1}, Size: 5})}}
		}
		return &wire.Reply{Body: &wire.Reply_Ended{Ended: ended(0, inline(0, "again"))}}
	}}
	j := unnamed(t, dial(t, script(t, s)))
	i := submit(t, j, "x")
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.tell(1, graph.Outcome{Task: graph.TaskID{Job: 1}, Size: 5})
	wantResult(t, j, i, "again")
	wantResult(t, j, i, "again")
	if n := asked.Load(); n != 3 {
		t.Errorf("asked %d times", n)
	}
}

// A question about a task that is not known spoils no other's answer; questions that
// come while one is under way share the next.
func TestLocateTogether(t *testing.T) {
	var asked []int
	s := &scripted{answer: func(s *scripted, r *wire.Request) *wire.Reply {
		l := r.GetLocate()
		if l == nil {
			return nil
		}
		asked = append(asked, len(l.Index))
		var outs []graph.Outcome
		for _, i := range l.Index {
			if i == 13 {
				return &wire.Reply{Error: wire.Errorf(wire.NotFound, "no task 13")}
			}
			outs = append(outs, inline(i, "ok"))
		}
		return &wire.Reply{Body: &wire.Reply_Ended{Ended: ended(0, outs...)}}
	}}
	c := dial(t, script(t, s))
	j := c.Foreign(1)
	for i := range uint32(5000) {
		j.Hold(i)
	}
	for i := range uint32(5000) {
		if i == 13 {
			wantError(t, j, i, client.ErrNotFound)
			continue
		}
		wantResult(t, j, i, "ok")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	s.ln.Close()
	s.wg.Wait()
	if s.watch != 0 {
		t.Error("all outcomes of the job were asked for, although all tasks had ended")
	}
	if len(asked) > 60 {
		t.Errorf("%d questions: %v", len(asked), asked)
	}
}

// Repeated and unknown outcomes change nothing.
func TestOutcomesOnce(t *testing.T) {
	s := &scripted{answer: func(*scripted, *wire.Request) *wire.Reply { return nil }}
	j := unnamed(t, dial(t, script(t, s)))
	i := submit(t, j, "x")
	if err := j.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.tell(2, inline(i, "first"), inline(77, "whose?"))
	wantResult(t, j, i, "first")
	s.tell(3, inline(i, "second"))
	second := submit(t, j, "y")
	s.tell(4, inline(second, "done"))
	wantResult(t, j, second, "done")
	wantResult(t, j, i, "first")
}

// The Watch goes on from where it was on a new connection.
func TestWatchCursor(t *testing.T) {
	froms := make(chan uint32, 10)
	s := &scripted{answer: func(s *scripted, r *wire.Request) *wire.Reply {
		if w := r.GetWatch(); w != nil {
			froms <- w.From
		}
		return nil
	}}
	j := unnamed(t, dial(t, script(t, s)))
	i := submit(t, j, "x")
	if from := <-froms; from != 0 {
		t.Errorf("watches from %d", from)
	}
	s.tell(41, inline(i, "x"))
	wantResult(t, j, i, "x")
	s.mu.Lock()
	s.conn.Close()
	s.mu.Unlock()
	select {
	case from := <-froms:
		if from != 41 {
			t.Errorf("watches from %d after a new connection", from)
		}
	case <-time.After(patience):
		t.Fatal("does not watch again")
	}
}

// What the other side may not say ends the connection, not the program.
func TestRefusedAtOnce(t *testing.T) {
	for code, want := range map[wire.Code]error{wire.Refused: client.ErrAuth, wire.Mismatch: client.ErrMismatch} {
		o := script(t, &scripted{refuse: wire.Errorf(code, "no")})
		o.Identity = newIdentity(t, identity.Client, "alice")
		if c, err := client.Dial(t.Context(), o); !errors.Is(err, want) {
			t.Errorf("%v: %v", code, err)
			if err == nil {
				c.Close()
			}
		}
	}
}

// Another session does not ask again for a name to be taken back: it may be another's by now.
func TestUnpublishInAnotherSession(t *testing.T) {
	var asked atomic.Int32
	s := &scripted{}
	s.answer = func(s *scripted, r *wire.Request) *wire.Reply {
		if r.GetPublish().GetRemove() {
			asked.Add(1)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.session = "another"
			s.conn.Close()
		}
		return nil
	}
	c := dial(t, script(t, s))
	if err := c.Unpublish(t.Context(), "x"); !errors.Is(err, client.ErrInterrupted) || asked.Load() != 1 {
		t.Errorf("asked %d times, %v", asked.Load(), err)
	}
}
