package core

import (
	"cmp"
	"slices"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
)

// Resource is an amount of memory, virtual cores and named resources.
type Resource = tracker.Resource

// Config is how a cluster is set up. Its zero value is a cluster with the queues default and etl, each of which may
// take everything, and otherwise yarn-default.xml's limits.
type Config struct {
	// Queues below root. nil: default and etl, half of the cluster each, elastic up to all of it.
	Queues []Queue
	// Min is the smallest container, and the step in which sizes are rounded up. 0: 64 MiB, 1 vcore.
	Min Resource
	// Max is the largest container. 0: 8192 MiB, 4 vcores (yarn.scheduler.maximum-allocation-*). Once there are nodes
	// the largest of them counts, too.
	Max Resource
	// Types are names of further resources, such as "yarn.io/gpu"; others are ignored in asks.
	Types []string
	// Labels are the node labels known beside those of registered nodes.
	Labels []string
	// MaxAttempts is the most attempts an application may have, and how many it has unless it says. 0: 2
	// (yarn.resourcemanager.am.max-attempts).
	MaxAttempts int
	// MaxPriority of an application. 0: 0 (yarn.cluster.max-application-priority).
	MaxPriority int32
	// AMShare is the part of a queue that application masters may take. 0: 0.8. The first one always may.
	AMShare float64
	// AMExpiry is the silence after which an application master is given up, NodeExpiry a node, AllocationExpiry a
	// container that was not started. 0: 10 minutes.
	AMExpiry, NodeExpiry, AllocationExpiry time.Duration
	// SubmitDelay is how long an application stays SUBMITTED. 0: not at all.
	SubmitDelay time.Duration
	// MaxCompleted bounds the ended applications that are remembered. 0: 1000
	// (yarn.resourcemanager.max-completed-applications).
	MaxCompleted int
	// Opportunistic has the ResourceManager offer opportunistic containers
	// (yarn.resourcemanager.opportunistic-container-allocation.enabled). Nodes have to have queues for them.
	Opportunistic bool
	// WebAddr is host:port of the web pages: tracking URLs lead there.
	WebAddr string
}

// Queue is a leaf queue below root.
type Queue struct {
	Name string
	// Capacity is its share in percent, MaxCapacity how far it may grow; 0 means 100.
	Capacity, MaxCapacity float64
	// Stopped takes no applications.
	Stopped bool
	// Label is the default node label of what is asked for in it.
	Label string
}

const defaultExpiry = 10 * time.Minute

func (c Config) withDefaults() Config {
	if c.Queues == nil {
		c.Queues = []Queue{{Name: "default", Capacity: 50}, {Name: "etl", Capacity: 50}}
	}
	c.Queues = slices.Clone(c.Queues)
	for i := range c.Queues {
		c.Queues[i].MaxCapacity = cmp.Or(c.Queues[i].MaxCapacity, 100)
	}
	c.Min.MemoryMiB, c.Min.VCores = cmp.Or(c.Min.MemoryMiB, 64), cmp.Or(c.Min.VCores, 1)
	c.Max.MemoryMiB, c.Max.VCores = cmp.Or(c.Max.MemoryMiB, 8192), cmp.Or(c.Max.VCores, 4)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 2)
	c.AMShare = cmp.Or(c.AMShare, 0.8)
	c.AMExpiry = cmp.Or(c.AMExpiry, defaultExpiry)
	c.NodeExpiry = cmp.Or(c.NodeExpiry, defaultExpiry)
	c.AllocationExpiry = cmp.Or(c.AllocationExpiry, defaultExpiry)
	c.MaxCompleted = cmp.Or(c.MaxCompleted, 1000)
	return c
}
