package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// table is what came of all faults.
type table struct {
	order []string
	rows  map[string]*row

	tasks, runs           int64 // that were submitted, and how often one ran
	lost, changed         int   // rounds in which acknowledged tasks were lost; results that differ from what was told
	rounds                int
	containers, processes int // that are left
	files                 bool
}

type row struct {
	n, missed, failed int
	took              []time.Duration
	kept, of          int
}

func newTable() *table {
	t := &table{rows: map[string]*row{}}
	for _, k := range kinds {
		t.order = append(t.order, k.name)
		t.rows[k.name] = &row{}
	}
	return t
}

func (t *table) missed(kind string) { t.rows[kind].missed++ }

func (t *table) add(kind string, took time.Duration, kept, of int, err error) {
	r := t.rows[kind]
	if err != nil {
		r.failed++
		return
	}
	r.n++
	r.took = append(r.took, took)
	r.kept, r.of = r.kept+kept, r.of+of
}

// quantile returns the q-th of durations, which it sorts.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

func (t *table) print(out io.Writer, w *world) {
	tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "FAULT\tHIT\tMISSED\tNOT WHOLE AGAIN\tWHOLE AFTER p50\tp99\tCONTAINERS KEPT\n")
	for _, kind := range t.order {
		r := t.rows[kind]
		kept := "-"
		if r.of > 0 {
			kept = fmt.Sprintf("%.1f %%", 100*float64(r.kept)/float64(r.of))
		}
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%v\t%v\t%s\n", kind, r.n, r.missed, r.failed,
			quantile(r.took, 0.5).Round(10*time.Millisecond), quantile(r.took, 0.99).Round(10*time.Millisecond), kept)
	}
	tw.Flush() //nolint:errcheck // there is nobody to tell
	fmt.Fprintf(out, "seed %d, %v: %d rounds of work, %d tasks acknowledged\n", w.o.seed, time.Since(w.began).Round(time.Second), t.rounds, t.tasks)
	fmt.Fprintf(out, "rounds that lost acknowledged tasks: %d; results that changed after somebody was told, or are wrong: %d\n", t.lost, t.changed)
	if t.tasks > 0 {
		fmt.Fprintf(out, "runs of tasks in vain: %d, %.2f %%\n", t.runs-t.tasks, 100*float64(t.runs-t.tasks)/float64(t.tasks))
	}
	left := "nothing"
	if t.files {
		left = "the staging directory"
	}
	fmt.Fprintf(out, "left behind: %d containers, %d processes, of files %s\n", t.containers, t.processes, left)
}

// verdict is what must not have been.
func (t *table) verdict() (err error) {
	hit := 0
	for kind, r := range t.rows {
		hit += r.n
		if r.failed > 0 {
			err = errors.Join(err, fmt.Errorf("%s: the application was not whole again", kind))
		}
	}
	switch {
	case hit == 0:
		err = errors.Join(err, errors.New("no fault has hit anything"))
	case t.rounds == 0:
		err = errors.Join(err, errors.New("no round of work has ended"))
	}
	if t.lost+t.changed > 0 {
		err = errors.Join(err, fmt.Errorf("%d rounds lost tasks, %d results changed", t.lost, t.changed))
	}
	if t.containers+t.processes > 0 || t.files {
		err = errors.Join(err, errors.New("something is left behind"))
	}
	return err
}
