package local

import "testing"

// A parent waits for its child, which runs in its slot; what returns goes before others.
func TestPark(t *testing.T) {
	c := joined(Config{Slots: 1})
	k, parent, child, other := class(0, 0), key(1, 1), key(2, 1), key(3, 1)
	expect(t, turn(c, Assigned{[]Assignment{assignment(parent, k)}}), Output{Run: runs(parent), Started: []Key{parent}})
	expect(t, turn(c, Assigned{[]Assignment{assignment(child, k), assignment(other, k)}}), Output{})
	expect(t, turn(c, Park{[]Key{parent, key(9, 1)}}), Output{Parked: []Key{parent}, Run: runs(child), Started: []Key{child}})
	expect(t, turn(c, Unpark{[]Key{parent}}), Output{})
	o := turn(c, ended(End{Key: child, Took: 5000}))
	expect(t, o, Output{Done: o.Done, Resumed: named(parent), Unparked: []Key{parent}})
	o = turn(c, ended(End{Key: parent, Took: 5000}))
	expect(t, o, Output{Done: o.Done, Run: runs(other), Started: []Key{other}})
}

// A parked attempt that ends, or is stopped, gives nothing back twice.
func TestParkedEnds(t *testing.T) {
	c := joined(Config{Slots: 1})
	k, a, b, d := class(0, 0), key(1, 1), key(2, 1), key(3, 1)
	turn(c, Assigned{[]Assignment{assignment(a, k)}})
	turn(c, Park{[]Key{a}}, Assigned{[]Assignment{assignment(b, k)}})
	turn(c, Park{[]Key{a, a}}, Unpark{[]Key{a}})
	expect(t, turn(c, Stop{[]Key{a}}), Output{Cancel: named(a)})
	expect(t, turn(c, ended(End{Key: a, Took: 5000})), Output{})
	o := turn(c, ended(End{Key: b, Took: 5000}), Assigned{[]Assignment{assignment(d, k)}})
	expect(t, o, Output{Done: o.Done, Run: runs(d), Started: []Key{d}})
	if c.free != 0 || c.parked != 0 || c.returning.len() != 0 {
		t.Errorf("%d free, %d parked, %d return", c.free, c.parked, c.returning.len())
	}
}

// One that was not parked, as too many are, is told at once that it may go on.
func TestUnparkOfActive(t *testing.T) {
	c := joined(Config{Slots: 1})
	a := key(1, 1)
	turn(c, Assigned{[]Assignment{assignment(a, class(0, 0))}})
	c.parked = maxParked
	expect(t, turn(c, Park{[]Key{a}}), Output{})
	expect(t, turn(c, Unpark{[]Key{a}}), Output{Resumed: named(a)})
}
