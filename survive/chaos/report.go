package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// table is what came of all faults of one run, or of several.
type table struct {
	Rows       map[string]*row
	Phases     map[string]int  // application masters killed in each
	Impossible []string        // kinds
	Gaps       []time.Duration // for which there was no ResourceManager
	Intervals  []string        // of YARN that are not its defaults

	Seeds  []uint64
	Length time.Duration // of the longest run

	Rounds      int   // of work
	Tasks       int64 // acknowledged, of those that leave marks
	Runs, Again int64 // of tasks, and which of them were not the first
	Left        remains
}

// row is a kind of fault. What was lost or changed is put down to the fault that went on, or was the last.
type row struct {
	Hit, Missed, Failed int
	Lost, Changed       int
	Took                []time.Duration
	Kept, Of            int
	Runs, Again         int64
	Left                int // of applications that were started for it
}

func newTable() *table {
	t := &table{Rows: map[string]*row{}, Phases: map[string]int{}}
	for _, k := range kinds {
		t.Rows[k.name] = &row{}
	}
	t.Rows[""] = &row{} // before the first fault
	return t
}

func (t *table) row(kind string) *row { return t.Rows[kind] }

// sum adds another run's table.
func (t *table) sum(o *table) {
	for kind, from := range o.Rows {
		r := t.row(kind)
		r.Hit, r.Missed, r.Failed = r.Hit+from.Hit, r.Missed+from.Missed, r.Failed+from.Failed
		r.Lost, r.Changed, r.Left = r.Lost+from.Lost, r.Changed+from.Changed, r.Left+from.Left
		r.Took = append(r.Took, from.Took...)
		r.Kept, r.Of, r.Runs, r.Again = r.Kept+from.Kept, r.Of+from.Of, r.Runs+from.Runs, r.Again+from.Again
	}
	for phase, n := range o.Phases {
		t.Phases[phase] += n
	}
	for _, kind := range o.Impossible {
		if !slices.Contains(t.Impossible, kind) {
			t.Impossible = append(t.Impossible, kind)
		}
	}
	t.Gaps = append(t.Gaps, o.Gaps...)
	t.Seeds, t.Length = append(t.Seeds, o.Seeds...), max(t.Length, o.Length)
	t.Rounds, t.Tasks, t.Runs, t.Again = t.Rounds+o.Rounds, t.Tasks+o.Tasks, t.Runs+o.Runs, t.Again+o.Again
	for _, name := range o.Intervals {
		if !slices.Contains(t.Intervals, name) {
			t.Intervals = append(t.Intervals, name)
		}
	}
	t.Left.Containers, t.Left.Processes, t.Left.Files = t.Left.Containers+o.Left.Containers, t.Left.Processes+o.Left.Processes, t.Left.Files+o.Left.Files
}

// quantileOf is the q-th of durations, of which there are some, and which it sorts.
func quantileOf(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

// quantile prints it.
func quantile(d []time.Duration, q float64) string {
	if len(d) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", quantileOf(d, q).Seconds())
}

func percent(n, of int64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(of))
}

func (t *table) print(out io.Writer, o options) {
	slices.Sort(t.Seeds)
	fmt.Fprintf(out, "at commit %s, %s\n", commit(), o.says())
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "FAULT\tHIT\tMISSED\tLOST\tCHANGED\tKEPT\tWHOLE p50\tp99\tRUN AGAIN\tLEFT\n")
	hits := 0
	for _, kind := range kinds {
		r := t.row(kind.name)
		hits += r.Hit
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%d\n", kind.name, r.Hit, r.Missed, r.Lost, r.Changed, percent(int64(r.Kept), int64(r.Of)),
			quantile(r.Took, 0.5), quantile(r.Took, 0.99), percent(r.Again, r.Runs), r.Left)
	}
	tw.Flush() //nolint:errcheck // there is nobody to tell
	all := 0
	for _, n := range t.Phases {
		all += n
	}
	for _, p := range phases {
		fmt.Fprintf(out, "masters killed %s: %d, %s\n", p.name, t.Phases[p.name], percent(int64(t.Phases[p.name]), int64(all)))
	}
	fmt.Fprintf(out, "no ResourceManager was active for %s (p50), %s (p99)\n", quantile(t.Gaps, 0.5), quantile(t.Gaps, 0.99))
	fmt.Fprintf(out, "seeds %v, %v: %d hits, %d rounds of work, %d tasks acknowledged; %d runs, %s not the first\n",
		t.Seeds, t.Length.Round(time.Second), hits, t.Rounds, t.Tasks, t.Runs, percent(t.Again, t.Runs))
	fmt.Fprintf(out, "left behind in the end: %d containers, %d processes, %d files and directories, staged or on nodes\n", t.Left.Containers, t.Left.Processes, t.Left.Files)
	if len(t.Intervals) > 0 {
		fmt.Fprintf(out, "intervals that are not YARN's defaults: %s\n", strings.Join(t.Intervals, "; "))
	}
	if len(t.Impossible) > 0 {
		fmt.Fprintf(out, "not possible here: %s\n", strings.Join(t.Impossible, "; "))
	}
}

// verdict is what must not have been.
func (t *table) verdict(o options) (err error) {
	hit, left := 0, t.Left.sum()
	for kind, r := range t.Rows {
		hit, left = hit+r.Hit, left+r.Left
		if r.Failed > 0 {
			err = errors.Join(err, fmt.Errorf("%s: the application was not whole again", kind))
		}
		if r.Lost+r.Changed > 0 {
			err = errors.Join(err, fmt.Errorf("%s: %d times acknowledged tasks were lost, %d results changed or are wrong", kind, r.Lost, r.Changed))
		}
	}
	switch {
	case hit == 0:
		err = errors.Join(err, errors.New("no fault has hit anything"))
	case t.Rounds == 0:
		err = errors.Join(err, errors.New("no round of work has ended"))
	case left > 0:
		err = errors.Join(err, errors.New("something is left behind"))
	}
	if o.all && len(t.Impossible) > 0 {
		err = errors.Join(err, fmt.Errorf("not possible here: %v", t.Impossible))
	}
	if o.counts {
		err = errors.Join(err, t.judge())
	}
	for _, k := range kinds {
		least := o.least(k)
		if o.each {
			least = 1
		}
		if n := t.row(k.name).Hit; (o.counts || o.each) && n < least && o.chooses(k.name) && !slices.Contains(t.Impossible, k.name) {
			err = errors.Join(err, fmt.Errorf("%s: hit %d times, not %d", k.name, n, least))
		}
	}
	return err
}
