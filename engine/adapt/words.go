package adapt

import (
	"fmt"
	"strings"
	"time"
)

// words says why.
func words(d *Decision, cfg Config) string {
	in := &d.Inputs
	switch d.Kind {
	case Limit:
		return fmt.Sprintf("the limits are %d to %d", in.Min, in.Max)
	case Raise:
		return raise(d) + bounds(d, cfg)
	case Withdraw:
		if b := failed(d, cfg); b != "" {
			return left(in) + b
		}
		return fmt.Sprintf("%s; %s that did not come yet %s not needed any more", left(in), plural(d.Before-d.Want, "worker"), isAre(d.Before-d.Want))
	case Lower:
		return lower(d)
	}
	return left(in) + hold(d, cfg)
}

func raise(d *Decision) string {
	in := &d.Inputs
	switch {
	case in.Memory >= in.Enough:
		return fmt.Sprintf("results take the memory of %s", plural(in.Memory, "worker"))
	case in.Unknown > 0:
		return fmt.Sprintf("nobody knows yet how long %s take: %s", plural(in.Unknown, "task"), tries(d.Want))
	}
	now := fmt.Sprintf("%s would take %s", plural(d.Before, "worker"), short(in.Finish))
	if d.Before == 0 {
		now = "there is no worker"
	}
	if in.Stream > float64(in.Enough)-1 {
		return fmt.Sprintf("%s; %s, %.1f of them are kept busy by what comes all the time", left(in), now, in.Stream)
	}
	return fmt.Sprintf("%s; %s, %s meet the goal of %s", left(in), now, number(in.Enough), short(in.Goal))
}

func tries(n int) string {
	if n == 1 {
		return "one worker tries"
	}
	return fmt.Sprintf("%d workers try", n)
}

func lower(d *Decision) string {
	in := &d.Inputs
	switch {
	case d.Want == in.Memory && in.Memory > in.Peak:
		return fmt.Sprintf("%s hold the results; no more were needed for %s", plural(in.Memory, "worker"), short(in.Idle))
	case in.Peak == 0 && in.Busy < 0.05:
		return fmt.Sprintf("nothing to do for %s", short(in.Idle))
	}
	return fmt.Sprintf("no more than %d were needed during %s, %.1f were busy; %s", in.Peak, short(in.Idle), in.Busy, left(in))
}

// hold says what keeps a number as it is.
func hold(d *Decision, cfg Config) string {
	in := &d.Inputs
	switch b := bounds(d, cfg); {
	case max(in.Enough, in.Memory) > d.Want && b != "":
		return b
	case in.Pending > 0:
		return fmt.Sprintf("; %s come, which takes %s", plural(in.Pending, "worker"), short(in.Delay))
	case in.Tasks > 0 && in.Enough == in.Width && in.Enough >= d.Want:
		return fmt.Sprintf("; more than %d could not work at once", in.Width)
	case in.Tasks > 0 && in.Enough < d.Want:
		return fmt.Sprintf("; %s now, and fewer only when that lasts %s", enough(in), short(in.Idle))
	case in.Tasks > 0:
		return fmt.Sprintf("; done in %s, the goal is %s", short(in.Finish), short(in.Goal))
	case d.Want > in.Min:
		return fmt.Sprintf("; fewer only when that lasts %s", short(in.Idle))
	}
	return ""
}

// bound tells what keeps a number below what would be of use.
func bound(d *Decision, cfg Config) Bound {
	in := &d.Inputs
	switch {
	case max(in.Enough, in.Memory) <= d.Want:
		return Unbound
	case in.Failures >= cfg.GiveUp:
		return Failures
	case in.Unmet > 0:
		return Unmet
	case d.Want >= in.Max:
		return Maximum
	case in.Headroom >= 0 && d.Want >= in.Live+in.Starting+max(1, in.Headroom):
		return Room
	}
	return Unbound
}

// bounds says what keeps a number below what would be of use.
func bounds(d *Decision, cfg Config) string {
	in := &d.Inputs
	need := max(in.Enough, in.Memory)
	switch d.Bound {
	case Unbound:
		return ""
	case Failures:
		return failed(d, cfg)
	case Unmet:
		text := fmt.Sprintf("; %d would be of use, but the cluster has given nothing for %s: little is asked for until it does", need, short(in.Unmet))
		if in.Headroom >= 0 {
			text += fmt.Sprintf(" (it says that it has room for %d)", in.Headroom)
		}
		return text
	case Maximum:
		return fmt.Sprintf("; %d would be of use, the maximum is %d", need, in.Max)
	case Room:
		if in.Headroom == 0 {
			return fmt.Sprintf("; %d would be of use, but there is no room: one is asked for, no more", need)
		}
		return fmt.Sprintf("; %d would be of use, but there is room for %d more only", need, in.Headroom)
	}
	return ""
}

// failed says that no more are asked for after failed starts.
func failed(d *Decision, cfg Config) string {
	in := &d.Inputs
	if in.Failures < cfg.GiveUp {
		return ""
	}
	return fmt.Sprintf("; %d would be of use, but %d starts in a row failed: no more are asked for. See yarnd events, and set the limits anew with yarnd adapt", max(in.Enough, in.Memory), in.Failures)
}

func enough(in *Inputs) string { return fmt.Sprintf("%s would do", number(in.Enough)) }

// left says what remains to be done.
func left(in *Inputs) string {
	if in.Tasks+in.Waiting == 0 {
		return "nothing to do"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s can run", plural(in.Tasks, "task"))
	if in.Waiting > 0 {
		fmt.Fprintf(&b, " and %d wait for inputs", in.Waiting)
	}
	if in.Work > 0 {
		fmt.Fprintf(&b, ", %s of one worker's time", short(in.Work))
	}
	return b.String()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func number(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprint(n)
}

// short is a duration with two digits or so: 1.2s, 35s, 4m10s.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
