package main

import (
	"fmt"
	"slices"
	"testing"
)

// slowDeps are the slow twins of the shapes: each task's dependencies, built by hand for
// all tasks at once.
var slowDeps = map[string]func(n int) [][]uint32{
	"map":    func(n int) [][]uint32 { return make([][]uint32, n) },
	"ack":    func(n int) [][]uint32 { return make([][]uint32, n) },
	"submit": func(n int) [][]uint32 { return make([][]uint32, n) },
	"chain": func(n int) [][]uint32 {
		g := make([][]uint32, n)
		for i := 1; i < n; i++ {
			g[i] = []uint32{uint32(i) - 1}
		}
		return g
	},
	"merge":      slowMerge,
	"merge_slow": slowMerge,
	"stencil": func(n int) [][]uint32 {
		g := make([][]uint32, n)
		width := min(n, 1000)
		for i := width; i < n; i++ {
			set := map[uint32]bool{}
			for _, step := range []int{-1, 0, 1} {
				set[uint32((i/width-1)*width+(i%width+step+width)%width)] = true
			}
			for d := range set {
				g[i] = append(g[i], d)
			}
		}
		return g
	},
	"broadcast": func(n int) [][]uint32 {
		g := make([][]uint32, n)
		for i := 1; i < n; i++ {
			g[i] = []uint32{0}
		}
		return g
	},
	"transfer": func(n int) [][]uint32 {
		g := make([][]uint32, n+n%2)
		for i := 1; i < len(g); i += 2 {
			g[i] = []uint32{uint32(i) - 1}
		}
		return g
	},
	"spill": func(n int) [][]uint32 {
		half := (n + 1) / 2
		g := make([][]uint32, 2*half)
		for i := range half {
			g[half+i] = []uint32{uint32(i)}
		}
		return g
	},
}

func slowMerge(n int) [][]uint32 {
	g := make([][]uint32, n)
	for i := range n - 1 {
		g[n-1] = append(g[n-1], uint32(i))
	}
	return g
}

func TestShapesAgainstTwins(t *testing.T) {
	for name, twin := range slowDeps {
		for _, n := range []int{1, 2, 3, 4, 7, 999, 1000, 1001, 3456} {
			s, err := findShape(name)
			if err != nil {
				t.Fatal(err)
			}
			got := s.source(options{tasks: n, size: valueLen})
			want := twin(n)
			if got.len() != len(want) {
				t.Fatalf("%s of %d has %d tasks, want %d", name, n, got.len(), len(want))
			}
			for i := range want {
				deps := slices.Sorted(slices.Values(got.deps(i, nil)))
				if !slices.Equal(deps, slices.Sorted(slices.Values(want[i]))) {
					t.Fatalf("%s of %d: task %d needs %v, want %v", name, n, i, deps, want[i])
				}
			}
		}
	}
}

// A tree's tasks need at most two others, each is needed once but the last, and none is
// deeper than the logarithm of their number.
func TestTree(t *testing.T) {
	for n := 1; n < 300; n++ {
		tree := treeDeps(n)
		needed := make([]int, n)
		depth := make([]int, n)
		for i := range n {
			deps := tree(i, nil)
			if len(deps) > 2 {
				t.Fatalf("of %d: task %d needs %v", n, i, deps)
			}
			for _, d := range deps {
				if int(d) >= i {
					t.Fatalf("of %d: task %d needs %v", n, i, deps)
				}
				needed[d]++
				depth[i] = max(depth[i], depth[d]+1)
			}
		}
		most := 0
		for 1<<(most+1) <= n {
			most++
		}
		for i := range n - 1 {
			if needed[i] != 1 {
				t.Fatalf("of %d: task %d is needed %d times", n, i, needed[i])
			}
		}
		if needed[n-1] != 0 || depth[n-1] != most {
			t.Fatalf("of %d: the root is needed %d times, at depth %d, want %d", n, needed[n-1], depth[n-1], most)
		}
	}
}

func TestSizes(t *testing.T) {
	o := options{tasks: 4, size: 1000}
	for name, want := range map[string]string{
		"map": "[1000 1000 1000 1000]", "broadcast": "[1000 8 8 8]", "transfer": "[1000 8 1000 8]", "spill": "[1000 1000 8 8]",
	} {
		s, err := findShape(name)
		if err != nil {
			t.Fatal(err)
		}
		src := s.source(o)
		var got []uint64
		for i := range src.len() {
			got = append(got, src.at(i).bytes)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: results of %v bytes, want %s", name, got, want)
		}
	}
}
