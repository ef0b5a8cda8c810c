package core

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

var epoch = time.UnixMilli(1_700_000_000_000)

// bed is a cluster with unmanaged masters, which need no container.
type bed struct {
	t    testing.TB
	c    *Cluster
	now  time.Time
	id   yarn.AttemptID
	next int32
}

func newBed(t testing.TB, cfg Config, nodes ...tracker.Node) *bed {
	b := &bed{t: t, c: New(cfg, epoch), now: epoch}
	for _, n := range nodes {
		if err := b.c.RegisterNode(n, b.now); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func testNode(host, rack string) tracker.Node {
	return tracker.Node{ID: yarn.NodeID{Host: host, Port: 1}, Rack: rack, Capability: Resource{MemoryMiB: 8192, VCores: 64}}
}

func (b *bed) submit(change ...func(*pb.ApplicationSubmissionContext)) yarn.ApplicationID {
	b.t.Helper()
	id := b.c.NewApplicationID()
	ctx := &pb.ApplicationSubmissionContext{ApplicationId: id.PB(), UnmanagedAm: proto.Bool(true), Resource: yarn.NewResource(64, 1, nil)}
	for _, f := range change {
		f(ctx)
	}
	if err := b.c.Submit(ctx, "alice", b.now); err != nil {
		b.t.Fatal(err)
	}
	b.id, b.next = yarn.AttemptID{App: id, Attempt: 1}, 0
	return id
}

func (b *bed) register() {
	b.t.Helper()
	if _, err := b.c.Register(b.id, "h", 1, "", b.now); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bed) allocate(r AllocateRequest) *Allocation {
	b.t.Helper()
	r.ResponseID = b.next
	out, err := b.c.Allocate(b.id, &r, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	b.next = out.ResponseID
	return out
}

func (b *bed) beat(hosts ...string) {
	for _, h := range hosts {
		b.c.Heartbeat(tracker.Heartbeat{Node: yarn.NodeID{Host: h, Port: 1}}, b.now)
	}
}

// hosts are where the containers of a response are.
func hosts(a *Allocation) string {
	var out []string
	for _, c := range a.Containers {
		out = append(out, c.Node.Host)
	}
	return strings.Join(out, " ")
}

func want(name string, n int, relax bool) Ask {
	return Ask{Priority: 1, RequestID: -1, Name: name, Resource: Resource{MemoryMiB: 64, VCores: 1}, Count: n, Relax: relax}
}

func TestLocality(t *testing.T) {
	nodes := []tracker.Node{testNode("a", "/r1"), testNode("b", "/r1"), testNode("c", "/r2")}
	for _, tc := range []struct {
		name  string
		asks  []Ask
		block []string
		beats string
		want  string
	}{
		{"anywhere", []Ask{want(Any, 2, true)}, nil, "c", "c c"},
		{"its host, at once", []Ask{want("b", 1, true), want("/r1", 1, true), want(Any, 1, true)}, nil, "c a b", "b"},
		{"its rack, after a while", []Ask{want("b", 1, true), want("/r1", 1, true), want(Any, 1, true)}, nil, "a a a a", "a"},
		{"any node, after a longer while", []Ask{want("b", 1, true), want("/r1", 1, true), want(Any, 1, true)}, nil, "c c c c c c c", "c"},
		{"not yet any node", []Ask{want("b", 1, true), want("/r1", 1, true), want(Any, 1, true)}, nil, "c c c c c", ""},
		{"its host or none", []Ask{want("b", 1, true), want("/r1", 1, false), want(Any, 1, false)}, nil, "a c a c a c a c a c a c", ""},
		{"its rack or none", []Ask{want("/r2", 1, true), want(Any, 1, false)}, nil, "a b a b a b a b c", "c"},
		{"but for one host", []Ask{want(Any, 1, true)}, []string{"a"}, "a a b", "b"},
		{"but for one rack", []Ask{want(Any, 1, true)}, []string{"/r1"}, "a b c", "c"},
		{"a count that was taken back", []Ask{want(Any, 5, true), want(Any, 1, true)}, nil, "a", "a"},
	} {
		b := newBed(t, Config{}, nodes...)
		b.submit()
		b.register()
		if got := b.allocate(AllocateRequest{Asks: tc.asks, Block: tc.block}); len(got.Containers) > 0 {
			t.Errorf("%s: at once", tc.name)
		}
		b.beat(strings.Fields(tc.beats)...)
		if got := hosts(b.allocate(AllocateRequest{})); got != tc.want {
			t.Errorf("%s: on %q, want %q", tc.name, got, tc.want)
		}
	}
}

// A row replaces the one of the same priority, request id and name, whatever its size: the scheduler has one size for
// each.
func TestAsksReplaceEachOther(t *testing.T) {
	b := newBed(t, Config{}, testNode("a", ""))
	b.submit()
	b.register()
	large, other := want(Any, 1, true), want(Any, 2, true)
	large.Resource.MemoryMiB, other.RequestID = 128, 7
	b.allocate(AllocateRequest{Asks: []Ask{want(Any, 3, true), large, other}})
	b.beat("a")
	got := b.allocate(AllocateRequest{})
	if len(got.Containers) != 3 || got.Containers[0].Resource.MemoryMiB != 128 || got.Containers[2].RequestID != 7 {
		t.Errorf("%+v", got.Containers)
	}
}

func TestLabels(t *testing.T) {
	gpu := testNode("g", "")
	gpu.Label = "gpu"
	b := newBed(t, Config{}, testNode("a", ""), gpu)
	b.submit()
	b.register()
	x := want(Any, 1, true)
	x.Label = proto.String("gpu")
	b.allocate(AllocateRequest{Asks: []Ask{x}})
	b.beat("a", "g")
	if got := hosts(b.allocate(AllocateRequest{})); got != "g" {
		t.Error(got)
	}
	b.allocate(AllocateRequest{Asks: []Ask{want(Any, 1, true)}})
	b.beat("g", "a")
	if got := hosts(b.allocate(AllocateRequest{})); got != "a" {
		t.Errorf("a container without a label is on %s", got)
	}
	x.Label = proto.String("none")
	if _, err := b.c.Allocate(b.id, &AllocateRequest{ResponseID: b.next, Asks: []Ask{x}}, b.now); err == nil || !strings.Contains(err.Error(), "InvalidLabelResourceRequestException") {
		t.Error(err)
	}
}

func TestQueueLimits(t *testing.T) {
	b := newBed(t, Config{Queues: []Queue{{Name: "default", Capacity: 25, MaxCapacity: 50}}, AMShare: 0.1}, testNode("a", ""))
	b.submit()
	b.register()
	out := b.allocate(AllocateRequest{Asks: []Ask{want(Any, 1000, true)}})
	if out.Headroom.MemoryMiB != 4096 || out.Headroom.VCores != 32 {
		t.Errorf("headroom %v", out.Headroom)
	}
	b.beat("a")
	if n := len(b.allocate(AllocateRequest{}).Containers); n != 32 {
		t.Errorf("%d containers in half of 64 cores", n)
	}
	// One master always may run; a tenth of 32 cores lets two more.
	b = newBed(t, Config{Queues: []Queue{{Name: "default", Capacity: 25, MaxCapacity: 50}}, AMShare: 0.1}, testNode("a", ""))
	managed := func(c *pb.ApplicationSubmissionContext) { c.UnmanagedAm = nil }
	var last yarn.ApplicationID
	for range 5 {
		last = b.submit(managed)
	}
	b.beat("a")
	if n := len(b.c.TakeLaunches()); n != 3 {
		t.Errorf("%d masters", n)
	}
	v, err := b.c.App(last, b.now)
	if err != nil || !strings.Contains(v.Diagnostics, "Queue's AM resource limit exceeded") {
		t.Errorf("%v, %v", v.Diagnostics, err)
	}
}

func TestFailuresThatDoNotCount(t *testing.T) {
	b := newBed(t, Config{MaxAttempts: 2}, testNode("a", ""))
	id := b.submit(func(c *pb.ApplicationSubmissionContext) {
		c.UnmanagedAm, c.AttemptFailuresValidityInterval = nil, proto.Int64(10_000)
	})
	for i, step := range []struct {
		after time.Duration
		exit  yarn.ExitStatus
		ends  bool
	}{{0, 1, false}, {time.Second, yarn.ExitAborted, false}, {0, yarn.ExitPreempted, false}, {20 * time.Second, 1, false}, {time.Second, 1, true}} {
		b.beat("a")
		l := b.c.TakeLaunches()
		if len(l) != 1 || l[0].Attempt.Attempt != int32(i+1) {
			t.Fatalf("launches %v", l)
		}
		b.c.Launched(l[0].Attempt, b.now)
		b.now = b.now.Add(step.after)
		b.c.Pause(true)
		b.c.Heartbeat(tracker.Heartbeat{Node: yarn.NodeID{Host: "a", Port: 1},
			Containers: []tracker.Container{{ID: l[0].Container.ID, State: tracker.Complete, Exit: step.exit}}}, b.now)
		v, err := b.c.App(id, b.now)
		if err != nil || (v.State == pb.ApplicationState_FAILED) != step.ends {
			t.Fatalf("after failure %d: %v, %v", i+1, v.State, err)
		}
		if step.ends && !strings.Contains(v.Diagnostics, "failed 2 times in previous 10000 milliseconds due to AM Container for") {
			t.Error(v.Diagnostics)
		}
		b.c.Pause(false)
	}
}

func TestResize(t *testing.T) {
	b := newBed(t, Config{}, testNode("a", ""))
	b.submit()
	b.register()
	b.allocate(AllocateRequest{Asks: []Ask{want(Any, 1, true)}})
	b.beat("a")
	id := b.allocate(AllocateRequest{}).Containers[0].ID
	up := Update{ID: id, Type: pb.ContainerUpdateType_INCREASE_RESOURCE, Resource: Resource{MemoryMiB: 1000, VCores: 2}}
	wrong := up
	wrong.Version = 4
	out := b.allocate(AllocateRequest{Updates: []Update{up, wrong, {ID: yarn.ContainerID{}}}})
	if len(out.Updated) != 1 || out.Updated[0].Container.Version != 1 || out.Updated[0].Container.Resource.MemoryMiB != 1024 {
		t.Errorf("%+v", out.Updated)
	}
	if len(out.UpdateErrors) != 2 || out.UpdateErrors[0].Reason != "INCORRECT_CONTAINER_VERSION_ERROR" || out.UpdateErrors[1].Reason != "INVALID_CONTAINER_ID" {
		t.Errorf("%+v", out.UpdateErrors)
	}
	if n := b.c.Nodes()[0]; n.Used.MemoryMiB != 1024 || n.Used.VCores != 2 {
		t.Errorf("%+v", n)
	}
}

func TestHealth(t *testing.T) {
	b := newBed(t, Config{}, testNode("a", ""), testNode("b", ""))
	b.submit()
	b.register()
	b.allocate(AllocateRequest{Asks: []Ask{want(Any, 1, true)}})
	b.beat("a")
	b.allocate(AllocateRequest{})
	b.c.Heartbeat(tracker.Heartbeat{Node: yarn.NodeID{Host: "a", Port: 1}, Unhealthy: "disks"}, b.now)
	out := b.allocate(AllocateRequest{Asks: []Ask{want(Any, 1, true)}})
	if len(out.Completed) != 1 || out.Completed[0].Exit != yarn.ExitAborted || len(out.Nodes) != 1 || out.Nodes[0].Node.State != pb.NodeState_NS_UNHEALTHY || out.NumNodes != 1 {
		t.Errorf("%+v", out)
	}
	b.beat("b")
	if got := hosts(b.allocate(AllocateRequest{})); got != "b" {
		t.Error(got)
	}
}

// Two hundred nodes for ten containers each, and one ask for two thousand.
func BenchmarkTwoThousand(bench *testing.B) {
	var nodes []tracker.Node
	for i := range 200 {
		n := testNode(fmt.Sprintf("n%03d", i), fmt.Sprintf("/r%d", i%8))
		n.Capability = Resource{MemoryMiB: 640, VCores: 10}
		nodes = append(nodes, n)
	}
	for bench.Loop() {
		b := newBed(bench, Config{}, nodes...)
		b.submit()
		b.register()
		b.allocate(AllocateRequest{Asks: []Ask{want(Any, 2000, true)}})
		for _, n := range nodes {
			b.beat(n.ID.Host)
		}
		if n := len(b.allocate(AllocateRequest{}).Containers); n != 2000 {
			bench.Fatalf("%d containers", n)
		}
	}
}
