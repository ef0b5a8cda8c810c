package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// good is what came of a run that did all that -counts demands.
func good() *table {
	t := newTable()
	for _, k := range kinds {
		r := t.row(k.name)
		r.Hit = k.least
		for range k.least {
			r.Took = append(r.Took, 2*time.Second)
		}
		r.Kept, r.Of = 4*k.least, 4*k.least
	}
	for _, p := range phases {
		t.Phases[p.name] = 20
	}
	t.Rounds, t.Tasks, t.Runs = 100, 1000, 1000
	return t
}

// Each number that is demanded is judged, where there is enough to judge it by.
func TestVerdict(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*table)
		says string // "" is nothing
	}{
		{"all is well", func(*table) {}, ""},
		{"too few are kept", func(t *table) { t.row(masterKilled).Kept -= 30 }, "were kept over the death of an application master"},
		{"none is kept over both deaths", func(t *table) { t.row(bothKilled).Kept = 0 }, "were kept over the death of an application master"},
		{"slow in the middle", func(t *table) {
			for i := range 60 {
				t.row(masterKilled).Took[i] = 11 * time.Second
			}
		}, "(p50)"},
		{"slow at the end", func(t *table) { t.row(masterKilled).Took[0] = 31 * time.Second }, "(p99)"},
		{"a phase is missing", func(t *table) { t.Phases["draining"] = 5 }, "5 were killed draining"},
		{"a kind is missing", func(t *table) { t.row("HDFS away").Hit = 3 }, "HDFS away: hit 3 times"},
		{"a task is lost", func(t *table) { t.row("disk full").Lost = 1 }, "disk full: 1 times"},
		{"a file is left", func(t *table) { t.Left.Files = 1 }, "left behind"},
	} {
		table := good()
		tc.do(table)
		err := table.verdict(options{counts: true})
		if (err == nil) != (tc.says == "") || err != nil && (!strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: the verdict is %v, want %q", tc.name, err, tc.says)
		}
	}
	few := newTable()
	few.Rounds, few.row(masterKilled).Hit, few.Phases["running"] = 1, 3, 3
	few.row(masterKilled).Of, few.row(masterKilled).Took = 5, []time.Duration{time.Minute}
	if err := few.judge(); err != nil {
		t.Errorf("three kills are judged: %v", err)
	}
	if err := few.verdict(options{}); err != nil {
		t.Errorf("without -counts: %v", err)
	}
}

// The sum of two runs is judged as one, and says of which commit it is and what is not as it is by default.
func TestSum(t *testing.T) {
	sum := newTable()
	for _, seed := range []uint64{7, 8} {
		one := good()
		one.Seeds, one.Intervals, one.Left.Files = []uint64{seed}, []string{"interval is 20000, not 600000"}, 1
		sum.sum(one)
	}
	if sum.Tasks != 2000 || sum.Left.Files != 2 || sum.row(masterKilled).Hit != 2*kinds[0].least {
		t.Errorf("%d tasks, %d files, %d hits", sum.Tasks, sum.Left.Files, sum.row(masterKilled).Hit)
	}
	var out bytes.Buffer
	sum.print(&out, options{counts: true, length: 10 * time.Minute})
	for _, want := range []string{"at commit " + commit(), "40m0s at most", "seeds [7 8]", "not YARN's defaults: interval is 20000, not 600000\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table does not say %q:\n%s", want, &out)
		}
	}
}
