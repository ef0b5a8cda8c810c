package schedtest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
)

// submitAt adds n tasks of one class to a new job; deps and hosts may be nil.
func (w *Timed) submitAt(at int64, job graph.JobID, class graph.Class, n int, deps func(i uint32) []uint32) {
	w.At(at, sched.OpenJob{Job: job})
	w.At(at, sched.DeclareClass{Job: job, Spec: class})
	b := &graph.Batch{Job: job, Class: make([]graph.ClassID, n)}
	hosts := map[string]uint32{}
	for i := range uint32(n) {
		id := graph.TaskID{Job: job, Index: i}
		if deps != nil {
			for _, d := range deps(i) {
				b.Deps = append(b.Deps, graph.TaskID{Job: job, Index: d})
			}
		}
		b.DepEnd = append(b.DepEnd, uint32(len(b.Deps)))
		if w.Hosts != nil {
			for _, h := range w.Hosts(id) {
				if _, ok := hosts[h]; !ok {
					hosts[h] = uint32(len(b.HostNames))
					b.HostNames = append(b.HostNames, h)
				}
				b.Hosts = append(b.Hosts, hosts[h])
			}
		}
		b.HostEnd = append(b.HostEnd, uint32(len(b.Hosts)))
	}
	w.At(at, sched.Submit{Batch: b})
}

// scan is a job over the blocks of a file, one task a block.
type scan struct {
	name      string
	hosts     int
	workers   int
	slots     int
	blocks    int
	replicas  int
	millis    int64 // of a block
	spread    int   // workers join over so many milliseconds
	jobFirst  bool  // the job is submitted before the workers join
	skew      bool  // the first host has twice its share
	local     float64
	idleShare float64 // of the slots' time until the last task ended
}

func TestScanLocality(t *testing.T) {
	for _, s := range []scan{
		{name: "even, workers first", hosts: 3, workers: 20, slots: 1, blocks: 100, replicas: 1, millis: 1500, spread: 2000, local: 0.8, idleShare: 0.2},
		{name: "even, job first", hosts: 3, workers: 20, slots: 1, blocks: 100, replicas: 1, millis: 1500, spread: 2000, jobFirst: true, local: 0.8, idleShare: 0.3},
		{name: "few blocks", hosts: 3, workers: 20, slots: 1, blocks: 20, replicas: 1, millis: 700, local: 0.8, idleShare: 0.6},
		{name: "short blocks", hosts: 3, workers: 20, slots: 1, blocks: 800, replicas: 1, millis: 20, local: 0.8, idleShare: 0.3},
		{name: "very short blocks", hosts: 3, workers: 6, slots: 4, blocks: 5000, replicas: 1, millis: 1, local: 0.8, idleShare: 0.4},
		{name: "many slots", hosts: 3, workers: 6, slots: 4, blocks: 200, replicas: 1, millis: 500, local: 0.8, idleShare: 0.25},
		{name: "three replicas of ten hosts", hosts: 10, workers: 20, slots: 2, blocks: 400, replicas: 3, millis: 300, local: 0.95, idleShare: 0.15},
		{name: "skewed", hosts: 3, workers: 12, slots: 1, blocks: 240, replicas: 1, millis: 400, skew: true, local: 0.7, idleShare: 0.25},
		{name: "half of the hosts have no worker", hosts: 6, workers: 6, slots: 2, blocks: 120, replicas: 1, millis: 400, local: 0.3, idleShare: 0.3},
	} {
		t.Run(s.name, func(t *testing.T) {
			for seed := range uint64(5) {
				w, idle := s.run(seed)
				local := float64(w.Local) / float64(w.Local+w.Away)
				if seed == 0 {
					t.Logf("local %.2f, idle %.2f, %d ms, %d retractions", local, idle, w.Last/1000, w.Retracts)
				}
				if w.Local+w.Away != s.blocks {
					t.Errorf("seed %d: %d of %d tasks ran", seed, w.Local+w.Away, s.blocks)
				}
				if local < s.local || idle > s.idleShare {
					t.Errorf("seed %d: local %.2f (want %.2f), idle %.2f (want at most %.2f)", seed, local, s.local, idle, s.idleShare)
				}
			}
		})
	}
}

func (s scan) run(seed uint64) (w *Timed, idle float64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	places := make([][]string, s.blocks)
	for b := range places {
		first := b % s.hosts
		if s.skew && b%(s.hosts+1) == s.hosts {
			first = 0
		}
		for r := range s.replicas {
			places[b] = append(places[b], fmt.Sprintf("nm%d", (first+r*(1+b%3))%s.hosts))
		}
	}
	rng.Shuffle(len(places), func(a, b int) { places[a], places[b] = places[b], places[a] })
	w = NewTimed(sched.Config{})
	w.Latency, w.Remote = 300, s.millis*200
	w.Hosts = func(t graph.TaskID) []string { return places[t.Index] }
	w.Duration = func(t graph.TaskID) int64 { return s.millis * (800 + int64(t.Index*7919%400)) }
	begin := int64(1_000_000)
	for n := range s.workers {
		at := int64(s.spread) * 1000 * int64(n) / int64(s.workers)
		host := n % s.hosts
		if s.hosts == s.workers {
			host = n % (s.hosts / 2)
		}
		w.At(begin+at, sched.WorkerJoined{Worker: graph.WorkerID(n + 1), Host: fmt.Sprintf("nm%d", host), Slots: s.slots})
	}
	start := begin + int64(s.spread)*1000 + 1000
	if s.jobFirst {
		start = 0
	}
	w.submitAt(start, 1, graph.Class{Name: "scan"}, s.blocks, nil)
	w.Run(1 << 40)
	total := float64(w.Last-max(start, begin)) * float64(s.workers*s.slots)
	return w, 1 - float64(w.BusyTime)/total
}

// Work that was dealt out before a worker joined, or that turns out uneven, moves
// to whoever is idle.
func TestIdleTime(t *testing.T) {
	for _, k := range []struct {
		name     string
		workers  int
		slots    int
		late     int // of the workers, join after a second and a half
		tasks    int
		duration func(i uint32) int64 // microseconds
		idle     float64
	}{
		{"late workers", 8, 1, 7, 64, func(uint32) int64 { return 1_000_000 }, 0.2},
		{"late workers, short tasks", 8, 2, 7, 20000, func(uint32) int64 { return 2000 }, 0.1},
		{"uneven", 10, 1, 0, 400, func(i uint32) int64 { return 1000 * (1 + int64(i*i%97)) }, 0.1},
		{"a few long ones among short ones", 10, 2, 0, 2000, func(i uint32) int64 {
			if i%200 == 0 {
				return 2_000_000
			}
			return 10_000
		}, 0.45}, // the last long one begins when half of the work is done
		{"tiny", 4, 1, 0, 50_000, func(uint32) int64 { return 20 }, 0.1},
		{"200 workers", 200, 1, 0, 5000, func(i uint32) int64 { return 5000 + int64(i%7)*1000 }, 0.15},
	} {
		t.Run(k.name, func(t *testing.T) {
			w := NewTimed(sched.Config{})
			w.Latency = 200
			w.Duration = func(id graph.TaskID) int64 { return k.duration(id.Index) }
			var slots, late int64
			for n := range k.workers {
				at := int64(0)
				if n >= k.workers-k.late {
					at = 1_500_000
					late += at * int64(k.slots)
				}
				slots += int64(k.slots)
				w.At(at, sched.WorkerJoined{Worker: graph.WorkerID(n + 1), Slots: k.slots})
			}
			w.submitAt(0, 1, graph.Class{}, k.tasks, nil)
			w.Run(1 << 40)
			idle := 1 - float64(w.BusyTime)/float64(w.Last*slots-late)
			t.Logf("idle %.3f, %d ms, %d turns, %d assignments, %d retractions", idle, w.Last/1000, w.Turns, w.Assigns, w.Retracts)
			if w.Ended != k.tasks || idle > k.idle {
				t.Errorf("%d of %d ended, idle %.3f, want at most %.3f", w.Ended, k.tasks, idle, k.idle)
			}
		})
	}
}
