package local

import (
	"slices"
	"testing"
)

// What is fetched from the scheduler is told to nobody, serves all that need it, and
// goes with the last of them.
func TestLoan(t *testing.T) {
	c := joined(Config{Slots: 1})
	small := key(100, 1)
	need := func(i uint32) Assignment { return assignment(key(i, 1), class(0, 0), input(small, 10, 0)) }
	if o := turn(c, Assigned{[]Assignment{need(1), need(2)}}); len(o.Fetch) != 1 || o.Fetch[0].From != 0 {
		t.Fatalf("fetches %+v, want one from the scheduler", o.Fetch)
	}
	if o := turn(c, Fetched{small}); len(o.Run) != 1 || len(o.Copied) != 0 {
		t.Fatalf("%+v", o)
	}
	if o := turn(c, Assigned{[]Assignment{need(3)}}); len(o.Fetch) != 0 {
		t.Errorf("fetched again: %+v", o.Fetch)
	}
	if held := c.AppendHeld(nil); len(held) != 0 {
		t.Errorf("in the inventory: %v", held)
	}
	for i := uint32(1); i <= 2; i++ {
		if o := turn(c, ended(End{Key: key(i, 1)})); len(o.Drop) != 0 || len(o.Run) != 1 {
			t.Fatalf("after %d: %+v", i, o)
		}
	}
	if o := turn(c, ended(End{Key: key(3, 1)})); !slices.Equal(o.Drop, []Key{small}) {
		t.Errorf("dropped %v", o.Drop)
	}
}

// A loan becomes a copy when the scheduler asks for one, and means nothing to a fresh
// scheduler, even to an attempt that waits for a slot with it.
func TestLoanKeptAndForgotten(t *testing.T) {
	c := joined(Config{Slots: 1})
	small := key(100, 1)
	need := assignment(key(1, 1), class(0, 0), input(small, 10, 0))
	turn(c, Assigned{[]Assignment{need}})
	turn(c, Fetched{small})
	if o := turn(c, Copy{[]CopyOrder{{small, 10, 3}}}); len(o.Copied) != 1 || len(o.Fetch) != 0 {
		t.Errorf("%+v", o)
	}
	if o := turn(c, ended(End{Key: need.Key})); len(o.Drop) != 0 {
		t.Errorf("dropped %v, which is held", o.Drop)
	}

	other := key(200, 1)
	turn(c, Assigned{[]Assignment{assignment(key(2, 1), class(0, 0), input(other, 10, 0))}})
	turn(c, Fetched{other})
	if o := turn(c, Left{}, Joined{Self: 8, Fresh: true}); !slices.Contains(o.Drop, other) {
		t.Errorf("dropped %v", o.Drop)
	}
	if o := turn(c, ended(End{Key: key(2, 1)})); len(o.Drop) != 0 {
		t.Errorf("dropped %v a second time", o.Drop)
	}
}
