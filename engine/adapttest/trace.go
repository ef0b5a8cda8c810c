package adapttest

import (
	"math"
	"math/rand/v2"
	"time"
)

// Trace is work that comes at known times, and what the cluster does meanwhile.
type Trace struct {
	Name  string
	Title string        // in words
	Max   int           // workers
	Start time.Duration // of a worker in its container, about
	Jobs  []Job         // in the order of At
	Cuts  []Cut         // in the order of At
}

// Job is tasks that come together.
type Job struct {
	At    time.Duration
	Class string // tasks of one name are alike, as far as anybody knows before they run
	Took  []time.Duration
	Deps  [][]uint32 // by task: earlier tasks of the job; nil: none has any
}

// Cut leaves the application at most so many containers from a moment on; what it has
// more is preempted.
type Cut struct {
	At   time.Duration
	Most int
}

// Traces are those of the benchmark. They follow from the seed. Start is what starts take.
func Traces(seed uint64, start time.Duration) []Trace {
	r := rand.New(rand.NewPCG(seed, 1))
	all := []Trace{burst(r), steps(r), longTail(r), sine(r), giant(r), storm(r), gusts(r)}
	for i := range all {
		all[i].Start = start
	}
	return all
}

// Quick is how long the start of a worker takes that is a program and nothing else.
const Quick = 2500 * time.Millisecond

// about is n durations around one, by a fifth more or less.
func about(r *rand.Rand, n int, d time.Duration) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = time.Duration(float64(d) * (0.8 + 0.4*r.Float64()))
	}
	return out
}

func burst(r *rand.Rand) Trace {
	return Trace{Name: "burst", Title: "3,000 tasks of 10 s at once, 1,500 more after 20 minutes", Max: 40, Jobs: []Job{
		{At: 0, Class: "a", Took: about(r, 3000, 10*time.Second)},
		{At: 20 * time.Minute, Class: "a", Took: about(r, 1500, 10*time.Second)},
	}}
}

// arrivals are tasks of a class that come every second for a while, as many as keep so
// many workers busy.
func arrivals(r *rand.Rand, t *Trace, from, until, took time.Duration, busy func(time.Duration) float64) {
	owed := 0.0
	for at := from; at < until; at += time.Second {
		owed += busy(at) / took.Seconds()
		if n := int(owed); n > 0 {
			owed -= float64(n)
			t.Jobs = append(t.Jobs, Job{At: at, Class: "a", Took: about(r, n, took)})
		}
	}
}

func steps(r *rand.Rand) Trace {
	t := Trace{Name: "steps", Title: "work for 5, 20, 35, 10, 30 and 3 workers, 4 minutes each, in tasks of 5 s", Max: 40}
	levels := []float64{5, 20, 35, 10, 30, 3}
	arrivals(r, &t, 0, time.Duration(len(levels))*4*time.Minute, 5*time.Second, func(at time.Duration) float64 { return levels[int(at/(4*time.Minute))] })
	return t
}

func longTail(r *rand.Rand) Trace {
	took := make([]time.Duration, 1500)
	for i := range took {
		took[i] = time.Duration(min(600, 6*math.Exp(1.2*r.NormFloat64())) * float64(time.Second))
	}
	return Trace{Name: "long tail", Title: "1,500 tasks, half of them under 6 s, some of minutes", Max: 40, Jobs: []Job{{Class: "a", Took: took}}}
}

func sine(r *rand.Rand) Trace {
	t := Trace{Name: "sine", Title: "work for 3 to 33 workers and back, every 8 minutes, for half an hour, in tasks of 4 s", Max: 40}
	arrivals(r, &t, 0, 32*time.Minute, 4*time.Second, func(at time.Duration) float64 { return 18 - 15*math.Cos(2*math.Pi*at.Minutes()/8) })
	return t
}

// giant is one graph: wide stages with a single task between them, and a tree at the end.
func giant(r *rand.Rand) Trace {
	j := Job{Class: "a"}
	add := func(took time.Duration, deps ...uint32) uint32 {
		j.Took, j.Deps = append(j.Took, about(r, 1, took)[0]), append(j.Deps, deps)
		return uint32(len(j.Took) - 1)
	}
	var last []uint32
	for _, width := range []int{6000, 3000, 200} {
		var stage []uint32
		if last != nil {
			last = []uint32{add(2*time.Second, last...)}
		}
		for range width {
			stage = append(stage, add(4*time.Second, last...))
		}
		last = stage
	}
	for len(last) > 1 {
		var up []uint32
		for i := 0; i+1 < len(last); i += 2 {
			up = append(up, add(4*time.Second, last[i], last[i+1]))
		}
		if len(last)%2 == 1 {
			up = append(up, last[len(last)-1])
		}
		last = up
	}
	return Trace{Name: "giant graph", Title: "one graph of 9,400 tasks of 4 s: three wide stages, then a tree", Max: 40, Jobs: []Job{j}}
}

func storm(r *rand.Rand) Trace {
	t := Trace{Name: "storm", Title: "3,000 tasks of 10 s, while every 2 minutes all but 8 workers are preempted for 40 s", Max: 40, Jobs: []Job{
		{At: 0, Class: "a", Took: about(r, 3000, 10*time.Second)},
	}}
	for at := 2 * time.Minute; at < 30*time.Minute; at += 2 * time.Minute {
		t.Cuts = append(t.Cuts, Cut{at, 8}, Cut{at + 40*time.Second, 40})
	}
	return t
}

// gusts are what a policy that lets nobody go within a minute is bad at.
func gusts(r *rand.Rand) Trace {
	t := Trace{Name: "gusts", Title: "300 tasks of 1 s, every 5 minutes, six times", Max: 40}
	for n := range 6 {
		t.Jobs = append(t.Jobs, Job{At: time.Duration(n) * 5 * time.Minute, Class: "a", Took: about(r, 300, time.Second)})
	}
	return t
}
