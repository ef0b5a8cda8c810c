package rm

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wait = 20 * time.Second

// fakeNode is as little of a NodeManager as a ResourceManager can do with: it checks tokens, notes what was started,
// and sends heartbeats. Its containers run until a test, or an order, ends them.
type fakeNode struct {
	t    *testing.T
	rm   *RM
	s    *hadooptest.Server
	node tracker.Node
	stop chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	keys     tracker.Keys
	has      map[yarn.ContainerID]tracker.Container
	launches map[yarn.ContainerID]*pb.ContainerLaunchContext
	tokens   map[yarn.ContainerID]*pb.ContainerTokenIdentifier
	refuse   string // an exception's class: refuses all starts
	signals  []tracker.Signal
	ended    []yarn.ApplicationID
	shutdown bool
	resyncs  int
}

func startNode(t *testing.T, m *RM, memory int64, cores int32) *fakeNode {
	t.Helper()
	n := &fakeNode{t: t, rm: m, stop: make(chan struct{}), has: make(map[yarn.ContainerID]tracker.Container),
		launches: make(map[yarn.ContainerID]*pb.ContainerLaunchContext), tokens: make(map[yarn.ContainerID]*pb.ContainerTokenIdentifier)}
	var err error
	if n.s, err = hadooptest.NewServer(hadooptest.Options{TokenOnly: true, Passwords: n.password}); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(n.s.Addr())
	p, _ := strconv.Atoi(port)
	n.node = tracker.Node{ID: yarn.NodeID{Host: host, Port: int32(p)}, HTTP: host + ":1", Capability: tracker.Resource{MemoryMiB: memory, VCores: cores}}
	hadooptest.Handle(n.s, yarn.ContainerProtocol, "startContainers", n.start)
	n.register()
	n.wg.Go(n.run)
	t.Cleanup(func() { close(n.stop); n.wg.Wait(); n.s.Close() })
	return n
}

func (n *fakeNode) password(identifier []byte) ([]byte, error) {
	var id pb.NMTokenIdentifier
	if err := proto.Unmarshal(identifier, &id); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	k, ok := n.keys.NM.Find(id.GetKeyId())
	if !ok || yarn.NodeIDFromPB(id.GetNodeId()) != n.node.ID {
		return nil, invalidToken("not one of ours")
	}
	return k.Password(identifier), nil
}

func (n *fakeNode) start(_ context.Context, _ *hadooptest.Call, req *pb.StartContainersRequest) (*pb.StartContainersResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	resp := &pb.StartContainersResponse{}
	for _, r := range req.GetStartContainerRequest() {
		id := &pb.ContainerTokenIdentifier{}
		raw := r.GetContainerToken().GetIdentifier()
		if err := proto.Unmarshal(raw, id); err != nil {
			return nil, err
		}
		if k, ok := n.keys.Container.Find(id.GetMasterKeyId()); !ok || string(k.Password(raw)) != string(r.GetContainerToken().GetPassword()) {
			n.t.Errorf("a container token that nobody signed: %v", id)
		}
		c := yarn.ContainerIDFromPB(id.GetContainerId())
		if n.refuse != "" {
			resp.FailedRequests = append(resp.FailedRequests, &pb.ContainerExceptionMap{ContainerId: c.PB(),
				Exception: &pb.SerializedException{ClassName: &n.refuse, Message: proto.String("no")}})
			continue
		}
		n.launches[c], n.tokens[c] = r.GetContainerLaunchContext(), id
		n.has[c] = tracker.Container{ID: c, Resource: tracker.Resource{MemoryMiB: id.GetResource().GetMemory(), VCores: id.GetResource().GetVirtualCores()},
			Priority: id.GetPriority().GetPriority(), RequestID: id.GetAllocationRequestId(), Created: time.UnixMilli(id.GetCreationTime())}
		resp.SucceededRequests = append(resp.SucceededRequests, c.PB())
	}
	return resp, nil
}

func (n *fakeNode) run() {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			n.beat()
		case <-n.stop:
			return
		}
	}
}

func (n *fakeNode) list() []tracker.Container {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []tracker.Container
	for _, c := range n.has {
		out = append(out, c)
	}
	return out
}

func (n *fakeNode) register() {
	reg := n.node
	reg.Containers = n.list()
	if r, err := n.rm.RegisterNode(reg); err == nil {
		n.mu.Lock()
		n.keys = r.Keys
		n.resyncs++
		n.mu.Unlock()
	}
}

func (n *fakeNode) beat() {
	o, err := n.rm.Heartbeat(tracker.Heartbeat{Node: n.node.ID, Containers: n.list()})
	if err != nil {
		return
	}
	if o.Resync {
		n.register()
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keys = o.Keys
	n.shutdown = n.shutdown || o.Shutdown
	n.signals = append(n.signals, o.Signals...)
	n.ended = append(n.ended, o.Ended...)
	for _, id := range o.Acknowledged {
		delete(n.has, id)
	}
	for _, x := range o.CleanUp {
		n.end(x.ID, x.Status)
	}
	for _, app := range o.Ended {
		for id := range n.has {
			if id.Attempt.App == app {
				n.end(id, yarn.ExitKilledAfterAppCompletion)
			}
		}
	}
}

// end ends a container, under mu.
func (n *fakeNode) end(id yarn.ContainerID, exit yarn.ExitStatus) {
	if c, ok := n.has[id]; ok && c.State == tracker.Running {
		c.State, c.Exit, c.Diagnostics = tracker.Complete, exit, "ended by the test\n"
		n.has[id] = c
	}
}

// look reads or changes the node's state.
func (n *fakeNode) look(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func newRM(t *testing.T, o Options) *RM {
	t.Helper()
	o.Tick = 5 * time.Millisecond
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); m.Close() })
	return m
}

func clientOf(t *testing.T, m *RM, user string) *yarn.Client {
	c := yarn.NewClient(yarn.Options{Addresses: []string{m.ClientAddr()}, IPC: ipc.Options{User: user, RetryFor: 5 * time.Second, BackoffMax: 50 * time.Millisecond}})
	t.Cleanup(func() { c.Close() })
	return c
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(wait); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
