package yarn

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// The rows are those of hosts that may get more, of their racks, and of as many as are missing and have a place.
func TestRows(t *testing.T) {
	places := map[string]place{"a": {"/r1", true}, "b": {"/r1", true}, "c": {"/r2", true}, "gone": {"/r2", false}, "full": {"/r3", true}}
	free := func(host string) int { return map[string]int{"a": 2, "b": 1, "c": 1, "gone": 9, "full": 0}[host] }
	if got, want := rowsFor(9, places, free), map[string]int{"a": 2, "b": 1, "c": 1, "/r1": 3, "/r2": 1, "*": 4}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := rowsFor(3, places, free); got["*"] != 3 || got["a"] != 2 {
		t.Errorf("%v", got)
	}

	var s spreading
	says := func(rows, want map[string]int) {
		t.Helper()
		got := s.changes(rows)
		if !maps.Equal(got, want) {
			t.Errorf("for %v of %v: %v, want %v", rows, s.told, got, want)
		}
		s.said(got)
	}
	says(map[string]int{"*": 0}, map[string]int{})
	says(map[string]int{"*": 1, "a": 1, "/r": 1}, map[string]int{"*": 1, "a": 1, "/r": 1})
	says(map[string]int{"*": 2, "a": 1, "b": 1, "/r": 2}, map[string]int{"*": 2, "b": 1, "/r": 2})
	s.came("a", "/r") // before the last call
	says(map[string]int{"*": 1, "b": 1, "/r": 1}, map[string]int{"*": 1, "/r": 1})
	says(map[string]int{"*": 1, "b": 1, "/r": 1}, map[string]int{})
	says(map[string]int{"*": 1, "c": 1, "/q": 1}, map[string]int{"b": 0, "/r": 0, "c": 1, "/q": 1})
	says(map[string]int{"*": 1, "c": 1, "/q": 1}, map[string]int{})
	s.came("c", "/q") // the ResourceManager has counted
	says(map[string]int{"*": 0}, map[string]int{})
	says(map[string]int{"*": 1, "a": 1, "/r": 1}, map[string]int{"*": 1, "a": 1, "/r": 1, "c": 0, "/q": 0}) // what is kept of the last is not known
	says(map[string]int{"*": 0, "a": 1, "/r": 1}, map[string]int{"*": 0})
	says(map[string]int{"*": 1, "b": 1, "/r": 1}, map[string]int{"*": 1, "a": 0, "b": 1, "/r": 1})
	s.unknown(nil)
	says(map[string]int{"*": 1, "b": 1, "/r": 1}, map[string]int{"*": 1, "b": 1, "/r": 1})
	s.unknown(map[string]int{"b": 0, "c": 1}) // it may not have heard that b gets none
	says(map[string]int{"*": 1, "c": 1, "/r": 1}, map[string]int{"*": 1, "b": 0, "c": 1, "/r": 1})
}

// A host's row has its rack's and the one that counts all in the same call, none of them to be relaxed; the label is that
// one's.
func TestAskByHost(t *testing.T) {
	p := &pool{spec: &spec.Pool{Resource: spec.Resource{VCores: 1, MemoryMiB: 64}, NodeLabel: "fast"}, priority: 3}
	list := asksByHost(p, map[string]int{"*": 1, "/r": 2, "a": 1, "b": 1})
	var got []string
	for _, r := range list {
		got = append(got, fmt.Sprintf("%s %d %v %s", r.GetResourceName(), r.GetNumContainers(), r.GetRelaxLocality(), r.GetNodeLabelExpression()))
	}
	if want := []string{"* 1 false fast", "/r 2 false ", "a 1 false ", "b 1 false "}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// When nodes are listed: at first, soon after a change, and now and then; not twice at a time.
func TestLookout(t *testing.T) {
	var l lookout
	now := time.Unix(1000, 0)
	due := func(after time.Duration, want bool) {
		t.Helper()
		if got := l.due(now.Add(after), listSoon); got != want {
			t.Errorf("after %v, %+v: %v", after, l, got)
		}
	}
	due(0, true)
	l.begun, l.busy = now, true
	due(time.Hour, false)
	l.busy = false
	due(listAgain-1, false)
	due(listAgain, true)
	l.stale = true
	due(listSoon-1, false)
	due(listSoon, true)
}

// pretender is a ResourceManager that places as Hadoop's does (LocalityAppPlacementAllocator), without a network, and an
// application that takes what it is given.
type pretender struct {
	*testing.T
	rng    *rand.Rand
	p      *Provider
	rows   map[string]int
	racks  map[string]string
	up     map[string]bool
	fresh  []*pb.Container // allocated, and not told
	done   []*pb.ContainerStatus
	next   int64
	want   int
	seen   int
	asked  int
	live   map[string]string // host by id
	fails  int               // came on hosts that were full
	placed int
	evil   bool
	calm   bool // all calls arrive, nothing ends, all nodes stay
}

func newPretender(t *testing.T, seed uint64) *pretender {
	creds := &token.Credentials{}
	creds.Add("amrm", token.Token{Kind: token.KindAMRM})
	p, err := New(Options{Scheduler: []string{"nowhere:1"}, Credentials: creds})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	p.pools = []*pool{{spec: &spec.Pool{Name: "wide", Role: spec.RoleWorker, MaxPerNode: perHost}, priority: 1}}
	p.look.busy = true // it is not for listing here
	r := &pretender{T: t, rng: rand.New(rand.NewPCG(seed, 5)), p: p, rows: map[string]int{}, racks: map[string]string{}, up: map[string]bool{}, live: map[string]string{}, evil: true}
	for i := range 6 {
		host := fmt.Sprint("h", i)
		r.racks[host], r.up[host] = fmt.Sprint("/r", i%2), true
	}
	r.list()
	return r
}

const perHost = 2

// list is what the ResourceManager says of its nodes.
func (r *pretender) list() {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	for host, rack := range r.racks {
		r.p.places[host] = place{rack, r.up[host]}
	}
}

// place allocates one container where the rows let it.
func (r *pretender) place() {
	host := fmt.Sprint("h", r.rng.IntN(6))
	rack := r.racks[host]
	if !r.up[host] || r.rows[host] <= 0 || r.rows[rack] <= 0 || r.rows["*"] <= 0 {
		return
	}
	for _, name := range []string{host, rack, "*"} {
		r.rows[name]--
	}
	r.next++
	r.placed++
	r.fresh = append(r.fresh, &pb.Container{Id: container(r.next).PB(), NodeId: hadoop.NodeID{Host: host, Port: 1}.PB(), Priority: &pb.Priority{Priority: proto.Int32(1)}})
}

// beat is a heartbeat. Its answer may get lost on the way, and so may it itself: what is in the answer comes later.
func (r *pretender) beat() {
	req, s := r.p.request()
	if r.evil && !r.calm && r.rng.IntN(20) == 0 {
		r.p.unanswered(s, fmt.Errorf("it never arrived"))
		return
	}
	for _, a := range req.GetAsk() {
		r.rows[a.GetResourceName()] = int(a.GetNumContainers())
		if a.GetRelaxLocality() {
			r.Fatalf("%v", a)
		}
	}
	for _, id := range req.GetRelease() {
		r.end(hadoop.ContainerIDFromPB(id))
	}
	resp := &pb.AllocateResponse{AllocatedContainers: r.fresh, CompletedContainerStatuses: r.done}
	if r.evil && !r.calm && r.rng.IntN(20) == 0 {
		r.p.unanswered(s, fmt.Errorf("its answer got lost"))
		return
	}
	r.fresh, r.done = nil, nil
	r.p.answered(s)
	r.p.take(resp)
	r.events()
}

func (r *pretender) end(id hadoop.ContainerID) {
	r.done = append(r.done, completed(id.PB(), reconcile.StatusAborted))
}

// events are those of the heartbeat; the application acts on them as its core does.
func (r *pretender) events() {
	told := func() bool {
		r.p.mu.Lock()
		defer r.p.mu.Unlock()
		for id := range r.p.boxes {
			if r.live[id.String()] == "" {
				return false
			}
		}
		return len(r.p.boxes) == len(r.live)
	}
	for !told() {
		r.take(<-r.p.Events())
	}
}

func (r *pretender) take(ev reconcile.Event) {
	switch ev := ev.(type) {
	case reconcile.Allocated:
		r.seen++
		r.asked--
		on := 0
		for _, host := range r.live {
			if host == ev.Node {
				on++
			}
		}
		r.live[ev.ID] = ev.Node
		if on >= perHost {
			r.fails++
			r.p.Release(ev.ID)
		}
	case reconcile.Completed:
		delete(r.live, ev.ID)
	}
	r.ask(false)
}

// any is one of those that live; which one follows from the seed.
func (r *pretender) any() (hadoop.ContainerID, bool) {
	if len(r.live) == 0 {
		return hadoop.ContainerID{}, false
	}
	ids := slices.Sorted(maps.Keys(r.live))
	id, _ := hadoop.ParseContainerID(ids[r.rng.IntN(len(ids))])
	return id, true
}

// ask tells the provider how many are missing, where that is news, or may have got lost.
func (r *pretender) ask(again bool) {
	if need := max(0, r.want-len(r.live)); need != r.asked || again {
		r.asked = need
		r.p.Ask("wide", need, r.seen)
	}
}

func (r *pretender) turn() {
	switch n := r.rng.IntN(100); {
	case n < 40:
		r.place()
	case n < 80:
		r.beat()
	case !r.evil:
	case n < 83:
		r.want = r.rng.IntN(perHost * 8)
		r.ask(false)
	case r.calm:
	case n < 90:
		cid, ok := r.any()
		if ok && !slices.ContainsFunc(r.done, func(d *pb.ContainerStatus) bool { return hadoop.ContainerIDFromPB(d.GetContainerId()) == cid }) {
			r.end(cid)
		}
	case n < 93:
		host := fmt.Sprint("h", r.rng.IntN(6))
		r.up[host] = !r.up[host]
	case n < 95:
		r.list()
	case n == 99 && r.rng.IntN(5) == 0: // another ResourceManager, which knows nothing
		r.rows = map[string]int{}
		r.p.mu.Lock()
		r.p.forgotten()
		r.p.mu.Unlock()
	case n < 96:
		r.ask(true) // again, as one that had no answer
	}
}

// Hosts get no more than they may; but for a few, where the ResourceManager and the application master spoke at the same
// time of what has ended on them, or a call's outcome was not known. In the
// end there is what was asked for, as far as there are places, and nothing is outstanding for which there is none.
func TestSpreadIsExact(t *testing.T) {
	fails, placed := map[bool]int{}, map[bool]int{}
	seeds := uint64(2000)
	if raceDetector {
		seeds = 200
	}
	for seed := range seeds {
		r := newPretender(t, seed)
		r.calm = seed%2 == 0
		for range 400 {
			r.turn()
		}
		r.evil = false
		for host := range r.racks {
			r.up[host] = true
		}
		r.list()
		most := perHost * len(r.racks)
		for i := 0; len(r.live) < min(r.want, most); i++ {
			if i%100 == 99 {
				r.ask(true) // the core repeats itself
			}
			if r.turn(); i > 2000 {
				t.Fatalf("seed %d: %d of %d, rows %v, told %v", seed, len(r.live), r.want, r.rows, r.p.pools[0].rows.told)
			}
		}
		fails[r.calm], placed[r.calm] = fails[r.calm]+r.fails, placed[r.calm]+r.placed
		r.ask(true)
		r.beat()
		r.ask(true)
		r.beat()
		if n := r.rows["*"]; n > 0 && len(r.live) == most {
			t.Errorf("seed %d: %d are outstanding, and there is no place", seed, n)
		}
		r.leftover(seed)
		r.p.Close()
	}
	if fails[true] > 0 || fails[false]*50 > placed[false] || placed[true] < 500 {
		t.Errorf("%v of %v came on hosts that were full; in calm (true) there may be none", fails, placed)
	}
	t.Logf("%v of %v came on hosts that were full", fails, placed)
}

// leftover checks that the ResourceManager has the rows of the next ask, and none of earlier ones.
func (r *pretender) leftover(seed uint64) {
	if id, ok := r.any(); ok {
		r.end(id)
	}
	r.want = len(r.live)
	r.beat()
	r.beat()
	free, sum := map[string]int{}, 0
	for host := range r.racks {
		free[host] = perHost
		for _, at := range r.live {
			if at == host {
				free[host]--
			}
		}
	}
	for host, n := range free {
		if sum += n; r.rows[host] != n && n >= 0 && r.rows["*"] > 0 {
			r.Errorf("seed %d: %s has %d outstanding, and room for %d", seed, host, r.rows[host], n)
		}
	}
	if r.want > 0 && r.rows["*"] != 1 {
		r.Errorf("seed %d: %d outstanding after one has ended", seed, r.rows["*"])
	}
}

// Of a call whose answer got lost nobody knows what it did: what it may have asked for is taken back where it is wanted no more.
func TestSpreadWithoutAnAnswer(t *testing.T) {
	r := newPretender(t, 1)
	r.calm, r.want = true, 1
	r.ask(false)
	req, s := r.p.request()
	for _, a := range req.GetAsk() {
		r.rows[a.GetResourceName()] = int(a.GetNumContainers())
	}
	r.p.unanswered(s, context.DeadlineExceeded)
	r.up["h0"] = false
	r.list()
	r.beat()
	if r.rows["h0"] != 0 || r.rows["*"] != 1 {
		t.Errorf("%v", r.rows)
	}
}

// On a node that is avoided nothing is asked for.
func TestSpreadAvoids(t *testing.T) {
	r := newPretender(t, 1)
	r.calm, r.want = true, 100
	r.p.Avoid([]string{"h0"})
	r.ask(false)
	r.beat()
	if most := perHost * (len(r.racks) - 1); r.rows["*"] != most || r.rows["h0"] != 0 || r.rows["h1"] != perHost {
		t.Errorf("%v", r.rows)
	}
}

// lister is a ResourceManager's port for clients.
func (c *cluster) lister(t *testing.T, nodes func() ([]*pb.NodeReport, error)) func(*Options) {
	t.Helper()
	s, err := hadooptest.NewServer(hadooptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	hadooptest.Handle(s, hadoop.ClientProtocol, "getClusterNodes", func(_ context.Context, call *hadooptest.Call, req *pb.GetClusterNodesRequest) (*pb.GetClusterNodesResponse, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		list, err := nodes()
		if call.User != "alice" || !slices.Equal(req.GetNodeStates(), []pb.NodeState{pb.NodeState_NS_RUNNING}) {
			t.Errorf("%s asks for nodes that are %v", call.User, req.GetNodeStates())
		}
		return &pb.GetClusterNodesResponse{NodeReports: list}, err
	})
	return func(o *Options) { o.Client = []string{s.Addr()} }
}

// wide has a pool with a bound for each node, of priority 4, for a test.
func wide(t *testing.T, c *cluster, nodes func() ([]*pb.NodeReport, error)) *Provider {
	t.Helper()
	fakePools = append(fakePools, spec.Pool{Name: "wide", Role: spec.RoleWorker, Resource: spec.Resource{VCores: 1, MemoryMiB: 64}, MaxPerNode: 2})
	t.Cleanup(func() { fakePools = fakePools[:3] })
	p, _ := c.begin(t, c.lister(t, nodes))
	p.mu.Lock()
	p.soon = time.Millisecond
	p.mu.Unlock()
	return p
}

// rows are those that were said of the pool wide.
func (c *cluster) rows() (list []string) {
	for _, a := range c.asked {
		if a.GetPriority().GetPriority() == 4 {
			list = append(list, fmt.Sprint(a.GetResourceName(), " ", a.GetNumContainers()))
		}
	}
	return list
}

func report(host string) *pb.NodeReport {
	return &pb.NodeReport{NodeId: hadoop.NodeID{Host: host, Port: 1}.PB(), RackName: proto.String("/rack"), NodeState: pb.NodeState_NS_RUNNING.Enum()}
}

// Where the nodes cannot be listed people are told, once, and the others go on.
func TestNodesAreNotListed(t *testing.T) {
	c := newCluster(t)
	refuse := true
	p := wide(t, c, func() ([]*pb.NodeReport, error) {
		if refuse {
			return nil, yarnException("YarnException")
		}
		return []*pb.NodeReport{report(hadoop.NodeIDFromPB(c.node()).Host)}, nil
	})
	p.Ask("wide", 3, 0)
	if e := next[reconcile.Refused](t, p); e.Pool != "wide" || !strings.Contains(e.Why, "does not list its nodes") {
		t.Errorf("%+v", e)
	}
	p.Ask("worker", 1, 0)
	if ev := next[reconcile.Event](t, p); ev.(reconcile.Allocated).Pool != "worker" {
		t.Errorf("%T%+v", ev, ev)
	}
	c.look(func() { refuse = false })
	for range 2 {
		if ev := next[reconcile.Allocated](t, p); ev.Pool != "wide" {
			t.Errorf("%+v", ev)
		}
	}
}

// Nodes are listed again when the cluster has changed: what is outstanding on one that has left is taken back, and asked for
// on one that has come.
func TestNodesComeAndGo(t *testing.T) {
	c := newCluster(t)
	nodes := []*pb.NodeReport{report("a"), report("b")}
	c.few, c.size = -1, 2
	p := wide(t, c, func() ([]*pb.NodeReport, error) { return nodes, nil })
	p.Ask("wide", 9, 0)
	said := func(rows ...string) {
		t.Helper()
		c.until(t, fmt.Sprint(rows), func() bool { return slices.Equal(c.rows(), rows) })
		c.look(func() { c.asked = nil })
	}
	said("* 4", "/rack 4", "a 2", "b 2")
	c.look(func() {
		nodes = []*pb.NodeReport{report("a")}
		c.size = 1
	})
	said("* 2", "/rack 2", "b 0")
	c.look(func() {
		nodes = append(nodes, report("c"))
		c.say.UpdatedNodes = []*pb.NodeReport{report("c")}
	})
	said("* 4", "/rack 4", "c 2")
	c.look(func() { c.forgotten = true })
	said("* 4", "/rack 4", "a 2", "c 2")
}
