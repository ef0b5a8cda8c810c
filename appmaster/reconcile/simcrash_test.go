package reconcile

import "slices"

// save keeps what a person was answered, always; anything else now and then, as a
// keeper does that is behind.
func (s *sim) save(ev Event) {
	switch ev.(type) {
	case Want, Retire, Kill, Stop, Recalled:
		s.disk = s.core.Memory()
	default:
		if s.core.Ending() && s.disk.Stop == nil || s.chance(50) {
			s.disk = s.core.Memory()
		}
	}
}

// tellOf notes what an event tells the core of.
func (s *sim) tellOf(ev Event) {
	var list []Adoptee
	switch ev := ev.(type) {
	case Adopted:
		list = ev.Containers
	case Recalled:
		list = ev.Adopted
	}
	for _, a := range list {
		if box := s.alive[a.ID]; box != nil {
			box.told = true
		}
	}
}

// crash ends the core at any moment and begins with the next one, which has what was
// saved. Orders that were on their way arrive or not. The resource manager takes back what
// was not launched, and tells of the rest at once or later; of ends that the dead core was
// told of it does not tell again.
func (s *sim) crash() {
	s.crashes++
	for _, a := range s.acts[:s.rng.IntN(len(s.acts)+1)] {
		if _, ask := a.(Ask); !ask {
			s.obey(a)
		}
	}
	s.acts, s.asks = nil, map[string]int{}
	s.inbox = slices.DeleteFunc(s.inbox, func(ev Event) bool {
		_, end := ev.(Completed)
		return !end
	})
	s.anew()
	before := s.core.Pools()
	s.core = newSimCore(s.rng.Uint64())
	s.twin = newTwin(simPools)
	first := Recalled{Memory: s.disk}
	for _, box := range s.boxes() {
		box.told = false
		switch a := (Adoptee{box.id, box.pool, box.node}); {
		case !box.launched:
			delete(s.alive, box.id)
		case s.chance(70):
			first.Adopted = append(first.Adopted, a)
		default:
			s.inbox = append(s.inbox, Adopted{[]Adoptee{a}})
		}
	}
	s.step(first)
	for i, v := range s.core.Pools() {
		if v.Wanted != before[i].Wanted {
			s.fail("pool %s: %d were wanted before the crash, %d after", v.Name, before[i].Wanted, v.Wanted)
		}
	}
}

// restartManager ends the resource manager and starts it again: it takes back what was not
// launched, forgets what was asked for, and is told all of that again by the provider; it
// tells of all that runs once more.
func (s *sim) restartManager() {
	s.restarts++
	for _, box := range s.boxes() {
		if !box.launched {
			delete(s.alive, box.id) // who starts it is refused
			if box.told {
				s.inbox = append(s.inbox, Completed{ID: box.id, Status: StatusAborted})
			}
			continue
		}
		if s.chance(50) {
			s.inbox = append(s.inbox, Adopted{[]Adoptee{{box.id, box.pool, box.node}}})
		}
	}
	s.inbox = slices.DeleteFunc(s.inbox, func(ev Event) bool {
		a, ok := ev.(Allocated)
		return ok && s.alive[a.ID] == nil
	})
	s.asks = map[string]int{}
	for pool, n := range s.twin.asked {
		s.asks[pool] = n
	}
}

// recall begins with what was saved.
func (w *twin) recall(m Memory) {
	for _, p := range m.Pools {
		w.wanted[p.Name] = p.Wanted
	}
	for _, c := range m.Containers {
		w.given[c.ID], w.launched[c.ID], w.nodes[c.ID] = true, true, c.Node
		w.pools[c.ID] = c.Pool
		if c.Stopping {
			w.let[c.ID] = true
			continue
		}
		w.live[c.ID], w.came[c.ID] = c.Pool, true
		w.leaving[c.ID] = c.Leaving != ""
		w.back[c.ID] = c.Leaving == takenBack
		w.lowered[c.Pool] = true
	}
	if m.Stop != nil {
		w.over = true
		for pool := range w.wanted {
			w.wanted[pool], w.lowered[pool] = 0, true
		}
	}
}

// adopt takes what runs and is not known; what is on its way out stays so.
func (w *twin) adopt(list []Adoptee) {
	for _, a := range list {
		known := w.live[a.ID] != "" || w.let[a.ID] && !w.gone[a.ID] || w.heard[a.ID]
		w.heard[a.ID], w.given[a.ID] = true, true
		if known || w.over {
			continue
		}
		w.pools[a.ID] = a.Pool
		w.live[a.ID], w.launched[a.ID], w.came[a.ID], w.nodes[a.ID] = a.Pool, true, true, a.Node
		delete(w.let, a.ID)
		delete(w.leaving, a.ID)
		w.lowered[a.Pool] = true
	}
}
