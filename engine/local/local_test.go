package local

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/yarnd/yarnd/engine/graph"
)

func key(i uint32, a graph.Attempt) Key { return Key{graph.TaskID{Job: 1, Index: i}, a} }

func class(priority int32, slots uint16) *Class {
	return &Class{Class: &graph.Class{Name: "f", Kind: graph.KindGo, Priority: priority, Resources: graph.Resources{Slots: slots}}}
}

func assignment(k Key, c *Class, inputs ...Input) Assignment {
	return Assignment{Key: k, Class: c, Inputs: inputs}
}

func input(k Key, size uint64, holders ...graph.WorkerID) Input {
	return Input{Key: k, Size: size, Holders: holders}
}

// turn steps and returns a copy of the output.
func turn(c *Core, events ...Event) Output {
	for _, e := range events {
		c.Step(e)
	}
	o := *c.Output()
	for _, s := range []*[]Key{&o.Abandon, &o.Drop, &o.Started, &o.Parked, &o.Unparked, &o.Missing} {
		*s = slices.Clone(*s)
	}
	o.Recall, o.Begun, o.Resumed = slices.Clone(o.Recall), slices.Clone(o.Begun), slices.Clone(o.Resumed)
	o.Cancel, o.Run, o.Fetch, o.Done = slices.Clone(o.Cancel), slices.Clone(o.Run), slices.Clone(o.Fetch), slices.Clone(o.Done)
	o.Failed, o.Retracted, o.Copied = slices.Clone(o.Failed), slices.Clone(o.Retracted), slices.Clone(o.Copied)
	return o
}

func expect(t *testing.T, got Output, want Output) {
	t.Helper()
	opts := cmp.Options{
		cmpopts.EquateEmpty(),
		cmp.Transformer("key", func(a *Assignment) Key { return a.Key }),
		cmpopts.IgnoreFields(Start{}, "Limit"),
		cmp.Comparer(func(a, b *graph.Failure) bool {
			return a == nil && b == nil || a != nil && b != nil && a.Kind == b.Kind
		}),
	}
	if d := cmp.Diff(want, got, opts); d != "" {
		t.Fatalf("output (-want +got):\n%s", d)
	}
}

func runs(keys ...Key) (starts []Start) {
	for _, a := range named(keys...) {
		starts = append(starts, Start{Assignment: a})
	}
	return starts
}

func ahead(keys ...Key) []Start {
	starts := runs(keys...)
	for i := range starts {
		starts[i].Ahead = true
	}
	return starts
}

func named(keys ...Key) (as []*Assignment) {
	for _, k := range keys {
		as = append(as, &Assignment{Key: k})
	}
	return as
}

func ended(ends ...End) Ended { return Ended{ends} }

func joined(cfg Config) *Core {
	c := New(cfg)
	c.Step(Joined{Self: 7})
	return c
}

func TestPriorityThenOrder(t *testing.T) {
	c := joined(Config{Slots: 1})
	o := turn(c, Assigned{[]Assignment{
		assignment(key(1, 1), class(0, 0)), assignment(key(2, 1), class(0, 0)),
		assignment(key(3, 1), class(5, 0)), assignment(key(4, 1), class(5, 1)),
	}})
	var order []uint32
	for len(o.Run) > 0 {
		order = append(order, o.Run[0].Task.Index)
		o = turn(c, ended(End{Key: o.Run[0].Key}))
	}
	if want := []uint32{3, 4, 1, 2}; !slices.Equal(order, want) {
		t.Errorf("ran %v, want %v", order, want)
	}
}

func TestManySlotsAreNotOvertaken(t *testing.T) {
	c := joined(Config{Slots: 2})
	expect(t, turn(c, Assigned{[]Assignment{
		assignment(key(1, 1), class(0, 1)), assignment(key(2, 1), class(0, 2)), assignment(key(3, 1), class(0, 1)),
	}}), Output{Run: runs(key(1, 1)), Started: []Key{key(1, 1)}})
	expect(t, turn(c, ended(End{Key: key(1, 1)})),
		Output{Run: runs(key(2, 1)), Started: []Key{key(2, 1)}, Done: []Done{{Key: key(1, 1)}}})
	o := turn(c, Assigned{[]Assignment{assignment(key(9, 1), class(0, 3))}})
	if len(o.Failed) != 1 || o.Failed[0].Failure.Kind != graph.FailSetup {
		t.Errorf("3 slots of 2: %+v", o.Failed)
	}
}

func TestInputIsFetchedOnce(t *testing.T) {
	c := joined(Config{Slots: 2})
	in := input(key(1, 3), 100, 4, 5)
	expect(t, turn(c, Assigned{[]Assignment{
		assignment(key(2, 1), class(0, 0), in), assignment(key(3, 1), class(0, 0), in, in),
		assignment(key(4, 1), class(0, 0), Input{Key: key(8, 1), Inline: []byte("x")}),
	}}), Output{Fetch: []Fetch{{key(1, 3), 100, 4}}, Run: runs(key(4, 1)), Started: []Key{key(4, 1)}})
	expect(t, turn(c, FetchFailed{Key: key(1, 3)}), Output{Fetch: []Fetch{{key(1, 3), 100, 5}}})
	expect(t, turn(c, Fetched{key(1, 3)}), Output{
		Copied: []Held{{key(1, 3), 100}}, Run: runs(key(2, 1)), Started: []Key{key(2, 1)},
	})
	expect(t, turn(c, ended(End{Key: key(2, 1), Size: 9, Kept: true})), Output{
		Done: []Done{{Key: key(2, 1), Size: 9, Kept: true}}, Run: runs(key(3, 1)), Started: []Key{key(3, 1)},
	})
	if got, want := c.AppendHeld(nil), []Held{{key(1, 3), 100}, {key(2, 1), 9}}; !slices.Equal(got, want) {
		t.Errorf("held %v, want %v", got, want)
	}
	expect(t, turn(c, Free{[]Key{key(1, 3), key(77, 1)}}), Output{Drop: []Key{key(1, 3)}})
}

func TestNoHolderLeft(t *testing.T) {
	c := joined(Config{Slots: 2})
	o := turn(c, Assigned{[]Assignment{
		assignment(key(2, 1), class(0, 0), input(key(1, 1), 1, 4)),
		assignment(key(3, 1), class(0, 0), input(key(1, 1), 1, 4), input(key(1, 1), 1, 4)),
		assignment(key(4, 1), class(0, 0), input(key(9, 1), 1, 7)), // only this worker
	}})
	expect(t, o, Output{
		Fetch: []Fetch{{key(1, 1), 1, 4}}, Missing: []Key{key(9, 1)},
		Failed: []Failed{{Key: key(4, 1), Failure: inputFailure(key(9, 1)), Input: key(9, 1).Task, Holder: 7}},
	})
	expect(t, turn(c, FetchFailed{Key: key(1, 1)}), Output{Failed: []Failed{
		{Key: key(2, 1), Failure: inputFailure(key(1, 1)), Input: key(1, 1).Task, Holder: 4},
		{Key: key(3, 1), Failure: inputFailure(key(1, 1)), Input: key(1, 1).Task, Holder: 4},
	}})
}

func TestNoRoomHere(t *testing.T) {
	c := joined(Config{})
	turn(c, Assigned{[]Assignment{assignment(key(2, 1), class(0, 0), input(key(1, 1), 1, 4, 5))}})
	full := &graph.Failure{Kind: graph.FailMemory}
	expect(t, turn(c, FetchFailed{Key: key(1, 1), Here: full}), Output{Failed: []Failed{{Key: key(2, 1), Failure: full}}})
}

func TestStopAndRetract(t *testing.T) {
	c := joined(Config{Slots: 1})
	turn(c, Assigned{[]Assignment{
		assignment(key(1, 1), class(0, 0)), assignment(key(2, 1), class(0, 0)),
		assignment(key(3, 1), class(0, 0), input(key(9, 1), 1, 4)),
	}})
	expect(t, turn(c, Retract{[]Key{key(1, 1), key(2, 1), key(2, 1), key(3, 1), key(3, 2)}}), Output{
		Abandon:   []Key{key(9, 1)},
		Retracted: []Retracted{{key(1, 1), false}, {key(2, 1), true}, {key(2, 1), false}, {key(3, 1), true}, {key(3, 2), false}},
	})
	// Stopped and assigned again: two attempts. The slot is taken until the old one ends.
	expect(t, turn(c, Stop{[]Key{key(1, 1), key(1, 1)}}, Assigned{[]Assignment{assignment(key(1, 2), class(0, 0))}}),
		Output{Cancel: named(key(1, 1))})
	expect(t, turn(c, ended(End{Key: key(1, 1), Size: 5, Kept: true})),
		Output{Drop: []Key{key(1, 1)}, Run: runs(key(1, 2)), Started: []Key{key(1, 2)}})
	expect(t, turn(c, Fetched{key(9, 1)}), Output{Drop: []Key{key(9, 1)}})
}

func TestAbandonedFetchWantedAgain(t *testing.T) {
	c := joined(Config{Slots: 1})
	in := input(key(9, 1), 1, 4)
	turn(c, Assigned{[]Assignment{assignment(key(1, 1), class(0, 0), in)}})
	expect(t, turn(c, Stop{[]Key{key(1, 1)}}, Assigned{[]Assignment{assignment(key(2, 1), class(0, 0), in)}}),
		Output{Abandon: []Key{key(9, 1)}})
	// Its failure says nothing about the holder.
	expect(t, turn(c, FetchFailed{Key: key(9, 1)}), Output{Fetch: []Fetch{{key(9, 1), 1, 4}}})
	expect(t, turn(c, Fetched{key(9, 1)}), Output{Copied: []Held{{key(9, 1), 1}}, Run: runs(key(2, 1)), Started: []Key{key(2, 1)}})
}

func TestFreedBeforeItRan(t *testing.T) {
	c := joined(Config{Slots: 1})
	in := input(key(9, 1), 1, 4)
	turn(c, Assigned{[]Assignment{assignment(key(1, 1), class(0, 0)), assignment(key(2, 1), class(0, 0), in)}})
	turn(c, Fetched{key(9, 1)})
	expect(t, turn(c, Free{[]Key{key(9, 1)}}), Output{Drop: []Key{key(9, 1)}})
	expect(t, turn(c, ended(End{Key: key(1, 1)})), Output{Done: []Done{{Key: key(1, 1)}}, Fetch: []Fetch{{key(9, 1), 1, 4}}})
	expect(t, turn(c, Fetched{key(9, 1)}), Output{Copied: []Held{{key(9, 1), 1}}, Run: runs(key(2, 1)), Started: []Key{key(2, 1)}})
}

func TestCopyAndLost(t *testing.T) {
	c := joined(Config{})
	o := CopyOrder{Key: key(1, 1), Size: 3, From: 4}
	expect(t, turn(c, Copy{[]CopyOrder{o}}), Output{Fetch: []Fetch{{key(1, 1), 3, 4}}})
	expect(t, turn(c, FetchFailed{Key: key(1, 1)}), Output{Failed: []Failed{{Key: key(1, 1), Failure: inputFailure(key(1, 1)), Input: key(1, 1).Task, Holder: 4}}})
	turn(c, Copy{[]CopyOrder{o}})
	expect(t, turn(c, Fetched{key(1, 1)}), Output{Copied: []Held{{key(1, 1), 3}}})
	expect(t, turn(c, Copy{[]CopyOrder{o}}), Output{Copied: []Held{{key(1, 1), 3}}})
	expect(t, turn(c, Lost{key(1, 1)}, Lost{key(1, 1)}), Output{Drop: []Key{key(1, 1)}, Missing: []Key{key(1, 1)}})
}

func TestReconnect(t *testing.T) {
	c := joined(Config{Slots: 3})
	turn(c, Assigned{[]Assignment{
		assignment(key(1, 1), class(0, 0)), assignment(key(2, 1), class(0, 0)), assignment(key(3, 1), class(0, 0)),
		assignment(key(4, 1), class(0, 0)), assignment(key(5, 1), class(0, 0), input(key(9, 1), 1, 4)),
	}})
	expect(t, turn(c, Left{}), Output{Abandon: []Key{key(9, 1)}})
	expect(t, turn(c, ended(End{Key: key(1, 1), Size: 8, Kept: true}), ended(End{Key: key(2, 1), Inline: []byte("x")}), FetchFailed{Key: key(9, 1)}), Output{})
	c.Step(Joined{Self: 8})
	if got, want := c.AppendHeld(nil), []Held{{key(1, 1), 8}}; !slices.Equal(got, want) {
		t.Errorf("held %v, want %v", got, want)
	}
	if got, want := c.AppendRunning(nil), []Key{key(2, 1), key(3, 1)}; !slices.Equal(got, want) {
		t.Errorf("it has %v, want %v", got, want)
	}
	expect(t, turn(c), Output{Started: []Key{key(3, 1)}, Done: []Done{{Key: key(2, 1), Inline: []byte("x")}}})
	expect(t, turn(c, ended(End{Key: key(3, 1)})), Output{Done: []Done{{Key: key(3, 1)}}})
}

// TestReconnectUnsaid: what a turn had to say when the connection broke is said on the next
// one, and on the one after that if it breaks as well.
func TestReconnectUnsaid(t *testing.T) {
	c := joined(Config{Slots: 4})
	turn(c, Assigned{[]Assignment{
		assignment(key(1, 1), class(0, 0)), assignment(key(2, 1), class(0, 0)),
		assignment(key(3, 1), class(0, 0)), assignment(key(4, 1), class(0, 0)),
	}})
	failure := &graph.Failure{Kind: graph.FailUser}
	read := End{Key: key(3, 1), Failure: &graph.Failure{Kind: graph.FailInput}, Input: key(9, 1)}
	small := []byte("x")
	expect(t, turn(c, ended(End{Key: key(1, 1), Inline: small}, End{Key: key(2, 1), Failure: failure}, read), Park{[]Key{key(4, 1)}}, Left{}), Output{})
	small[0] = 'y' // its memory is used again
	c.Step(Joined{Self: 8})
	if got, want := c.AppendRunning(nil), []Key{key(1, 1), key(2, 1), key(4, 1)}; !slices.Equal(got, want) {
		t.Errorf("it has %v, want %v", got, want)
	}
	expect(t, turn(c, Left{}), Output{})
	expect(t, turn(c, Joined{Self: 9}), Output{
		Started: []Key{key(4, 1)}, Parked: []Key{key(4, 1)},
		Done: []Done{{Key: key(1, 1), Inline: []byte("x")}}, Failed: []Failed{{Key: key(2, 1), Failure: failure}},
	})
	if got, want := c.AppendRunning(nil), []Key{key(4, 1)}; !slices.Equal(got, want) {
		t.Errorf("it has %v, want %v", got, want)
	}
}

// TestFreshDropsUnsaid: nobody wants to hear how tasks of another scheduler ended.
func TestFreshDropsUnsaid(t *testing.T) {
	c := joined(Config{Slots: 2})
	turn(c, Assigned{[]Assignment{assignment(key(1, 1), class(0, 0)), assignment(key(2, 1), class(0, 0))}})
	turn(c, Left{}, ended(End{Key: key(1, 1)}, End{Key: key(2, 1), Failure: &graph.Failure{Kind: graph.FailUser}}))
	expect(t, turn(c, Joined{Self: 1, Fresh: true}), Output{})
	if got := c.AppendRunning(nil); len(got) > 0 {
		t.Errorf("it has %v, want nothing", got)
	}
}

// TestFreshScheduler: its tasks have the numbers of old ones, and are others.
func TestFreshScheduler(t *testing.T) {
	c := joined(Config{Slots: 2})
	again := Assigned{[]Assignment{assignment(key(1, 1), class(0, 0)), assignment(key(2, 1), class(0, 0))}}
	turn(c, again)
	turn(c, Left{}, ended(End{Key: key(1, 1), Size: 9, Kept: true, Took: 5000}))
	expect(t, turn(c, Joined{Self: 1, Fresh: true}), Output{Drop: []Key{key(1, 1)}, Cancel: named(key(2, 1))})
	if held := c.AppendHeld(nil); len(held) != 0 {
		t.Errorf("it still holds %v", held)
	}
	expect(t, turn(c, again), Output{Run: runs(key(1, 1)), Started: []Key{key(1, 1)}})
	expect(t, turn(c, ended(End{Key: key(2, 1), Size: 5, Kept: true, Took: 5000})),
		Output{Drop: []Key{key(2, 1)}, Run: runs(key(2, 1)), Started: []Key{key(2, 1)}})
	// Stopped, assigned, and then stopped or asked back before the old one ended.
	turn(c, Left{}, Joined{Self: 1, Fresh: true}, again)
	expect(t, turn(c, Stop{[]Key{key(1, 1)}}, Retract{[]Key{key(2, 1), key(2, 1)}}),
		Output{Retracted: []Retracted{{key(2, 1), true}, {key(2, 1), false}}})
	expect(t, turn(c, ended(End{Key: key(1, 1)}), ended(End{Key: key(2, 1)})), Output{})
}

func TestFetchLimits(t *testing.T) {
	c := joined(Config{Fetches: 3, FetchBytes: 100})
	var tasks []Assignment
	for i, size := range []uint64{60, 50, 500, 1, 1, 1, 1} {
		tasks = append(tasks, assignment(key(uint32(i), 1), class(0, 0), input(key(uint32(i)+50, 1), size, 4)))
	}
	o := turn(c, Assigned{tasks})
	var sizes [][]uint64
	for len(o.Fetch) > 0 {
		var s []uint64
		for _, f := range o.Fetch {
			s = append(s, f.Size)
		}
		sizes = append(sizes, s)
		for _, f := range o.Fetch {
			c.Step(Fetched{f.Key})
		}
		o = turn(c)
	}
	if got, want := fmt.Sprint(sizes), "[[60] [50] [500] [1 1 1] [1]]"; got != want {
		t.Errorf("fetches %s, want %s", got, want)
	}
}

func TestUnaskedAnswersPanic(t *testing.T) {
	for _, e := range []Event{ended(End{Key: key(1, 1)}), Fetched{key(1, 1)}, FetchFailed{Key: key(1, 1)}, nil} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T passed", e)
				}
			}()
			joined(Config{}).Step(e)
		}()
	}
}

// A lazy attempt does not wait for large inputs that others hold; small ones, and those
// that the scheduler keeps, are fetched as for any. What it could not read while it ran is
// blamed on the one who was asked.
func TestLazyInputs(t *testing.T) {
	c := joined(Config{Slots: 2})
	lazy := class(0, 1)
	lazy.Class.Lazy = true
	large, small, kept := key(1, 1), key(2, 1), key(3, 1)
	task := assignment(key(9, 1), lazy, input(large, graph.LazyInput+1, 4), input(small, graph.LazyInput, 4), input(kept, graph.LazyInput+1, 0))
	o := turn(c, Assigned{[]Assignment{task}})
	expect(t, o, Output{Fetch: []Fetch{{small, graph.LazyInput, 4}, {kept, graph.LazyInput + 1, 0}}})
	expect(t, turn(c, Fetched{small}, Fetched{kept}), Output{
		Run: runs(key(9, 1)), Started: []Key{key(9, 1)}, Copied: []Held{{small, graph.LazyInput}},
	})
	failure := &graph.Failure{Kind: graph.FailInput}
	o = turn(c, ended(End{Key: key(9, 1), Failure: failure, Input: large, Holder: 4}))
	expect(t, o, Output{
		Drop:   []Key{kept},
		Failed: []Failed{{Key: key(9, 1), Failure: failure, Input: large.Task, Holder: 4}},
	})
}
