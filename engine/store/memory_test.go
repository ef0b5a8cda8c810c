package store

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/checksum"
)

// TestMemoryAgainstTwin gives out and takes back spans at random: none overlaps another,
// the counts are those of a plain list, what is kept stays below the limit, and goes
// when nobody takes it.
func TestMemoryAgainstTwin(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		m := &memory{limit: 16 << 20}
		type lent struct {
			span
			mark byte
		}
		var out []lent
		used := 0
		for i := range 2_000 {
			if rnd.IntN(5) < 2 && len(out) > 0 || used > 14<<20 {
				j := rnd.IntN(len(out))
				l := out[j]
				if l.bytes[0] != l.mark || l.bytes[len(l.bytes)-1] != l.mark {
					t.Fatalf("seed %d, step %d: a span's bytes were changed", seed, i)
				}
				used -= cap(l.bytes)
				m.put(l.span)
				out = slices.Delete(out, j, j+1)
			} else {
				n := 1 + rnd.IntN(lengths[rnd.IntN(len(lengths))])
				sp, err := m.get(n)
				if err != nil || len(sp.bytes) != n || cap(sp.bytes) < n {
					t.Fatalf("%d bytes: %d of %d, %v", n, len(sp.bytes), cap(sp.bytes), err)
				}
				l := lent{sp, byte(i)}
				sp.bytes[0], sp.bytes[n-1] = l.mark, l.mark
				out = append(out, l)
				used += cap(sp.bytes)
			}
			idle := 0
			for ci := range m.classes {
				for _, r := range m.classes[ci].free {
					idle += len(r.idle) * lengths[ci]
				}
			}
			if m.used != used || m.idle != idle || idle > 0 && used+idle > m.limit {
				t.Fatalf("seed %d, step %d: used %d, want %d; idle %d, want %d", seed, i, m.used, used, m.idle, idle)
			}
		}
		m.put(out[0].span) // so that something is idle, and the timer is set
		out = out[1:]
		for m.timer != nil { // what has been idle for all of the time goes
			m.timer.Stop()
			m.expire()
		}
		if m.idle != 0 || m.timer != nil {
			t.Errorf("seed %d: %d bytes stay idle", seed, m.idle)
		}
		m.close()
		for _, l := range out {
			m.put(l.span)
		}
		if m.mapped != 0 || m.used != 0 || m.idle != 0 {
			t.Errorf("seed %d: %d bytes mapped, %d used, %d idle at the end", seed, m.mapped, m.used, m.idle)
		}
	}
}

// A page that is larger than some classes leaves those out.
func TestLargePages(t *testing.T) {
	defer func(n int) { pageSize = n }(pageSize)
	pageSize = 64 << 10
	m := &memory{}
	for _, n := range []int{1, 5_000, 65 << 10, 700 << 10, checksum.Block} {
		sp, err := m.get(n)
		if err != nil || cap(sp.bytes)%pageSize != 0 || len(sp.bytes) != n {
			t.Errorf("%d bytes: %d of %d, %v", n, len(sp.bytes), cap(sp.bytes), err)
		}
		m.put(sp)
	}
	if footprint(1) != 64<<10 || footprint(65<<10) != 128<<10 {
		t.Error("footprints are not of whole pages")
	}
	m.close()
	if m.mapped != 0 {
		t.Errorf("%d bytes mapped", m.mapped)
	}
}
