package edgeclient

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
)

// What a flag says comes back as it was, and into the specification with what it leaves out.
func TestPools(t *testing.T) {
	const text = "0:4,memory=8GiB,vcores=2,yarn.io/gpu=1,label=fast,max-per-node=2"
	p, err := ParsePool("gpu=" + text)
	if err != nil || p.String() != text {
		t.Fatalf("%+v is %q, %v", p, p.String(), err)
	}
	r := Request{Workers: 3, NodeLabel: "all", AMLabel: "safe", WorkersPerNode: 3, Worker: Resources{VCores: 2}, Pools: []PoolRequest{p, {Name: "more", Workers: 5}}}.withDefaults()
	if err := r.check(); err != nil {
		t.Fatal(err)
	}
	if r.first() != 8 || r.most() != 12 {
		t.Errorf("%d workers to begin with, %d at most", r.first(), r.most())
	}
	app := application(newID, r, "alice", "hdfs://nn/staging", []spec.File{{Name: spec.ProgramName, URL: "hdfs://nn/p", Visibility: spec.Private}}, nil)
	if err := app.Validate(); err != nil {
		t.Fatal(err)
	}
	gpu, more := app.Pool("gpu"), app.Pool("more")
	if want := (spec.Resource{VCores: 2, MemoryMiB: 8192, Named: map[string]int64{GPU: 1}}); !reflect.DeepEqual(gpu.Resource, want) || gpu.NodeLabel != "fast" || gpu.MaxPerNode != 2 || gpu.Adapt.Max != 4 || gpu.Count != 0 {
		t.Errorf("%+v", gpu)
	}
	if want := (spec.Resource{VCores: 2, MemoryMiB: 1024}); !reflect.DeepEqual(more.Resource, want) || more.NodeLabel != "all" || more.MaxPerNode != 0 || more.Adapt != nil || more.Count != 5 {
		t.Errorf("%+v", more)
	}
	if n := app.Pool(WorkerPool).MaxPerNode; n != 3 {
		t.Errorf("%d workers on a node", n)
	}
	if l := app.Pool("scheduler").NodeLabel; l != "all" {
		t.Errorf("the scheduler's label is %q", l)
	}
	for _, wrong := range [][]PoolRequest{
		{{Name: "worker"}}, {{Name: "driver"}}, {{Name: "A"}}, {{Name: ""}}, {p, p}, {{Name: "x", Workers: -1}}, {{Name: "x", Workers: 5, Adapt: Limits{Max: 4}}},
		{{Name: "x", Opportunistic: true, NodeLabel: "fast"}}, {{Name: "x", Opportunistic: true, Named: map[string]int64{GPU: 1}}},
		{{Name: "x", MaxPerNode: -1}}, {{Name: "x", MaxPerNode: 1, Opportunistic: true}}, {{Name: "x", Size: Resources{Memory: 1}}}, {{Name: "x", NodeLabel: "a b"}}, {{Name: "x", Named: map[string]int64{GPU: 0}}},
	} {
		if err := (Request{Pools: wrong}).Check(); CodeOf(err) != Usage {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// Resources and labels that a cluster does not have are refused before anything is staged;
// those that it has are not.
func TestPlacement(t *testing.T) {
	bundle := staticProgram(t)
	m := newMiniOf(t, minicluster.Options{Cluster: core.Config{Types: []string{GPU}, Labels: []string{"fast"}}})
	m.RM.Hold("default", true)
	for name, x := range map[string]struct {
		r    Request
		says string // "": it is taken
	}{
		"a label of the application's": {Request{NodeLabel: "slow"}, `wants nodes with the label "slow", of which there are none. Use one of fast`},
		"a label of the master's":      {Request{AMLabel: "slow"}, `the application master wants nodes with the label "slow"`},
		"a label of the scheduler's":   {Request{SchedulerLabel: "slow"}, `the scheduler wants nodes with the label "slow"`},
		"a label of a pool's":          {Request{Pools: []PoolRequest{{Name: "x", NodeLabel: "slow"}}}, `pool x wants nodes with the label "slow"`},
		"a resource":                   {Request{Pools: []PoolRequest{{Name: "x", Named: map[string]int64{"yarn.io/fpga": 1}}}}, "pool x wants yarn.io/fpga, which this cluster does not have"},
		"what is not switched on":      {Request{Pools: []PoolRequest{{Name: "x", Opportunistic: true}}}, "yarn.resourcemanager.opportunistic-container-allocation.enabled is false"},
		"a large one":                  {Request{Pools: []PoolRequest{{Name: "x", Size: Resources{Memory: 1 << 45}}}}, "Try --pool x=…,memory="},
		"what there is":                {Request{AMLabel: "fast", SchedulerLabel: "fast", Pools: []PoolRequest{{Name: "x", Workers: 1, NodeLabel: "fast", Named: map[string]int64{GPU: 1}}}}, ""},
	} {
		x.r.Bundle = bundle
		report, err := m.c.Submit(t.Context(), x.r)
		if x.says != "" {
			if CodeOf(err) != Refused || !strings.Contains(err.Error(), x.says) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := m.c.Kill(t.Context(), report, "test"); err != nil {
			t.Error(err)
		}
	}
	m.leftNothing(t)
}

// The address space of each kind of container is looked at, of which there may be one.
func TestMapping(t *testing.T) {
	r := Request{Pools: []PoolRequest{{Name: "small", Workers: 4, Size: Resources{Memory: 256 * MiB}}, {Name: "none"}}}.withDefaults()
	var got []string
	for _, x := range r.mapping(1, 2, 3) {
		got = append(got, fmt.Sprintf("%s %s %d: %s", x.role, FormatBytes(x.have), x.mapped, fmt.Sprintf(x.flag, 512)))
	}
	want := []string{
		"am " + FormatBytes(r.AM.Memory) + " 1: --am-memory 512MiB",
		"scheduler " + FormatBytes(r.Scheduler.Memory) + " 2: --scheduler-memory 512MiB",
		"pool small 256MiB 3: --pool small=…,memory=512MiB",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
