package reconcile

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// sim is a resource manager that does everything it may, and more: it answers
// late, twice, out of order, gives more than was asked for, forgets what it was
// asked for, and kills containers at any moment of their life.
type sim struct {
	t    *testing.T
	rng  *rand.Rand
	core *Core
	twin *twin
	now  time.Duration
	evil bool // faults happen; when false, everything heals

	nextID   int
	asks     map[string]int     // as the resource manager understood them
	alive    map[string]*simBox // allocated and not ended, in the resource manager's truth
	inbox    []Event            // on their way to the core
	acts     []Action           // on their way to the resource manager
	finished *Finish
	trace    []string
	disk     Memory // what the core has saved; what a person was answered is in it
	crashes  int
	restarts int             // of the resource manager
	thinned  int             // containers that left because their node had too many
	silent   int             // workers that the scheduler lost
	blind    int             // times that most workers were
	lone     int             // schedulers that were given up
	drains   map[string]bool // who shall leave, as the scheduler was told, and has not joined it
}

type simBox struct {
	id, pool, node string
	launched       bool
	waits          bool          // on its node, for room
	came           bool          // it has its certificate
	joined         bool          // the scheduler
	away           time.Duration // since when it has not, or could not
	back           time.Duration // before which it cannot
	dead           bool          // its node is: nothing is heard of it, and nobody there stops it
	cordoned       bool          // the scheduler drains it, to have fewer
	told           bool          // the core was told that it has it
}

var simPools = []spec.Pool{
	{Name: "scheduler", Role: spec.RoleScheduler, Count: 1, MaxRestarts: -1, HealthyAfter: spec.Duration(2 * time.Second)},
	{Name: "small", Role: spec.RoleWorker, Count: 7, MaxRestarts: -1, HealthyAfter: spec.Duration(3 * time.Second)},
	{Name: "big", Role: spec.RoleWorker, Count: 0, MaxRestarts: -1},
	{Name: "wide", Role: spec.RoleWorker, Count: 5, MaxRestarts: -1, MaxPerNode: simPerNode},
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), twin: newTwin(simPools), evil: true,
		core: newSimCore(seed), asks: map[string]int{}, alive: map[string]*simBox{}, drains: map[string]bool{},
	}
	return s
}

const (
	simVouch     = 8 * time.Second
	simSilent    = 4 * time.Second
	simSilentEnd = 12 * time.Second
	simExpiry    = time.Minute // after which the resource manager takes a node for lost
)

func newSimCore(seed uint64) *Core {
	return New(Options{Pools: simPools, Seed: seed, OrphanGrace: 5 * time.Second, AskAgain: 10 * time.Second, BackoffCap: 8 * time.Second,
		GiveUp: 20 * time.Second, AdoptGrace: 6 * time.Second, SoleGrace: 12 * time.Second, VouchGrace: simVouch, SilentGrace: simSilent, SilentEnd: simSilentEnd, BlindGrace: 30 * time.Second,
		LoneGrace: 9 * time.Second})
}

func (s *sim) chance(percent int) bool { return s.rng.IntN(100) < percent }

// step delivers one event and checks everything.
func (s *sim) step(ev Event) {
	s.t.Helper()
	if n, ok := ev.(Allocated); ok && s.alive[n.ID] != nil {
		s.alive[n.ID].told = true
	}
	if _, ok := ev.(SchedulerAttached); ok {
		s.anew()
	}
	s.tellOf(ev)
	s.twin.now = s.now
	acts := s.core.Step(s.now, ev)
	s.save(ev)
	s.trace = append(s.trace, fmt.Sprintf("%v %T%+v → %+v", s.now, ev, ev, acts))
	s.twin.event(ev)
	for _, a := range acts {
		s.twin.action(s, a)
		s.acts = append(s.acts, a)
		if f, ok := a.(Finish); ok {
			s.finished = &f
		}
	}
	s.within(acts)
	s.check()
}

func (s *sim) fail(format string, args ...any) {
	s.t.Helper()
	for _, line := range s.trace[max(0, len(s.trace)-40):] {
		s.t.Log(line)
	}
	s.t.Fatalf(format, args...)
}

func (s *sim) check() {
	s.t.Helper()
	live := map[string]int{}
	leaving := map[string]int{}
	for id, pool := range s.twin.live {
		live[pool]++
		if s.twin.leaving[id] || s.twin.silent[id] {
			leaving[pool]++
		}
	}
	for _, v := range s.core.Pools() {
		if n := v.Starting + v.Running + v.Missing; n != live[v.Name] {
			s.fail("pool %s: the core counts %d live, the twin %d", v.Name, n, live[v.Name])
		}
		if v.Wanted != s.twin.wanted[v.Name] || v.Asked != s.twin.asked[v.Name] {
			s.fail("pool %s: the core wants %d and asks %d, the twin %d and %d", v.Name, v.Wanted, v.Asked, s.twin.wanted[v.Name], s.twin.asked[v.Name])
		}
		if v.Leaving != leaving[v.Name] {
			s.fail("pool %s: the core counts %d leaving, the twin %d", v.Name, v.Leaving, leaving[v.Name])
		}
		live[v.Name] -= leaving[v.Name] // what leaves on its own counts for nothing
		need := max(0, v.Wanted-live[v.Name])
		if v.Asked != need && (v.HeldFor == 0 || v.Asked > need) {
			s.fail("pool %s: asked %d, wanted %d, live %d, held for %v", v.Name, v.Asked, v.Wanted, live[v.Name], v.HeldFor)
		}
		if live[v.Name] > v.Wanted && !s.twin.lowered[v.Name] {
			s.fail("pool %s: %d live, only %d wanted, and it was never lowered", v.Name, live[v.Name], v.Wanted)
		}
		if live[v.Name] <= v.Wanted {
			s.twin.lowered[v.Name] = false
		}
	}
	for _, v := range s.core.Avoided() {
		if s.core.nodes > 0 && (v.Left == 0 || !s.core.goodBeside(v.Node)) {
			s.fail("%s is avoided for %v", v.Node, v.Left)
		}
	}
	if n := len(s.core.Avoided()); s.core.nodes > 0 && n*mostAvoided > s.core.nodes { // else an earlier attempt avoided them
		s.fail("%d of %d nodes are avoided", n, s.core.nodes)
	}
	// No leak: whatever we were told we have is known to the core or on its way out.
	known := map[string]bool{}
	for _, ct := range s.core.Containers() {
		known[ct.ID] = true
	}
	for id, box := range s.alive {
		if box.told && !known[id] && !s.twin.let[id] && s.finished == nil {
			s.fail("container %s lives, and the core has forgotten it", id)
		}
	}
}

// world lets the resource manager do something, or deliver something.
func (s *sim) world() {
	if len(s.acts) > 0 && s.chance(60) {
		s.obey(s.acts[0])
		s.acts = s.acts[1:]
	}
	for pool, n := range sortedAsks(s.asks) {
		if n > 0 && s.chance(40) {
			if s.allocate(pool) {
				s.asks[pool]--
			}
		} else if s.evil && s.chance(2) {
			s.allocate(pool) // nobody asked for this one
		}
	}
	if s.evil && s.chance(15) {
		s.fault()
	}
	s.comeUp()
	if len(s.inbox) > 0 && s.chance(70) {
		i := 0
		if s.evil {
			i = s.rng.IntN(len(s.inbox)) // in any order
		}
		ev := s.inbox[i]
		if !s.evil || !s.chance(10) { // else it comes again later
			s.inbox = slices.Delete(s.inbox, i, i+1)
		}
		s.step(ev)
	}
}

func sortedAsks(m map[string]int) func(func(string, int) bool) {
	return func(yield func(string, int) bool) {
		for _, p := range simPools {
			if !yield(p.Name, m[p.Name]) {
				return
			}
		}
	}
}

func (s *sim) complete(box *simBox, status int32) {
	delete(s.alive, box.id)
	s.inbox = append(s.inbox, Completed{ID: box.id, Status: status})
}

func (s *sim) obey(a Action) {
	switch a := a.(type) {
	case Ask:
		if s.evil && s.chance(10) {
			return // lost
		}
		s.asks[a.Pool] = a.N
	case StartContainer:
		box := s.alive[a.ID]
		switch {
		case box != nil && box.launched:
			s.fail("%s is started twice", a.ID)
		case box == nil:
			s.inbox = append(s.inbox, LaunchFailed{ID: a.ID, Why: "no such container"})
		case s.evil && s.chance(5):
			delete(s.alive, a.ID)
			s.inbox = append(s.inbox, LaunchFailed{ID: a.ID, Why: "out of luck", Blameless: s.chance(50)})
		default:
			box.launched, box.waits = true, s.chance(30)
			s.inbox = append(s.inbox, Launched{a.ID})
			if s.evil && s.chance(20) {
				s.complete(box, int32(s.rng.IntN(3)))
			}
		}
	case StopContainer:
		if box := s.alive[a.ID]; box != nil && !box.dead {
			s.complete(box, 143)
		}
	case ReleaseContainer:
		if box := s.alive[a.ID]; box != nil {
			s.complete(box, StatusAborted)
		}
	case TellDrain:
		for _, id := range a.IDs {
			s.drains[id] = true
		}
	case TellShrink:
		s.shrink(a)
	}
}

// boxes are the containers that live, oldest first.
func (s *sim) boxes() []*simBox {
	var boxes []*simBox
	for _, box := range s.alive {
		boxes = append(boxes, box)
	}
	slices.SortFunc(boxes, func(a, b *simBox) int { return len(a.id)*1000000 + cmpString(a.id, b.id) - len(b.id)*1000000 })
	return boxes
}

func (s *sim) fault() {
	boxes := s.boxes()
	var box *simBox
	if len(boxes) > 0 {
		box = boxes[s.rng.IntN(len(boxes))]
	}
	switch s.rng.IntN(16) {
	case 0, 1:
		if box != nil {
			s.complete(box, []int32{1, 0, 137, StatusMemory, StatusPreempted, StatusAborted, StatusDisks, StatusInvalid}[s.rng.IntN(8)])
		}
	case 2:
		node := s.node()
		for _, box := range boxes {
			if box.node == node && s.chance(80) {
				s.complete(box, StatusAborted)
			}
		}
	case 3:
		if box != nil {
			s.inbox = append(s.inbox, Preempt{IDs: []string{box.id, "nobody"}, Strict: s.chance(50)})
		}
	case 4:
		s.inbox = append(s.inbox, SchedulerAttached{})
	case 5:
		s.inbox = append(s.inbox, SchedulerDetached{})
	case 6:
		if box != nil {
			s.inbox = append(s.inbox, Kill{ID: box.id})
		}
	case 7:
		if box != nil {
			s.inbox = append(s.inbox, Release{IDs: []string{box.id, "nobody"}})
		}
	case 8:
		s.inbox = append(s.inbox, Completed{ID: fmt.Sprintf("ghost%d", s.rng.IntN(9)), Status: 1})
	case 9:
		pool := simPools[1+s.rng.IntN(3)]
		most := 15
		if pool.MaxPerNode > 0 {
			most = simNodes*pool.MaxPerNode + 1
		}
		s.step(Want{Pool: pool.Name, N: s.rng.IntN(most)})
	case 12:
		if !s.core.Ending() { // the end has its crashes in its beginning, so that it comes
			s.crash()
		}
	case 13:
		s.restartManager()
	case 14:
		s.inbox = append(s.inbox, Cluster{Nodes: s.rng.IntN(8)})
	case 15:
		if box != nil && box.joined && box.pool != "scheduler" {
			box.joined, box.away, box.dead = false, s.now, s.chance(50)         // the others come back
			for all := s.chance(50); all && len(boxes) > 0; boxes = boxes[1:] { // as if the scheduler were cut off
				if other := boxes[0]; other.joined && other.pool != "scheduler" {
					other.joined, other.away, other.back = false, s.now, s.now+time.Duration(s.rng.IntN(20))*time.Second
				}
			}
		}
	case 10, 11:
		if box != nil {
			s.step(Retire{IDs: []string{box.id, "nobody", box.id}, Replace: s.chance(50), Reason: "test"})
		}
	}
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// run makes so many turns of the world.
func (s *sim) run(turns int) {
	for range turns {
		s.now += time.Duration(s.rng.IntN(200)) * time.Millisecond
		s.step(Tick{})
		s.world()
	}
}

// heal stops all faults and waits until everything is as it should be.
func (s *sim) heal() {
	s.evil = false
	for range 5000 {
		s.run(1)
		if !s.twin.attached && s.chance(20) {
			s.step(SchedulerAttached{})
		}
		if s.settled() {
			return
		}
	}
	s.fail("no rest: %+v, alive %d, in flight %d and %d", s.core.Pools(), len(s.alive), len(s.inbox), len(s.acts))
}

func (s *sim) settled() bool {
	for _, box := range s.alive {
		if box.dead {
			return false // it has to be found out
		}
	}
	for _, v := range s.core.Pools() {
		if v.Running != v.Wanted || v.Starting+v.Stopped+v.Asked+v.Missing != 0 {
			return false
		}
	}
	return len(s.alive) == len(s.core.Containers()) && len(s.inbox)+len(s.acts) == 0
}

func TestSimulation(t *testing.T) {
	crashes, restarts, thinned, silent, lone, blind := 0, 0, 0, 0, 0, 0
	for seed := range uint64(300) {
		s := newSim(t, seed)
		for range 3 {
			s.evil = true
			s.run(300)
			s.heal()
		}
		s.evil = seed%2 == 0
		s.step(Stop{Status: Succeeded, Why: "done", Quick: seed%3 == 0})
		for i := 0; s.finished == nil; i++ {
			if i > 500 {
				s.fail("the end never comes")
			}
			if s.evil && i < 100 && s.chance(3) {
				s.crash() // the next attempt knows that it is the end
			}
			s.run(1)
		}
		if *s.finished != (Finish{Status: Succeeded, Why: "done"}) {
			s.fail("finished with %+v", s.finished)
		}
		if acts := s.core.Step(s.now, Want{Pool: "small", N: 9}); acts != nil {
			s.fail("after the end: %v", acts)
		}
		if !s.evil && len(s.core.Containers()) != 0 {
			s.fail("left over: %v", s.core.Containers())
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		crashes, restarts, thinned, silent, lone, blind = crashes+s.crashes, restarts+s.restarts, thinned+s.thinned, silent+s.silent, lone+s.lone, blind+s.blind
	}
	if crashes < 300 || restarts < 300 || thinned < 5 || silent < 300 || lone < 50 || blind < 5 {
		t.Error("too little of something")
	}
	t.Logf("%d crashes of the core, %d restarts of the resource manager, %d containers that were too many for their nodes, %d workers that were not heard of, %d schedulers given up, %d that heard nobody", crashes, restarts, thinned, silent, lone, blind)
}

// The same events give the same actions, whatever the order of maps.
func TestSimulationIsDeterministic(t *testing.T) {
	for seed := range uint64(20) {
		a, b := newSim(t, seed), newSim(t, seed)
		a.run(500)
		b.run(500)
		if !slices.Equal(a.trace, b.trace) {
			for i := range a.trace {
				if a.trace[i] != b.trace[i] {
					t.Fatalf("seed %d, step %d:\n%s\n%s", seed, i, a.trace[i], b.trace[i])
				}
			}
		}
	}
}

// The core's memory of ids is bounded.
func TestSeenIsBounded(t *testing.T) {
	var s seen
	for i := range 3 * maxSeen {
		s.add(fmt.Sprint(i), i%2 == 0)
	}
	if len(s.ids) != maxSeen || len(s.order) != maxSeen {
		t.Errorf("%d ids, %d in order", len(s.ids), len(s.order))
	}
	last := fmt.Sprint(3*maxSeen - 2)
	if !s.has(last) || !s.given(last) || s.has("0") {
		t.Error("it forgot the newest or kept the oldest")
	}
	if !reflect.DeepEqual(s.order[s.next], fmt.Sprint(2*maxSeen)) {
		t.Errorf("the oldest is %s", s.order[s.next])
	}
}
