package rm

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func TestPreemption(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit()
	am := w.master(1)
	w.register(am)
	cs, _ := w.obtain(am, 2)
	strict, soft := yarn.ContainerIDFromPB(cs[0].GetId()), yarn.ContainerIDFromPB(cs[1].GetId())
	if !w.m.Preempt(strict, true, 100*time.Millisecond) || !w.m.Preempt(soft, false, -1) || w.m.Preempt(yarn.ContainerID{}, true, 0) {
		t.Error("found")
	}
	r := w.allocate(am, &pb.AllocateRequest{}).GetPreempt()
	if len(r.GetStrictContract().GetContainer()) != 1 || len(r.GetContract().GetContainer()) != 1 {
		t.Errorf("%v", r)
	}
	if st, _ := w.ended(am, strict); st.GetExitStatus() != int32(yarn.ExitPreempted) {
		t.Errorf("%v", st)
	}
	if cs, err := w.c.Containers(t.Context(), yarn.AttemptID{App: w.id, Attempt: 1}); err != nil || len(cs) != 2 {
		t.Errorf("%v, %v", cs, err)
	}
}

func TestTokensRoll(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit()
	am := w.master(1)
	w.register(am)
	old := am.Token()
	w.m.RollAMRM()
	w.allocate(am, &pb.AllocateRequest{})
	if am.Token().Equal(old) {
		t.Fatal("no new token")
	}
	if r := w.allocate(am, &pb.AllocateRequest{}); r.AmRmToken != nil {
		t.Error("a new token for who has come with it")
	}
	w.m.ActivateAMRM()
	w.allocate(am, &pb.AllocateRequest{})
	late := ipc.NewClient(w.m.SchedulerAddr(), yarn.MasterProtocol, ipc.Options{Token: &old})
	defer late.Close()
	if err := late.Call(t.Context(), ipc.Method{Name: "allocate"}, &pb.AllocateRequest{}, &pb.AllocateResponse{}); err == nil || !strings.Contains(err.Error(), "Invalid AMRMToken from") {
		t.Errorf("the old token: %v", err)
	}
	w.m.RollKeys()
	w.obtain(am, 1) // with tokens under keys that the node has heard of
}

func TestLostNode(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit()
	am := w.master(1)
	w.register(am)
	other := startNode(t, w.m, 1024, 4) // where there is nothing
	until(t, "two nodes", func() bool { return w.allocate(am, &pb.AllocateRequest{}).GetNumClusterNodes() == 2 })
	w.m.Decommission(other.node.ID)
	seen := &pb.AllocateResponse{}
	until(t, "word of it", func() bool {
		proto.Merge(seen, w.allocate(am, &pb.AllocateRequest{}))
		return slices.ContainsFunc(seen.GetUpdatedNodes(), func(n *pb.NodeReport) bool { return n.GetNodeState() == pb.NodeState_NS_DECOMMISSIONED })
	})
	until(t, "shutdown", func() bool { down := false; other.look(func() { down = other.shutdown }); return down })
	if _, err := w.m.RegisterNode(other.node); err == nil {
		t.Error("a decommissioned node registered")
	}
	// The master's own node is lost: that costs no attempt.
	cs, _ := w.obtain(am, 1)
	id := yarn.ContainerIDFromPB(cs[0].GetId())
	w.m.LoseNode(w.n.node.ID)
	until(t, "the second attempt", func() bool { return w.report().GetCurrentApplicationAttemptId().GetAttemptId() == 2 })
	until(t, "the end of what the first had", func() bool { gone := false; w.n.look(func() { _, has := w.n.has[id]; gone = !has }); return gone })
}

func TestRestart(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit()
	am := w.master(1)
	w.register(am)
	cs, _ := w.obtain(am, 2)
	finished := w.id
	if err := w.m.Restart(true, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	until(t, "resync", func() bool {
		_, err := am.Allocate(t.Context(), &pb.AllocateRequest{})
		return yarn.IsNotRegistered(err)
	})
	if r := w.report(); r.GetYarnApplicationState() != pb.ApplicationState_ACCEPTED {
		t.Errorf("%v", r)
	}
	w.register(am)
	until(t, "containers taken back", func() bool {
		list, err := w.c.Containers(t.Context(), yarn.AttemptID{App: w.id, Attempt: 1})
		return err == nil && len(list) == 3
	})
	more, _ := w.obtain(am, 1)
	if id := yarn.ContainerIDFromPB(more[0].GetId()); id.Epoch() != 1 || id.Number() != 1 {
		t.Errorf("a container of the next epoch is %v", id)
	}
	id := yarn.ContainerIDFromPB(cs[0].GetId())
	w.n.look(func() { w.n.end(id, 5) })
	if st, _ := w.ended(am, id); st.GetExitStatus() != 5 {
		t.Errorf("%v", st)
	}
	// Without a store nothing is known any more.
	if err := w.m.Restart(false, 0); err != nil {
		t.Fatal(err)
	}
	until(t, "oblivion", func() bool { _, err := w.c.Report(t.Context(), finished); return yarn.IsNotFound(err) })
	until(t, "an empty node", func() bool { n := 1; w.n.look(func() { n = len(w.n.has) }); return n == 0 })
	if w.submit().ClusterTimestamp == finished.ClusterTimestamp {
		t.Error("a new cluster has the old one's time stamp")
	}
	w.register(w.master(1))
}

func TestStandbyAndHold(t *testing.T) {
	w := newWorld(t, Options{})
	w.m.Standby(true)
	quick := yarn.NewClient(yarn.Options{Addresses: []string{w.m.ClientAddr()}, IPC: ipc.Options{RetryFor: -1}})
	defer quick.Close()
	if _, err := quick.NewApplication(t.Context()); err == nil || !strings.Contains(err.Error(), "StandbyException") {
		t.Errorf("%v", err)
	}
	if _, err := w.m.Heartbeat(tracker.Heartbeat{Node: w.n.node.ID}); !errors.Is(err, tracker.ErrDown) {
		t.Error(err)
	}
	w.m.Standby(false)
	w.m.Hold("default", true)
	w.submit()
	time.Sleep(30 * time.Millisecond) // several heartbeats
	if r := w.report(); r.GetYarnApplicationState() != pb.ApplicationState_ACCEPTED || !strings.HasPrefix(r.GetDiagnostics(), "Application is Activated, waiting for resources to be assigned for AM.") {
		t.Errorf("%v", r)
	}
	w.m.Hold("default", false)
	w.register(w.master(1))
}

func TestExpiry(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit(func(c *pb.ApplicationSubmissionContext) { c.MaxAppAttempts = proto.Int32(1) })
	am := w.master(1)
	w.register(am)
	// A container that nobody starts.
	all := w.allocate(am, ask(1))
	until(t, "a container", func() bool {
		proto.Merge(all, w.allocate(am, &pb.AllocateRequest{}))
		return len(all.GetAllocatedContainers()) == 1
	})
	w.m.Advance(9 * time.Minute)
	w.allocate(am, &pb.AllocateRequest{})
	w.n.beat()
	w.m.Advance(2 * time.Minute)
	if st, _ := w.ended(am, yarn.ContainerIDFromPB(all.GetAllocatedContainers()[0].GetId())); st.GetDiagnostics() != "Container expired since it was unused" {
		t.Errorf("%v", st)
	}
	w.n.beat()
	w.m.Advance(9 * time.Minute)
	w.n.beat()
	w.m.Advance(2 * time.Minute)
	if d := w.state(pb.ApplicationState_FAILED).GetDiagnostics(); !strings.Contains(d, "ApplicationMaster for attempt appattempt_") || !strings.Contains(d, "timed out") {
		t.Error(d)
	}
	// A lifetime.
	w.submit(func(c *pb.ApplicationSubmissionContext) {
		c.ApplicationTimeouts = []*pb.ApplicationTimeoutMap{{ApplicationTimeoutType: pb.ApplicationTimeoutType_APP_TIMEOUT_LIFETIME.Enum(), Timeout: proto.Int64(60)}}
	})
	w.n.beat()
	w.m.Advance(61 * time.Second)
	if d := w.state(pb.ApplicationState_KILLED).GetDiagnostics(); !strings.Contains(d, "exceeded the lifetime") {
		t.Error(d)
	}
}

func TestHandOut(t *testing.T) {
	w := newWorld(t, Options{})
	w.submit()
	am := w.master(1)
	w.register(am)
	if n := w.m.HandOut(yarn.AttemptID{App: w.id, Attempt: 1}, 2, 9, core.Resource{MemoryMiB: 64, VCores: 1}); n != 2 {
		t.Error(n)
	}
	if r := w.allocate(am, &pb.AllocateRequest{}); len(r.GetAllocatedContainers()) != 2 || r.GetAllocatedContainers()[0].GetPriority().GetPriority() != 9 {
		t.Errorf("%v", r)
	}
}
