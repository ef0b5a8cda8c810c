package reconcile

import (
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// twin counts the slow and obvious way: from what the core was told and what it
// did, without any of its rules.
type twin struct {
	wanted, asked map[string]int
	live          map[string]string // id → pool
	came          map[string]bool   // it may hold something
	nodes, pools  map[string]string // by id
	given         map[string]bool   // Allocated was seen
	ended         map[string]bool   // its end was told
	let           map[string]bool   // stopped or released
	started       map[string]bool
	launched      map[string]bool
	leaving       map[string]bool          // to be drained on its own
	drained       map[string]bool          // somebody said that it may go, or shall
	silent        map[string]bool          // the core has said so
	fell          map[string]time.Duration // when it did last
	back          map[string]bool          // it leaves because the cluster wants it back
	last          map[string]time.Duration // when the scheduler named it last, or there was another
	now           time.Duration
	attached      bool
	roles         map[string]spec.Role
	lowered       map[string]bool // wanted went down, or more was adopted, and live has not followed yet
	heard         map[string]bool // allocated, adopted or ended: whatever comes of it again is no news
	gone          map[string]bool // the core has said that it is gone
	over          bool
}

func newTwin(pools []spec.Pool) *twin {
	w := &twin{came: map[string]bool{}, wanted: map[string]int{}, asked: map[string]int{}, live: map[string]string{}, nodes: map[string]string{}, pools: map[string]string{}, given: map[string]bool{},
		ended: map[string]bool{}, let: map[string]bool{}, started: map[string]bool{}, lowered: map[string]bool{},
		launched: map[string]bool{}, leaving: map[string]bool{}, drained: map[string]bool{}, roles: map[string]spec.Role{}, heard: map[string]bool{}, gone: map[string]bool{},
		silent: map[string]bool{}, fell: map[string]time.Duration{}, back: map[string]bool{}, last: map[string]time.Duration{}}
	for _, p := range pools {
		w.wanted[p.Name] = p.Count
		w.roles[p.Name] = p.Role
	}
	return w
}

func (w *twin) event(ev Event) {
	switch ev := ev.(type) {
	case Want:
		if !w.over {
			w.lowered[ev.Pool] = w.lowered[ev.Pool] || ev.N < w.wanted[ev.Pool]
			w.wanted[ev.Pool] = ev.N
		}
	case Allocated:
		if !w.given[ev.ID] && w.asked[ev.Pool] > 0 {
			w.asked[ev.Pool]--
		}
		w.given[ev.ID], w.heard[ev.ID] = true, true
		w.nodes[ev.ID], w.pools[ev.ID] = ev.Node, ev.Pool
	case Recalled:
		w.recall(ev.Memory)
		w.adopt(ev.Adopted)
	case Adopted:
		w.adopt(ev.Containers)
	case Launched:
		w.launched[ev.ID] = w.live[ev.ID] != ""
	case Came:
		w.came[ev.ID] = true
	case Heard:
		for _, id := range ev.IDs {
			w.came[id] = true
			w.last[id] = w.now
			w.heard[id] = w.heard[id] || w.live[id] != ""
		}
	case Release:
		for _, id := range ev.IDs {
			w.drained[id] = true
		}
	case Kill:
		w.drained[ev.ID] = true
	case SchedulerAttached:
		w.attached = true
		for id := range w.last {
			w.last[id] = w.now
		}
	case SchedulerDetached:
		w.attached = false
	case Retire:
		w.retire(ev)
	case Completed:
		w.heard[ev.ID] = true
		w.end(ev.ID)
	case LaunchFailed:
		w.end(ev.ID)
	case Preempt:
		w.preempt(ev)
	case Stop:
		w.over = true
		for pool := range w.wanted {
			w.wanted[pool] = 0
			w.lowered[pool] = true
		}
	}
}

func (w *twin) retire(ev Retire) {
	for _, id := range ev.IDs {
		pool := w.live[id]
		if w.over || pool == "" || w.leaving[id] && !w.back[id] || w.let[id] || w.roles[pool] != spec.RoleWorker {
			continue
		}
		delete(w.back, id)
		if !ev.Replace {
			w.lowered[pool] = true
			w.wanted[pool] = max(0, w.wanted[pool]-1)
		}
		if w.came[id] {
			w.leaving[id] = true
		} else {
			delete(w.live, id) // it goes at once, so that naming it twice is naming it once
		}
	}
}

func (w *twin) preempt(ev Preempt) {
	for _, id := range ev.IDs {
		switch pool := w.live[id]; {
		case w.over || pool == "" || w.leaving[id] || w.let[id] || w.roles[pool] != spec.RoleWorker:
		case w.came[id]:
			w.leaving[id], w.back[id] = true, true
		default:
			delete(w.live, id)
		}
	}
}

func (w *twin) end(id string) {
	delete(w.live, id)
	delete(w.silent, id)
	w.ended[id] = true
}

func (w *twin) action(s *sim, a Action) {
	switch a := a.(type) {
	case NoteExit:
		w.gone[a.ID] = true
		delete(w.live, a.ID)
	case NoteSilent:
		if w.roles[w.pools[a.ID]] == spec.RoleScheduler {
			s.lone++
			w.silent[a.ID], w.fell[a.ID] = true, w.now
			break
		}
		if w.live[a.ID] == "" || w.roles[w.live[a.ID]] != spec.RoleWorker || !w.attached || w.now-w.last[a.ID] < simSilent {
			s.fail("%s of pool %q is silent, after %v", a.ID, w.live[a.ID], w.now-w.last[a.ID])
		}
		w.silent[a.ID], w.fell[a.ID] = true, w.now
		s.silent++
	case NoteBlind:
		s.blind++
	case NoteBack:
		if !w.silent[a.ID] {
			s.fail("%s is back, and was not away", a.ID)
		}
		delete(w.silent, a.ID)
		w.lowered[w.live[a.ID]] = true // another may have come in its place
	case Ask:
		if a.N < 0 {
			s.fail("asked for %d", a.N)
		}
		w.asked[a.Pool] = a.N
	case NoteDrain:
		if w.live[a.ID] == "" {
			s.fail("%s leaves, and does not live", a.ID)
		}
		w.leaving[a.ID] = w.came[a.ID]
	case StartContainer:
		if !w.given[a.ID] || w.started[a.ID] || w.let[a.ID] {
			s.fail("started %s: given %v, started before %v, let go %v", a.ID, w.given[a.ID], w.started[a.ID], w.let[a.ID])
		}
		w.started[a.ID] = true
		if !w.ended[a.ID] {
			w.live[a.ID] = a.Pool
		}
	case StopContainer:
		if !w.given[a.ID] {
			s.fail("stopped %s, which was never given", a.ID)
		}
		if w.leaving[a.ID] && w.attached && !w.drained[a.ID] && !w.let[a.ID] && !w.over && !w.silent[a.ID] {
			s.fail("stopped %s before it was drained", a.ID)
		}
		if w.came[a.ID] && w.attached && !w.drained[a.ID] && !w.let[a.ID] && !w.over && w.roles[w.live[a.ID]] == spec.RoleWorker && !s.stale(a.ID) {
			s.fail("stopped %s, which had come up, and the scheduler has not let it go", a.ID)
		}
		w.let[a.ID] = true
		delete(w.live, a.ID)
	case ReleaseContainer:
		if !w.given[a.ID] {
			s.fail("released %s, which was never given", a.ID)
		}
		w.let[a.ID] = true
		delete(w.live, a.ID)
	}
}
