package yarn

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/identity"
)

// mostMemory is what an application master of two thousand workers that all wait for a scheduler may take, in MiB; what it does take, and
// the goal, are in docs/benchmarks.md.
const mostMemory = 170

// Two thousand workers on two hundred nodes, down to ten and up again, with exact counts on the application master's side
// and on the nodes'. The application master is a process of its own; the workers are functions that join it over TLS and
// wait for a scheduler, which never comes. Times are printed, not judged; the application master's memory and how often
// it asks the ResourceManager are.
func TestTwoThousandWorkers(t *testing.T) {
	if testing.Short() {
		t.Skip("short: two thousand starts take a while")
	}
	nodes, workers := 200, 2000
	if raceDetector { // which makes it take minutes, and finds in these what it finds in all
		nodes, workers = 40, 400
	}
	began := time.Now()
	var n *calls
	c := embedded(t, minicluster.Options{
		Nodes: nodes, DistinctHosts: true, Capability: tracker.Resource{MemoryMiB: 12 * 64, VCores: 12}, NoMemoryLimit: true, Heartbeat: time.Second,
		Launcher: nm.Func(func(ctx context.Context, l *nm.Launch) int32 { return n.joiner(ctx, l) }),
	})
	n = countCalls(c)
	t.Logf("%d nodes registered after %v", nodes, time.Since(began).Round(time.Millisecond))

	s := newSite(t)
	o := s.master(t)
	id, err := applicationOf(o)
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
	from := time.Now()
	m := startMaster(t, o, app, seed)
	am := owner(t, s, seed, id.String())

	spent := func(what string) {
		user, system := m.cpu()
		total, most := n.total()
		t.Logf("%s: %v; the application master so far: %v of CPU (user %v, system %v), at most %d MiB, %d calls to the ResourceManager, at most %d in a second",
			what, time.Since(from).Round(time.Millisecond), user+system, user, system, m.peak(), total, most)
	}
	reached := func(what string, want int) {
		t.Helper()
		reach(t, am, want)
		if on := onNodes(c); on != want {
			t.Errorf("%s: %d containers run on the nodes, want %d", what, on, want)
		}
		spent(what)
		from = time.Now()
	}
	reached(fmt.Sprintf("%d workers run and have joined", workers), workers)
	idle(t, n)
	spent("five idle seconds")
	for _, size := range []int{10, workers} {
		from = time.Now()
		if _, err := am.Scale(t.Context(), "worker", size); err != nil {
			t.Fatal(err)
		}
		reached(fmt.Sprintf("scaled to %d", size), size)
	}
	if most := m.peak(); most > mostMemory && !raceDetector {
		t.Errorf("the application master had %d MiB, want at most %d", most, mostMemory)
	}
	if err := am.Stop(t.Context(), "SUCCEEDED", "", true); err != nil {
		t.Fatal(err)
	}
	m.wait()
	if on := onNodes(c); on != 0 {
		t.Errorf("%d containers run after the end", on)
	}
	for id, err := range n.joinings {
		t.Errorf("%s could not join: %v", id, err)
	}
}

// reach waits until so many workers run, have joined, and nothing else is under way.
func reach(t *testing.T, am *amclient.Client, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	for info, err := range am.Watch(ctx) {
		if err != nil {
			t.Fatalf("%d workers: %v", want, err)
		}
		joined := 0
		for _, ct := range info.GetContainers() {
			if ct.GetJoined() {
				joined++
			}
		}
		pool := info.GetPools()[0]
		if int(pool.GetRunning()) == want && joined == want && pool.GetAsked()+pool.GetStarting()+pool.GetStopping() == 0 {
			return
		}
	}
}

// idle looks at five seconds in which nothing happens: one call each heartbeat, of a second.
func idle(t *testing.T, n *calls) {
	t.Helper()
	before, _ := n.total()
	time.Sleep(5 * time.Second)
	after, _ := n.total()
	if after-before > 5+2 {
		t.Errorf("%d calls to the ResourceManager in five idle seconds", after-before)
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
