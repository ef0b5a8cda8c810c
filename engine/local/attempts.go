package local

import (
	"iter"
	"slices"

	"github.com/yarnd/yarnd/engine/graph"
)

// attempts holds the attempts that are here, and the memory of those that have left.
type attempts struct {
	of      map[graph.TaskID]*attempt // the first of a chain by attempt.other
	count   int
	chained int // how many have an other one

	free []*attempt // to be used again
	// What has left since the last Output, and before that: the caller may still look at
	// the latter, and at the former with the next one.
	left, named []*attempt
}

// slab is how many attempts are allocated at a time.
const slab = 64

// get returns the attempt of that name, nil if it is not here.
func (s *attempts) get(k Key) *attempt {
	a, _ := s.look(k)
	return a
}

// look returns also the first of its task.
func (s *attempts) look(k Key) (a, first *attempt) {
	first = s.of[k.Task]
	for a = first; a != nil && a.Attempt != k.Attempt; a = a.other {
	}
	return a, first
}

// add makes an attempt of t, which is not here. other is one of the same task, of those
// that are here the first, as get has just said.
func (s *attempts) add(t *Assignment, seq uint64, other *attempt) *attempt {
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
	if a.other = other; other != nil {
		s.chained++
	}
	s.of[t.Task] = a
	s.count++
	return a
}

// remove takes a out. It stays as it is until its memory is used again.
func (s *attempts) remove(a *attempt) {
	if s.chained == 0 {
		delete(s.of, a.Task)
	} else {
		s.unchain(a)
	}
	s.count--
	s.left = append(s.left, a)
}

func (s *attempts) unchain(a *attempt) {
	first := s.of[a.Task]
	if first == a && a.other == nil {
		delete(s.of, a.Task)
		return
	}
	s.chained--
	if first == a {
		s.of[a.Task] = a.other
		return
	}
	for first.other != a {
		first = first.other
	}
	first.other = a.other
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
