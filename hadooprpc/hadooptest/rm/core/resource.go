package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// plus is a+b; neither is changed, and the sum shares nothing with them.
func plus(a, b Resource) Resource { return combine(a, b, 1) }

// minus is a-b.
func minus(a, b Resource) Resource { return combine(a, b, -1) }

func combine(a, b Resource, sign int64) Resource {
	out := Resource{MemoryMiB: a.MemoryMiB + sign*b.MemoryMiB, VCores: a.VCores + int32(sign)*b.VCores}
	if len(a.Others) == 0 && len(b.Others) == 0 {
		return out
	}
	out.Others = maps.Clone(a.Others)
	if out.Others == nil {
		out.Others = make(map[string]int64, len(b.Others))
	}
	for k, v := range b.Others {
		if out.Others[k] += sign * v; out.Others[k] == 0 {
			delete(out.Others, k)
		}
	}
	return out
}

// fits tells whether b holds a.
func fits(a, b Resource) bool {
	if a.MemoryMiB > b.MemoryMiB || a.VCores > b.VCores {
		return false
	}
	for k, v := range a.Others {
		if v > b.Others[k] {
			return false
		}
	}
	return true
}

func scaled(a Resource, f float64) Resource {
	out := Resource{MemoryMiB: int64(float64(a.MemoryMiB) * f), VCores: int32(float64(a.VCores) * f)}
	for k, v := range a.Others {
		if out.Others == nil {
			out.Others = make(map[string]int64)
		}
		out.Others[k] = int64(float64(v) * f)
	}
	return out
}

// lesser is the smaller of both, component by component; what is missing in b counts as nothing.
func lesser(a, b Resource) Resource {
	out := Resource{MemoryMiB: min(a.MemoryMiB, b.MemoryMiB), VCores: min(a.VCores, b.VCores)}
	for k, v := range a.Others {
		if out.Others == nil {
			out.Others = make(map[string]int64)
		}
		out.Others[k] = min(v, b.Others[k])
	}
	return out
}

func greater(a, b Resource) Resource {
	out := Resource{MemoryMiB: max(a.MemoryMiB, b.MemoryMiB), VCores: max(a.VCores, b.VCores), Others: maps.Clone(a.Others)}
	for k, v := range b.Others {
		if out.Others == nil {
			out.Others = make(map[string]int64)
		}
		out.Others[k] = max(v, out.Others[k])
	}
	return out
}

func positive(a Resource) Resource {
	a.MemoryMiB, a.VCores = max(a.MemoryMiB, 0), max(a.VCores, 0)
	for k, v := range a.Others {
		if v < 0 {
			delete(a.Others, k)
		}
	}
	return a
}

func equal(a, b Resource) bool {
	return a.MemoryMiB == b.MemoryMiB && a.VCores == b.VCores && maps.Equal(a.Others, b.Others)
}

// roundUp is the smallest multiple of step that is at least n and step.
func roundUp[N int32 | int64](n, step N) N { return max((n+step-1)/step, 1) * step }

// normalize rounds an ask up, and drops resources that the cluster does not count. Source:
// DominantResourceCalculator.normalize; that unknown resources vanish was seen on 3.4.2.
func (c *Cluster) normalize(r Resource) Resource {
	out := Resource{MemoryMiB: roundUp(r.MemoryMiB, c.cfg.Min.MemoryMiB), VCores: roundUp(r.VCores, c.cfg.Min.VCores)}
	for k, v := range r.Others {
		if v != 0 && slices.Contains(c.cfg.Types, k) {
			if out.Others == nil {
				out.Others = make(map[string]int64)
			}
			out.Others[k] = v
		}
	}
	return out
}

// text prints a resource as Java's Resource.toString does.
func text(r Resource) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<memory:%d, vCores:%d", r.MemoryMiB, r.VCores)
	for _, k := range slices.Sorted(maps.Keys(r.Others)) {
		fmt.Fprintf(&b, ", %s: %d", k, r.Others[k])
	}
	return b.String() + ">"
}

// beyond names the first component in which r is below zero or above limit, or "".
func beyond(r, limit Resource) (name string, negative bool) {
	switch {
	case r.MemoryMiB < 0 || r.MemoryMiB > limit.MemoryMiB:
		return "memory-mb", r.MemoryMiB < 0
	case r.VCores < 0 || r.VCores > limit.VCores:
		return "vcores", r.VCores < 0
	}
	for _, k := range slices.Sorted(maps.Keys(r.Others)) {
		if v := r.Others[k]; v < 0 || v > limit.Others[k] {
			return k, v < 0
		}
	}
	return "", false
}
