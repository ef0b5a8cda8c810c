package yarn

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// Names of the two resources that every cluster counts, and of GPUs. Source: ResourceInformation (3.4.2).
const (
	Memory = "memory-mb"
	Vcores = "vcores"
	GPU    = "yarn.io/gpu"
)

// OpportunisticSetting is the ResourceManager's setting without which a request for opportunistic containers is one for
// guaranteed containers, and nothing says so (seen on 3.4.2).
const OpportunisticSetting = "yarn.resourcemanager.opportunistic-container-allocation.enabled"

// OpportunisticQueueSetting is the NodeManagers' setting of how many opportunistic containers may wait on a node for room:
// with 0, its default, a node gets none (NodeQueueLoadMonitor.LoadComparator, 3.4.2).
const OpportunisticQueueSetting = "yarn.nodemanager.opportunistic-containers-max-queue-length"

// NewResource is an amount of memory in MiB, virtual cores, and further resources by name in their base units.
//
// The ResourceManager silently skips resources that it does not know (seen on 3.4.2): compare the names with
// Client.ResourceTypes, or with what Register returns, before asking.
func NewResource(memoryMiB int64, vcores int32, extra map[string]int64) *pb.Resource {
	r := &pb.Resource{Memory: proto.Int64(memoryMiB), VirtualCores: proto.Int32(vcores)}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		r.ResourceValueMap = append(r.ResourceValueMap, &pb.ResourceInformation{
			Key: proto.String(name), Value: proto.Int64(extra[name]), Units: proto.String(""),
			Type: pb.ResourceType_COUNTABLE.Enum(),
		})
	}
	return r
}

// units are the prefixes of org.apache.hadoop.yarn.util.UnitsConversionUtil (3.4.2), as powers.
var units = map[string]float64{
	"p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1,
	"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
	"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50,
}

// Amount is how much of a resource r holds: memory in MiB, anything else in its base unit. A unit that is not known
// counts as the base unit.
func Amount(r *pb.Resource, name string) int64 {
	switch name {
	case Memory:
		return r.GetMemory()
	case Vcores:
		return int64(r.GetVirtualCores())
	}
	for _, x := range r.GetResourceValueMap() {
		if x.GetKey() == name {
			return scale(x.GetValue(), x.GetUnits())
		}
	}
	return 0
}

func scale(v int64, unit string) int64 {
	f, ok := units[unit]
	if !ok || f == 1 {
		return v
	}
	return int64(min(float64(v)*f, math.MaxInt64>>1))
}

// Names lists the resources that r mentions, memory and virtual cores first.
func Names(r *pb.Resource) []string {
	out := []string{Memory, Vcores}
	for _, x := range r.GetResourceValueMap() {
		if !slices.Contains(out, x.GetKey()) {
			out = append(out, x.GetKey())
		}
	}
	slices.Sort(out[2:])
	return out
}

// FitsIn tells whether b holds at least as much of everything as a does.
func FitsIn(a, b *pb.Resource) bool {
	for _, n := range Names(a) {
		if Amount(a, n) > Amount(b, n) {
			return false
		}
	}
	return true
}

// ResourceString prints r, for example "1024 MiB, 2 vcores, 1 yarn.io/gpu".
func ResourceString(r *pb.Resource) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d MiB, %d vcores", r.GetMemory(), r.GetVirtualCores())
	for _, n := range Names(r)[2:] {
		if v := Amount(r, n); v != 0 {
			fmt.Fprintf(&b, ", %d %s", v, n)
		}
	}
	return b.String()
}
