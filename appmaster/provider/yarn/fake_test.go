package yarn

import (
	"context"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/provider/providertest"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

func TestMain(m *testing.M) {
	providertest.Main()
	masterMain()
	if hadoopTag {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

var app = hadoop.ApplicationID{ClusterTimestamp: 1700000000000, ID: 7}

func container(n int64) hadoop.ContainerID {
	return hadoop.ContainerID{Attempt: hadoop.AttemptID{App: app, Attempt: 1}, ID: n}
}

// cluster is a ResourceManager and a NodeManager that speak the real protocols and
// do what a test tells them.
type cluster struct {
	rm, nm *hadooptest.Server

	mu         sync.Mutex
	registered int // how often
	forgotten  bool
	resyncs    bool // it has told the application master to register again
	superseded bool
	refuse     int32 // asks of this priority
	refused    int   // how often
	stranger   bool  // to all tokens
	strange    int   // heartbeats whose count is found wrong
	deaf       bool  // releases are noted, and nothing comes of them
	broken     bool  // no container starts
	blacklist  []string
	older      bool  // containers are of before a failover, for their node
	few        int   // containers at a time, of each priority; 0: as many as are asked for, -1: none
	offers     bool  // opportunistic containers; else guaranteed ones come in their place
	size       int32 // nodes, as it says where nothing else is said
	next       int64
	last       *pb.AllocateResponse
	asks       map[int32]int         // outstanding, by priority
	asked      []*pb.ResourceRequest // all that came
	released   []hadoop.ContainerID  // all that came
	say        *pb.AllocateResponse  // goes out with the next response
	previous   []*pb.Container       // of earlier attempts
	masterKey  []byte                // of clients' tokens
	acls       hadoop.ACLs           // as a registration tells them
	final      *pb.FinishApplicationMasterRequest

	launches map[hadoop.ContainerID]*pb.ContainerLaunchContext
	stopped  []hadoop.ContainerID
	slow     time.Duration // each start
	busy     int
	busiest  int
}

const secret = "password"

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{say: &pb.AllocateResponse{}, asks: map[int32]int{}, launches: map[hadoop.ContainerID]*pb.ContainerLaunchContext{}}
	o := hadooptest.Options{TokenOnly: true, Passwords: c.password}
	var err error
	if c.rm, err = hadooptest.NewServer(o); err != nil {
		t.Fatal(err)
	}
	if c.nm, err = hadooptest.NewServer(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.rm.Close(); c.nm.Close() })
	hadooptest.Handle(c.rm, hadoop.MasterProtocol, "registerApplicationMaster", c.register)
	hadooptest.Handle(c.rm, hadoop.MasterProtocol, "allocate", c.allocate)
	hadooptest.Handle(c.rm, hadoop.MasterProtocol, "finishApplicationMaster", c.finish)
	hadooptest.Handle(c.nm, hadoop.ContainerProtocol, "startContainers", c.start)
	hadooptest.Handle(c.nm, hadoop.ContainerProtocol, "stopContainers", c.stop)
	hadooptest.Handle(c.nm, hadoop.ContainerProtocol, "getContainerStatuses", c.statuses)
	return c
}

func (c *cluster) password([]byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stranger {
		return nil, &hadooptest.Exception{Class: "org.apache.hadoop.security.token.SecretManager$InvalidToken",
			Message: hadoop.AttemptID{App: app, Attempt: 1}.String() + " not found in AMRMTokenSecretManager."}
	}
	return []byte(secret), nil
}

func (c *cluster) node() *pb.NodeId {
	host, port, _ := net.SplitHostPort(c.nm.Addr())
	n, _ := strconv.Atoi(port)
	return hadoop.NodeID{Host: host, Port: int32(n)}.PB()
}

func (c *cluster) tokens() []*pb.NMToken {
	return []*pb.NMToken{{NodeId: c.node(), Token: hadoop.TokenToPB(token.Token{Identifier: []byte("nm"), Password: []byte(secret), Kind: token.KindNM})}}
}

func (c *cluster) container(n int64, priority int32) *pb.Container {
	id, _ := proto.Marshal(&pb.ContainerTokenIdentifier{ContainerId: container(n).PB()})
	return &pb.Container{
		Id: container(n).PB(), NodeId: c.node(), Priority: &pb.Priority{Priority: proto.Int32(priority)},
		ContainerToken: hadoop.TokenToPB(token.Token{Identifier: id, Password: []byte("x"), Kind: token.KindContainer}),
	}
}

func (c *cluster) register(_ context.Context, _ *hadooptest.Call, _ *pb.RegisterApplicationMasterRequest) (*pb.RegisterApplicationMasterResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.registered > 0 && !c.forgotten && !c.resyncs {
		return nil, &hadooptest.Exception{Class: "org.apache.hadoop.yarn.exceptions.InvalidApplicationMasterRequestException",
			Message: "Application Master is already registered : " + app.String()}
	}
	c.registered++
	c.forgotten = false
	c.asks, c.last = map[int32]int{}, nil
	return &pb.RegisterApplicationMasterResponse{
		MaximumCapability: hadoop.NewResource(4096, 8, nil), ContainersFromPreviousAttempts: c.previous, NmTokensFromPreviousAttempts: c.tokens(),
		ClientToAmTokenMasterKey: c.masterKey, ApplicationAcls: c.acls.PB(),
		ResourceTypes: []*pb.ResourceTypeInfo{{Name: proto.String(hadoop.Memory)}, {Name: proto.String(hadoop.Vcores)}},
	}, nil
}

func yarnException(class string) error {
	return &hadooptest.Exception{Class: "org.apache.hadoop.yarn.exceptions." + class, Message: "as the test wants it"}
}

func (c *cluster) allocate(_ context.Context, _ *hadooptest.Call, req *pb.AllocateRequest) (*pb.AllocateResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.superseded:
		return nil, yarnException("ApplicationAttemptNotFoundException")
	case c.forgotten:
		return nil, yarnException("ApplicationMasterNotRegisteredException")
	case c.strange > 0:
		c.strange--
		return nil, yarnException("InvalidApplicationMasterRequestException")
	case c.last != nil && req.GetResponseId() == c.last.GetResponseId()-1:
		return c.last, nil // a repetition
	case req.GetResponseId() != c.last.GetResponseId(): // 0 after a registration
		return nil, yarnException("InvalidApplicationMasterRequestException")
	case slices.ContainsFunc(req.GetAsk(), func(a *pb.ResourceRequest) bool { return a.GetPriority().GetPriority() == c.refuse }):
		c.refused++
		return nil, yarnException("InvalidResourceRequestException")
	}
	resp := c.say
	c.say = &pb.AllocateResponse{}
	resp.ResponseId = proto.Int32(req.GetResponseId() + 1)
	if resp.NumClusterNodes == nil {
		resp.NumClusterNodes = proto.Int32(c.size)
	}
	for priority, n := range c.asks {
		if c.few != 0 {
			n = min(n, max(0, c.few))
		}
		for range n {
			c.next++
			box := c.container(c.next, priority)
			if c.offers && fakePools[priority-1].Opportunistic {
				box.ExecutionType = pb.ExecutionType_OPPORTUNISTIC.Enum()
			}
			resp.AllocatedContainers = append(resp.AllocatedContainers, box)
			resp.NmTokens = c.tokens()
		}
		c.asks[priority] -= n
	}
	c.note(req.GetBlacklistRequest())
	for _, ask := range req.GetAsk() {
		if ask.GetResourceName() == "*" {
			c.asks[ask.GetPriority().GetPriority()] = int(ask.GetNumContainers())
		}
		c.asked = append(c.asked, ask)
	}
	for _, id := range req.GetRelease() {
		c.released = append(c.released, hadoop.ContainerIDFromPB(id))
		if c.deaf {
			continue
		}
		resp.CompletedContainerStatuses = append(resp.CompletedContainerStatuses, completed(id, reconcile.StatusAborted))
	}
	c.last = proto.CloneOf(resp)
	return resp, nil
}

func completed(id *pb.ContainerId, status int32) *pb.ContainerStatus {
	return &pb.ContainerStatus{ContainerId: id, State: pb.ContainerState_C_COMPLETE.Enum(), ExitStatus: proto.Int32(status)}
}

func (c *cluster) finish(_ context.Context, _ *hadooptest.Call, req *pb.FinishApplicationMasterRequest) (*pb.FinishApplicationMasterResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := c.final != nil
	c.final = req
	return &pb.FinishApplicationMasterResponse{IsUnregistered: proto.Bool(again)}, nil // only the second time
}

func (c *cluster) start(_ context.Context, _ *hadooptest.Call, req *pb.StartContainersRequest) (*pb.StartContainersResponse, error) {
	c.mu.Lock()
	c.busy++
	c.busiest = max(c.busiest, c.busy)
	slow := c.slow
	c.mu.Unlock()
	time.Sleep(slow)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
	resp := &pb.StartContainersResponse{}
	for _, r := range req.GetStartContainerRequest() {
		var ident pb.ContainerTokenIdentifier
		if err := proto.Unmarshal(r.GetContainerToken().GetIdentifier(), &ident); err != nil {
			return nil, err
		}
		id := hadoop.ContainerIDFromPB(ident.GetContainerId())
		if c.broken {
			resp.FailedRequests = append(resp.FailedRequests, &pb.ContainerExceptionMap{ContainerId: id.PB(), Exception: &pb.SerializedException{
				ClassName: proto.String("org.apache.hadoop.yarn.exceptions.YarnException"), Message: proto.String("no")}})
			continue
		}
		if c.older {
			resp.FailedRequests = append(resp.FailedRequests, &pb.ContainerExceptionMap{ContainerId: id.PB(), Exception: &pb.SerializedException{
				ClassName: proto.String("org.apache.hadoop.yarn.exceptions.InvalidContainerException"), Message: proto.String("rejected as it is allocated by a previous RM")}})
			continue
		}
		if c.launches[id] != nil {
			resp.FailedRequests = append(resp.FailedRequests, &pb.ContainerExceptionMap{ContainerId: id.PB(),
				Exception: &pb.SerializedException{ClassName: proto.String("org.apache.hadoop.yarn.exceptions.YarnException"), Message: proto.String("already started")}})
			continue
		}
		c.launches[id] = r.GetContainerLaunchContext()
		resp.SucceededRequests = append(resp.SucceededRequests, id.PB())
	}
	return resp, nil
}

func (c *cluster) stop(_ context.Context, _ *hadooptest.Call, req *pb.StopContainersRequest) (*pb.StopContainersResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range req.GetContainerId() {
		c.stopped = append(c.stopped, hadoop.ContainerIDFromPB(id))
		c.say.CompletedContainerStatuses = append(c.say.CompletedContainerStatuses, completed(id, reconcile.StatusByAM))
	}
	return &pb.StopContainersResponse{SucceededRequests: req.GetContainerId()}, nil
}

func (c *cluster) statuses(_ context.Context, _ *hadooptest.Call, req *pb.GetContainerStatusesRequest) (*pb.GetContainerStatusesResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	resp := &pb.GetContainerStatusesResponse{}
	for _, id := range req.GetContainerId() {
		if c.launches[hadoop.ContainerIDFromPB(id)] != nil {
			resp.Status = append(resp.Status, &pb.ContainerStatus{ContainerId: id, State: pb.ContainerState_C_RUNNING.Enum()})
		}
	}
	return resp, nil
}

// look reads the cluster's state.
func (c *cluster) look(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *cluster) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(wait); ; time.Sleep(5 * time.Millisecond) {
		var done bool
		c.look(func() { done = ok() })
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

const wait = 20 * time.Second

var fakePools = []spec.Pool{
	{Name: "scheduler", Role: spec.RoleScheduler, Resource: spec.Resource{VCores: 1, MemoryMiB: 512}},
	{Name: "worker", Role: spec.RoleWorker, Resource: spec.Resource{VCores: 2, MemoryMiB: 1024}, NodeLabel: "gpu",
		Files: []spec.File{{Name: "yarnd", URL: "hdfs://nn:8020/cache/yarnd", Size: 5, ModTime: 6, Visibility: spec.Private},
			{Name: "env", URL: "hdfs://service/env.zip", Archive: true, Visibility: spec.Public}}},
	{Name: "spare", Role: spec.RoleWorker, Resource: spec.Resource{VCores: 1, MemoryMiB: 512}, Opportunistic: true},
}

// begin starts a provider on the cluster, with quick heartbeats unless change says
// otherwise.
func (c *cluster) begin(t *testing.T, change ...func(*Options)) (*Provider, provider.Registered) {
	t.Helper()
	creds := &token.Credentials{}
	creds.Add("amrm", token.Token{Identifier: []byte("amrm"), Password: []byte(secret), Kind: token.KindAMRM})
	creds.Add("nn", token.Token{Identifier: []byte("hdfs"), Password: []byte("y"), Kind: token.KindHDFS})
	o := Options{
		Scheduler: []string{c.rm.Addr()}, Credentials: creds, User: "alice", Heartbeat: 50 * time.Millisecond, Eager: 10 * time.Millisecond, Parallel: 8,
		IPC: ipc.Options{User: "alice", RetryFor: time.Second, CallTimeout: 500 * time.Millisecond, ConnectTimeout: 500 * time.Millisecond},
	}
	for _, f := range change {
		f(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	reg, err := p.Register(t.Context(), provider.Registration{Host: "am", Port: 1, TrackingURL: "http://am:2/", Pools: fakePools, Access: spec.Access{View: "bob staff", Submit: "ann"}})
	if err != nil {
		t.Fatal(err)
	}
	return p, reg
}

func next[E reconcile.Event](t *testing.T, p *Provider) E {
	t.Helper()
	var seen []reconcile.Event
	for timeout := time.After(wait); ; {
		select {
		case ev := <-p.Events():
			if e, ok := ev.(E); ok {
				return e
			}
			seen = append(seen, ev)
		case <-timeout:
			var e E
			t.Fatalf("no %T; but %+v", e, seen)
		}
	}
}

func get(t *testing.T, p *Provider, n, seen int) []string {
	t.Helper()
	p.Ask("worker", n, seen)
	var ids []string
	for range n {
		ids = append(ids, next[reconcile.Allocated](t, p).ID)
	}
	return ids
}
