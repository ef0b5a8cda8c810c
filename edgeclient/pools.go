package edgeclient

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/edgeclient/config"
)

// GPU is YARN's name of graphics processors, for PoolRequest.Named.
const GPU = config.GPU

// PoolRequest is a further pool of workers, beside those of Request.Worker. Tasks run in
// the plainest pool that has what they ask for.
type PoolRequest struct {
	Name    string           // lower-case letters, digits, "-"
	Workers int              // as of Request
	Adapt   Limits           // as of Request; its Idle is the request's where it is 0
	Size    Resources        // what is 0 is as Request.Worker has it
	Named   map[string]int64 // what else one container has, by YARN's names: GPU, …
	// NodeLabel is the label of the nodes where its containers run; "" is Request.NodeLabel.
	NodeLabel string
	// MaxPerNode is how many of its workers there may be on a node at a time; what does not fit waits. 0 is any number.
	MaxPerNode int
	// Opportunistic has its containers begin where nobody uses what others were promised, without waiting for a share of
	// the queue, and end when a node needs the room for a guaranteed one. The cluster has to offer that; then none of
	// NodeLabel, Named and MaxPerNode may be set: such containers are placed by none of them.
	Opportunistic bool
}

// ParsePool reads a pool as --pool has it: NAME=N|MIN:MAX[,memory=SIZE][,vcores=N]
// [,gpus=N][,RESOURCE=N][,label=LABEL][,max-per-node=N][,opportunistic].
func ParsePool(s string) (PoolRequest, error) {
	name, text, ok := strings.Cut(s, "=")
	if !ok {
		return PoolRequest{}, fmt.Errorf("%q is not NAME=N or NAME=MIN:MAX", s)
	}
	p, err := config.ParsePool(text)
	return PoolRequest{Name: name, Workers: p.Workers, Adapt: Limits{Min: p.Min, Max: p.Max},
		Size: Resources{VCores: p.VCores, Memory: p.Memory}, Named: p.Named, NodeLabel: p.Label, MaxPerNode: p.MaxPerNode, Opportunistic: p.Opportunistic}, err
}

// String gives a pool without its name as flags have it.
func (p PoolRequest) String() string {
	text := cmp.Or(p.Adapt.String(), fmt.Sprint(p.Workers))
	if p.Size.Memory > 0 {
		text += ",memory=" + FormatBytes(p.Size.Memory)
	}
	if p.Size.VCores > 0 {
		text += fmt.Sprintf(",vcores=%d", p.Size.VCores)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Named)) {
		text += fmt.Sprintf(",%s=%d", name, p.Named[name])
	}
	if p.NodeLabel != "" {
		text += ",label=" + p.NodeLabel
	}
	if p.MaxPerNode > 0 {
		text += fmt.Sprintf(",max-per-node=%d", p.MaxPerNode)
	}
	if p.Opportunistic {
		text += ",opportunistic"
	}
	return text
}

// first is how many workers there are to begin with, and most how many there can be.
func (p PoolRequest) first() int { return firstOf(p.Workers, p.Adapt) }

func (p PoolRequest) most() int { return max(p.Workers, p.Adapt.Max) }

func firstOf(workers int, l Limits) int {
	if l.Max == 0 {
		return workers
	}
	return min(max(workers, l.Min), l.Max)
}

// poolsWithDefaults fills in what was not said of pools.
func (r Request) poolsWithDefaults() []PoolRequest {
	list := slices.Clone(r.Pools)
	for i := range list {
		p := &list[i]
		p.Size = Resources{VCores: cmp.Or(p.Size.VCores, r.Worker.VCores), Memory: cmp.Or(p.Size.Memory, r.Worker.Memory)}
		p.NodeLabel = cmp.Or(p.NodeLabel, r.NodeLabel)
		p.Adapt.Idle = cmp.Or(p.Adapt.Idle, r.Adapt.Idle)
	}
	return list
}

var poolRule = regexp.MustCompile(config.PoolPattern)

// maxPools is how many further ones there can be; spec allows 64.
const maxPools = 32

// checkPools refuses pools that cannot be.
func (r Request) checkPools() error {
	if len(r.Pools) > maxPools {
		return usagef(fmt.Sprintf("Use at most %d --pool", maxPools), "%d pools are too many", len(r.Pools))
	}
	seen := map[string]bool{WorkerPool: true, "scheduler": true, DriverPool: true}
	for _, p := range r.Pools {
		next := "Correct --pool " + p.Name + "=…"
		switch {
		case !poolRule.MatchString(p.Name):
			return usagef("Use lower-case letters, digits and -", "a pool cannot be called %q", p.Name)
		case seen[p.Name]:
			return usagef("Use another name for --pool", "there is a pool %q already", p.Name)
		case p.Workers < 0 || p.Workers > MaxWorkers:
			return usagef(next, "%d workers of pool %s are out of range", p.Workers, p.Name)
		case p.Adapt.Max > 0 && p.Workers > p.Adapt.Max:
			return usagef(next, "%d workers of pool %s to begin with are more than the maximum of %d", p.Workers, p.Name, p.Adapt.Max)
		case p.Size.VCores < 1 || p.Size.VCores > maxVCores, p.Size.Memory < minMemory || p.Size.Memory > maxMemory:
			return usagef(next, "%d vcores and %s of memory of pool %s are out of range", p.Size.VCores, FormatBytes(p.Size.Memory), p.Name)
		case !labelRule.MatchString(p.NodeLabel):
			return usagef(next, "the node label %q cannot be used", p.NodeLabel)
		case p.Opportunistic && p.NodeLabel != "":
			return usagef(next, "pool %s is opportunistic, and YARN gives such containers without looking at node labels (%s)", p.Name, p.NodeLabel)
		case p.MaxPerNode < 0 || p.MaxPerNode > MaxWorkers:
			return usagef(next, "%d workers of pool %s on a node are out of range", p.MaxPerNode, p.Name)
		case p.Opportunistic && p.MaxPerNode > 0:
			return usagef(next, "pool %s is opportunistic, and YARN chooses the nodes of such containers by their queues", p.Name)
		case p.Opportunistic && len(p.Named) > 0:
			return usagef(next, "pool %s is opportunistic, and YARN gives such containers by memory and cores alone", p.Name)
		}
		seen[p.Name] = true
		if err := p.Adapt.check(); err != nil {
			return err
		}
		for name, n := range p.Named {
			if _, err := config.ParsePool(fmt.Sprintf("1,%s=%d", name, n)); err != nil {
				return usagef(next, "%d of %q is no amount of a resource", n, name)
			}
		}
	}
	return nil
}

// pool is a pool of workers of the specification.
func (p PoolRequest) pool(restarts int, files []spec.File, env map[string]string) spec.Pool {
	return spec.Pool{Name: p.Name, Role: spec.RoleWorker, Count: p.first(), Adapt: limitsOf(p.Adapt), MaxRestarts: restarts, Files: files, Env: env,
		NodeLabel: p.NodeLabel, MaxPerNode: p.MaxPerNode, Opportunistic: p.Opportunistic, Resource: spec.Resource{VCores: p.Size.VCores, MemoryMiB: mib(p.Size.Memory), Named: p.Named}}
}

// workerPools are all pools of workers, the one of Request.Worker first.
func (r Request) workerPools() []PoolRequest {
	return append([]PoolRequest{{Name: WorkerPool, Workers: r.Workers, Adapt: r.Adapt, Size: r.Worker, NodeLabel: r.NodeLabel, MaxPerNode: r.WorkersPerNode}}, r.Pools...)
}

// spreads tells whether there is a pool with a bound for each node.
func (r Request) spreads() bool {
	return slices.ContainsFunc(r.workerPools(), func(p PoolRequest) bool { return p.MaxPerNode > 0 })
}
