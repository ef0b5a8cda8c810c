package sched

import (
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// short tells of a worker of so many slots, and of a class of short tasks, of which task 0
// was one.
func short(t *testing.T, slots int) *story {
	s := tell(t, Config{Follow: 2000})
	s.submit(nil)
	s.step(WorkerJoined{Worker: 1, Slots: slots})
	s.output()
	s.step(done(1, 0, 1))
	s.output()
	return s
}

func gave(w graph.WorkerID, i uint32, a graph.Attempt) Assign {
	return Assign{Worker: w, Task: id(i), Attempt: a}
}

// given returns what was assigned, without the inputs.
func (s *story) given() (out []Assign, orders Output) {
	s.Helper()
	orders = s.output()
	for _, a := range orders.Assign {
		out = append(out, gave(a.Worker, a.Task.Index, a.Attempt))
	}
	return out, orders
}

func TestChainFollows(t *testing.T) {
	s := short(t, 2)
	s.submit(nil, []uint32{1}, []uint32{2})
	all, out := s.given()
	s.want("all at once", all, []Assign{gave(1, 1, 1), gave(1, 2, 1), gave(1, 3, 1)})
	s.want("what the worker itself is about to compute", out.Inputs, []Input{
		{Task: id(1), Attempt: 1, Held: [3]graph.WorkerID{1}}, {Task: id(2), Attempt: 1, Held: [3]graph.WorkerID{1}},
	})
	s.want("a slot for the first alone", s.c.free, 1)
	s.step(started(1, attempt(2, 1)), Done{1, []Finished{
		{TaskAttempt: attempt(1, 1), Inline: true}, {TaskAttempt: attempt(2, 1), Size: 1},
	}})
	s.want("the last has caught up", s.c.free, 1)
	s.step(done(1, 3, 1))
	s.want("three ends", len(s.output().Ended), 3)
	s.want("all is done", s.c.free, 2)
}

// Whatever becomes of who is followed, those who follow are stopped, and run when they can.
func TestFollowersGoBack(t *testing.T) {
	stops := []Order{{1, id(2), 1}, {1, id(3), 1}}
	anew := []Assign{gave(1, 1, 2), gave(1, 2, 2), gave(1, 3, 2)}
	for name, c := range map[string]struct {
		events []Event
		assign []Assign
		stop   []Order
	}{
		"failed": {[]Event{failed(1, 1, 1, graph.FailUser)}, anew, stops},
		"too late": { // the first ended before its worker heard of the second
			[]Event{done(1, 1, 1), Failed{1, []FailedAttempt{{TaskAttempt: attempt(2, 1), Kind: graph.FailInput, Input: id(0), Holder: 1}}}},
			[]Assign{gave(1, 2, 2), gave(1, 3, 2)}, stops[1:],
		},
		"cancelled": {[]Event{Cancel{[]graph.TaskID{id(1)}}}, nil, append([]Order{{1, id(1), 1}}, stops...)},
		"left": {
			[]Event{WorkerJoined{Worker: 2, Slots: 1}, WorkerLeft{Worker: 1}},
			[]Assign{gave(2, 0, 2), gave(2, 1, 2)}, nil, // there is other work
		},
		"brought along": {
			[]Event{WorkerJoined{Worker: 2, Slots: 1, Held: []Held{{TaskAttempt: attempt(1, 1), Size: 1}}}},
			[]Assign{gave(2, 2, 2), gave(2, 3, 2)}, stops,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := short(t, 1)
			s.submit(nil, []uint32{1}, []uint32{2})
			s.output()
			s.step(c.events...)
			all, out := s.given()
			s.want("stopped", slices.SortedFunc(slices.Values(out.Stop), func(a, b Order) int { return a.Task.Compare(b.Task) }), c.stop)
			s.want("given anew", all, c.assign)
		})
	}
}

// A follower needs all of its inputs.
func TestLostInputOfFollower(t *testing.T) {
	s := short(t, 1)
	s.submit(nil)
	s.output()
	s.step(done(1, 1, 1))
	s.submit(nil, []uint32{1, 2})
	all, _ := s.given()
	s.want("one is there, the other on its way", all, []Assign{gave(1, 2, 1), gave(1, 3, 1)})
	s.step(Missing{1, []TaskAttempt{attempt(1, 1)}})
	all, out := s.given()
	s.want("stopped", out.Stop, []Order{{1, id(3), 1}})
	s.want("computed again", all, []Assign{gave(1, 1, 2)})
	s.step(done(1, 1, 2))
	s.want("waits for the other", s.c.jobs[1].task(3).waiting, uint32(1))
	s.step(done(1, 2, 1))
	all, _ = s.given()
	s.want("has both", all, []Assign{gave(1, 3, 2)})
}

// Of many consumers as many follow as there are slots; the others are for everybody. Long
// tasks do not follow, nor those whose inputs are with several workers.
func TestWhoMayFollow(t *testing.T) {
	s := short(t, 2)
	s.submit(nil, []uint32{1}, []uint32{1}, []uint32{1}, []uint32{1})
	all, _ := s.given()
	s.want("two of four", len(all), 3)

	s = short(t, 1)
	s.step(WorkerJoined{Worker: 2, Slots: 1})
	s.submit(nil, nil, []uint32{1, 2})
	all, _ = s.given()
	s.want("not what needs both workers", all, []Assign{gave(1, 1, 1), gave(2, 2, 1)})

	s = short(t, 1)
	s.submit(nil)
	s.output()
	s.step(Done{1, []Finished{{TaskAttempt: attempt(1, 1), Duration: 1_000_000}}})
	s.submit(nil, []uint32{2})
	all, _ = s.given()
	s.want("not what takes long", all, []Assign{gave(1, 2, 1)})
}

// A death of who is followed is its own: those behind it had not begun.
func TestFollowersAreNoCompany(t *testing.T) {
	s := short(t, 1)
	s.submit(nil, []uint32{1})
	s.output()
	for a := graph.Attempt(1); a <= defaultDeaths; a++ {
		s.step(started(1, attempt(1, a)), failed(1, 1, a, graph.FailDied))
		out := s.output()
		if a == defaultDeaths {
			s.want("its third death alone", out.Ended[0], Ended{Task: id(1), Attempt: a, Kind: graph.FailDied, Cause: id(1)})
		}
	}
}
