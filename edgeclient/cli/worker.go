package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/client"
)

func (c *command) worker() *cobra.Command {
	cmd := &cobra.Command{Short: "Run a worker by hand; list an application's, let some go, or start them anew"}
	c.runWorker(cmd)
	cmd.AddCommand(c.workerList(), c.workerRetire(), c.workerRestart())
	return cmd
}

func (c *command) workerList() *cobra.Command {
	return &cobra.Command{
		Use:   "list [APP]",
		Short: "List the workers, those that are starting too",
		Args:  oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withSight(cmd.Context(), first(args), func(s sight) error {
				rows, err := workerRows(cmd.Context(), s)
				if err != nil {
					return err
				}
				return workerListing(rows).write(c.Out, c.output)
			})
		},
	}
}

// workerRow is the JSON form of a worker.
type workerRow struct {
	ID      string     `json:"id"` // its container; of one started by hand, its name
	Pool    string     `json:"pool"`
	Host    string     `json:"host"`
	State   string     `json:"state"` // starting, running, away, silent, draining, stopping, missing
	Slots   int        `json:"slots"`
	Running int        `json:"running"` // tasks
	Queued  int        `json:"queued"`
	Done    uint64     `json:"done"`
	Results uint64     `json:"resultBytes"`
	Limit   uint64     `json:"resultLimitBytes"`
	RSS     uint64     `json:"rssBytes"`
	CPU     float64    `json:"cpu"` // cores
	Joined  *time.Time `json:"joined,omitempty"`
	Address string     `json:"address,omitempty"`
	PID     int        `json:"pid,omitempty"`
}

// workerRows puts together what the application master knows of containers, and the
// scheduler of those that have joined it: it is asked, or else what it reported counts.
func workerRows(ctx context.Context, s sight) ([]workerRow, error) {
	info, err := s.info(ctx)
	if err != nil {
		return nil, err
	}
	if s.cluster == nil {
		return mergeWorkers(info, reportedWorkers(info.GetReport())), nil
	}
	joined, err := s.cluster.Workers(ctx)
	if err != nil {
		return nil, err
	}
	if s.session.ByHand() {
		return joinedWorkers(joined), nil
	}
	return mergeWorkers(info, joined), nil
}

// joinedWorkers is all that is known where nobody has containers.
func joinedWorkers(joined []client.WorkerInfo) []workerRow {
	rows := []workerRow{}
	for _, w := range joined {
		row := workerRow{ID: w.Name, Pool: w.Pool, Host: w.Host, State: w.State}
		row.join(w)
		rows = append(rows, row)
	}
	return rows
}

// join fills in what the scheduler knows.
func (r *workerRow) join(w client.WorkerInfo) {
	r.Slots, r.Running, r.Queued, r.Done = w.Slots, w.Running, w.Queued, w.Done
	r.Results, r.Limit, r.RSS, r.CPU = w.MemoryUsed, w.Memory, w.RSS, w.CPU
	r.Address = w.Address
	if !w.Joined.IsZero() {
		r.Joined, r.PID = &w.Joined, w.PID
	}
}

func mergeWorkers(info *ampb.Info, joined []client.WorkerInfo) []workerRow {
	byName := map[string]client.WorkerInfo{}
	for _, w := range joined {
		byName[w.Name] = w
	}
	rows := []workerRow{}
	for _, k := range info.GetContainers() {
		if k.GetRole() != string(spec.RoleWorker) {
			continue
		}
		row := workerRow{ID: k.GetId(), Pool: k.GetPool(), Host: k.GetNode(), State: k.GetState(), PID: int(k.GetPid())}
		if w, ok := byName[row.ID]; ok {
			if row.State == "running" {
				row.State = w.State
			}
			row.join(w)
		} else if row.State == "running" {
			row.State = "starting" // its process runs, and has not joined yet
		}
		rows = append(rows, row)
	}
	return rows
}

func workerListing(rows []workerRow) listing[workerRow] {
	n := strconv.Itoa
	return listing[workerRow]{
		kind:  "WorkerList",
		items: rows,
		name:  func(w workerRow) string { return w.ID },
		columns: []column[workerRow]{
			{title: "WORKER", value: func(w workerRow) string { return w.ID }},
			{title: "POOL", value: func(w workerRow) string { return w.Pool }},
			{title: "HOST", value: func(w workerRow) string { return w.Host }},
			{title: "STATE", value: func(w workerRow) string { return w.State }},
			{title: "SLOTS", value: func(w workerRow) string { return n(w.Slots) }},
			{title: "RUNNING", value: func(w workerRow) string { return n(w.Running) }},
			{title: "QUEUED", value: func(w workerRow) string { return n(w.Queued) }},
			{title: "DONE", value: func(w workerRow) string { return strconv.FormatUint(w.Done, 10) }},
			{title: "RESULTS", value: func(w workerRow) string { return byteSize(w.Results) }},
			{title: "RSS", value: func(w workerRow) string { return byteSize(w.RSS) }},
			{title: "CPU", value: func(w workerRow) string { return strconv.FormatFloat(w.CPU, 'f', 1, 64) }},
			{title: "JOINED", wide: true, value: func(w workerRow) string { return stamp(w.Joined) }},
			{title: "ADDRESS", wide: true, value: func(w workerRow) string { return dash(w.Address) }},
			{title: "PID", wide: true, value: func(w workerRow) string { return n(w.PID) }},
		},
	}
}

// byteSize shows bytes in the largest unit that leaves a number of at least 1.
func byteSize(b uint64) string {
	v, unit := float64(b), 0
	for v >= 1024 && unit < 4 {
		v /= 1024
		unit++
	}
	if unit == 0 {
		return strconv.FormatUint(b, 10)
	}
	return fmt.Sprintf("%.1f%s", v, []string{"", "KiB", "MiB", "GiB", "TiB"}[unit])
}

// stamp shows a moment, RFC 3339.
func stamp(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func (c *command) workerRetire() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use:   "retire APP WORKER...",
		Short: "Let workers go in order: drained, then given back",
		Long: `retire lets workers go: they get no new tasks, finish what they run, and hand on
results that only they hold; then their containers are given back. The pool wants
one fewer for each from now on, or with --replace is asked for another at once.
WORKER is a container's id, or an end of it that no other has. The command returns
when it has begun: see yarnd worker list.`,
		Args: appAndMore("workers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.letGo(cmd.Context(), args, replace)
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "ask for others in their place")
	return cmd
}

func (c *command) workerRestart() *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use:   "restart APP WORKER...",
		Short: "Replace workers by new ones",
		Long: `restart lets workers go as retire does and asks for others in their place at once.
With --now they are ended as they are: tasks that they run, and results that only
they hold, are computed again elsewhere.`,
		Args: appAndMore("workers"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !now {
				return c.letGo(cmd.Context(), args, true)
			}
			return c.withWorkers(cmd.Context(), args, func(s *edgeclient.Session, ids []string) error {
				for _, id := range ids {
					if err := s.KillWorker(cmd.Context(), id); err != nil {
						return err
					}
					c.progress("ended %s; another takes its place", id)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "do not wait for the tasks that they run")
	return cmd
}

// letGo retires the workers that args names behind the application.
func (c *command) letGo(ctx context.Context, args []string, replace bool) error {
	return c.withWorkers(ctx, args, func(s *edgeclient.Session, ids []string) error {
		pools, err := s.Retire(ctx, ids, replace)
		if err != nil {
			return err
		}
		c.progress("draining %s", strings.Join(ids, ", "))
		for _, p := range pools {
			if p.Before != p.Wanted {
				c.progress("pool %s: from %d to %d workers", p.Name, p.Before, p.Wanted)
			}
		}
		return nil
	})
}

// withWorkers runs f with the workers that args names behind the application.
func (c *command) withWorkers(ctx context.Context, args []string, f func(*edgeclient.Session, []string) error) error {
	return c.withSession(ctx, args[0], func(s *edgeclient.Session) error {
		info, err := s.Info(ctx)
		if err != nil {
			return err
		}
		ids, err := edgeclient.FindWorkers(s.App.ID, info, args[1:])
		if err != nil {
			return err
		}
		return f(s, ids)
	})
}

// appAndMore demands an application and at least one of something else.
func appAndMore(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= 2 {
			return nil
		}
		return &edgeclient.Fault{Code: edgeclient.Usage, What: cmd.CommandPath() + " takes an application and " + what, Next: "See " + cmd.CommandPath() + " --help"}
	}
}
