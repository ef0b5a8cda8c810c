package local

import (
	"iter"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// attempts holds the attempts that are here, and the memory of those that have left.
type attempts struct {
	of    map[graph.TaskID]*attempt // the first of a chain by attempt.other
	count int

	free []*attempt // to be used again
	// What has left since the last Output, and before that: the caller may still look at
	// the latter, and at the former with the next one.
	left, named []*attempt
}

// slab is how many attempts are allocated at a time.
const slab = 64

// get returns the attempt of that name, nil if it is not here.
func (s *attempts) get(k Key) *attempt {
	a := s.of[k.Task]
	for a != nil && a.Attempt != k.Attempt {
		a = a.other
	}
	return a
}

// add makes an attempt of t, which is not here.
func (s *attempts) add(t *Assignment, seq uint64) *attempt {
	if len(s.free) == 0 {
		more := make([]attempt, slab)
		for i := range more {
			s.free = append(s.free, &more[i])
		}
	}
	last := len(s.free) - 1
	a := s.free[last]
	s.free = s.free[:last]
	a.Assignment, a.seq = *t, seq
	a.other = s.of[t.Task]
	s.of[t.Task] = a
	s.count++
	return a
}

// remove takes a out. It stays as it is until its memory is used again.
func (s *attempts) remove(a *attempt) {
	first := s.of[a.Task]
	switch {
	case first != a:
		for first.other != a {
			first = first.other
		}
		first.other = a.other
	case a.other == nil:
		delete(s.of, a.Task)
	default:
		s.of[a.Task] = a.other
	}
	s.count--
	s.left = append(s.left, a)
}

// keptFree is how many attempts' memory is kept.
const keptFree = 1 << 12

// reuse takes the memory of what the caller cannot look at any more.
func (s *attempts) reuse() {
	for _, a := range s.named {
		*a = attempt{}
		if len(s.free) < keptFree {
			s.free = append(s.free, a)
		}
	}
	clear(s.named)
	s.left, s.named = s.named[:0], s.left
}

// all gives every attempt, in no order.
func (s *attempts) all() iter.Seq[*attempt] {
	return func(yield func(*attempt) bool) {
		for _, a := range s.of {
			for ; a != nil; a = a.other {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// sorted returns every attempt's name, in order.
func (s *attempts) sorted() []Key {
	keys := make([]Key, 0, s.count)
	for a := range s.all() {
		keys = append(keys, a.Key)
	}
	slices.SortFunc(keys, Key.Compare)
	return keys
}
