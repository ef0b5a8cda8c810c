package nm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

func (b *bench) registrations() []tracker.Node {
	return locked(b.rm, func() []tracker.Node { return append([]tracker.Node(nil), b.rm.nodes...) })
}

func (b *bench) up(id yarn.ContainerID) {
	b.t.Helper()
	b.start(id, command("touch up; exec sleep 300"))
	b.running(id, "up")
}

// An end is told at once, whatever the interval, and repeated until it is acknowledged.
func TestEndsAreRepeated(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Heartbeat = time.Hour })
	b.rm.mu.Lock()
	b.rm.deaf = true
	b.rm.mu.Unlock()
	b.start(cid(1), command("exit 0"))
	told := func(id yarn.ContainerID) func() bool {
		return func() bool {
			return locked(b.rm, func() bool {
				for _, c := range b.rm.last.Containers {
					if c.ID == id && c.State == tracker.Complete {
						return true
					}
				}
				return false
			})
		}
	}
	b.eventually("first end", told(cid(1)))
	b.rm.mu.Lock()
	b.rm.deaf, b.rm.last = false, tracker.Heartbeat{}
	b.rm.mu.Unlock()
	b.start(cid(2), command("exit 0"))
	b.ended(cid(2))
	b.ended(cid(1))
}

func TestResync(t *testing.T) {
	b := newBench(t)
	b.up(cid(1))
	b.rm.order(tracker.Orders{Resync: true})
	b.eventually("second registration", func() bool { return len(b.registrations()) == 2 })
	n := b.registrations()[1]
	if len(n.Containers) != 1 || n.Containers[0].ID != cid(1) || n.Containers[0].State != tracker.Running || len(n.Apps) != 1 || n.Apps[0] != testApp || n.HTTP != b.HTTP() {
		t.Errorf("%+v", n)
	}
}

// While the ResourceManager is down containers run and end, and it hears of it afterwards.
func TestResourceManagerDown(t *testing.T) {
	b := newBench(t)
	b.up(cid(1))
	b.rm.mu.Lock()
	b.rm.down = true
	b.rm.mu.Unlock()
	b.start(cid(2), command("exit 5"))
	b.eventually("end", func() bool { return b.status(cid(2)).GetState() == pb.ContainerState_C_COMPLETE })
	b.rm.mu.Lock()
	b.rm.down, b.rm.orders = false, tracker.Orders{Resync: true}
	b.rm.mu.Unlock()
	if c := b.ended(cid(2)); c.Exit != 5 {
		t.Errorf("%+v", c)
	}
	if b.status(cid(1)).GetState() != pb.ContainerState_C_RUNNING {
		t.Error("the other has ended")
	}
}

func TestShutdownOrder(t *testing.T) {
	b := newBench(t)
	b.up(cid(1))
	b.rm.order(tracker.Orders{Shutdown: true})
	select {
	case <-b.Done():
	case <-b.ctx.Done():
		t.Fatal("the node does not shut down")
	}
	if err := b.Restart(); err == nil {
		t.Error("restarted after its end")
	}
	rm := newRM()
	rm.refuse = errors.New("Disallowed NodeManager")
	n, err := New(Options{RM: rm, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	<-n.Done()
	if n.Ready(b.ctx) == nil {
		t.Error("a refused node is ready")
	}
}

// A NodeManager that crashes and recovers finds its containers, also those that ended meanwhile.
func TestCrashWithRecovery(t *testing.T) {
	b := newBench(t)
	id, web := b.ID(), b.HTTP()
	b.up(cid(1))
	b.start(cid(2), command("touch up; while [ ! -e go ]; do sleep 0.01; done; exit 9"))
	b.running(cid(2), "up")
	b.Crash(true)
	b.Crash(true)
	if _, _, err := b.cl.ContainerStatuses(b.short(), b.ID(), b.nmToken(), cid(1)); err == nil {
		t.Error("a crashed node answers")
	}
	put1(t, b.WorkDir("alice", cid(2)), "go", nil)
	b.eventually("end", func() bool {
		for _, c := range b.Containers() {
			if c.ID == cid(2) {
				return c.State == tracker.Complete
			}
		}
		return false
	})
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(b.ctx); err != nil || b.ID() != id || b.HTTP() != web {
		t.Fatal(err, b.ID(), b.HTTP())
	}
	n := b.registrations()[1]
	if len(n.Containers) != 2 || n.Containers[0].State != tracker.Running || n.Containers[1].Exit != 9 {
		t.Errorf("%+v", n.Containers)
	}
	if st := b.status(cid(1)); st.GetState() != pb.ContainerState_C_RUNNING {
		t.Errorf("%v", st)
	}
}

func (b *bench) short() context.Context {
	ctx, cancel := context.WithTimeout(b.ctx, 300*time.Millisecond)
	b.t.Cleanup(cancel)
	return ctx
}

func TestCrashWithoutRecovery(t *testing.T) {
	b := newBench(t)
	b.up(cid(1))
	b.Crash(false)
	noProcesses(t, b.opt.LocalDirs[0])
	if err := b.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(b.ctx); err != nil {
		t.Fatal(err)
	}
	if n := b.registrations()[1]; len(n.Containers) != 0 || len(n.Apps) != 0 {
		t.Errorf("%+v", n)
	}
	_, bad, err := b.cl.ContainerStatuses(b.ctx, b.ID(), b.nmToken(), cid(1))
	if err != nil || !strings.Contains(bad[cid(1)].Error(), "is not handled by this NodeManager") {
		t.Errorf("%v, %v", bad, err)
	}
	if c := b.runs(cid(2), command("exit 0")); c.Exit != 0 {
		t.Errorf("%+v", c)
	}
}

// A lost node sends no heartbeats, but its containers run and application masters reach it.
func TestLost(t *testing.T) {
	b := newBench(t)
	b.up(cid(1))
	b.SetSilent(true)
	b.eventually("silence", func() bool {
		n := locked(b.rm, func() int { return b.rm.beats })
		time.Sleep(30 * time.Millisecond)
		return n == locked(b.rm, func() int { return b.rm.beats })
	})
	if b.status(cid(1)).GetState() != pb.ContainerState_C_RUNNING {
		t.Error("ended")
	}
	b.rm.order(tracker.Orders{Resync: true})
	b.SetSilent(false)
	b.eventually("return", func() bool { return len(b.registrations()) == 2 })
	if err := b.Resync(b.ctx); err != nil || len(b.registrations()) < 3 {
		t.Error(err)
	}
}

func TestCleanUpOrders(t *testing.T) {
	b := newBench(t)
	b.up(cid(1))
	b.up(cid(2))
	b.rm.order(tracker.Orders{CleanUp: []tracker.CleanUp{{ID: cid(1), Status: yarn.ExitPreempted}, {ID: cid(2)}, {ID: cid(3)}}})
	if c := b.ended(cid(1)); c.Exit != yarn.ExitPreempted {
		t.Errorf("%+v", c)
	}
	if c := b.ended(cid(2)); c.Exit != yarn.ExitKilledByResourceManager {
		t.Errorf("%+v", c)
	}
}

func TestFaults(t *testing.T) {
	b := newBench(t)
	b.SetFaults(Faults{Disks: "1/1 local-dirs have errors: [ /data : full ]"})
	b.eventually("health report", func() bool { return locked(b.rm, func() string { return b.rm.last.Unhealthy }) != "" })
	if c := b.runs(cid(1), command("true")); c.Exit != yarn.ExitDisksFailed || !strings.Contains(c.Diagnostics, "Most of the disks failed. 1/1 local-dirs") {
		t.Errorf("%+v", c)
	}
	b.SetFaults(Faults{Localize: func(yarn.ContainerID, *pb.LocalResource) error { return errors.New("no such block") }})
	l := command("true")
	l.LocalResources = []*pb.StringLocalResourceMap{resource(t, "f", put1(t, t.TempDir(), "f", nil))}
	if c := b.runs(cid(2), l); c.Exit != yarn.ExitInvalid || !strings.Contains(c.Diagnostics, "no such block") {
		t.Errorf("%+v", c)
	}
	b.SetFaults(Faults{SlowStart: func(yarn.ContainerID) time.Duration { return time.Hour }})
	b.start(cid(3), command("true"))
	if st := b.status(cid(3)); st.GetContainerSubState() != pb.ContainerSubState_CSS_SCHEDULED {
		t.Errorf("%v", st)
	}
	if _, err := b.cl.StopContainers(b.ctx, b.ID(), b.nmToken(), cid(3)); err != nil {
		t.Fatal(err)
	}
	if c := b.ended(cid(3)); c.Exit != yarn.ExitKilledByAppMaster || !strings.Contains(c.Diagnostics, "before being launched") {
		t.Errorf("%+v", c)
	}
	b.SetFaults(Faults{})
	b.SetFault(func(c *hadooptest.Call) hadooptest.Fault {
		return hadooptest.Fault{Exception: refuse("%s is broken", c.Method)}
	})
	if _, err := b.cl.StopContainers(b.ctx, b.ID(), b.nmToken(), cid(3)); err == nil || !strings.Contains(err.Error(), "stopContainers is broken") {
		t.Errorf("%v", err)
	}
}

func TestNotYetRegistered(t *testing.T) {
	b := newBench(t)
	b.rm.mu.Lock()
	b.rm.down = true
	b.rm.mu.Unlock()
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	b.Resync(ctx)
	err := b.cl.StartContainer(b.short(), b.ID(), b.nmToken(), b.container(cid(1)), command("true"))
	if err == nil || !strings.Contains(err.Error(), "has not yet connected with ResourceManager") {
		t.Errorf("%v", err)
	}
}
