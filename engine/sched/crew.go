package sched

import (
	"iter"
	"math/bits"
	"slices"
)

// crew is the workers in the order in which they joined, with the sets of those that
// a turn has to look at: with thousands of workers, most turns concern a few.
type crew struct {
	all []*worker // all[w.at] is w

	idle     workerSet // have a free slot
	roomy    workerSet // may be given tasks ahead of time
	hungry   workerSet // are idle while there is work that they may not take yet
	cordoned workerSet // have to be drained
}

func (cr *crew) len() int { return len(cr.all) }

func (cr *crew) add(w *worker) {
	w.at = len(cr.all)
	cr.all = append(cr.all, w)
}

// remove takes w out; those behind it move up.
func (cr *crew) remove(w *worker) {
	cr.all = slices.Delete(cr.all, w.at, w.at+1)
	for k, v := range cr.all[w.at:] {
		v.at = w.at + k
	}
	for _, s := range []*workerSet{&cr.idle, &cr.roomy, &cr.hungry, &cr.cordoned} {
		s.delete(w.at)
	}
}

// of yields the members of a set in their order. The body may put the member that it
// was given in and out of sets, no other.
func (cr *crew) of(s *workerSet) iter.Seq[*worker] {
	return func(yield func(*worker) bool) {
		for k, word := range *s {
			for ; word != 0; word &= word - 1 {
				if !yield(cr.all[k<<6+bits.TrailingZeros64(word)]) {
					return
				}
			}
		}
	}
}

// workerSet is a set of workers by their place in the crew.
type workerSet []uint64

func (s workerSet) has(w *worker) bool {
	k := w.at >> 6
	return k < len(s) && s[k]>>(w.at&63)&1 == 1
}

func (s *workerSet) put(w *worker, in bool) {
	k := w.at >> 6
	if !in {
		if k < len(*s) {
			(*s)[k] &^= 1 << (w.at & 63)
		}
		return
	}
	for k >= len(*s) {
		*s = append(*s, 0)
	}
	(*s)[k] |= 1 << (w.at & 63)
}

// delete removes the place at; those behind it move up.
func (s workerSet) delete(at int) {
	k := at >> 6
	if k >= len(s) {
		return
	}
	below := uint64(1)<<(at&63) - 1
	s[k] = s[k]&below | s[k]>>1&^below
	for ; k+1 < len(s); k++ {
		s[k] |= s[k+1] << 63
		s[k+1] >>= 1
	}
}
