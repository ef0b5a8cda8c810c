package yarn

import (
	"reflect"
	"slices"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// clusterNow is how the cluster is, if that has changed, under mu.
func (p *Provider) clusterNow(resp *pb.AllocateResponse) *reconcile.Cluster {
	now := reconcile.Cluster{Nodes: int(resp.GetNumClusterNodes()), Room: room(resp.GetLimit(), p.counts)}
	if reflect.DeepEqual(now, p.cluster) {
		return nil
	}
	p.cluster = now
	return &now
}

// room is the headroom that the ResourceManager tells, of what its scheduler counts: one that counts memory alone
// (DefaultResourceCalculator) tells of everything else whatever comes out.
func room(limit *pb.Resource, counts []pb.SchedulerResourceType) *spec.Resource {
	if limit == nil {
		return nil
	}
	r := &spec.Resource{MemoryMiB: max(0, limit.GetMemory()), VCores: -1}
	if !slices.Contains(counts, pb.SchedulerResourceType_CPU) {
		return r
	}
	r.VCores = max(0, int(limit.GetVirtualCores()))
	for _, name := range hadoop.Names(limit)[2:] {
		if r.Named == nil {
			r.Named = map[string]int64{}
		}
		r.Named[name] = max(0, hadoop.Amount(limit, name))
	}
	return r
}
