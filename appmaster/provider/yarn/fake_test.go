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
	refuse     bool // asks
	stranger   bool // to all tokens
	strange    int  // heartbeats whose count is found wrong
	deaf       bool // releases are noted, and nothing comes of them
	broken     bool // no container starts
	blacklist  []string
	older      bool // containers are of before a failover, for their node
	next       int64
	last       *pb.AllocateResponse
	asks       map[int32]int         // outstanding, by priority
	asked      []*pb.ResourceRequest // all that came
	released   []hadoop.ContainerID  // all that came
	say        *pb.AllocateResponse  // goes out with the next response
	previous   []*pb.Container       // of earlier attempts
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
	case c.refuse && len(req.GetAsk()) > 0:
		return nil, yarnException("InvalidResourceRequestException")
	}
	resp := c.say
	c.say = &pb.AllocateResponse{}
	resp.ResponseId = proto.Int32(req.GetResponseId() + 1)
	for priority, n := range c.asks {
		for range n {
			c.next++
			resp.AllocatedContainers = append(resp.AllocatedContainers, c.container(c.next, priority))
			resp.NmTokens = c.tokens()
		}
		c.asks[priority] = 0
	}
	c.note(req.GetBlacklistRequest())
	for _, ask := range req.GetAsk() {
		c.asks[ask.GetPriority().GetPriority()] = int(ask.GetNumContainers())
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
	reg, err := p.Register(t.Context(), provider.Registration{Host: "am", Port: 1, TrackingURL: "http://am:2/", Pools: fakePools})
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

// An ask goes out at once, and its answer, which the ResourceManager never has in
// the same response, is fetched without waiting for an ordinary heartbeat: here
// that would be in an hour.
func TestAsksDoNotWaitForAHeartbeat(t *testing.T) {
	p, _ := newCluster(t).begin(t, func(o *Options) { o.Heartbeat = time.Hour })
	for i := range 3 {
		get(t, p, 2, 2*i)
	}
}

func TestLaunchAndStop(t *testing.T) {
	c := newCluster(t)
	p, reg := c.begin(t)
	if reg.Maximum.MemoryMiB != 4096 || reg.Maximum.VCores != 8 {
		t.Errorf("%+v", reg)
	}
	id := get(t, p, 1, 0)[0]
	c.look(func() {
		if n := len(c.asked); n != 1 || c.asked[0].GetNodeLabelExpression() != "gpu" || c.asked[0].GetResourceName() != "*" ||
			c.asked[0].GetCapability().GetMemory() != 1024 || c.asked[0].GetPriority().GetPriority() != 2 {
			t.Errorf("asked %v", c.asked)
		}
	})
	p.Start(id, map[string][]byte{"yarnd.join": []byte("tok")})
	next[reconcile.Launched](t, p)
	c.look(func() {
		l := c.launches[container(1)]
		if cmd := l.GetCommand(); len(cmd) != 1 || cmd[0] != "./yarnd worker 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr" {
			t.Errorf("command %q", cmd)
		}
		creds, err := token.Parse(l.GetTokens())
		if err != nil || string(creds.Secrets["yarnd.join"]) != "tok" {
			t.Errorf("%v, %v", creds, err)
		}
		if _, ok := creds.Select(token.KindAMRM); ok {
			t.Error("a container got the AMRM token")
		}
		if _, ok := creds.Select(token.KindHDFS); !ok {
			t.Error("a container got no HDFS token")
		}
		env := l.GetEnvironment()
		if len(env) != 1 || env[0].GetKey() != "HADOOP_USER_NAME" || env[0].GetValue() != "alice" {
			t.Errorf("environment %v", env)
		}
		for _, r := range l.GetLocalResources() {
			u := r.GetValue().GetResource()
			switch r.GetKey() {
			case "yarnd":
				if u.GetHost() != "nn" || u.GetPort() != 8020 || u.GetFile() != "/cache/yarnd" || r.GetValue().GetTimestamp() != 6 || r.GetValue().GetType() != pb.LocalResourceType_FILE {
					t.Errorf("%v", r)
				}
			case "env":
				if u.GetHost() != "service" || u.GetPort() != -1 || r.GetValue().GetType() != pb.LocalResourceType_ARCHIVE || r.GetValue().GetVisibility() != pb.LocalResourceVisibility_PUBLIC {
					t.Errorf("%v", r)
				}
			}
		}
	})
	p.Stop(id)
	if e := next[reconcile.Completed](t, p); e.ID != id || e.Status != reconcile.StatusByAM {
		t.Errorf("%+v", e)
	}
	if err := p.Unregister(t.Context(), provider.Final{Status: reconcile.Failed, Diagnostics: "why"}); err != nil {
		t.Error(err)
	}
	if c.final.GetFinalApplicationStatus() != pb.FinalApplicationStatus_APP_FAILED || c.final.GetDiagnostics() != "why" {
		t.Errorf("%v", c.final)
	}
}

// A ResourceManager that has restarted gets everything again that is outstanding,
// and nothing twice.
func TestResync(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	get(t, p, 2, 0)
	c.look(func() { c.forgotten, c.asked = true, nil })
	p.Ask("worker", 3, 2)
	for range 3 {
		next[reconcile.Allocated](t, p)
	}
	c.look(func() {
		last := map[int32]int32{}
		for _, a := range c.asked {
			last[a.GetPriority().GetPriority()] = max(last[a.GetPriority().GetPriority()], a.GetNumContainers())
		}
		if c.registered != 2 || last[2] != 3 || last[1] != 0 {
			t.Errorf("registered %d times, asked %v", c.registered, c.asked)
		}
	})
	// The old way to say it.
	c.look(func() { c.say.AmCommand, c.resyncs = pb.AMCommand_AM_RESYNC.Enum(), true })
	c.until(t, "registered again", func() bool { return c.registered == 3 })
}

func TestSuperseded(t *testing.T) {
	for name, say := range map[string]func(*cluster){
		"exception": func(c *cluster) { c.superseded = true },
		"token": func(c *cluster) {
			c.stranger = true
			c.rm.CloseConns()
		},
		"command": func(c *cluster) { c.say.AmCommand = pb.AMCommand_AM_SHUTDOWN.Enum() },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			p, _ := c.begin(t)
			c.look(func() { say(c) })
			select {
			case <-p.Done():
				if p.Err() == nil {
					t.Error("no reason")
				}
			case <-time.After(wait):
				t.Fatal("it goes on")
			}
		})
	}
}

// Half of all answers get lost on their way; no container does.
func TestLostAnswers(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	var mu sync.Mutex
	n := 0
	c.rm.SetFault(func(call *hadooptest.Call) hadooptest.Fault {
		mu.Lock()
		defer mu.Unlock()
		n++
		return hadooptest.Fault{Midway: call.Method == "allocate" && n%2 == 0}
	})
	seen := map[string]bool{}
	for i := range 10 {
		for _, id := range get(t, p, 2, 2*i) {
			if seen[id] {
				t.Errorf("%s was allocated twice", id)
			}
			seen[id] = true
		}
	}
	var known int64
	c.look(func() { known = c.next })
	if int64(len(seen)) != known {
		t.Errorf("the ResourceManager allocated %d containers, %d arrived", known, len(seen))
	}
}

// One strange status in a batch must not hide the others.
func TestAllOfABatchIsTold(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 3, 0)
	c.look(func() {
		c.say.CompletedContainerStatuses = []*pb.ContainerStatus{
			completed(container(1).PB(), 1), completed(container(99).PB(), 1), {}, completed(container(1).PB(), 1), completed(container(2).PB(), 0), completed(container(3).PB(), -104),
		}
	})
	want := map[string]int32{ids[0]: 1, ids[1]: 0, ids[2]: -104}
	for range 3 {
		e := next[reconcile.Completed](t, p)
		if status, ok := want[e.ID]; !ok || status != e.Status {
			t.Errorf("%+v", e)
		}
		delete(want, e.ID)
	}
}

func TestLostNode(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 2, 0)
	c.look(func() {
		c.say.UpdatedNodes = []*pb.NodeReport{
			{NodeId: hadoop.NodeID{Host: "another", Port: 1}.PB(), NodeState: pb.NodeState_NS_LOST.Enum()},
			{NodeId: c.node(), NodeState: pb.NodeState_NS_LOST.Enum()},
		}
	})
	for range ids {
		if e := next[reconcile.Completed](t, p); reconcile.CauseOf(e.Status, false) != reconcile.Lost {
			t.Errorf("%+v", e)
		}
	}
	c.until(t, "both released", func() bool { return len(c.released) == 2 })
}

func TestPreemptionIsToldOnce(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 2, 0)
	warn := func(strict bool) {
		list := []*pb.PreemptionContainer{{Id: container(1).PB()}, {Id: container(77).PB()}}
		c.look(func() {
			if strict {
				c.say.Preempt = &pb.PreemptionMessage{StrictContract: &pb.StrictPreemptionContract{Container: list}}
			} else {
				c.say.Preempt = &pb.PreemptionMessage{Contract: &pb.PreemptionContract{Container: list}}
			}
		})
		c.until(t, "said", func() bool { return c.say.Preempt == nil })
	}
	warn(false)
	if e := next[reconcile.Preempt](t, p); e.Strict || !slices.Equal(e.IDs, ids[:1]) {
		t.Errorf("%+v", e)
	}
	warn(false)
	warn(true)
	if e := next[reconcile.Preempt](t, p); !e.Strict || !slices.Equal(e.IDs, ids[:1]) {
		t.Errorf("%+v", e)
	}
	warn(true)
	p.Release(ids[1])
	for {
		ev := <-p.Events()
		if e, ok := ev.(reconcile.Preempt); ok {
			t.Errorf("again: %+v", e)
		}
		if _, ok := ev.(reconcile.Completed); ok {
			return
		}
	}
}

// The next attempt finds what runs, and can stop it.
func TestPreviousContainers(t *testing.T) {
	c := newCluster(t)
	c.previous = []*pb.Container{c.container(1, 1), c.container(2, 2), c.container(3, 9)}
	c.next = 3
	p, reg := c.begin(t)
	if len(reg.Adopted) != 3 || reg.Adopted[0].Pool != "scheduler" || reg.Adopted[1].Pool != "worker" || reg.Adopted[2].Pool != "" {
		t.Fatalf("%+v", reg.Adopted)
	}
	p.Stop(reg.Adopted[2].ID)
	if e := next[reconcile.Completed](t, p); e.ID != reg.Adopted[2].ID {
		t.Errorf("%+v", e)
	}
	c.look(func() { c.say.ContainersFromPreviousAttempts = []*pb.Container{c.container(2, 2), c.container(4, 2)} })
	if e := next[reconcile.Adopted](t, p); len(e.Containers) != 1 || e.Containers[0].ID != container(4).String() {
		t.Errorf("%+v", e)
	}
}

// What the next attempt was not told of at its registration may have ended, or is told of
// too late; what is of this attempt, or was told before, is no news.
func TestContainersNeverSeen(t *testing.T) {
	c := newCluster(t)
	me := hadoop.AttemptID{App: app, Attempt: 2}
	p, _ := c.begin(t, func(o *Options) { o.Attempt = me })
	mine := hadoop.ContainerID{Attempt: me, ID: 7}
	c.look(func() {
		c.say.CompletedContainerStatuses = []*pb.ContainerStatus{
			completed(mine.PB(), 1), completed(container(5).PB(), 3), completed(container(5).PB(), 3), completed(container(6).PB(), 4),
		}
	})
	for _, want := range []reconcile.Completed{{ID: container(5).String(), Status: 3}, {ID: container(6).String(), Status: 4}} {
		if e := next[reconcile.Completed](t, p); e.ID != want.ID || e.Status != want.Status {
			t.Errorf("%+v, want %+v", e, want)
		}
	}
	p.Release(mine.String())
	p.Release("nonsense")
	p.Release(container(8).String())
	if e := next[reconcile.Completed](t, p); e.ID != container(8).String() {
		t.Errorf("%+v", e)
	}
	c.look(func() {
		if !slices.Equal(c.released, []hadoop.ContainerID{container(8)}) {
			t.Errorf("released %v", c.released)
		}
	})
}

// The ResourceManager registers an attempt, and its answer gets lost: at the beginning,
// and when it has restarted. What it says next is understood.
func TestRegistrationWhoseAnswerIsLost(t *testing.T) {
	c := newCluster(t)
	var mu sync.Mutex
	lose := true
	c.rm.SetFault(func(call *hadooptest.Call) hadooptest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if call.Method != "registerApplicationMaster" || !lose {
			return hadooptest.Fault{}
		}
		lose = false
		return hadooptest.Fault{CloseAfter: true}
	})
	p, reg := c.begin(t)
	if !reg.Blind || reg.Adopted != nil || c.registered != 1 {
		t.Errorf("%+v, registered %d times", reg, c.registered)
	}
	get(t, p, 2, 0)
	mu.Lock()
	lose = true
	mu.Unlock()
	c.look(func() { c.forgotten = true })
	get(t, p, 2, 2)
	if c.registered != 2 {
		t.Errorf("registered %d times", c.registered)
	}
	select {
	case <-p.Done():
		t.Error(p.Err())
	default:
	}
}

// The NodeManager hears, and its answer gets lost: the container runs, once.
func TestStartWhoseAnswerIsLost(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	id := get(t, p, 1, 0)[0]
	var once sync.Once
	c.nm.SetFault(func(call *hadooptest.Call) (f hadooptest.Fault) {
		if call.Method == "startContainers" {
			once.Do(func() { f.CloseAfter = true })
		}
		return f
	})
	p.Start(id, nil)
	if e := next[reconcile.Launched](t, p); e.ID != id {
		t.Errorf("%+v", e)
	}
}

func TestNodeThatIsNotThere(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	id := get(t, p, 1, 0)[0]
	c.nm.Refuse(true)
	p.Start(id, nil)
	if e := next[reconcile.LaunchFailed](t, p); e.ID != id || !e.Blameless {
		t.Errorf("%+v", e)
	}
	c.until(t, "released", func() bool { return len(c.released) == 1 })
}

// Twenty-four starts of a tenth of a second each, eight at a time.
func TestStartsAreParallelAndBounded(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 24, 0)
	c.look(func() { c.slow = 100 * time.Millisecond })
	began := time.Now()
	for _, id := range ids {
		p.Start(id, nil)
	}
	for range ids {
		next[reconcile.Launched](t, p)
	}
	took := time.Since(began)
	if c.busiest < 4 || c.busiest > 8 || took > 2*time.Second {
		t.Errorf("%d at a time, %v", c.busiest, took)
	}
}

func TestAsksThatCanNeverBe(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	c.look(func() { c.refuse = true })
	p.Ask("worker", 1, 0)
	if e := next[reconcile.Stop](t, p); e.Status != reconcile.Failed {
		t.Errorf("%+v", e)
	}
}
