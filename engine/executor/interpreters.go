package executor

import "slices"

// Interpreters run one call at a time, so a place of Python has several of them:
//
//	Run ──► waiting ──► the one with the fewest calls ──► reported
//	           ▲                     │
//	           └──recalled, moved────┘
//
// As many have calls as the place may take slots. They are started as calls wait for
// them, live on between calls, and are ended one by one when nothing used them for a
// while. Each is handed calls ahead, so that a stream of small ones needs no turn
// around; when one has nothing left, it gets half of what waits in another.

// handedAhead is the most calls that an interpreter has.
const handedAhead = 512

// mayRun returns how many interpreters of a place may have calls.
func (m *Manager) mayRun(s *slot) int {
	limit := s.limit
	if limit == 0 {
		limit = m.opts.Slots
	}
	return max(1, limit/s.key.slots)
}

// settle shares out what came to wait at places of interpreters. Called with Manager.mu
// before it is given up.
func (m *Manager) settle(n *turn) {
	for _, s := range n.shares {
		m.share(s, n)
	}
	n.shares = nil
}

// share notes that a place has something to share out.
func (n *turn) share(s *slot) {
	if !slices.Contains(n.shares, s) {
		n.shares = append(n.shares, s)
	}
}

func (n *turn) wakes(p *process) {
	if len(n.kick) == 0 || n.kick[len(n.kick)-1] != p {
		n.kick = append(n.kick, p)
	}
}

// share hands out the calls that wait at a place, and starts interpreters for them.
// Called with the lock.
func (m *Manager) share(s *slot, n *turn) {
	may, busy, all := m.mayRun(s), 0, 0
	loads := make([]int, len(s.pool))
	for i, p := range s.pool {
		loads[i] = p.load()
		all += loads[i]
		if loads[i] > 0 {
			busy++
		}
	}
	for len(s.waiting) > 0 {
		i := least(loads, busy < may)
		if i < 0 || loads[i] >= handedAhead {
			break
		}
		t, p := s.waiting[0], s.pool[i]
		if !p.hand(t, 1) { // it has died
			s.pool, loads = slices.Delete(s.pool, i, i+1), slices.Delete(loads, i, i+1)
			continue
		}
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		if loads[i] == 0 {
			busy++
		}
		loads[i]++
		all++
		n.wakes(p)
	}
	for want := min(may, len(s.waiting)+all); len(s.pool)+s.starts < want; s.starts++ {
		m.wg.Go(func() { m.startInterpreter(s) })
	}
	m.even(s, loads, busy, may, n)
}

// least returns the interpreter with the fewest calls, of those that have some unless
// idle is set; -1 if there is none.
func least(loads []int, idle bool) int {
	found := -1
	for i, l := range loads {
		if (idle || l > 0) && (found < 0 || l < loads[found]) {
			found = i
		}
	}
	return found
}

// even has calls recalled from an interpreter that has several: for one that has none
// and might, or because too many run.
func (m *Manager) even(s *slot, loads []int, busy, may int, n *turn) {
	i := -1
	for k, l := range loads {
		if l > 1 && (i < 0 || l > loads[i]) {
			i = k
		}
	}
	switch {
	case i < 0 || len(s.waiting) > 0:
	case busy < min(may, len(s.pool)):
		if s.pool[i].giveUp(loads[i] / 2) {
			n.wakes(s.pool[i])
		}
	case busy > may:
		if k := least(loads, false); s.pool[k].giveUp(loads[k] - 1) {
			n.wakes(s.pool[k])
		}
	}
}

// load returns how many calls the executor has.
func (p *process) load() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls.count
}

// giveUp recalls the last k calls, to be given to others. It reports whether there is
// something to write. Called with Manager.mu.
func (p *process) giveUp(k int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k <= 0 {
		return false
	}
	all, some := p.calls.all(), false
	for _, t := range all[max(1, len(all)-k):] {
		if t.moves {
			return false // it is under way
		}
		if !t.recall && !t.stopped {
			t.moves, some = true, true
			p.recalls = append(p.recalls, t.id)
		}
	}
	return some
}

// startInterpreter adds an interpreter to a place. When none can be started and there
// is none, what waits fails.
func (m *Manager) startInterpreter(s *slot) {
	p, err := m.tryLaunch(s)
	var n turn
	m.mu.Lock()
	s.starts--
	if err == nil {
		p.opens()
		s.pool = append(s.pool, p)
	} else if len(s.pool)+s.starts == 0 {
		waiting := s.waiting
		s.waiting = nil
		for _, t := range waiting {
			n.end(t, Result{Failure: m.notStarted(t, err)})
		}
	}
	if err == nil || len(s.pool) > 0 && m.ctx.Err() == nil {
		n.share(s)
	}
	m.settle(&n)
	m.mu.Unlock()
	m.do(&n)
}

// turned shares out anew when calls of an interpreter have ended.
func (p *process) turned() {
	var n turn
	p.m.mu.Lock()
	n.share(p.place)
	p.m.settle(&n)
	p.m.mu.Unlock()
	p.m.do(&n)
}
