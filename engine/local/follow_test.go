package local

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// follows returns an input that attempt k of this worker is about to give.
func follows(k Key) Input { return input(k, 0, 7) }

// chain is a core with one slot and three attempts, of which each follows the one before.
func chain() (c *Core, first Output) {
	c = joined(Config{Slots: 1})
	return c, turn(c, Assigned{[]Assignment{
		assignment(key(1, 1), class(0, 0)),
		assignment(key(2, 1), class(0, 0), follows(key(1, 1))),
		assignment(key(3, 1), class(0, 0), follows(key(2, 1)), follows(key(2, 1))),
	}})
}

func TestFollowersStartInTurn(t *testing.T) {
	c, o := chain()
	expect(t, o, Output{Run: runs(key(1, 1)), Started: []Key{key(1, 1)}})
	end := End{Key: key(1, 1), Size: 1, Inline: []byte{9}, Took: 10}
	o = turn(c, ended(end))
	expect(t, o, Output{
		Run: runs(key(2, 1)), Done: []Done{{Key: end.Key, Size: 1, Inline: end.Inline, Took: 10}},
		Started: []Key{key(2, 1)},
	})
	if in := o.Run[0].Inputs[0]; !in.IsInline() || in.Size != 1 || in.Inline[0] != 9 {
		t.Errorf("input %+v", in)
	}
	o = turn(c, ended(End{Key: key(2, 1), Size: 5000, Kept: true, Took: 1 << 30}))
	expect(t, o, Output{
		Run: runs(key(3, 1)), Done: []Done{{Key: key(2, 1), Size: 5000, Kept: true, Took: 1 << 30}}, Started: []Key{key(3, 1)},
	})
	if in := o.Run[0].Inputs[1]; in.IsInline() || in.Size != 5000 {
		t.Errorf("input %+v", in)
	}
}

// Nothing begins behind one that gives no result: the scheduler stops it.
func TestFollowersOfFailure(t *testing.T) {
	c, _ := chain()
	fail := &graph.Failure{Kind: graph.FailUser}
	expect(t, turn(c, ended(End{Key: key(1, 1), Failure: fail})), Output{Failed: []Failed{{Key: key(1, 1), Failure: fail}}})
	expect(t, turn(c, Stop{[]Key{key(2, 1), key(3, 1)}}), Output{})
	if active, queued := c.Counts(); active+queued > 0 {
		t.Errorf("%d and %d are left", active, queued)
	}
	expect(t, turn(c, Assigned{[]Assignment{assignment(key(1, 2), class(0, 0))}}), Output{Run: runs(key(1, 2)), Started: []Key{key(1, 2)}})
}

func TestFollowersAreGivenBack(t *testing.T) {
	c, _ := chain()
	expect(t, turn(c, Retract{[]Key{key(2, 1)}}), Output{Retracted: []Retracted{{key(2, 1), true}}})
	expect(t, turn(c, ended(End{Key: key(1, 1)})), Output{Done: []Done{{Key: key(1, 1)}}})
	expect(t, turn(c, Left{}, Joined{Self: 8}), Output{})
	if active, queued := c.Counts(); active+queued > 0 {
		t.Errorf("%d and %d are left", active, queued)
	}
}

// Who comes when the one before has ended, or is being stopped, is given up at once: the
// scheduler has heard of that end first.
func TestFollowerComesTooLate(t *testing.T) {
	c := joined(Config{Slots: 1})
	turn(c, Assigned{[]Assignment{assignment(key(1, 1), class(0, 0))}})
	turn(c, Stop{[]Key{key(1, 1)}})
	late := Output{
		Failed:  []Failed{{Key: key(2, 1), Failure: &graph.Failure{Kind: graph.FailInput}, Input: key(1, 1).Task, Holder: 7}},
		Missing: []Key{key(1, 1)},
	}
	expect(t, turn(c, Assigned{[]Assignment{assignment(key(2, 1), class(0, 0), follows(key(1, 1)))}}), late)
	turn(c, ended(End{Key: key(1, 1)}))
	expect(t, turn(c, Assigned{[]Assignment{assignment(key(2, 1), class(0, 0), follows(key(1, 1)))}}), late)
}
