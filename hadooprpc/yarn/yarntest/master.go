package yarntest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func testUnmanagedApplicationMaster(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, 2*time.Minute)
	u := s.startUnmanaged(t, ctx, c)
	reg, err := u.am.Register(ctx, "localhost", -1, "http://example.invalid:1/page")
	if err != nil {
		t.Fatal(err)
	}
	if reg.GetMaximumCapability().GetMemory() < 1024 || reg.GetQueue() == "" {
		t.Errorf("registered: %v", reg)
	}
	// On a cluster without security there is no ClientToAM key.
	t.Logf("client-to-AM key: %d bytes, scheduler types %v", len(reg.GetClientToAmTokenMasterKey()), reg.GetSchedulerResourceTypes())

	cs, roll := u.obtain(t, ctx, 4, 128), s.rollcall(t)
	long, node, tok := u.start(t, ctx, cs[0], command("sleep 300"))
	fails, _, _ := u.start(t, ctx, cs[1], command("exit 3"))
	sig, sigNode, sigTok := u.start(t, ctx, cs[2], roll.command("", "sleep 300"))
	byRM, _, _ := u.start(t, ctx, cs[3], roll.command("", "sleep 300"))

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
		roll.heard(t, ctx, 2)
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
func testResponseIDs(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, time.Minute)
	u := s.startUnmanaged(t, ctx, c)
	tok := u.am.Token()
	a := s.addrs
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
	progress := func() float32 {
		rep, err := c.Report(ctx, u.id)
		if err != nil {
			t.Fatal(err)
		}
		return rep.GetProgress()
	}
	waitFor(t, ctx, "progress in the report", func() bool { return progress() == 0.5 }) // some time after the answer
	// The last heartbeat again, with other content: the last response comes again, and the content is ignored.
	again, err := beat(1, 0.75)
	if err != nil || again.GetResponseId() != 2 {
		t.Errorf("repeated heartbeat: %v, %v", again, err)
	}
	for range 10 {
		if p := progress(); p != 0.5 {
			t.Fatalf("progress %v: a repeated heartbeat's content was heeded", p)
		}
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
	// While the attempt is taken from the scheduler 3.4.2 was seen to answer once with a NullPointerException.
	var last error
	waitFor(t, ctx, "end of the attempt", func() bool {
		_, last = beat(2, 1)
		return last != nil && !ipc.Is(last, "java.lang.NullPointerException")
	})
	if !yarn.IsAttemptNotFound(last) {
		t.Errorf("heartbeat after the end: %v", last)
	}
}

func testReleasedAndRejectedAsks(t *testing.T, s *site) {
	c, ctx := s.client(t), within(t, time.Minute)
	u := s.startUnmanaged(t, ctx, c)
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
