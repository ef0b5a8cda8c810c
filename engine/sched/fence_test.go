package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// actor begins a story of one actor, in which facts are noted.
func actor(t *testing.T) *story {
	s := tell(t, Config{Durable: true})
	s.step(OpenJob{1}, DeclareClass{1, 0, actorClass()}, Submit{batch(1, 0, [][]uint32{nil})})
	return s
}

func actorClass() graph.Class { return graph.Class{Name: "a", Actor: true, Retries: 9} }

// next is a scheduler of a generation that takes over, told the facts of those before.
func next(t *testing.T, generation uint32, facts []Fact) *story {
	s := tell(t, Config{Durable: true, Restore: true, Generation: generation})
	tell := []Event{OpenJob{1}, DeclareClass{1, 0, actorClass()}, Submit{batch(1, 0, [][]uint32{nil})}}
	for _, f := range facts {
		tell = append(tell, Recall{f})
	}
	for _, ev := range tell { // what follows from it is not drawn yet
		s.c.Step(ev)
	}
	s.log = tell
	s.step(Restored{})
	return s
}

func (s *story) facts() []Fact { return append([]Fact(nil), s.c.Facts()...) }

// brings has a worker join that has an attempt of the actor, and reports whether that goes on.
func (s *story) brings(w graph.WorkerID, a graph.Attempt) bool {
	s.Helper()
	s.step(WorkerJoined{Worker: w, Slots: 1}, Adopt{w, []TaskAttempt{attempt(0, a)}})
	return s.c.Lives(w, attempt(0, a))
}

// An attempt of an actor that was replaced does not go on under the next scheduler, though its
// worker comes back first: the calls since then have changed another one's state.
func TestReplacedActorDoesNotGoOn(t *testing.T) {
	s := actor(t)
	s.step(WorkerJoined{Worker: 1, Slots: 1}, WorkerJoined{Worker: 2, Slots: 1})
	s.want("it begins", s.output().Assign, []Assign{{Worker: 1, Task: id(0), Attempt: 1}})
	if s.c.Fenced(id(0)) || len(s.facts()) != 0 {
		t.Error("a first attempt has none before it")
	}
	s.step(WorkerLeft{Worker: 1})
	s.want("it begins anew", s.output().Assign, []Assign{{Worker: 2, Task: id(0), Attempt: 2}})
	facts := s.facts()
	s.want("which is a fact", facts, []Fact{{Kind: FactFenced, Task: id(0), Attempt: 1}})
	s.want("as a snapshot has it", s.c.Save(id(0), nil).Facts, facts)
	if !s.c.Fenced(id(0)) {
		t.Error("the second attempt fences the first")
	}
	for _, of := range []struct {
		facts []Fact
		stale bool
	}{{facts, false}, {nil, true}} { // an old journal, or one whose end is missing, has none
		s := next(t, 1, of.facts)
		if s.brings(9, 1) != of.stale {
			t.Errorf("told %v, the first attempt goes on: %t", of.facts, !of.stale)
		}
		if s.brings(10, 2) == of.stale {
			t.Errorf("told %v, the second attempt goes on: %t", of.facts, of.stale)
		}
	}
}

// So it is when the scheduler that gave the next attempt never heard of the one before, and when
// the later of the two has gone on already under one scheduler.
func TestReplacedActorOfAnotherGenerationDoesNotGoOn(t *testing.T) {
	s := next(t, 1, nil)
	s.facts()
	s.step(Resume{}, WorkerJoined{Worker: 1, Slots: 1})
	given := s.output().Assign[0].Attempt
	facts := s.facts()
	if s := next(t, 2, facts); s.brings(9, 1) || !s.brings(10, given) {
		t.Errorf("told %v: the first attempt goes on, or %v does not", facts, given)
	}
	s = next(t, 1, nil)
	s.facts()
	if !s.brings(1, 2) {
		t.Fatal("an attempt does not go on")
	}
	facts = s.facts()
	if s := next(t, 2, facts); s.brings(9, 1) || !s.brings(10, 2) {
		t.Errorf("told %v: the first attempt goes on, or the second does not", facts)
	}
}
