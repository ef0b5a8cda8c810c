package schedtest

import (
	"fmt"
	"slices"
	"strings"
)

// Plan says what a run does. Equal plans make equal runs.
type Plan struct {
	Seed    uint64
	Actions int      // of the adversary, before the world heals
	Without []string // faults and requests that do not happen: see Features
	Trace   bool     // keep a log of every step
}

// Features are the things that a Plan can do without.
var Features = []string{
	"cancel", "retry", "release", "pin", "close", "loose", "foreign", "hosts", "slots", "pools",
	"fail", "flaky", "poison", "crash", "cut", "retire", "scale", "missing", "repeat",
}

func (p Plan) has(feature string) bool { return !slices.Contains(p.Without, feature) }

// String returns the flags that replay the plan.
func (p Plan) String() string {
	s := fmt.Sprintf("-seed %d -actions %d", p.Seed, p.Actions)
	if len(p.Without) > 0 {
		s += " -without " + strings.Join(p.Without, ",")
	}
	return s
}

// Shrink returns a smaller plan that fails as well: fewer features first, then
// fewer actions. The failure need not be the same one.
func Shrink(p Plan) Plan {
	fails := func(p Plan) bool { return Run(p).Err != nil }
	for _, f := range Features {
		q := p
		q.Without = append(slices.Clone(p.Without), f)
		if fails(q) {
			p = q
		}
	}
	for step := p.Actions / 2; step > 0; step /= 2 {
		for p.Actions > step {
			q := p
			q.Actions -= step
			if !fails(q) {
				break
			}
			p = q
		}
	}
	return p
}
