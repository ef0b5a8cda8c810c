package local

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// crowd assigns attempts 0 to n-1 of a class whose tasks take so many microseconds, of
// which attempt 0 has ended.
func crowd(t *testing.T, c *Core, cl *Class, n uint32, micros uint32) Output {
	t.Helper()
	turn(c, Assigned{[]Assignment{assignment(key(0, 1), cl)}})
	turn(c, ended(End{Key: key(0, 1), Took: micros}))
	var tasks []Assignment
	for i := range n - 1 {
		tasks = append(tasks, assignment(key(i+1, 1), cl))
	}
	return turn(c, Assigned{tasks})
}

func TestWindowIsATime(t *testing.T) {
	for micros, want := range map[uint32]int{0: 512, 3: 512, 10: 200, 500: 4, 1999: 1, 2000: 1, 2001: 0, 1e6: 0} {
		c := joined(Config{Slots: 2})
		o := crowd(t, c, class(0, 0), 2000, micros)
		if got, want := len(o.Run), 2+min(2*want, 512); got != want {
			t.Errorf("%d µs: %d are handed out, want %d", micros, got, want)
		}
		for i, s := range o.Run {
			if s.Ahead != (i >= 2) || s.Limit != 2 {
				t.Errorf("%d µs: number %d: %+v", micros, i, s)
			}
		}
		if told := len(o.Started) > 0; told != (want == 0) {
			t.Errorf("%d µs: told of %v", micros, o.Started)
		}
	}
}

// TestUnknownIsNotAhead: the first of a class may take for ever.
func TestUnknownIsNotAhead(t *testing.T) {
	c := joined(Config{Slots: 1})
	cl := class(0, 0)
	expect(t, turn(c, Assigned{[]Assignment{assignment(key(1, 1), cl), assignment(key(2, 1), cl)}}),
		Output{Run: runs(key(1, 1)), Started: []Key{key(1, 1)}})
}

// TestLongerThanThought: what waits behind it is recalled, and can run elsewhere here.
func TestLongerThanThought(t *testing.T) {
	c := joined(Config{Slots: 1})
	cl := class(0, 0)
	o := crowd(t, c, cl, 4, 10)
	expect(t, o, Output{Run: append(runs(key(1, 1)), ahead(key(2, 1), key(3, 1))...)})
	expect(t, turn(c, Tick{1}), Output{})
	expect(t, turn(c, Tick{1}), Output{Started: []Key{key(1, 1)}, Recall: named(key(2, 1), key(3, 1))})
	if c.Rest() > 0 {
		t.Error("it waits for more ticks")
	}
	// Number 2 had begun meanwhile, as 1 had ended.
	expect(t, turn(c, ended(End{Key: key(1, 1)}), Recalled{[]Answer{{key(2, 1), false}, {key(3, 1), true}}}),
		Output{Done: []Done{{Key: key(1, 1)}}, Run: ahead(key(3, 1))})
	expect(t, turn(c, ended(End{Key: key(2, 1)}, End{Key: key(3, 1)})), Output{Done: []Done{{Key: key(2, 1)}, {Key: key(3, 1)}}})
}

func TestRetractionOfHanded(t *testing.T) {
	c := joined(Config{Slots: 1})
	crowd(t, c, class(0, 0), 5, 10)
	expect(t, turn(c, Retract{[]Key{key(1, 1), key(2, 1), key(3, 1), key(4, 1)}}), Output{
		Retracted: []Retracted{{key(1, 1), false}},
		Recall:    named(key(2, 1), key(3, 1), key(4, 1)),
	})
	// The end of one is its answer; what is said of the recall afterwards is nothing.
	expect(t, turn(c, ended(End{Key: key(1, 1)}, End{Key: key(2, 1)}), Recalled{[]Answer{{key(2, 1), false}, {key(3, 1), true}, {key(4, 1), false}}}), Output{
		Done:      []Done{{Key: key(1, 1)}, {Key: key(2, 1)}},
		Retracted: []Retracted{{key(3, 1), true}, {key(4, 1), false}},
	})
	expect(t, turn(c, ended(End{Key: key(4, 1)})), Output{Done: []Done{{Key: key(4, 1)}}})
}

func TestStopOfHanded(t *testing.T) {
	c := joined(Config{Slots: 1})
	crowd(t, c, class(0, 0), 4, 10)
	expect(t, turn(c, Stop{[]Key{key(2, 1)}}), Output{Cancel: named(key(2, 1))})
	expect(t, turn(c, ended(End{Key: key(2, 1), Failure: &graph.Failure{Kind: graph.FailCancelled}})), Output{})
	expect(t, turn(c, ended(End{Key: key(1, 1)})), Output{Done: []Done{{Key: key(1, 1)}}})
}

// TestAnotherPlaceGetsSlots: a stream of short tasks does not keep them.
func TestAnotherPlaceGetsSlots(t *testing.T) {
	c := joined(Config{Slots: 1})
	here, there := class(0, 0), class(0, 0)
	there.Place = 1
	crowd(t, c, here, 3, 10)
	expect(t, turn(c, Assigned{[]Assignment{assignment(key(8, 1), there), assignment(key(9, 1), here)}}), Output{})
	expect(t, turn(c, ended(End{Key: key(1, 1)})), Output{Done: []Done{{Key: key(1, 1)}}})
	expect(t, turn(c, ended(End{Key: key(2, 1)})),
		Output{Done: []Done{{Key: key(2, 1)}}, Run: runs(key(8, 1)), Started: []Key{key(8, 1)}})
}

// TestDeathTellsOfTheOthers: what ran elsewhere, so that the dead one is not taken for
// alone; but not of what waited behind it.
func TestDeathTellsOfTheOthers(t *testing.T) {
	c := joined(Config{Slots: 2})
	here, there := class(0, 0), class(0, 0)
	there.Place = 1
	turn(c, Assigned{[]Assignment{assignment(key(8, 1), there)}})
	turn(c, ended(End{Key: key(8, 1), Took: 10}))
	turn(c, Assigned{[]Assignment{assignment(key(9, 1), there)}})
	expect(t, crowd(t, c, here, 4, 10), Output{Run: append(runs(key(1, 1)), ahead(key(2, 1), key(3, 1))...)})
	failure := &graph.Failure{Kind: graph.FailDied}
	expect(t, turn(c, ended(End{Key: key(1, 1), Failure: failure, Died: true})), Output{
		Started: []Key{key(1, 1), key(9, 1)},
		Failed:  []Failed{{Key: key(1, 1), Failure: failure}},
	})
}

// TestTimeLimitOfHanded: the executor's keeper hears when it has begun.
func TestTimeLimitOfHanded(t *testing.T) {
	c := joined(Config{Slots: 1})
	cl := class(0, 0)
	cl.TimeLimit = 1
	crowd(t, c, cl, 3, 10)
	expect(t, turn(c, ended(End{Key: key(1, 1)})), Output{Done: []Done{{Key: key(1, 1)}}, Begun: named(key(2, 1))})
}

// TestPaceOfCommands: they may take longer and still be handed out ahead, and are late
// later; while nothing else runs, ticks come less often.
func TestPaceOfCommands(t *testing.T) {
	for micros, want := range map[uint32]int{1300: 15, 20_000: 1, 20_001: 0} {
		c := joined(Config{Slots: 1})
		cl := class(0, 0)
		cl.Kind = graph.KindCommand
		o := crowd(t, c, cl, 50, micros)
		if len(o.Run) != 1+want || (len(o.Started) > 0) != (want == 0) {
			t.Errorf("%d µs: %d are handed out, told of %v", micros, len(o.Run), o.Started)
		}
		if want == 0 {
			continue
		}
		rest := c.Rest()
		if rest != commands.rest {
			t.Errorf("the next tick is wanted after %d whiles", rest)
		}
		for passed := rest; passed < commands.late; passed += rest {
			expect(t, turn(c, Tick{rest}), Output{})
		}
		if o := turn(c, Tick{rest}); len(o.Started) != 1 || len(o.Recall) != want {
			t.Errorf("%d µs: when the first is late: %+v", micros, o)
		}
	}
}
