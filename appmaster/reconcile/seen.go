package reconcile

// seen remembers ids that were heard of, so that news about them that comes late
// or twice is known for what it is. It forgets the oldest beyond a bound; an id
// that was forgotten and comes again is taken for a new container, whose start
// then fails.
type seen struct {
	ids   map[string]bool // whether the container was given to us, or only its end told
	order []string        // ring, oldest at next
	next  int
}

const maxSeen = 1 << 14

func (s *seen) has(id string) bool { _, ok := s.ids[id]; return ok }

// given tells whether this id was allocated to us.
func (s *seen) given(id string) bool { return s.ids[id] }

func (s *seen) add(id string, given bool) {
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	if s.has(id) {
		s.ids[id] = s.ids[id] || given
		return
	}
	s.ids[id] = given
	if len(s.order) < maxSeen {
		s.order = append(s.order, id)
		return
	}
	delete(s.ids, s.order[s.next])
	s.order[s.next] = id
	s.next = (s.next + 1) % maxSeen
}
