package reconcile

// comeUp lets processes come for their certificate, which the core hears of at once, and join the scheduler, which tells of
// its workers now and then. Some wait on their node for long.
func (s *sim) comeUp() {
	for _, box := range s.boxes() {
		switch {
		case !box.launched:
		case box.waits:
			box.waits = !s.chance(4)
		case !box.came && s.chance(30):
			if s.core.Stopping(box.id) {
				continue // it is told to come later
			}
			box.came = true
			s.step(Came{box.id})
		case box.dead && s.now-box.away > simExpiry && s.core.containers[box.id] == nil:
			s.complete(box, StatusAborted) // of those that the core knows it has to find out by itself
		case box.dead, s.now < box.back:
		case box.came && !box.joined && s.now-box.away > simVouch/2:
			box.joined = true
		case box.came && !box.joined:
			box.joined = s.chance(10)
		}
	}
	s.drain()
	if s.twin.attached && s.chance(20) {
		ev := Heard{All: true}
		for _, box := range s.boxes() {
			if box.joined {
				ev.IDs = append(ev.IDs, box.id)
			}
		}
		s.inbox = append(s.inbox, ev)
	}
}

// shrink has the scheduler drain those of its workers that are too many: it knows those that have joined.
func (s *sim) shrink(a TellShrink) {
	var mine []*simBox
	for _, box := range s.boxes() {
		if box.pool == a.Pool && box.joined && !box.cordoned && !s.twin.leaving[box.id] {
			mine = append(mine, box)
		}
	}
	s.rng.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
	for _, box := range mine[:max(0, len(mine)-a.To)] {
		box.cordoned = true
		s.inbox = append(s.inbox, Release{IDs: []string{box.id}, Reason: "shrink"})
	}
}

// drain lets those go that the scheduler was told to drain and that have joined it, each in its own time, and those that it
// does not know after the time in which workers come back.
func (s *sim) drain() {
	if len(s.drains) == 0 {
		return
	}
	for _, box := range s.boxes() {
		if s.drains[box.id] && (box.joined || s.now-box.away > simVouch) && s.chance(20) {
			delete(s.drains, box.id)
			s.inbox = append(s.inbox, Release{IDs: []string{box.id}, Reason: "drained"})
		}
	}
}

// anew begins with a scheduler that knows nobody yet, nor whom the one before it drained.
func (s *sim) anew() {
	clear(s.drains)
	for _, box := range s.alive {
		box.cordoned = false
		if !box.dead {
			box.joined, box.away = false, s.now
		}
	}
}

// stale tells whether a container has not joined the scheduler for so long that it may be stopped. One that has fallen silent
// may have joined again at that very moment, and nobody has told of it.
func (s *sim) stale(id string) bool {
	box := s.alive[id]
	silent := s.twin.silent[id]
	return box == nil || !box.joined && (silent || s.now-box.away >= simVouch) || silent && s.now-s.twin.fell[id] >= simSilentEnd
}
