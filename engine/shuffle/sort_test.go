package shuffle

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// records are entries with the keys that they are of, 16 bytes each.
func records(n, parts int, key func(i int) []byte) (keys []byte, entries []entry) {
	for i := range n {
		k := key(i)
		entries = append(entries, entry{prefixOf(k), uint32(i*7) % uint32(parts), uint32(len(keys))})
		keys = append(keys, k...)
	}
	return keys, entries
}

// Whatever the keys are like, the order is the one that comparing gives.
func TestSortEntries(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	number := func(n uint64) []byte {
		k := make([]byte, 16)
		binary.BigEndian.PutUint64(k, n)
		binary.BigEndian.PutUint64(k[8:], r.Uint64N(4))
		return k
	}
	kinds := map[string]func(i int) []byte{
		"any":            func(int) []byte { return number(r.Uint64()) },
		"equal":          func(int) []byte { return number(5) },
		"few":            func(int) []byte { return number(r.Uint64N(3) << 60) },
		"small":          func(int) []byte { return number(r.Uint64N(1000)) },
		"counted":        func(i int) []byte { return number(uint64(i)) },
		"backwards":      func(i int) []byte { return number(^uint64(i)) },
		"one far away":   func(i int) []byte { return number(r.Uint64N(1000) | uint64(1/(i+1))<<63) },
		"a common start": func(int) []byte { return number(0xabcdef<<40 | r.Uint64N(1<<20)) },
	}
	for name, key := range kinds {
		for _, n := range []int{0, 1, few - 1, few, 20_000} {
			for _, parts := range []int{1, 2, 300, 5000} {
				keys, a := records(n, parts, key)
				keyAt := func(at uint32) []byte { return keys[at : at+16] }
				compare := func(x, y entry) int { return compareEntries(x, y, keyAt) }
				want := slices.Clone(a)
				slices.SortFunc(want, compare)
				if got := sortEntries(a, make([]entry, n), compare); !slices.Equal(got, want) {
					t.Errorf("%s: %d in %d parts come in another order", name, n, parts)
				}
			}
		}
	}
}

func BenchmarkSort(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{10_000, 700_000} {
		keys, a := records(n, 8, func(int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 16), r.Uint64())[:16] })
		compare := func(x, y entry) int { return compareEntries(x, y, func(at uint32) []byte { return keys[at : at+16] }) }
		one, other := make([]entry, n), make([]entry, n)
		run := func(name string, sort func()) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					copy(one, a)
					sort()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
			})
		}
		run("digits", func() { sortEntries(one, other, compare) })
		run("compare", func() { slices.SortFunc(one, compare) })
	}
}
