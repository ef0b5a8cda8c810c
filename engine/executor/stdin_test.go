package executor

import (
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// give gives a piece to the attempt, once it is there, until all of it is taken.
func give(t *testing.T, m *blocking, task *Task, offset uint64, data string, last bool) (have uint64, over bool) {
	t.Helper()
	waitFor(t, func() bool {
		var ok bool
		have, over, ok = m.Give(t.Context(), task.ID, task.Attempt, offset, []byte(data), last)
		return ok && (over || have >= offset+uint64(len(data)))
	})
	return have, over
}

// A piece that is given twice, whole or in part, counts once.
func TestGiveTwice(t *testing.T) {
	eachWay(t, Options{}, func(t *testing.T, m *blocking) {
		task := commandTask(&CommandSpec{Argv: []string{"cat"}, Feed: true}, "")
		task.Attempt = 1
		end := make(chan Result, 1)
		go func() { end <- m.Run(t.Context(), task) }()
		give(t, m, task, 0, "abc", false)
		give(t, m, task, 0, "abc", false)
		if have, over := give(t, m, task, 1, "bcde", false); have != 5 || over {
			t.Errorf("5 bytes: have %d, over %v", have, over)
		}
		if have, over := give(t, m, task, 5, "f", true); have != 6 || !over {
			t.Errorf("at the end: have %d, over %v", have, over)
		}
		r := <-end
		if r.Failure != nil || string(result(t, r.Data).Stdout) != "abcdef" {
			t.Errorf("%+v", r)
		}
		if _, _, ok := m.Give(t.Context(), task.ID, task.Attempt, 6, nil, false); ok {
			t.Error("what has ended takes input")
		}
		if m.Signal(task.ID, task.Attempt, 2) {
			t.Error("what has ended takes a signal")
		}
	})
}

// An attempt that is not the first begins when its client is at the beginning.
func TestFedAnew(t *testing.T) {
	eachWay(t, Options{}, func(t *testing.T, m *blocking) {
		for offset, fails := range map[uint64]bool{0: false, 7: true} {
			task := commandTask(&CommandSpec{Argv: []string{"cat"}, Feed: true}, "")
			task.Attempt = 2
			end := make(chan Result, 1)
			go func() { end <- m.Run(t.Context(), task) }()
			give(t, m, task, offset, "", false)
			if !fails {
				give(t, m, task, 0, "x", true)
			}
			f := (<-end).Failure
			if fails != (f != nil) || fails && (f.Kind != graph.FailUser || !strings.Contains(f.Message, "after 7 bytes")) {
				t.Errorf("from byte %d: %+v", offset, f)
			}
		}
	})
}

// What nobody reads does not gather: the second piece waits until the first is taken.
func TestGiveWaits(t *testing.T) {
	s := &stdin{}
	if have, over := s.give(t.Context(), 0, make([]byte, MaxStdinPiece), false); have != MaxStdinPiece || over {
		t.Errorf("the first piece: have %d, over %v", have, over)
	}
	taken := make(chan uint64)
	go func() {
		have, _ := s.give(t.Context(), MaxStdinPiece, []byte("more"), true)
		taken <- have
	}()
	waitFor(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.change != nil })
	s.refuse()
	if have := <-taken; have != MaxStdinPiece {
		t.Errorf("taken up to %d", have)
	}
}
