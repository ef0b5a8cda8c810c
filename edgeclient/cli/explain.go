package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/wire"
)

func (c *command) explain() *cobra.Command {
	return &cobra.Command{
		Use:   "explain APP [TASK|WORKER]",
		Short: "Tell why there are so many workers, why a task waits, why a worker went",
		Long: `explain answers why. Of an application: why it has as many workers as it has, and the
decisions that led there, each with its reason (-o json has the numbers behind them). Of
a TASK, JOB/INDEX: what it waits for. Of a WORKER, a container's id or an end of it: what
it does, or why it is gone.`,
		Example: `  yarnd explain last
  yarnd explain last nightly/17
  yarnd explain last 000004`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 || len(args) == 2 && args[1] != "" {
				return nil
			}
			return &edgeclient.Fault{Code: edgeclient.Usage, What: "explain takes an application, and one of its tasks or workers", Next: "See " + cmd.CommandPath() + " --help"}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withSight(cmd.Context(), args[0], func(s sight) error {
				switch {
				case len(args) == 1:
					return c.explainScaling(cmd.Context(), s)
				case strings.Contains(args[1], "/"):
					if err := s.needCluster(); err != nil {
						return err
					}
					return c.explainTask(cmd.Context(), s.cluster, args[0], args[1])
				}
				return c.explainWorker(cmd.Context(), s, args[0], args[1])
			})
		},
	}
}

func (c *command) explainScaling(ctx context.Context, s sight) error {
	if s.cluster == nil {
		row, err := scalingSeen(ctx, s)
		if err == nil {
			err = addMaster(ctx, &row, s)
		}
		if err != nil {
			return err
		}
		return c.showScaling(row)
	}
	scaling, err := s.cluster.Scaling(ctx)
	if err != nil {
		return err
	}
	row := newScalingRow(scaling)
	if err := addMaster(ctx, &row, s); err != nil {
		return err
	}
	return c.showScaling(row)
}

// ---- tasks and workers -----------------------------------------------------------

// explained is the JSON form of an answer.
type explained struct {
	Of     string   `json:"of"`
	State  string   `json:"state"`
	Answer string   `json:"answer"`
	Detail []string `json:"detail"`
}

func (c *command) explainTask(ctx context.Context, cluster *yarnd.Cluster, app, what string) error {
	jobs, err := cluster.Jobs(ctx)
	if err != nil {
		return err
	}
	id, err := findTask(app, jobs, what)
	if err != nil {
		return err
	}
	e, err := cluster.WhyTask(ctx, id)
	if err != nil {
		return schedulerFault(err, "See yarnd task list "+app)
	}
	return c.showExplained(explained{Of: id.String(), State: e.State, Answer: e.Answer, Detail: e.Detail})
}

// explainWorker asks the scheduler, and the application master, which knows of containers
// whose workers never came.
func (c *command) explainWorker(ctx context.Context, s sight, app, name string) error {
	x := explained{Of: name}
	if s.cluster != nil {
		e, err := s.cluster.WhyWorker(ctx, name)
		if err != nil && !errors.Is(err, wire.NotFound) {
			return schedulerFault(err, "See yarnd worker list "+app)
		}
		x.State, x.Answer, x.Detail = e.State, e.Answer, e.Detail
		if e.Worker != "" {
			x.Of = e.Worker
		}
	}
	if !s.session.ByHand() {
		events, _, err := s.session.Events(ctx, 0)
		if err != nil {
			return err
		}
		if err := addContainer(&x, app, name, events); err != nil {
			return err
		}
	}
	if x.Answer == "" {
		return &edgeclient.Fault{Code: edgeclient.NotFound, What: fmt.Sprintf("%s remembers no worker %q", app, name), Next: "See yarnd worker list " + app + ", and yarnd events " + app}
	}
	return c.showExplained(x)
}

// addContainer adds what the application master knows of a worker's container, whose id ends
// so. That of several is refused.
func addContainer(x *explained, app, end string, events []edgeclient.Event) error {
	ids := map[string]bool{}
	if x.Answer != "" { // the scheduler knows whose it is
		ids[x.Of] = true
	}
	for _, ev := range events {
		if strings.HasPrefix(ev.Kind, "container.") && strings.HasSuffix(ev.Object, end) {
			ids[ev.Object] = true
		}
	}
	switch like := slices.Sorted(maps.Keys(ids)); {
	case ids[end]:
		x.Of = end
	case len(like) > 1:
		return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%q is the end of %d containers' ids, such as %s", end, len(like), strings.Join(like[:min(3, len(like))], ", ")),
			Next: "Give more of it: yarnd explain " + app + " " + like[0]}
	case len(like) == 1:
		x.Of = like[0]
	}
	for _, ev := range events {
		if !strings.HasPrefix(ev.Kind, "container.") || ev.Object != x.Of {
			continue
		}
		x.Detail = append(x.Detail, ev.When.UTC().Format(time.RFC3339)+" "+ev.Kind+": "+ev.Text)
		switch ev.Kind {
		case "container.exited":
			x.State = "left"
			if x.Answer != "" {
				x.Answer += " "
			}
			x.Answer += "Its container: " + ev.Text + "."
		case "container.allocated":
			if x.Answer == "" {
				x.State, x.Answer = "starting", "Its container was allocated "+ev.Text+"; its worker has not joined."
			}
		}
	}
	return nil
}

// schedulerFault gives a refusal of the scheduler's its exit code.
func schedulerFault(err error, next string) error {
	switch {
	case errors.Is(err, wire.NotFound):
		return &edgeclient.Fault{Code: edgeclient.NotFound, What: err.Error(), Next: next}
	case errors.Is(err, wire.Invalid):
		return &edgeclient.Fault{Code: edgeclient.Usage, What: err.Error(), Next: next}
	}
	return err
}

func (c *command) showExplained(x explained) error {
	if x.Detail == nil {
		x.Detail = []string{}
	}
	if c.output != "table" && c.output != "wide" {
		return listing[explained]{kind: "ExplanationList", items: []explained{x}, name: func(x explained) string { return x.Of }}.write(c.Out, c.output)
	}
	if _, err := fmt.Fprintf(c.Out, "%s (%s)\n%s\n", printable(x.Of), dash(x.State), printable(x.Answer)); err != nil {
		return err
	}
	for _, d := range x.Detail {
		if _, err := fmt.Fprintln(c.Out, "  "+printable(d)); err != nil {
			return err
		}
	}
	return nil
}

// ---- scaling ---------------------------------------------------------------------

// scalingRow is the JSON form of why there are so many workers.
type scalingRow struct {
	Answer    string        `json:"answer"`
	Detail    []string      `json:"detail"`
	Pools     []scaledPool  `json:"pools"`
	Decisions []decisionRow `json:"decisions"`
	Drained   drainedRow    `json:"drained"`
	Avoided   []avoidedRow  `json:"avoided"`
}

// avoidedRow is a node that gets no containers for a while.
type avoidedRow struct {
	Node  string    `json:"node"`
	Until time.Time `json:"until"`
	Why   string    `json:"why"`
}

type scaledPool struct {
	Name      string       `json:"name"`
	Adapts    bool         `json:"adapts"`
	Min       int          `json:"min"`
	Max       int          `json:"max"`
	Target    int          `json:"target"`
	Requested int          `json:"requested"`
	Starting  int          `json:"starting"`
	Running   int          `json:"running"`
	Draining  int          `json:"draining"`
	Latest    *decisionRow `json:"latest,omitempty"`
}

type decisionRow struct {
	Time   time.Time `json:"time"`
	Pool   string    `json:"pool"`
	Kind   string    `json:"kind"`
	Bound  string    `json:"bound,omitempty"` // what keeps it below what would be of use
	From   int       `json:"from"`
	To     int       `json:"to"`
	Reason string    `json:"reason"`
	Inputs inputsRow `json:"inputs"`
}

// inputsRow has durations in seconds.
type inputsRow struct {
	Running  int     `json:"running"`
	Starting int     `json:"starting"`
	Draining int     `json:"draining"`
	Pending  int     `json:"pending"`
	Tasks    int     `json:"tasks"`
	Waiting  int     `json:"waiting"`
	Unknown  int     `json:"unknown"`
	Work     float64 `json:"workSeconds"`
	Path     float64 `json:"longestChainSeconds"`
	Width    int     `json:"width"`
	Goal     float64 `json:"goalSeconds"`
	Finish   float64 `json:"finishSeconds"`
	Stream   float64 `json:"stream"`
	Enough   int     `json:"enough"`
	Peak     int     `json:"enoughLately"`
	Busy     float64 `json:"busyLately"`
	Memory   int     `json:"toHoldResults"`
	Delay    float64 `json:"requestToReadySeconds"`
	Unmet    float64 `json:"unmetSeconds"`
	Failures int     `json:"failedStarts"`
	Headroom *int    `json:"headroom,omitempty"` // absent: not known
}

type drainedRow struct {
	Workers    int `json:"workers"`
	Recomputed int `json:"attemptsLost"`
	Results    int `json:"resultsLost"`
}

func newScalingRow(s *client.Scaling) scalingRow {
	out := scalingRow{Answer: s.Answer, Detail: append([]string{}, s.Detail...), Pools: []scaledPool{}, Decisions: []decisionRow{}, Avoided: []avoidedRow{},
		Drained: drainedRow{s.DrainedWorkers, s.DrainedAttempts, s.DrainedResults}}
	for _, p := range s.Pools {
		row := scaledPool{Name: p.Name, Adapts: p.Adapts, Min: p.Min, Max: p.Max, Target: p.Target, Requested: p.Requested, Starting: p.Starting, Running: p.Running, Draining: p.Draining}
		if p.Latest != nil {
			d := newDecisionRow(*p.Latest)
			row.Latest = &d
		}
		out.Pools = append(out.Pools, row)
	}
	for _, d := range s.Decisions {
		out.Decisions = append(out.Decisions, newDecisionRow(d))
	}
	return out
}

// addMaster adds what the application master knows: why pools wait for more, and which nodes it avoids.
func addMaster(ctx context.Context, row *scalingRow, s sight) error {
	info, err := s.info(ctx)
	for _, p := range info.GetPools() {
		if p.GetWaits() != "" {
			row.Detail = append(row.Detail, p.GetWaits())
		}
	}
	for _, n := range info.GetAvoided() {
		row.Avoided = append(row.Avoided, avoidedRow{Node: n.GetNode(), Until: n.GetUntil().AsTime().UTC(), Why: n.GetWhy()})
	}
	return err
}

func newDecisionRow(d client.Decision) decisionRow {
	in := d.Inputs
	out := decisionRow{Time: d.Time.UTC(), Pool: d.Pool, Kind: d.Kind, Bound: d.Bound, From: d.Before, To: d.Want, Reason: d.Reason, Inputs: inputsRow{
		Running: in.Running, Starting: in.Starting, Draining: in.Draining, Pending: in.Pending, Tasks: in.Tasks, Waiting: in.Waiting, Unknown: in.Unknown,
		Work: in.Work.Seconds(), Path: in.Path.Seconds(), Width: in.Width, Goal: in.Goal.Seconds(), Finish: in.Finish.Seconds(),
		Stream: in.Stream, Enough: in.Enough, Peak: in.Peak, Busy: in.Busy, Memory: in.Memory, Delay: in.Delay.Seconds(), Unmet: in.Unmet.Seconds(), Failures: in.Failures,
	}}
	if in.Headroom >= 0 {
		out.Inputs.Headroom = &in.Headroom
	}
	return out
}

// shownDecisions is how many of the latest decisions a person is shown.
const shownDecisions = 20

func (c *command) showScaling(s scalingRow) error {
	if c.output != "table" && c.output != "wide" {
		return listing[scalingRow]{kind: "ScalingList", items: []scalingRow{s}, name: func(s scalingRow) string { return s.Answer }}.write(c.Out, c.output)
	}
	tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i, cell := range cells {
			cells[i] = printable(cell)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	n := strconv.Itoa
	for _, line := range append([]string{s.Answer}, s.Detail...) {
		fmt.Fprintln(tw, printable(line))
	}
	if len(s.Pools) > 0 {
		fmt.Fprintln(tw)
		row("POOL", "LIMITS", "TARGET", "REQUESTED", "STARTING", "RUNNING", "DRAINING")
		for _, p := range s.Pools {
			limits := "-"
			if p.Adapts {
				limits = fmt.Sprintf("%d:%d", p.Min, p.Max)
			}
			row(p.Name, limits, n(p.Target), n(p.Requested), n(p.Starting), n(p.Running), n(p.Draining))
		}
	}
	if len(s.Avoided) > 0 {
		fmt.Fprintln(tw)
		row("NODE", "AVOIDED UNTIL", "WHY")
		for _, a := range s.Avoided {
			row(a.Node, a.Until.Format(time.RFC3339), a.Why)
		}
	}
	if len(s.Decisions) > 0 {
		fmt.Fprintln(tw)
		row("TIME", "POOL", "DECISION", "FROM", "TO", "WHY")
		for _, d := range s.Decisions[max(0, len(s.Decisions)-shownDecisions):] {
			row(d.Time.Format(time.RFC3339), d.Pool, d.Kind, n(d.From), n(d.To), d.Reason)
		}
	}
	return tw.Flush()
}
