package schedtest

import (
	"regexp"
	"slices"
)

// maxReplays bounds what shrinking costs.
const maxReplays = 1500

// Shrink returns fewer actions that fail in the same way: with the same message, apart
// from its numbers. It is delta debugging: ever smaller runs of actions are left out as
// long as the rest still fails, then tasks out of submits and requests.
func Shrink(actions []Action, failure error) []Action {
	s := &shrinker{kind: kindOf(failure)}
	actions = reduce(actions, s.fails)
	for i := range actions {
		actions = s.smaller(actions, i)
	}
	return actions
}

type shrinker struct {
	kind    string
	replays int
}

var numbers = regexp.MustCompile(`[0-9]+|\[[^]]*\]|map\[.*`)

// kindOf is what failures of one kind have in common.
func kindOf(err error) string {
	s := numbers.ReplaceAllString(err.Error(), "#")
	return s[:min(len(s), 60)]
}

func (s *shrinker) fails(actions []Action) bool {
	if s.replays++; s.replays > maxReplays {
		return false
	}
	r := Replay(actions, false)
	return r.Err != nil && kindOf(r.Err) == s.kind
}

// reduce leaves out what it can, until nothing more can be.
func reduce(actions []Action, fails func([]Action) bool) []Action {
	for size := len(actions) / 2; size > 0; {
		before := len(actions)
		actions = leaveOut(actions, size, fails)
		if size == 1 && len(actions) == before {
			break
		}
		size = max(1, size/2)
	}
	return actions
}

// leaveOut leaves out runs of so many actions, from the last to the first.
func leaveOut(actions []Action, size int, fails func([]Action) bool) []Action {
	for to := len(actions); to > 0; to -= size {
		from := max(0, to-size)
		less := slices.Concat(actions[:from], actions[to:])
		if fails(less) {
			actions = less
		}
	}
	return actions
}

// smaller makes the i-th action name fewer tasks, with fewer dependencies.
func (s *shrinker) smaller(actions []Action, i int) []Action {
	try := func(change func(a *Action)) {
		less := slices.Clone(actions)
		a := &less[i]
		a.Tasks, a.Names = slices.Clone(a.Tasks), slices.Clone(a.Names)
		change(a)
		if s.fails(less) {
			actions = less
		}
	}
	for k := len(actions[i].Tasks) - 1; k >= 0; k-- {
		if len(actions[i].Tasks) > 1 {
			try(func(a *Action) { a.Tasks = slices.Delete(a.Tasks, k, k+1) })
		}
	}
	for k := range actions[i].Tasks {
		for d := len(actions[i].Tasks[k].Deps) - 1; d >= 0; d-- {
			try(func(a *Action) {
				a.Tasks[k].Deps = slices.Delete(slices.Clone(a.Tasks[k].Deps), d, d+1)
			})
		}
		try(func(a *Action) { a.Tasks[k].Hosts = nil })
		try(func(a *Action) { a.Tasks[k].Loose = false })
	}
	for k := len(actions[i].Names) - 1; k >= 0; k-- {
		if len(actions[i].Names) > 1 {
			try(func(a *Action) { a.Names = slices.Delete(a.Names, k, k+1) })
		}
	}
	if actions[i].Op == OpConfig {
		try(func(a *Action) { a.Conf = worldConfig{Heal: a.Conf.Heal} })
	}
	return actions
}
