//go:build hadoop

package yarn_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// These tests run on an edge node of a real cluster: every call that the package makes, against the real daemons.
// An unmanaged application master, which is a process of our own that registers, costs no container to start.

func addresses(t *testing.T) (yarn.Addresses, *conf.Conf) {
	t.Helper()
	c, err := conf.Load(conf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := yarn.AddressesFromConf(c)
	if err != nil {
		t.Fatal(err)
	}
	return a, c
}

func client(t *testing.T) *yarn.Client {
	t.Helper()
	a, _ := addresses(t)
	c := yarn.NewClient(yarn.Options{Addresses: a.Client})
	t.Cleanup(func() { c.Close() })
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestClusterCalls(t *testing.T) {
	c, ctx := client(t), within(t, 30*time.Second)
	m, err := c.ClusterMetrics(ctx)
	if err != nil || m.GetNumNodeManagers() < 1 {
		t.Errorf("metrics %v, %v", m, err)
	}
	nodes, err := c.Nodes(ctx, pb.NodeState_NS_RUNNING)
	if err != nil || len(nodes) == 0 {
		t.Fatal(nodes, err)
	}
	for _, n := range nodes {
		if n.GetCapability().GetMemory() < 1024 || n.GetNodeId().GetHost() == "" || n.GetRackName() == "" {
			t.Errorf("node %v", n)
		}
	}
	all, err := c.Nodes(ctx)
	if err != nil || len(all) < len(nodes) {
		t.Errorf("no state given lists %d nodes, running are %d (%v)", len(all), len(nodes), err)
	}
	q, err := c.Queue(ctx, &pb.GetQueueInfoRequest{QueueName: proto.String("root"), IncludeChildQueues: proto.Bool(true), Recursive: proto.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range q.GetChildQueues() {
		names = append(names, k.GetQueueName())
	}
	if !slices.Contains(names, "default") || !slices.Contains(names, "etl") {
		t.Errorf("queues %v", names)
	}
	acls, err := c.QueueACLs(ctx)
	if err != nil || len(acls) == 0 {
		t.Errorf("queue ACLs %v, %v", acls, err)
	}
	types, err := c.ResourceTypes(ctx)
	if err != nil || len(types) < 2 || types[0].GetName() != yarn.Memory || types[0].GetUnits() != "Mi" {
		t.Errorf("resource types %v, %v", types, err)
	}
	if labels, err := c.NodeLabels(ctx); err != nil {
		t.Errorf("labels %v, %v", labels, err)
	}
}

func TestUnknownQueueIsNilOrAnException(t *testing.T) {
	q, err := client(t).Queue(within(t, 10*time.Second), &pb.GetQueueInfoRequest{QueueName: proto.String("nonesuch")})
	var re *ipc.RemoteError
	if err == nil && q != nil || err != nil && !errors.As(err, &re) {
		t.Errorf("%v, %v", q, err)
	}
	t.Logf("unknown queue: %v, %v", q, err)
}

// Without security the ResourceManager hands out delegation tokens to anybody, or refuses: both are answers.
func TestDelegationTokenCalls(t *testing.T) {
	c, ctx := client(t), within(t, 10*time.Second)
	tok, err := c.DelegationToken(ctx, "yarn")
	if err != nil {
		var re *ipc.RemoteError
		if !errors.As(err, &re) {
			t.Fatal(err)
		}
		t.Logf("get: %v", err)
		// The other two must at least arrive and be understood.
		fake := token.Token{Identifier: []byte{1}, Password: []byte{2}, Kind: token.KindRM}
		if _, err := c.RenewDelegationToken(ctx, fake); !errors.As(err, &re) {
			t.Errorf("renew: %v", err)
		}
		if err := c.CancelDelegationToken(ctx, fake); !errors.As(err, &re) {
			t.Errorf("cancel: %v", err)
		}
		return
	}
	if tok.Kind != token.KindRM {
		t.Errorf("kind %q", tok.Kind)
	}
	t.Logf("got %v", tok)
	until, err := c.RenewDelegationToken(ctx, tok)
	t.Logf("renew: %v, %v", until, err)
	t.Logf("cancel: %v", c.CancelDelegationToken(ctx, tok))
}

func TestErrorsOfTheResourceManager(t *testing.T) {
	c, ctx := client(t), within(t, 60*time.Second)
	if _, err := c.Report(ctx, yarn.ApplicationID{ClusterTimestamp: 1, ID: 1}); !yarn.IsNotFound(err) {
		t.Errorf("unknown application: %v", err)
	}
	app, err := c.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("unknown queue", func(t *testing.T) {
		sub := submission(app.ID, true)
		sub.Queue = proto.String("nonesuch")
		_, err := c.SubmitAndWait(ctx, sub)
		var rej *yarn.RejectedError
		var re *ipc.RemoteError
		if !errors.As(err, &rej) && !errors.As(err, &re) || !strings.Contains(err.Error(), "nonesuch") {
			t.Errorf("%T %v", err, err)
		}
		t.Log(err)
	})
	t.Run("too large an application master", func(t *testing.T) {
		app, err := c.NewApplication(ctx)
		if err != nil {
			t.Fatal(err)
		}
		sub := submission(app.ID, false)
		sub.Resource = yarn.NewResource(app.Maximum.GetMemory()+1, 1, nil)
		if _, err := c.SubmitAndWait(ctx, sub); !yarn.IsInvalidResource(err) {
			t.Errorf("%v", err)
		} else {
			t.Log(err)
		}
	})
	t.Run("unknown method", func(t *testing.T) {
		a, _ := addresses(t)
		raw := ipc.NewClient(a.Client[0], yarn.ClientProtocol, ipc.Options{})
		defer raw.Close()
		err := raw.Call(ctx, ipc.Method{Name: "makeCoffee"}, &pb.GetNewApplicationRequest{}, &pb.GetNewApplicationResponse{})
		if !ipc.Is(err, "RpcNoSuchMethodException") {
			t.Errorf("%v", err)
		}
		// An ERROR leaves the connection open.
		if err := raw.Call(ctx, ipc.Method{Name: "getClusterMetrics"}, &pb.GetClusterMetricsRequest{}, &pb.GetClusterMetricsResponse{}); err != nil {
			t.Errorf("after an error: %v", err)
		}
	})
	t.Run("scheduler port without a token", func(t *testing.T) {
		a, _ := addresses(t)
		raw := ipc.NewClient(a.Scheduler[0], yarn.MasterProtocol, ipc.Options{})
		defer raw.Close()
		err := raw.Call(ctx, ipc.Method{Name: "allocate"}, &pb.AllocateRequest{}, &pb.AllocateResponse{})
		if !yarn.IsDenied(err) {
			t.Errorf("%v", err)
		}
		t.Log(err)
	})
	t.Run("scheduler port with a forged token", func(t *testing.T) {
		a, _ := addresses(t)
		id, _ := proto.Marshal(&pb.AMRMTokenIdentifier{AppAttemptId: yarn.AttemptID{App: app.ID, Attempt: 1}.PB(), KeyId: proto.Int32(1)})
		raw := ipc.NewClient(a.Scheduler[0], yarn.MasterProtocol, ipc.Options{Token: &token.Token{Identifier: id, Password: []byte("forged")}})
		defer raw.Close()
		err := raw.Call(ctx, ipc.Method{Name: "allocate"}, &pb.AllocateRequest{}, &pb.AllocateResponse{})
		var re *ipc.RemoteError
		if !errors.As(err, &re) || !re.Fatal || !ipc.NotSent(err) {
			t.Errorf("%#v", err)
		}
		t.Log(err)
	})
}

func TestManyCallsOnOneConnection(t *testing.T) {
	c, ctx := client(t), within(t, time.Minute)
	var wg sync.WaitGroup
	began := time.Now()
	const n = 2000
	for range n {
		wg.Go(func() {
			if _, err := c.ClusterMetrics(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d calls in %v", n, time.Since(began))
}

func submission(id yarn.ApplicationID, unmanaged bool) *pb.ApplicationSubmissionContext {
	return &pb.ApplicationSubmissionContext{
		ApplicationId: id.PB(), ApplicationName: proto.String("hadooprpc test"), Queue: proto.String("default"),
		ApplicationType: proto.String("YARND-TEST"), ApplicationTags: []string{"hadooprpc"},
		Priority: &pb.Priority{Priority: proto.Int32(0)}, UnmanagedAm: proto.Bool(unmanaged), MaxAppAttempts: proto.Int32(2),
		Resource:        yarn.NewResource(128, 1, nil),
		AmContainerSpec: &pb.ContainerLaunchContext{Command: []string{"sleep 300"}},
	}
}

// unmanaged is an application whose application master is this process.
type unmanaged struct {
	id      yarn.ApplicationID
	attempt yarn.AttemptID
	am      *yarn.AMClient
	nm      *yarn.NMClient
	tokens  map[yarn.NodeID]token.Token
	done    map[yarn.ContainerID]*pb.ContainerStatus
}

func startUnmanaged(t *testing.T, ctx context.Context, c *yarn.Client) *unmanaged {
	t.Helper()
	a, _ := addresses(t)
	app, err := c.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SubmitAndWait(ctx, submission(app.ID, true)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := c.KillAndWait(ctx, app.ID, "test ended"); err != nil {
			t.Error(err)
		}
	})
	// The token comes with the report once the attempt is launched.
	var rep *pb.ApplicationReport
	waitFor(t, ctx, "the AMRM token in the report", func() bool {
		if rep, err = c.Report(ctx, app.ID); err != nil {
			t.Fatal(err)
		}
		return rep.AmRmToken != nil
	})
	tok := yarn.TokenFromPB(rep.AmRmToken)
	if tok.Kind != token.KindAMRM {
		t.Errorf("token %v", tok)
	}
	t.Logf("AMRM token: %v", tok)
	u := &unmanaged{
		id: app.ID, attempt: yarn.AttemptIDFromPB(rep.GetCurrentApplicationAttemptId()),
		am:     yarn.NewAMClient(yarn.Options{Addresses: a.Scheduler, IPC: ipc.Options{Token: &tok}}),
		nm:     yarn.NewNMClient(ipc.Options{}),
		tokens: make(map[yarn.NodeID]token.Token), done: make(map[yarn.ContainerID]*pb.ContainerStatus),
	}
	t.Cleanup(func() { u.am.Close(); u.nm.Close() })
	return u
}

func waitFor(t *testing.T, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no %s: %v", what, ctx.Err())
		}
	}
}

func (u *unmanaged) allocate(t *testing.T, ctx context.Context, req *pb.AllocateRequest) *pb.AllocateResponse {
	t.Helper()
	resp, err := u.am.Allocate(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range resp.GetNmTokens() {
		u.tokens[yarn.NodeIDFromPB(n.GetNodeId())] = yarn.TokenFromPB(n.GetToken())
	}
	for _, s := range resp.GetCompletedContainerStatuses() {
		u.done[yarn.ContainerIDFromPB(s.GetContainerId())] = s
	}
	return resp
}

// obtain asks for n containers and waits until they are there. Asks are absolute: the number that is still missing
// goes out until none is.
func (u *unmanaged) obtain(t *testing.T, ctx context.Context, n int, memory int64) []*pb.Container {
	t.Helper()
	ask := func(n int) *pb.AllocateRequest {
		return &pb.AllocateRequest{Ask: []*pb.ResourceRequest{{
			Priority: &pb.Priority{Priority: proto.Int32(1)}, ResourceName: proto.String("*"),
			Capability: yarn.NewResource(memory, 1, nil), NumContainers: proto.Int32(int32(n)),
		}}}
	}
	got := u.allocate(t, ctx, ask(n)).GetAllocatedContainers()
	waitFor(t, ctx, "containers", func() bool {
		if len(got) < n {
			got = append(got, u.allocate(t, ctx, &pb.AllocateRequest{}).GetAllocatedContainers()...)
		}
		return len(got) >= n
	})
	if more := u.allocate(t, ctx, ask(0)).GetAllocatedContainers(); len(got)+len(more) != n {
		t.Errorf("asked for %d containers, got %d", n, len(got)+len(more))
	}
	return got
}

func (u *unmanaged) start(t *testing.T, ctx context.Context, c *pb.Container, launch *pb.ContainerLaunchContext) (yarn.ContainerID, yarn.NodeID, token.Token) {
	t.Helper()
	node := yarn.NodeIDFromPB(c.GetNodeId())
	tok, ok := u.tokens[node]
	if !ok {
		t.Fatalf("no NMToken for %v", node)
	}
	if err := u.nm.StartContainer(ctx, node, tok, c, launch); err != nil {
		t.Fatal(err)
	}
	return yarn.ContainerIDFromPB(c.GetId()), node, tok
}

func (u *unmanaged) ended(t *testing.T, ctx context.Context, id yarn.ContainerID) yarn.ExitStatus {
	t.Helper()
	waitFor(t, ctx, "end of "+id.String(), func() bool {
		u.allocate(t, ctx, &pb.AllocateRequest{})
		return u.done[id] != nil
	})
	t.Logf("%v: %v: %s", id, yarn.ExitStatus(u.done[id].GetExitStatus()), u.done[id].GetDiagnostics())
	return yarn.ExitStatus(u.done[id].GetExitStatus())
}

func command(s string) *pb.ContainerLaunchContext {
	return &pb.ContainerLaunchContext{Command: []string{s}}
}

func TestUnmanagedApplicationMaster(t *testing.T) {
	c, ctx := client(t), within(t, 2*time.Minute)
	u := startUnmanaged(t, ctx, c)
	reg, err := u.am.Register(ctx, "localhost", -1, "http://example.invalid:1/page")
	if err != nil {
		t.Fatal(err)
	}
	if reg.GetMaximumCapability().GetMemory() < 1024 || reg.GetQueue() == "" {
		t.Errorf("registered: %v", reg)
	}
	// On a cluster without security there is no ClientToAM key.
	t.Logf("client-to-AM key: %d bytes, scheduler types %v", len(reg.GetClientToAmTokenMasterKey()), reg.GetSchedulerResourceTypes())

	cs := u.obtain(t, ctx, 4, 128)
	long, node, tok := u.start(t, ctx, cs[0], command("sleep 300"))
	fails, _, _ := u.start(t, ctx, cs[1], command("exit 3"))
	sig, sigNode, sigTok := u.start(t, ctx, cs[2], command("sleep 300"))
	byRM, _, _ := u.start(t, ctx, cs[3], command("exec sleep 300"))

	if got := u.ended(t, ctx, fails); got != 3 || got.Kind() != yarn.KindFailed {
		t.Errorf("exit 3 came as %v", got)
	}
	waitFor(t, ctx, "running container", func() bool {
		st, failed, err := u.nm.ContainerStatuses(ctx, node, tok, long)
		if err != nil || len(failed) > 0 || len(st) != 1 {
			t.Fatal(st, failed, err)
		}
		return st[0].GetState() == pb.ContainerState_C_RUNNING && st[0].GetExitStatus() == int32(yarn.ExitInvalid)
	})
	// A second start of the same container: the RPC succeeds, the container fails.
	if err := u.nm.StartContainer(ctx, node, tok, cs[0], command("true")); err == nil {
		t.Error("a container was started twice")
	} else if ce := (*yarn.ContainerError)(nil); !errors.As(err, &ce) {
		t.Errorf("%T %v", err, err)
	} else {
		t.Log(err)
	}
	t.Run("reports", func(t *testing.T) { u.reports(t, ctx, c, long) })
	t.Run("signals", func(t *testing.T) {
		if err := u.nm.SignalContainer(ctx, sigNode, sigTok, sig, pb.SignalContainerCommand_FORCEFUL_SHUTDOWN); err != nil {
			t.Fatal(err)
		}
		if err := c.SignalContainer(ctx, byRM, pb.SignalContainerCommand_FORCEFUL_SHUTDOWN); err != nil {
			t.Fatal(err)
		}
		for _, id := range []yarn.ContainerID{sig, byRM} {
			if got := u.ended(t, ctx, id); got != 137 || got.Kind() != yarn.KindSignalled {
				t.Errorf("%v ended with %v", id, got)
			}
		}
	})
	res, err := u.nm.StopContainers(ctx, node, tok, long)
	if err != nil || len(res.Failed) > 0 || !slices.Equal(res.Succeeded, []yarn.ContainerID{long}) {
		t.Errorf("%+v, %v", res, err)
	}
	if got := u.ended(t, ctx, long); got != yarn.ExitKilledByAppMaster {
		t.Errorf("stopped container ended with %v", got)
	}
	if err := u.am.Finish(ctx, pb.FinalApplicationStatus_APP_SUCCEEDED, "all is well", "http://example.invalid:1/history"); err != nil {
		t.Fatal(err)
	}
	var rep *pb.ApplicationReport
	waitFor(t, ctx, "FINISHED", func() bool {
		rep, err = c.Report(ctx, u.id)
		return err == nil && rep.GetYarnApplicationState() == pb.ApplicationState_FINISHED
	})
	if rep.GetFinalApplicationStatus() != pb.FinalApplicationStatus_APP_SUCCEEDED || rep.GetDiagnostics() != "all is well" ||
		rep.GetApplicationType() != "YARND-TEST" || !slices.Contains(rep.GetApplicationTags(), "hadooprpc") {
		t.Errorf("final report %v", rep)
	}
	if err := u.am.Finish(ctx, pb.FinalApplicationStatus_APP_SUCCEEDED, "again", ""); err != nil {
		t.Logf("a second finish: %v", err)
	}
}

func (u *unmanaged) reports(t *testing.T, ctx context.Context, c *yarn.Client, running yarn.ContainerID) {
	apps, err := c.Applications(ctx, &pb.GetApplicationsRequest{
		ApplicationTypes: []string{"YARND-TEST"}, ApplicationStates: []pb.ApplicationState{pb.ApplicationState_RUNNING},
		ApplicationTags: []string{"hadooprpc"}, Users: []string{ipc.DefaultUser()}, Scope: pb.ApplicationsRequestScope_OWN.Enum(),
	})
	if err != nil || !slices.ContainsFunc(apps, func(a *pb.ApplicationReport) bool { return yarn.ApplicationIDFromPB(a.GetApplicationId()) == u.id }) {
		t.Errorf("the application is not in the list: %v, %v", apps, err)
	}
	atts, err := c.Attempts(ctx, u.id)
	if err != nil || len(atts) != 1 || yarn.AttemptIDFromPB(atts[0].GetApplicationAttemptId()) != u.attempt {
		t.Errorf("attempts %v, %v", atts, err)
	}
	att, err := c.Attempt(ctx, u.attempt)
	if err != nil || att.GetYarnApplicationAttemptState() != pb.AttemptState_APP_ATTEMPT_RUNNING || att.GetTrackingUrl() == "" {
		t.Errorf("attempt %v, %v", att, err)
	}
	// An application sees the live containers of its running attempt in the ResourceManager; ended ones are gone.
	cs, err := c.Containers(ctx, u.attempt)
	if err != nil || !slices.ContainsFunc(cs, func(r *pb.ContainerReport) bool { return yarn.ContainerIDFromPB(r.GetContainerId()) == running }) {
		t.Errorf("containers %v, %v", cs, err)
	}
	con, err := c.Container(ctx, running)
	if err != nil || yarn.ContainerIDFromPB(con.GetContainerId()) != running || con.GetResource().GetMemory() != 128 {
		t.Errorf("container %v, %v", con, err)
	}
	prio, err := c.SetPriority(ctx, u.id, 0)
	if err != nil || prio != 0 {
		t.Errorf("priority %d, %v", prio, err)
	}
	expire := time.Now().Add(time.Hour)
	if err := c.SetLifetime(ctx, u.id, expire); err != nil {
		t.Errorf("lifetime: %v", err)
	}
	rep, err := c.Report(ctx, u.id)
	if err != nil {
		t.Fatal(err)
	}
	if left := rep.GetAppTimeouts(); len(left) != 1 || left[0].GetApplicationTimeout().GetRemainingTime() < 3500 || left[0].GetApplicationTimeout().GetRemainingTime() > 3600 {
		t.Errorf("timeouts %v", left)
	}
	if err := c.Move(ctx, u.id, "etl"); err != nil {
		t.Errorf("move: %v", err)
	}
	if rep, err = c.Report(ctx, u.id); err != nil || !strings.HasSuffix(rep.GetQueue(), "etl") {
		t.Errorf("after the move: queue %q, %v", rep.GetQueue(), err)
	}
}

// The rules of response ids, as our heartbeat relies on them.
func TestResponseIDs(t *testing.T) {
	c, ctx := client(t), within(t, time.Minute)
	u := startUnmanaged(t, ctx, c)
	tok := u.am.Token()
	a, _ := addresses(t)
	raw := ipc.NewClient(a.Scheduler[0], yarn.MasterProtocol, ipc.Options{Token: &tok})
	defer raw.Close()
	beat := func(id int32, progress float32) (*pb.AllocateResponse, error) {
		resp := &pb.AllocateResponse{}
		err := raw.Call(ctx, ipc.Method{Name: "allocate"}, &pb.AllocateRequest{ResponseId: &id, Progress: &progress}, resp)
		return resp, err
	}
	if _, err := beat(0, 0); !yarn.IsNotRegistered(err) {
		t.Errorf("allocate before register: %v", err)
	}
	if _, err := u.am.Register(ctx, "localhost", -1, ""); err != nil {
		t.Fatal(err)
	}
	first, err := beat(0, 0.25)
	if err != nil || first.GetResponseId() != 1 {
		t.Fatal(first, err)
	}
	if _, err := beat(1, 0.5); err != nil {
		t.Fatal(err)
	}
	// The last heartbeat again, with other content: the last response comes again, and the content is ignored.
	again, err := beat(1, 0.75)
	if err != nil || again.GetResponseId() != 2 {
		t.Errorf("repeated heartbeat: %v, %v", again, err)
	}
	if rep, err := c.Report(ctx, u.id); err != nil || rep.GetProgress() != 0.5 {
		t.Errorf("progress %v, %v: a repeated heartbeat's content was heeded", rep.GetProgress(), err)
	}
	if _, err := beat(0, 1); !yarn.IsInvalidRequest(err) {
		t.Errorf("an older heartbeat: %v", err)
	}
	if _, err := beat(9, 1); !yarn.IsInvalidRequest(err) {
		t.Errorf("a future heartbeat: %v", err)
	}
	// Registering twice is refused while the ResourceManager remembers the first.
	if _, err := u.am.Register(ctx, "localhost", -1, ""); err == nil {
		t.Error("registered twice")
	} else {
		t.Log(err)
	}
	if err := c.KillAndWait(ctx, u.id, "gone"); err != nil {
		t.Fatal(err)
	}
	var last error
	waitFor(t, ctx, "end of the attempt", func() bool { _, last = beat(2, 1); return last != nil })
	if !yarn.IsAttemptNotFound(last) {
		t.Errorf("heartbeat after the end: %v", last)
	}
}

func TestContainerMemoryLimit(t *testing.T) {
	c, ctx := client(t), within(t, time.Minute)
	u := startUnmanaged(t, ctx, c)
	if _, err := u.am.Register(ctx, "localhost", -1, ""); err != nil {
		t.Fatal(err)
	}
	con := u.obtain(t, ctx, 1, 64)[0]
	id, _, _ := u.start(t, ctx, con, command("head -c 300000000 /dev/zero | tail -c 300000000 | sleep 60"))
	if got := u.ended(t, ctx, id); got != yarn.ExitExceededPmem || !got.AppFault() {
		t.Errorf("ended with %v", got)
	}
}

func TestReleasedAndRejectedAsks(t *testing.T) {
	c, ctx := client(t), within(t, time.Minute)
	u := startUnmanaged(t, ctx, c)
	reg, err := u.am.Register(ctx, "localhost", -1, "")
	if err != nil {
		t.Fatal(err)
	}
	con := u.obtain(t, ctx, 1, 64)[0]
	id := yarn.ContainerIDFromPB(con.GetId())
	u.allocate(t, ctx, &pb.AllocateRequest{Release: []*pb.ContainerId{id.PB()}})
	if got := u.ended(t, ctx, id); got != yarn.ExitAborted {
		t.Errorf("a released container ended with %v", got)
	}
	ask := func(r *pb.Resource) *pb.AllocateRequest {
		return &pb.AllocateRequest{Ask: []*pb.ResourceRequest{{Priority: &pb.Priority{Priority: proto.Int32(1)},
			ResourceName: proto.String("*"), Capability: r, NumContainers: proto.Int32(1)}}}
	}
	if _, err := u.am.Allocate(ctx, ask(yarn.NewResource(reg.GetMaximumCapability().GetMemory()+1, 1, nil))); !yarn.IsInvalidResource(err) {
		t.Errorf("too large: %v", err)
	}
	// The ResourceManager skips resource types that it does not know, with nothing but a line in its log: so it gives
	// a container without. Whoever asks must look at ResourceTypes first.
	u.allocate(t, ctx, ask(yarn.NewResource(64, 1, map[string]int64{"example.org/quantum": 1})))
	waitFor(t, ctx, "a container without the unknown resource", func() bool {
		for _, c := range u.allocate(t, ctx, &pb.AllocateRequest{}).GetAllocatedContainers() {
			return yarn.Amount(c.GetResource(), "example.org/quantum") == 0
		}
		return false
	})
	// A refused ask does not count as a heartbeat that was answered: the next one goes through.
	u.allocate(t, ctx, &pb.AllocateRequest{})
}

func TestLocalizeReinitializeAndResize(t *testing.T) {
	c, ctx := client(t), within(t, 90*time.Second)
	_, cf := addresses(t)
	fs, err := hdfs.Open(ctx, cf, "", hdfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	name := fmt.Sprintf("%s/hadooprpc-test-%d", fs.Home(), os.Getpid())
	info, err := hdfs.WriteFile(ctx, fs, name, []byte("a file\n"), 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Remove(context.WithoutCancel(ctx), name)
	resource := func(link string) []*pb.StringLocalResourceMap {
		return []*pb.StringLocalResourceMap{{Key: proto.String(link), Value: &pb.LocalResource{
			Resource: hdfsURL(t, fs, name), Size: proto.Int64(info.Length), Timestamp: proto.Int64(info.ModTimeMs),
			Type: pb.LocalResourceType_FILE.Enum(), Visibility: pb.LocalResourceVisibility_APPLICATION.Enum(),
		}}}
	}
	u := startUnmanaged(t, ctx, c)
	if _, err := u.am.Register(ctx, "localhost", -1, ""); err != nil {
		t.Fatal(err)
	}
	con := u.obtain(t, ctx, 1, 128)[0]
	launch := command("test -s first && exec sleep 300")
	launch.LocalResources = resource("first")
	launch.Environment = []*pb.StringStringMap{{Key: proto.String("HADOOP_USER_NAME"), Value: proto.String(ipc.DefaultUser())}}
	id, node, tok := u.start(t, ctx, con, launch)
	running := func() bool {
		st, _, err := u.nm.ContainerStatuses(ctx, node, tok, id)
		if err != nil || len(st) != 1 {
			t.Fatal(st, err)
		}
		if st[0].GetState() == pb.ContainerState_C_COMPLETE {
			t.Fatalf("ended: %v %s", yarn.ExitStatus(st[0].GetExitStatus()), st[0].GetDiagnostics())
		}
		return st[0].GetContainerSubState() == pb.ContainerSubState_CSS_RUNNING
	}
	waitFor(t, ctx, "running container", running)

	if err := u.nm.Localize(ctx, node, tok, id, resource("second")); err != nil {
		t.Errorf("localize: %v", err)
	}
	waitFor(t, ctx, "second file", func() bool {
		st, failed, err := u.nm.LocalizationStatuses(ctx, node, tok, id)
		if err != nil || len(failed) > 0 || len(st) != 1 {
			t.Fatal(st, failed, err)
		}
		for _, s := range st[0].GetLocalizationStatuses() {
			if s.GetResourceKey() == "second" {
				return s.GetLocalizationState() == pb.LocalizationState_L_COMPLETED
			}
		}
		return false
	})
	again := command("test -s first && exec sleep 301")
	again.LocalResources, again.Environment = resource("first"), launch.Environment
	if err := u.nm.ReInitialize(ctx, node, tok, id, again, false); err != nil {
		t.Fatalf("reinitialize: %v", err)
	}
	waitFor(t, ctx, "restart after reinitialize", running)
	// While the old process is being killed the container still counts as running, and further changes are refused.
	once := func(what string, f func() error) {
		t.Helper()
		waitFor(t, ctx, what, func() bool {
			err := f()
			if err != nil && !strings.Contains(err.Error(), "REINITIALIZING") {
				t.Fatalf("%s: %v", what, err)
			}
			return err == nil
		})
	}
	once("rollback", func() error { return u.nm.Rollback(ctx, node, tok, id) })
	waitFor(t, ctx, "restart after rollback", running)
	once("second reinitialize", func() error { return u.nm.ReInitialize(ctx, node, tok, id, again, false) })
	waitFor(t, ctx, "restart after reinitialize", running)
	once("commit", func() error { return u.nm.Commit(ctx, node, tok, id) })
	once("restart", func() error { return u.nm.Restart(ctx, node, tok, id) })
	waitFor(t, ctx, "restart", running)
	u.resize(t, ctx, con)
}

// resize grows a container: asked of the scheduler, put into force at the node with the token that comes back.
func (u *unmanaged) resize(t *testing.T, ctx context.Context, con *pb.Container) {
	req := &pb.AllocateRequest{UpdateRequests: []*pb.UpdateContainerRequest{{
		ContainerVersion: proto.Int32(con.GetVersion()), ContainerId: con.GetId(),
		UpdateType: pb.ContainerUpdateType_INCREASE_RESOURCE.Enum(), Capability: yarn.NewResource(256, 1, nil),
	}}}
	resp := u.allocate(t, ctx, req)
	waitFor(t, ctx, "updated container", func() bool {
		if len(resp.GetUpdateErrors()) > 0 {
			t.Fatal(resp.GetUpdateErrors())
		}
		if len(resp.GetUpdatedContainers()) == 0 {
			resp = u.allocate(t, ctx, &pb.AllocateRequest{})
		}
		return len(resp.GetUpdatedContainers()) > 0
	})
	grown := resp.GetUpdatedContainers()[0].GetContainer()
	node := yarn.NodeIDFromPB(con.GetNodeId())
	res, err := u.nm.UpdateContainers(ctx, node, u.tokens[node], grown.GetContainerToken())
	if err != nil || len(res.Failed) > 0 || len(res.Succeeded) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
	id := yarn.ContainerIDFromPB(con.GetId())
	waitFor(t, ctx, "larger container", func() bool {
		st, _, err := u.nm.ContainerStatuses(ctx, node, u.tokens[node], id)
		return err == nil && len(st) == 1 && st[0].GetCapability().GetMemory() == 256
	})
}

func hdfsURL(t *testing.T, fs hdfs.FS, name string) *pb.URL {
	t.Helper()
	raw, err := fs.URL(name)
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := strings.CutPrefix(raw, "hdfs://")
	host, path, ok2 := strings.Cut(rest, "/")
	if !ok || !ok2 {
		t.Fatalf("URL %q", raw)
	}
	u := &pb.URL{Scheme: proto.String("hdfs"), File: proto.String("/" + path)}
	if n, err := yarn.ParseNodeID(host); err == nil {
		u.Host, u.Port = proto.String(n.Host), proto.Int32(n.Port)
	} else {
		u.Host = proto.String(host)
	}
	return u
}

func TestFailAttemptStartsTheNext(t *testing.T) {
	c, ctx := client(t), within(t, 90*time.Second)
	app, err := c.NewApplication(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SubmitAndWait(ctx, submission(app.ID, false)); err != nil {
		t.Fatal(err)
	}
	defer c.KillAndWait(context.WithoutCancel(ctx), app.ID, "test ended")
	first := yarn.AttemptID{App: app.ID, Attempt: 1}
	waitFor(t, ctx, "launched attempt", func() bool {
		a, err := c.Attempt(ctx, first)
		return err == nil && a.GetYarnApplicationAttemptState() == pb.AttemptState_APP_ATTEMPT_LAUNCHED
	})
	if err := c.FailAttempt(ctx, first); err != nil {
		t.Fatal(err)
	}
	waitFor(t, ctx, "second attempt", func() bool {
		r, err := c.Report(ctx, app.ID)
		return err == nil && r.GetCurrentApplicationAttemptId().GetAttemptId() == 2
	})
	if err := c.KillAndWait(ctx, app.ID, "enough"); err != nil {
		t.Fatal(err)
	}
	rep, err := c.Report(ctx, app.ID)
	if err != nil || rep.GetYarnApplicationState() != pb.ApplicationState_KILLED || !strings.Contains(rep.GetDiagnostics(), "enough") {
		t.Errorf("%v %v", rep, err)
	}
	atts, err := c.Attempts(ctx, app.ID)
	if err != nil || len(atts) != 2 {
		t.Errorf("attempts %v, %v", atts, err)
	}
}
