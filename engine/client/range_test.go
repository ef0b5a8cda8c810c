package client

import (
	"math/rand/v2"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// tally is a sink that counts how often each tag was told.
type tally struct{ told []int }

func (y *tally) Ended(tags []uint32) {
	for _, i := range tags {
		y.told[i]++
	}
}

func (y *tally) EndedRun(first, n uint32) {
	for i := first; i < first+n; i++ {
		y.told[i]++
	}
}

// TestHeldRanges does what is random to ranges and single tasks that share pages, and
// compares what is known of them with a list. Each end is told once.
func TestHeldRanges(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var tab table
		var states []state // of each task
		var sinks []*tally
		sinkOf := map[uint32][2]int{} // task → sink and tag
		told := func(to news) { to.tell() }
		for range 60 {
			n := uint32(len(states))
			switch {
			case n == 0 || rnd.IntN(6) == 0:
				count := 1 + rnd.Uint32N(4*pageSize)
				sinks = append(sinks, &tally{make([]int, count)})
				tab.holdRange(graph.Run{First: n, N: count}, sinks[len(sinks)-1])
				for k := range count {
					sinkOf[n+k] = [2]int{len(sinks) - 1, int(k)}
					states = append(states, pending)
				}
			case rnd.IntN(5) == 0:
				tab.hold(n)
				states = append(states, pending)
			case rnd.IntN(2) == 0:
				var to news
				if i := rnd.Uint32N(n); tab.find(i).held() {
					tab.find(i).end(small([]byte{1}), &to)
					states[i] = inline
				}
				told(to)
			default:
				var to news
				from := rnd.Uint32N(n)
				end := min(n, from+1+rnd.Uint32N(3*pageSize))
				for i := from; i < end; {
					next := tab.releaseBare(i, end, &to)
					if c := tab.find(i); next == i && c.held() {
						c.end(&Outcome{Err: ErrReleased}, &to)
						tab.forget(i)
					}
					for next = max(next, i+1); i < next; i++ {
						states[i] = free
					}
				}
				told(to)
			}
			checkHeld(t, seed, &tab, states)
		}
		told(tab.failCells(ErrClosed))
		for i, s := range states {
			c := tab.find(uint32(i))
			if c.held() != (s != free) {
				t.Fatalf("seed %d: task %d is held: %v, after the end", seed, i, c.held())
			}
			if s != free {
				if o, ok := c.outcome(graph.TaskID{}); !ok || (o.Err != nil) != (s == pending) {
					t.Fatalf("seed %d: task %d, which was %v: %+v (%v)", seed, i, s, o, ok)
				}
			}
			if at, ranged := sinkOf[uint32(i)]; ranged && sinks[at[0]].told[at[1]] != 1 {
				t.Fatalf("seed %d: the end of task %d was told %d times", seed, i, sinks[at[0]].told[at[1]])
			}
		}
	}
}

func checkHeld(t *testing.T, seed uint64, tab *table, states []state) {
	t.Helper()
	for i, s := range states {
		got := pending
		if tab.bare(uint32(i)) == nil {
			if p := tab.pages[uint32(i)/pageSize]; p == nil {
				got = free
			} else {
				got = p.state[i%pageSize]
			}
		}
		if got != s {
			t.Fatalf("seed %d: task %d is %v, must be %v", seed, i, got, s)
		}
	}
}
