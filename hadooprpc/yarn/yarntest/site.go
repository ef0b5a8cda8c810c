package yarntest

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Run runs the suite on the cluster that a configuration describes. Its queues must be default and etl, its nodes at
// least one, with room for four containers of 128 MiB; this process's user may submit to both queues.
func Run(t *testing.T, c *conf.Conf) {
	addrs, err := yarn.AddressesFromConf(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{conf: c, addrs: addrs}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *site)
	}{
		{"ClusterCalls", testClusterCalls},
		{"UnknownQueueIsNil", testUnknownQueueIsNil},
		{"DelegationTokenCalls", testDelegationTokenCalls},
		{"ErrorsOfTheResourceManager", testErrorsOfTheResourceManager},
		{"ManyCallsOnOneConnection", testManyCallsOnOneConnection},
		{"PingsAreTakenForPings", testPingsAreTakenForPings},
		{"FailAttemptStartsTheNext", testFailAttemptStartsTheNext},
		{"UnmanagedApplicationMaster", testUnmanagedApplicationMaster},
		{"ResponseIDs", testResponseIDs},
		{"ReleasedAndRejectedAsks", testReleasedAndRejectedAsks},
		{"ContainerMemoryLimit", testContainerMemoryLimit},
		{"LocalizeReinitializeAndResize", testLocalizeReinitializeAndResize},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

// site is the cluster under test.
type site struct {
	conf  *conf.Conf
	addrs yarn.Addresses
}

func (s *site) client(t *testing.T) *yarn.Client {
	t.Helper()
	c := yarn.NewClient(yarn.Options{Addresses: s.addrs.Client})
	t.Cleanup(func() { c.Close() })
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
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

func (s *site) startUnmanaged(t *testing.T, ctx context.Context, c *yarn.Client) *unmanaged {
	t.Helper()
	a := s.addrs
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
