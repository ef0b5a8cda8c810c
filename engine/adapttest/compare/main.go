// Command compare plays traces of work with three ways to say how many workers there shall be:
// yarnd's, dask.distributed's Adaptive, and an oracle's that knows the trace.
//
//	compare [-python PYTHON] [-dask PROGRAM] [-seeds N] [-trace NAME] [-start DURATION] [-decisions]
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/yarnd/yarnd/engine/adapt"
	"github.com/yarnd/yarnd/engine/adapttest"
)

type options struct {
	python, dask string
	seeds        int
	trace        string
	start        time.Duration
	decisions    bool
}

func main() {
	var o options
	flag.StringVar(&o.python, "python", "", "a Python that has distributed; without it only yarnd's and the oracle's are played")
	flag.StringVar(&o.dask, "dask", "engine/adapttest/compare/dask_policy.py", "the program that asks it")
	flag.IntVar(&o.seeds, "seeds", 5, "how often, each time with other durations and delays")
	flag.StringVar(&o.trace, "trace", "", "only this one")
	flag.DurationVar(&o.start, "start", adapttest.Quick, "what the start of a worker in its container takes, about")
	flag.BoolVar(&o.decisions, "decisions", false, "print yarnd's decisions")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// sums are of one trace and policy, over all seeds.
type sums struct {
	name                                      string
	makespan, wait, containers, tail          time.Duration
	slower, dearer                            float64 // than the oracle, added up
	peak, flaps, early, recomputed, overshoot int
	n                                         int
}

func run(o options) error {
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "trace\tpolicy\tmakespan s\t÷ oracle\tmean wait s\tcontainer-s\t÷ oracle\tof it idle at the end\tpeak\tover\tflaps\tnever used\tattempts lost")
	for i := range adapttest.Traces(1, o.start) {
		name := adapttest.Traces(1, o.start)[i].Name
		if o.trace != "" && o.trace != name {
			continue
		}
		rows, err := play(o, i)
		if err != nil {
			return err
		}
		for _, s := range rows {
			n := float64(s.n)
			fmt.Fprintf(tw, "%s\t%s\t%.0f\t%.2f\t%.1f\t%.0f\t%.2f\t%.0f\t%d\t%d\t%d\t%d\t%d\n", name, s.name, s.makespan.Seconds()/n, s.slower/n, s.wait.Seconds()/n,
				s.containers.Seconds()/n, s.dearer/n, s.tail.Seconds()/n, s.peak, s.overshoot, s.flaps, s.early, s.recomputed)
		}
	}
	return tw.Flush()
}

// play plays one trace with each policy.
func play(o options, trace int) ([]*sums, error) {
	rows := []*sums{{name: "oracle"}, {name: "yarnd"}}
	if o.python != "" {
		rows = append(rows, &sums{name: "dask"})
	}
	for seed := range uint64(o.seeds) {
		t := adapttest.Traces(seed+1, o.start)[trace]
		oracle, err := adapttest.NewOracle(&t, seed)
		if err != nil {
			return nil, err
		}
		best, err := adapttest.Run(&t, oracle, seed)
		if err != nil {
			return nil, err
		}
		rows[0].add(best, best)
		ours := adapttest.NewOurs(adapt.Config{})
		got, err := adapttest.Run(&t, ours, seed)
		if err != nil {
			return nil, err
		}
		rows[1].add(got, best)
		if o.decisions {
			show(&t, ours)
		}
		if o.python == "" {
			continue
		}
		if got, err = playDask(o, &t, seed); err != nil {
			return nil, err
		}
		rows[2].add(got, best)
	}
	return rows, nil
}

func playDask(o options, t *adapttest.Trace, seed uint64) (got adapttest.Result, err error) {
	d, err := adapttest.NewDask(o.python, o.dask)
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	return adapttest.Run(t, d, seed)
}

func (s *sums) add(r, best adapttest.Result) {
	s.n++
	s.makespan += r.Makespan
	s.wait += r.Wait
	s.containers += r.Containers
	s.tail += r.Tail
	s.slower += float64(r.Makespan) / float64(best.Makespan)
	s.dearer += float64(r.Containers) / float64(best.Containers)
	s.peak = max(s.peak, r.Peak)
	s.overshoot = max(s.overshoot, r.Peak-best.Peak)
	s.flaps += r.Flaps
	s.early += r.Early
	s.recomputed += r.Recomputed
}

func show(t *adapttest.Trace, p *adapttest.Ours) {
	for _, d := range p.Decisions {
		fmt.Printf("%s\t%s %d → %d\t%s\n", t.Name, d.Kind, d.Before, d.Want, strings.ReplaceAll(d.Reason, "\n", " "))
	}
}
