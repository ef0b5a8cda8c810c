package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/yarnd/yarnd"
)

// What the death of an application master may cost, and how often each phase of its life is to be met.
const (
	leastKept   = 0.95 // of the containers that nobody has hurt
	typicalTime = 10 * time.Second
	worstTime   = 30 * time.Second
	leastPhase  = 0.05 // of all masters killed
	// enough is how many there have to be for a share or a quantile to mean something.
	enough = 20
)

// judge compares what the deaths of application masters have cost with what they may.
func (t *table) judge() (err error) {
	kept, of := 0, 0
	for _, kind := range []string{masterKilled, bothKilled} {
		kept, of = kept+t.row(kind).Kept, of+t.row(kind).Of
	}
	if of >= enough && float64(kept) < leastKept*float64(of) {
		err = errors.Join(err, fmt.Errorf("%d of %d containers were kept over the death of an application master, less than %.0f %%", kept, of, 100*leastKept))
	}
	if took := t.row(masterKilled).Took; len(took) >= enough {
		for q, most := range map[float64]time.Duration{0.5: typicalTime, 0.99: worstTime} {
			if d := quantileOf(took, q); d > most {
				err = errors.Join(err, fmt.Errorf("%s: whole again after %.1f s (p%.0f), later than %v", masterKilled, d.Seconds(), 100*q, most))
			}
		}
	}
	all := 0
	for _, n := range t.Phases {
		all += n
	}
	for _, p := range phases {
		if n := t.Phases[p.name]; all >= enough && float64(n) < leastPhase*float64(all) {
			err = errors.Join(err, fmt.Errorf("of %d application masters %d were killed %s, less than %.0f %%", all, n, p.name, 100*leastPhase))
		}
	}
	return err
}

// bound is how long a run may go on.
func (o *options) bound() time.Duration {
	if !o.counts {
		return o.length
	}
	if o.atMost > 0 {
		return o.atMost
	}
	return 4 * o.length
}

// says is what a run was told about its time.
func (o *options) says() string {
	switch {
	case o.each:
		return "one fault of each kind"
	case o.counts:
		return fmt.Sprintf("for %v and until all kinds have hit as often as they are to, for %v at most", o.length, o.bound())
	}
	return fmt.Sprintf("for %v", o.length)
}

// commit is that from which this program was made.
func commit() string {
	if yarnd.Version != "devel" {
		return yarnd.Version
	}
	info, _ := debug.ReadBuildInfo()
	revision, changed := "unknown", ""
	if info == nil {
		return revision
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = ", changed since"
		}
	}
	return revision + changed
}
