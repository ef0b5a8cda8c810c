package yarn

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster"
	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
	"github.com/yarnd/yarnd/identity"
)

// The answer to the registration after a restart gets lost: the repetition is
// refused, and all goes on.
func TestRegisteredWithoutKnowingIt(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	get(t, p, 2, 0)
	var once sync.Once
	c.rm.SetFault(func(call *hadooptest.Call) (f hadooptest.Fault) {
		if call.Method == "registerApplicationMaster" {
			once.Do(func() { f.Midway = true })
		}
		return f
	})
	c.look(func() { c.forgotten = true })
	c.until(t, "registered again", func() bool { return c.registered == 2 })
	get(t, p, 2, 2)
	if err := p.Err(); err != nil {
		t.Error(err)
	}
}

// The ResourceManager that finds the heartbeats' count wrong is asked once more to
// take us; the second time it means it.
func TestStrangeCount(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	c.look(func() { c.strange = 1 })
	get(t, p, 2, 0)
	c.look(func() { c.strange = 2 })
	select {
	case <-p.Done():
	case <-time.After(wait):
		t.Fatal("it goes on")
	}
}

// A release that the last ResourceManager heard, and did nothing about, goes to the
// next one as well. One whose end was told does not.
func TestReleasesAreRepeated(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	ids := get(t, p, 2, 0)
	p.Release(ids[0])
	next[reconcile.Completed](t, p)
	c.look(func() { c.deaf = true })
	p.Release(ids[1])
	c.until(t, "both are released", func() bool { return len(c.released) == 2 })
	c.look(func() { c.forgotten, c.deaf, c.released = true, false, nil })
	if e := next[reconcile.Completed](t, p); e.ID != ids[1] {
		t.Errorf("%+v", e)
	}
	c.look(func() {
		if len(c.released) != 1 || c.released[0].String() != ids[1] {
			t.Errorf("released again: %v", c.released)
		}
	})
}

// A container that was allocated before a failover and not started is no good, and
// nobody is to blame for that.
func TestContainerOfBefore(t *testing.T) {
	c := newCluster(t)
	p, _ := c.begin(t)
	c.look(func() { c.older = true })
	id := get(t, p, 1, 0)[0]
	p.Start(id, nil)
	if e := next[reconcile.LaunchFailed](t, p); e.ID != id || !e.Blameless {
		t.Errorf("%+v", e)
	}
	c.until(t, "it is given back", func() bool { return len(c.released) == 1 })
}

// Two ResourceManagers take over from each other, time and again, while answers of
// theirs get lost, their keys roll, and the application grows and shrinks: it has
// exactly the containers that it wants, and those that need not end go on.
func TestFailovers(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 4
	}
	want := 8
	f := newPair(t, want)
	f.settled("all workers run", want, 0, nil)
	for i := range rounds {
		before := f.containers()
		keep := len(before)
		change := func() error { return nil }
		switch i % 3 {
		case 1:
			want++
			change = func() error { _, err := f.am.Scale(t.Context(), "worker", want); return err }
		case 2: // another takes its place
			keep--
			change = func() error { return f.am.Kill(t.Context(), anyOf(before).String()) }
		}
		f.loseAnswers(i)
		f.c.RM.RollAMRM()
		changed := make(chan error, 1)
		go func() { changed <- change() }()
		if err := f.c.RM.Failover(time.Duration(i%4) * 100 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if err := <-changed; err != nil {
			t.Fatal(err)
		}
		f.settled(fmt.Sprintf("failover %d, %d workers wanted", i, want), want, keep, before)
		// A real one waits for longer than it takes an application master to expire.
		for seen := f.beats.Load(); f.beats.Load() < seen+2; {
			time.Sleep(5 * time.Millisecond)
		}
		f.c.RM.ActivateAMRM()
	}
	if err := f.am.Stop(t.Context(), "SUCCEEDED", "", true); err != nil {
		t.Fatal(err)
	}
	// The answer to the last call may have got lost: then it cannot tell whether the
	// ResourceManager is done with it or has given it up, and leaves its files.
	if err := <-f.ended; err != nil && !hadoop.IsAttemptNotFound(err) {
		t.Error(err)
	}
	if rep, err := f.s.rm.Report(t.Context(), f.id); err != nil || rep.GetFinalApplicationStatus() != pb.FinalApplicationStatus_APP_SUCCEEDED {
		t.Errorf("the ResourceManager has %v, %v", rep.GetFinalApplicationStatus(), err)
	}
	if on := onNodes(f.c); on != 0 {
		t.Errorf("%d containers run after the end", on)
	}
}

func anyOf(ids map[hadoop.ContainerID]bool) (id hadoop.ContainerID) {
	for id = range ids {
		break
	}
	return id
}

// pair is an application on a cluster with two ResourceManagers, all in this process.
type pair struct {
	*testing.T
	c     *minicluster.Cluster
	s     *site
	id    hadoop.ApplicationID
	am    *amclient.Client
	ended chan error
	beats atomic.Int64 // heartbeats that came, and whose answers did not get lost
}

func newPair(t *testing.T, workers int) *pair {
	t.Helper()
	c := embedded(t, minicluster.Options{
		HA: true, Nodes: 4, DistinctHosts: true, Heartbeat: 50 * time.Millisecond, NoMemoryLimit: true,
		Launcher: nm.Func(func(ctx context.Context, _ *nm.Launch) int32 { <-ctx.Done(); return 143 }),
	})
	s := newSite(t)
	o := s.master(t)
	o.Heartbeat, o.Eager = 50*time.Millisecond, 10*time.Millisecond
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	id, err := applicationOf(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "yarnd") // localized, never run
	if err := os.WriteFile(program, []byte("a program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	app := &spec.Application{Version: spec.Version, ID: id.String(), Name: "pair", User: o.User, Staging: "file:///none",
		Pools: []spec.Pool{{Name: "worker", Role: spec.RoleWorker, Count: workers, Resource: spec.Resource{VCores: 1, MemoryMiB: 64},
			Files: []spec.File{s.upload(t, "yarnd", program, s.fs.Home()+"/program")}}}}
	seed := identity.NewSeed()
	f := &pair{T: t, c: c, s: s, id: id, ended: make(chan error, 1)}
	go func() {
		f.ended <- appmaster.Run(t.Context(), appmaster.Options{Spec: app, Seed: seed, Provider: p, Node: "127.0.0.1"})
	}()
	f.am = owner(t, s, seed, id.String())
	return f
}

// settled waits until the application master, the active ResourceManager and the
// nodes agree that so many containers run, so many of which did before.
func (f *pair) settled(what string, want, keep int, before map[hadoop.ContainerID]bool) {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), wait)
	defer cancel()
	state := ""
	for {
		info, err := f.am.Info(ctx)
		if err != nil {
			f.Fatalf("%s: %v (before: %s)", what, err, state)
		}
		rep, err := f.s.rm.Report(ctx, f.id)
		if err != nil {
			f.Fatalf("%s: %v (before: %s)", what, err, state)
		}
		pool, used, on := info.GetPools()[0], rep.GetAppResourceUsage().GetNumUsedContainers(), onNodes(f.c)
		kept := 0
		for id := range f.containers() {
			if before[id] {
				kept++
			}
		}
		if kept < keep {
			f.Fatalf("%s: of %d containers %d were kept, want %d", what, len(before), kept, keep)
		}
		if kept == keep && int(pool.GetRunning()) == want && pool.GetAsked()+pool.GetStarting()+pool.GetStopping() == 0 && on == want &&
			int(used) == want && rep.GetYarnApplicationState() == pb.ApplicationState_RUNNING {
			return
		}
		state = fmt.Sprintf("the application master has %v; the ResourceManager %d in use, and %s; the nodes %d", pool, used, rep.GetYarnApplicationState(), on)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			f.Fatalf("%s: %s", what, state)
		}
	}
}

// containers are those that run on the nodes.
func (f *pair) containers() map[hadoop.ContainerID]bool {
	all := map[hadoop.ContainerID]bool{}
	for _, node := range f.c.Nodes {
		for _, box := range node.Containers() {
			if box.State == tracker.Running {
				all[box.ID] = true
			}
		}
	}
	return all
}

// loseAnswers loses, on each ResourceManager, the answer to some calls of the
// application master, with the connection.
func (f *pair) loseAnswers(i int) {
	var mu sync.Mutex
	n := 0
	lose := func(call *hadooptest.Call) hadooptest.Fault {
		mu.Lock()
		defer mu.Unlock()
		n++
		lost := n < 12 && (n+i)%3 == 0
		if !lost && call.Method == "allocate" {
			f.beats.Add(1)
		}
		return hadooptest.Fault{Midway: lost}
	}
	for _, server := range f.c.RM.SchedulerServers() {
		server.SetFault(lose)
	}
}
