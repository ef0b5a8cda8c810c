package yarn

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster"
	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/identity"
)

// Two thousand workers on two hundred nodes, all in this process: down to ten and up
// again, with exact counts on the application master's side and on the nodes'. The
// workers are functions that wait for their end. Times are printed, not judged.
func TestTwoThousandWorkers(t *testing.T) {
	if testing.Short() {
		t.Skip("short: two thousand starts take a while")
	}
	nodes, workers := 200, 2000
	if raceDetector { // which makes it take minutes, and finds in these what it finds in all
		nodes, workers = 40, 400
	}
	began := time.Now()
	c := embedded(t, minicluster.Options{
		Nodes: nodes, DistinctHosts: true, Capability: tracker.Resource{MemoryMiB: 12 * 64, VCores: 12}, NoMemoryLimit: true, Heartbeat: time.Second,
		Launcher: nm.Func(func(ctx context.Context, _ *nm.Launch) int32 { <-ctx.Done(); return 143 }),
	})
	t.Logf("%d nodes registered after %v", nodes, time.Since(began).Round(time.Millisecond))

	s := newSite(t)
	o := s.master(t)
	id, err := applicationOf(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "yarnd") // localized 2,000 times, never run
	if err := os.WriteFile(program, []byte("a program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	app := &spec.Application{Version: spec.Version, ID: id.String(), Name: "scale", User: o.User, Staging: "file:///none",
		Pools: []spec.Pool{{Name: "worker", Role: spec.RoleWorker, Count: workers, Resource: spec.Resource{VCores: 1, MemoryMiB: 64},
			Files: []spec.File{s.upload(t, "yarnd", program, s.fs.Home()+"/program")}}}}
	seed := identity.NewSeed()
	ended := make(chan error, 1)
	go func() {
		ended <- appmaster.Run(t.Context(), appmaster.Options{Spec: app, Seed: seed, Provider: p, Node: "127.0.0.1"})
	}()
	am := owner(t, s, seed, id.String())

	reached := func(what string, want int) {
		t.Helper()
		from := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for info, err := range am.Watch(ctx) {
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			pool := info.GetPools()[0]
			if int(pool.GetRunning()) == want && pool.GetAsked()+pool.GetStarting()+pool.GetStopping() == 0 {
				break
			}
		}
		if on := onNodes(c); on != want {
			t.Errorf("%s: %d containers run on the nodes, want %d", what, on, want)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		t.Logf("%s: %v (heap of all %d nodes and both masters: %d MiB)", what, time.Since(from).Round(time.Millisecond), nodes, m.HeapAlloc>>20)
	}
	reached(fmt.Sprintf("%d workers run", workers), workers)
	for _, n := range []int{10, workers} {
		if _, err := am.Scale(t.Context(), "worker", n); err != nil {
			t.Fatal(err)
		}
		reached(fmt.Sprintf("scaled to %d", n), n)
	}
	if err := am.Stop(t.Context(), "SUCCEEDED", "", true); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if on := onNodes(c); on != 0 {
		t.Errorf("%d containers run after the end", on)
	}
}

func onNodes(c *minicluster.Cluster) (n int) {
	for _, node := range c.Nodes {
		for _, box := range node.Containers() {
			if box.State == tracker.Running {
				n++
			}
		}
	}
	return n
}

// owner is a session with an application master of this process, once it has
// registered.
func owner(t *testing.T, s *site, seed identity.Seed, app string) *amclient.Client {
	t.Helper()
	ca, err := identity.NewCA(seed, app)
	if err != nil {
		t.Fatal(err)
	}
	me, err := ca.NewIdentity(identity.Subject{App: app, Role: identity.Client, Name: "me"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var at []string
	for deadline := time.Now().Add(patience); len(at) == 0; time.Sleep(20 * time.Millisecond) {
		if at, err = s.endpoint(t.Context(), app); err != nil || time.Now().After(deadline) {
			t.Fatalf("the application master has not registered: %v", err)
		}
	}
	am, err := amclient.Dial(me, amclient.Options{Addresses: at})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { am.Close() })
	return am
}
