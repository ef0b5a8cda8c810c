package appmaster

import (
	"testing"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// What a queue has room for is told in containers, as far as it is known.
func TestRoomFor(t *testing.T) {
	p := &spec.Pool{Resource: spec.Resource{MemoryMiB: 1024, VCores: 2, Named: map[string]int64{"yarn.io/gpu": 1}}}
	labelled := *p
	labelled.NodeLabel = "fast"
	for name, x := range map[string]struct {
		pool *spec.Pool
		room *spec.Resource
		want int32 // -1: nil
	}{
		"nothing is told":       {p, nil, -1},
		"memory":                {p, &spec.Resource{MemoryMiB: 5000, VCores: -1}, 4},
		"cores":                 {p, &spec.Resource{MemoryMiB: 5000, VCores: 5}, 2},
		"gpus":                  {p, &spec.Resource{MemoryMiB: 5000, VCores: 5, Named: map[string]int64{"yarn.io/gpu": 1, "other": 0}}, 1},
		"none":                  {p, &spec.Resource{MemoryMiB: 1023, VCores: -1}, 0},
		"no end of it":          {p, &spec.Resource{MemoryMiB: 1 << 50, VCores: -1}, maxContainers},
		"of nodes with a label": {&labelled, &spec.Resource{MemoryMiB: 5000, VCores: 5}, -1},
	} {
		got := roomFor(x.pool, x.room)
		if x.want < 0 && got != nil || x.want >= 0 && (got == nil || *got != x.want) {
			t.Errorf("%s: %v, want %d", name, got, x.want)
		}
	}
}

// What nodes may have of a pool bounds the room that the queue has, or that nobody knows.
func TestRoomWithinNodes(t *testing.T) {
	five := int32(5)
	for _, x := range []struct {
		room  *int32
		space int
		want  int32 // -1: nil
	}{{nil, -1, -1}, {&five, -1, 5}, {nil, 3, 3}, {&five, 3, 3}, {&five, 7, 5}, {&five, 0, 0}} {
		if got := within(x.room, x.space); x.want < 0 && got != nil || x.want >= 0 && (got == nil || *got != x.want) {
			t.Errorf("%+v: %v", x, got)
		}
	}
}
