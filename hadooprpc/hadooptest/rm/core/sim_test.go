package core

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// sim is a cluster under a seeded adversary: nodes and application masters that behave, in any order and with losses.
// Beside the core it keeps slow, obvious books: what each master asked for, got, and was told the end of.
type sim struct {
	t     *testing.T
	r     *rand.Rand
	c     *Cluster
	now   time.Time
	nodes map[yarn.NodeID]*simNode
	ams   map[yarn.AttemptID]*simAM
	apps  []yarn.ApplicationID
	given map[yarn.ContainerID]bool // ever
	// shaken counts restarts and lost nodes: a node that comes back brings containers back to life, and ends that an
	// application master has heard of may be told again, as with the real ResourceManager.
	shaken int
	spares int // opportunistic containers that were given
}

type simNode struct {
	t    tracker.Node
	has  map[yarn.ContainerID]tracker.Container
	down bool
	ill  string
}

// simAM is an application master, and the twin of its attempt: want and got count for one priority each.
type simAM struct {
	id         yarn.AttemptID
	responseID int32
	registered bool
	want       [3]int // as last asked
	got        [3]int // since then
	spare      int    // opportunistic ones as last asked, less what it got
	holds      map[yarn.ContainerID]Container
	ended      map[yarn.ContainerID]int // and how often the cluster had been shaken by then
}

func inOrder[V any](m map[yarn.ContainerID]V) []yarn.ContainerID {
	return slices.SortedFunc(maps.Keys(m), yarn.ContainerID.Compare)
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{t: t, r: rand.New(rand.NewPCG(seed, 1)), now: time.UnixMilli(1_700_000_000_000), nodes: make(map[yarn.NodeID]*simNode),
		ams: make(map[yarn.AttemptID]*simAM), given: make(map[yarn.ContainerID]bool)}
	s.c = New(Config{MaxAttempts: 3, AMExpiry: time.Hour, NodeExpiry: time.Hour, AllocationExpiry: time.Hour, Opportunistic: seed%2 == 0}, s.now)
	for i := range 5 {
		n := tracker.Node{ID: yarn.NodeID{Host: fmt.Sprintf("n%d", i), Port: 1}, Rack: fmt.Sprintf("/r%d", i%2),
			Capability: Resource{MemoryMiB: 4096, VCores: 8}}
		s.nodes[n.ID] = &simNode{t: n, has: make(map[yarn.ContainerID]tracker.Container)}
	}
	return s
}

func (s *sim) step() {
	s.now = s.now.Add(time.Duration(s.r.IntN(1000)) * time.Millisecond)
	switch p := s.r.IntN(100); {
	case p < 3:
		s.submit()
	case p < 40:
		s.beat(s.anyNode())
	case p < 75:
		s.allocate(s.anyAM())
	case p < 80:
		s.start(s.anyAM())
	case p < 86:
		s.finishSome()
	case p < 88:
		n := s.anyNode()
		s.c.LoseNode(n.t.ID, s.now)
		s.shaken++
	case p < 89:
		s.anyNode().down = s.r.IntN(3) == 0
		n := s.anyNode()
		if n.ill = ""; s.r.IntN(3) == 0 {
			n.ill = "disks are full"
		}
	case p < 91:
		for _, id := range inOrder(s.c.live) {
			s.c.Preempt(id, s.r.IntN(2) == 0, time.Second, s.now)
			break
		}
	case p < 93:
		if am := s.anyAM(); am != nil && s.r.IntN(3) == 0 {
			s.c.FailAttempt(am.id, s.now)
		}
	case p < 94:
		if am := s.anyAM(); am != nil && am.registered && s.r.IntN(3) == 0 {
			s.c.Finish(am.id, pb.FinalApplicationStatus_APP_SUCCEEDED, "", "", s.now)
		}
	case p < 95:
		if am := s.anyAM(); am != nil {
			s.c.Move(am.id.App, []string{"default", "etl"}[s.r.IntN(2)])
		}
	case p < 96 && s.r.IntN(4) == 0:
		s.restart()
	default:
		s.c.Tick(s.now)
	}
	s.launch()
	s.check()
}

func (s *sim) anyNode() *simNode {
	return s.nodes[yarn.NodeID{Host: fmt.Sprintf("n%d", s.r.IntN(len(s.nodes))), Port: 1}]
}

func (s *sim) anyAM() *simAM {
	if len(s.apps) == 0 {
		return nil
	}
	return s.ams[s.current(s.apps[s.r.IntN(len(s.apps))])]
}

func (s *sim) current(id yarn.ApplicationID) yarn.AttemptID {
	v, err := s.c.App(id, s.now)
	if err != nil {
		return yarn.AttemptID{}
	}
	return v.Attempt.ID
}

func (s *sim) submit() {
	id := s.c.NewApplicationID()
	ctx := &pb.ApplicationSubmissionContext{ApplicationId: id.PB(), Resource: yarn.NewResource(128, 1, nil), Queue: proto.String("default"),
		KeepContainersAcrossApplicationAttempts: proto.Bool(s.r.IntN(2) == 0), MaxAppAttempts: proto.Int32(3)}
	if err := s.c.Submit(ctx, "alice", s.now); err != nil {
		s.t.Fatal(err)
	}
	s.apps = append(s.apps, id)
}

func (s *sim) restart() {
	s.c.Restart(true, s.now)
	s.shaken++
	for _, am := range s.ams {
		am.registered = false
	}
}

// launch starts application masters.
func (s *sim) launch() {
	for _, l := range s.c.TakeLaunches() {
		n := s.nodes[l.Container.Node]
		if n.down || s.r.IntN(20) == 0 {
			s.c.LaunchFailed(l.Attempt, "no", s.now)
			continue
		}
		s.run(n, l.Container)
		s.c.Launched(l.Attempt, s.now)
		s.ams[l.Attempt] = &simAM{id: l.Attempt, holds: make(map[yarn.ContainerID]Container), ended: make(map[yarn.ContainerID]int)}
	}
}

func (s *sim) run(n *simNode, c Container) {
	n.has[c.ID] = tracker.Container{ID: c.ID, Resource: c.Resource, Priority: c.Priority, RequestID: c.RequestID, Execution: c.Execution, Created: c.Created}
}

// beat is a heartbeat, or a registration where that is due.
func (s *sim) beat(n *simNode) {
	if n.down {
		return
	}
	var list []tracker.Container
	for _, id := range inOrder(n.has) {
		list = append(list, n.has[id])
	}
	o := s.c.Heartbeat(tracker.Heartbeat{Node: n.t.ID, Containers: list, Unhealthy: n.ill, Waiting: s.r.IntN(4), Places: 3}, s.now)
	if o.Resync {
		s.shaken++
		reg := n.t
		reg.Containers = list
		if err := s.c.RegisterNode(reg, s.now); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	for _, id := range o.Acknowledged {
		if c, ok := n.has[id]; ok && c.State != tracker.Complete {
			s.t.Fatalf("the end of %v, which runs, was acknowledged", id)
		}
		delete(n.has, id)
	}
	for _, x := range o.CleanUp {
		if c, ok := n.has[x.ID]; ok {
			c.State, c.Exit = tracker.Complete, x.Status
			n.has[x.ID] = c
		}
	}
}

func (s *sim) finishSome() {
	n := s.anyNode()
	for _, id := range inOrder(n.has) {
		if c := n.has[id]; c.State == tracker.Running && s.r.IntN(3) == 0 {
			c.State, c.Exit = tracker.Complete, yarn.ExitStatus(s.r.IntN(3))
			n.has[id] = c
			return
		}
	}
}

// start starts what an application master holds and has not started.
func (s *sim) start(am *simAM) {
	if am == nil {
		return
	}
	for _, id := range inOrder(am.holds) {
		c := am.holds[id]
		n := s.nodes[c.Node]
		if _, ok := n.has[id]; !ok && !n.down && s.c.live[id] != nil && s.c.live[id].Phase == Acquired && s.r.IntN(2) == 0 {
			s.run(n, c)
		}
	}
}

func (s *sim) allocate(am *simAM) {
	if am == nil {
		return
	}
	if !am.registered {
		reg, err := s.c.Register(am.id, "h", 1, "", s.now)
		if err != nil {
			return
		}
		am.registered, am.responseID, am.want, am.got, am.spare = true, 0, [3]int{}, [3]int{}, 0
		for _, c := range reg.Previous {
			am.holds[c.ID] = c
			delete(am.ended, c.ID)
		}
		return
	}
	req := &AllocateRequest{ResponseID: am.responseID}
	if s.r.IntN(3) == 0 {
		p := s.r.IntN(3)
		am.want[p], am.got[p] = s.r.IntN(12), 0
		size := Resource{MemoryMiB: int64(64 * (1 + s.r.IntN(8))), VCores: 1}
		req.Asks = append(req.Asks, Ask{Priority: int32(p), RequestID: -1, Name: Any, Resource: size, Count: am.want[p], Relax: true})
	}
	if s.r.IntN(4) == 0 {
		am.spare = s.r.IntN(6)
		req.Asks = append(req.Asks, Ask{Priority: offhandPriority, RequestID: -1, Name: Any, Resource: Resource{MemoryMiB: 256, VCores: 1}, Count: am.spare,
			Relax: true, Execution: pb.ExecutionType_OPPORTUNISTIC})
	}
	for _, id := range inOrder(am.holds) {
		if s.r.IntN(10) == 0 && (id.Attempt == am.id || s.c.apps[am.id.App].keep()) {
			req.Releases = append(req.Releases, id)
		}
	}
	out, err := s.c.Allocate(am.id, req, s.now)
	if err != nil {
		am.registered = false
		return
	}
	if s.r.IntN(5) == 0 { // the response got lost; the request goes out again, with other content
		again, err := s.c.Allocate(am.id, &AllocateRequest{ResponseID: am.responseID, Asks: []Ask{{Name: Any, Count: 99}}}, s.now)
		if err != nil || again != out {
			s.t.Fatalf("repetition: %v, %v", again, err)
		}
	}
	am.responseID = out.ResponseID
	s.take(am, out, req.Asks)
}

// take: what comes with the answer to an ask was allocated before it, and does not count for it.
func (s *sim) take(am *simAM, out *Allocation, asks []Ask) {
	for _, c := range out.Previous {
		am.holds[c.ID] = c
	}
	for _, c := range out.Containers {
		if s.given[c.ID] {
			s.t.Fatalf("%v was given twice", c.ID)
		}
		s.given[c.ID] = true
		am.holds[c.ID] = c
		if c.Priority == offhandPriority {
			s.takeSpare(am, c)
			continue
		}
		if c.Execution != pb.ExecutionType_GUARANTEED {
			s.t.Fatalf("%v is %v", c.ID, c.Execution)
		}
		if !slices.ContainsFunc(asks, func(x Ask) bool { return x.Priority == c.Priority }) {
			am.got[c.Priority]++
		}
	}
	for _, d := range out.Completed {
		if shaken, told := am.ended[d.ID]; told && shaken == s.shaken {
			s.t.Fatalf("the end of %v was told twice", d.ID)
		}
		am.ended[d.ID] = s.shaken
		delete(am.holds, d.ID)
	}
}

// offhandPriority is that of asks for opportunistic containers.
const offhandPriority = 3

// takeSpare takes a container that was asked for as an opportunistic one: it is one, and there are no more than were
// asked for, where the cluster offers them.
func (s *sim) takeSpare(am *simAM, c Container) {
	if !s.c.cfg.Opportunistic {
		if c.Execution != pb.ExecutionType_GUARANTEED {
			s.t.Fatalf("%v is %v", c.ID, c.Execution)
		}
		return
	}
	am.spare--
	if c.Execution != pb.ExecutionType_OPPORTUNISTIC || am.spare < 0 {
		s.t.Fatalf("%v is %v; %d are outstanding", c.ID, c.Execution, am.spare)
	}
	s.spares++
}

// settle lets everybody go on without an adversary.
func (s *sim) settle(rounds int) {
	for range rounds {
		s.now = s.now.Add(100 * time.Millisecond)
		for _, n := range s.nodes {
			n.down, n.ill = false, ""
			s.beat(n)
		}
		s.launch()
		for _, am := range s.ams {
			if s.current(am.id.App) == am.id {
				s.start(am)
			}
		}
		s.c.Tick(s.now)
		s.check()
	}
}

func TestSimulation(t *testing.T) {
	for seed := range uint64(60) {
		s := newSim(t, seed)
		for range 800 {
			s.step()
		}
		for _, id := range s.apps {
			if _, err := s.c.Kill(id, "enough", s.now); err != nil {
				t.Fatal(err)
			}
		}
		s.now = s.now.Add(2 * time.Hour) // masters that have unregistered and do not end
		s.settle(4)
		// Nothing is left of anything.
		if n := len(s.c.live); n != 0 {
			t.Fatalf("seed %d: %d containers are live", seed, n)
		}
		for _, n := range s.nodes {
			if len(n.has) != 0 {
				t.Fatalf("seed %d: %v still has %v", seed, n.t.ID, n.has)
			}
		}
		for _, n := range s.c.nodes {
			if len(n.unheard)+len(n.ending) != 0 {
				t.Fatalf("seed %d: %v: unheard %v, ending %v", seed, n.id, n.unheard, n.ending)
			}
		}
		for _, q := range s.c.queues {
			if len(q.attempts) != 0 || !equal(q.amUsed, Resource{}) {
				t.Fatalf("seed %d: queue %s: %d attempts, masters use %v", seed, q.Name, len(q.attempts), q.amUsed)
			}
		}
		if len(s.given) == 0 {
			t.Fatalf("seed %d: nothing was given to anybody", seed)
		}
		if s.c.cfg.Opportunistic && s.spares == 0 {
			t.Fatalf("seed %d: no opportunistic container was given", seed)
		}
	}
}
