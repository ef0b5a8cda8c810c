package survive

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
)

// badNode runs containers as they are, but workers of one node end at once: the first that
// gets a worker and has neither the application master nor the scheduler.
type badNode struct {
	*nm.Processes
	mu     sync.Mutex
	spared []string // numbers of nodes
	bad    string
}

func (b *badNode) Launch(l *nm.Launch) (nm.Process, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, below, _ := strings.Cut(l.Dir, "/nodes/")
	node, _, _ := strings.Cut(below, "/")
	switch worker := strings.Contains(strings.Join(l.Command, " "), " worker "); {
	case !worker:
		b.spared = append(b.spared, node)
	case b.bad == "" && len(b.spared) == 2 && !slices.Contains(b.spared, node):
		b.bad = node
		fallthrough
	case b.bad == node:
		broken := *l
		broken.Script = filepath.Join(l.Dir, "broken.sh")
		if err := os.WriteFile(broken.Script, []byte("exit 3\n"), 0o700); err != nil {
			return nil, err
		}
		l = &broken
	}
	return b.Processes.Launch(l)
}

// A node on which workers end as soon as they begin gets no more after a few, and why is
// told.
func TestNodeWhereWorkersEndAtOnce(t *testing.T) {
	processes, err := nm.NewProcesses()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := processes.Close(); err != nil {
			t.Error(err)
		}
	})
	bad := &badNode{Processes: processes}
	w := newWorld(t, minicluster.Options{Nodes: 4, DistinctHosts: true, Capability: tracker.Resource{MemoryMiB: 2 * 128, VCores: 8}, Launcher: bad})
	r := small(0)
	r.Restarts = -1
	a := w.submit(r)
	c := a.connect()                                 // when the scheduler runs, the nodes to be spared are known
	if err := c.Scale(w.withTime(), 6); err != nil { // for which it takes every node
		t.Fatal(err)
	}
	var list []*ampb.AvoidedNode
	a.await("a node is avoided", func() bool {
		info, err := c.Session().Info(w.withTime())
		list = info.GetAvoided()
		return err == nil && len(list) > 0
	})
	if len(list) != 1 || !strings.Contains(list[0].GetWhy(), "exited with code 3") {
		t.Errorf("avoided: %v", list)
	}
	events, _, err := c.Session().Events(w.withTime(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(events, func(ev edgeclient.Event) bool {
		return ev.Kind == "node.avoided" && ev.Object == list[0].GetNode()
	}) {
		t.Errorf("no event tells of it: %v", events)
	}
	if err := c.Stop(w.withTime()); err != nil {
		t.Error(err)
	}
	a.gone()
}
