package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Cluster is the whole state. It is owned by one goroutine, or guarded by one lock.
type Cluster struct {
	cfg   Config
	stamp int64 // in new application ids and in container tokens: when this incarnation started, in ms
	epoch int64 // restarts since, in container ids
	next  int32 // last application number

	queues map[string]*queue
	nodes  map[yarn.NodeID]*node
	gone   map[yarn.NodeID]*node // lost, decommissioned
	apps   map[yarn.ApplicationID]*app
	ended  []yarn.ApplicationID // in order; the oldest are forgotten

	total    Resource                        // of running nodes, all partitions
	labelled map[string]Resource             // the same by partition
	live     map[yarn.ContainerID]*container // allocated and not ended
	launches []Launch
	beats    int64
	// paused nodes allocate nothing.
	paused bool
}

// New is an empty cluster that starts now.
func New(cfg Config, now time.Time) *Cluster {
	c := &Cluster{cfg: cfg.withDefaults(), stamp: now.UnixMilli(), apps: make(map[yarn.ApplicationID]*app)}
	c.reset()
	return c
}

// reset empties everything that no state store keeps.
func (c *Cluster) reset() {
	c.queues = make(map[string]*queue, len(c.cfg.Queues))
	for _, q := range c.cfg.Queues {
		c.queues[q.Name] = &queue{Queue: q}
	}
	c.nodes, c.gone = make(map[yarn.NodeID]*node), make(map[yarn.NodeID]*node)
	c.live = make(map[yarn.ContainerID]*container)
	c.total, c.labelled = Resource{}, make(map[string]Resource)
	c.launches, c.paused = nil, false
}

// Timestamp is when this incarnation started, in milliseconds since the epoch. It is in new application ids, and in
// container tokens as the ResourceManager's identifier.
func (c *Cluster) Timestamp() int64 { return c.stamp }

// Epoch counts restarts.
func (c *Cluster) Epoch() int64 { return c.epoch }

// Config is the configuration with its defaults filled in.
func (c *Cluster) Config() Config { return c.cfg }

// SetWebAddr changes where tracking URLs lead.
func (c *Cluster) SetWebAddr(addr string) { c.cfg.WebAddr = addr }

// Total is what the running nodes offer, Maximum the largest container that may be asked for.
func (c *Cluster) Total() Resource { return plus(c.total, Resource{}) }

// Maximum is the largest container that may be asked for: the configured one, or what the largest node offers, in each
// component. The real ResourceManager looks at its nodes only after some seconds. Source: ClusterNodeTracker.
func (c *Cluster) Maximum() Resource {
	var largest Resource
	for _, n := range c.nodes {
		if n.state != pb.NodeState_NS_RUNNING {
			continue
		}
		largest = greater(largest, n.capability)
	}
	limit := plus(c.cfg.Max, Resource{})
	for _, t := range c.cfg.Types {
		if limit.Others == nil {
			limit.Others = make(map[string]int64)
		}
		if limit.Others[t] == 0 {
			limit.Others[t] = 1 << 40
		}
	}
	if largest.MemoryMiB == 0 && largest.VCores == 0 {
		return limit
	}
	return lesser(limit, largest)
}

// Launch is an application master to be started: the shell starts the container on its node and reports with Launched
// or LaunchFailed.
type Launch struct {
	Attempt   yarn.AttemptID
	Container Container
}

// TakeLaunches returns the application masters to be started, each once.
func (c *Cluster) TakeLaunches() []Launch {
	out := c.launches
	c.launches = nil
	return out
}

// NewApplicationID hands out an application id.
func (c *Cluster) NewApplicationID() yarn.ApplicationID {
	c.next++
	return yarn.ApplicationID{ClusterTimestamp: c.stamp, ID: c.next}
}

// HasLabel tells whether a node label exists.
func (c *Cluster) HasLabel(label string) bool {
	return label == "" || slices.Contains(c.Labels(), label)
}

// Labels lists the node labels.
func (c *Cluster) Labels() []string {
	out := slices.Clone(c.cfg.Labels)
	for _, n := range c.nodes {
		if n.label != "" && !slices.Contains(out, n.label) {
			out = append(out, n.label)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sortedApps lists applications by age.
func (c *Cluster) sortedApps() []*app {
	out := make([]*app, 0, len(c.apps))
	for _, a := range c.apps {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *app) int { return a.id.Compare(b.id) })
	return out
}

func sortedNodes(m map[yarn.NodeID]*node) []*node {
	out := make([]*node, 0, len(m))
	for _, n := range m {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *node) int {
		return cmp.Or(cmp.Compare(a.id.Host, b.id.Host), cmp.Compare(a.id.Port, b.id.Port))
	})
	return out
}
