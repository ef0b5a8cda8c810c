package rm

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// world is a ResourceManager with one node, a client, and an application whose master is the test: it takes its token
// out of the launch context, as a process would.
type world struct {
	t  *testing.T
	m  *RM
	n  *fakeNode
	c  *yarn.Client
	id yarn.ApplicationID
}

func newWorld(t *testing.T, o Options) *world {
	m := newRM(t, o)
	return &world{t: t, m: m, n: startNode(t, m, 8192, 16), c: clientOf(t, m, "alice")}
}

func (w *world) submit(change ...func(*pb.ApplicationSubmissionContext)) yarn.ApplicationID {
	w.t.Helper()
	app, err := w.c.NewApplication(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	ctx := &pb.ApplicationSubmissionContext{ApplicationId: app.ID.PB(), ApplicationName: proto.String("a test"), Queue: proto.String("default"),
		Resource: yarn.NewResource(256, 1, nil), MaxAppAttempts: proto.Int32(2),
		AmContainerSpec: &pb.ContainerLaunchContext{Command: []string{"true"}, Environment: []*pb.StringStringMap{{Key: proto.String("A"), Value: proto.String("b")}}}}
	for _, f := range change {
		f(ctx)
	}
	if _, err := w.c.SubmitAndWait(w.t.Context(), ctx); err != nil {
		w.t.Fatal(err)
	}
	w.id = app.ID
	return app.ID
}

// master waits for an attempt to be launched and is its master.
func (w *world) master(attempt int32) *yarn.AMClient {
	w.t.Helper()
	id := yarn.AttemptID{App: w.id, Attempt: attempt}
	var launch *pb.ContainerLaunchContext
	until(w.t, "launch of "+id.String(), func() bool {
		w.n.look(func() {
			for c, l := range w.n.launches {
				if c.Attempt == id && w.n.tokens[c].GetContainerType() == pb.ContainerType_APPLICATION_MASTER {
					launch = l
				}
			}
		})
		return launch != nil
	})
	creds, err := token.Parse(launch.GetTokens())
	if err != nil {
		w.t.Fatal(err)
	}
	tok, ok := yarn.AMRMToken(creds)
	if !ok {
		w.t.Fatal("no AMRM token")
	}
	am := yarn.NewAMClient(yarn.Options{Addresses: []string{w.m.SchedulerAddr()}, IPC: ipc.Options{Token: &tok, RetryFor: 5 * time.Second, BackoffMax: 50 * time.Millisecond}})
	w.t.Cleanup(func() { am.Close() })
	return am
}

func (w *world) register(am *yarn.AMClient) *pb.RegisterApplicationMasterResponse {
	w.t.Helper()
	r, err := am.Register(w.t.Context(), "here", 7, "http://here:8/")
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) allocate(am *yarn.AMClient, req *pb.AllocateRequest) *pb.AllocateResponse {
	w.t.Helper()
	r, err := am.Allocate(w.t.Context(), req)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func ask(n int32) *pb.AllocateRequest {
	return &pb.AllocateRequest{Ask: []*pb.ResourceRequest{{Priority: &pb.Priority{Priority: proto.Int32(1)}, ResourceName: proto.String("*"),
		Capability: yarn.NewResource(256, 1, nil), NumContainers: &n}}}
}

// obtain asks for containers, starts them on the node, and returns them with the responses merged.
func (w *world) obtain(am *yarn.AMClient, n int32) ([]*pb.Container, *pb.AllocateResponse) {
	w.t.Helper()
	all := w.allocate(am, ask(n))
	if len(all.GetAllocatedContainers()) > 0 {
		w.t.Error("a response holds what its request asked for")
	}
	until(w.t, "containers", func() bool {
		proto.Merge(all, w.allocate(am, &pb.AllocateRequest{}))
		return len(all.GetAllocatedContainers()) >= int(n)
	})
	w.start(am, all)
	return all.GetAllocatedContainers(), all
}

func (w *world) start(am *yarn.AMClient, r *pb.AllocateResponse) {
	w.t.Helper()
	nm := yarn.NewNMClient(ipc.Options{})
	defer nm.Close()
	tok := yarn.TokenFromPB(r.GetNmTokens()[0].GetToken())
	for _, c := range r.GetAllocatedContainers() {
		if err := nm.StartContainer(w.t.Context(), yarn.NodeIDFromPB(c.GetNodeId()), tok, c, &pb.ContainerLaunchContext{}); err != nil {
			w.t.Fatal(err)
		}
	}
	until(w.t, "running containers", func() bool {
		cs, err := w.c.Containers(w.t.Context(), yarn.ContainerIDFromPB(r.GetAllocatedContainers()[0].GetId()).Attempt)
		return err == nil && !slices.ContainsFunc(cs, func(x *pb.ContainerReport) bool { return x.GetContainerState() != pb.ContainerState_C_RUNNING })
	})
}

// ended waits for the end of a container.
func (w *world) ended(am *yarn.AMClient, id yarn.ContainerID) (st *pb.ContainerStatus, seen *pb.AllocateResponse) {
	w.t.Helper()
	seen = &pb.AllocateResponse{}
	until(w.t, "end of "+id.String(), func() bool {
		r := w.allocate(am, &pb.AllocateRequest{})
		proto.Merge(seen, r)
		for _, s := range r.GetCompletedContainerStatuses() {
			if yarn.ContainerIDFromPB(s.GetContainerId()) == id {
				st = s
			}
		}
		return st != nil
	})
	return st, seen
}

func (w *world) report() *pb.ApplicationReport {
	w.t.Helper()
	r, err := w.c.Report(w.t.Context(), w.id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) state(want pb.ApplicationState) *pb.ApplicationReport {
	w.t.Helper()
	var r *pb.ApplicationReport
	until(w.t, want.String(), func() bool { r = w.report(); return r.GetYarnApplicationState() == want })
	return r
}
