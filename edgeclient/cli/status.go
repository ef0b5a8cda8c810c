package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/client"
)

func (c *command) status() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:   "status [APP]",
		Short: "Show an application: its state, pools, containers, work",
		Args:  oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withApp(cmd.Context(), first(args), func(client *edgeclient.Client, r edgeclient.Report) error {
				show := func(w io.Writer, r edgeclient.Report) error { return c.showStatus(cmd.Context(), client, r, w) }
				if watch {
					return c.watch(cmd.Context(), client, r, show)
				}
				return show(c.Out, r)
			})
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it again every two seconds, until it has ended")
	return cmd
}

func (c *command) showStatus(ctx context.Context, client *edgeclient.Client, r edgeclient.Report, w io.Writer) error {
	st := status{Report: r}
	if edgeclient.IsAddress(r.ID) {
		err := c.onCluster(ctx, client, r, func(cluster *yarnd.Cluster) error { return st.askScheduler(ctx, cluster) })
		if err != nil {
			return err
		}
	} else if r.Endpoint != "" {
		if err := st.ask(ctx, client); err != nil {
			c.progress("the application master says nothing: %s", err)
		}
	}
	if c.output != "table" && c.output != "wide" {
		return listing[status]{kind: "StatusList", items: []status{st}, name: func(s status) string { return s.ID }}.write(w, c.output)
	}
	return st.print(w, c.output == "wide")
}

// withSession runs f with a session of the application that app names.
func (c *command) withSession(ctx context.Context, app string, f func(*edgeclient.Session) error) error {
	return c.withApp(ctx, app, func(client *edgeclient.Client, r edgeclient.Report) error {
		s, err := client.Connect(ctx, r)
		if err != nil {
			return err
		}
		defer s.Close()
		return f(s)
	})
}

// status is the JSON form of what is known of an application.
type status struct {
	edgeclient.Report
	Pools      []poolStatus      `json:"pools,omitempty"`
	Containers []containerStatus `json:"containers,omitempty"`
	Work       *workStatus       `json:"work,omitempty"`
	Exits      []exitStatus      `json:"exits,omitempty"`
	Tokens     *tokenStatus      `json:"tokens,omitempty"`
}

// tokenStatus is how long an application can act for its owner, on a cluster with Kerberos.
type tokenStatus struct {
	Until   time.Time `json:"until,omitzero"`
	AtMost  bool      `json:"atMost,omitempty"` // until is a bound: YARN renews them, and they end before if it cannot
	Renews  bool      `json:"renews"`           // the application gets new ones by itself
	Warning string    `json:"warning,omitempty"`
	Limit   string    `json:"limit,omitempty"` // what it cannot do after the last day of its first tokens all the same
}

// text is how that is told to a person.
func (t *tokenStatus) text() string {
	by := "nobody knows until when"
	if !t.Until.IsZero() {
		by = "until " + t.Until.Local().Format("2006-01-02 15:04")
	}
	if t.AtMost {
		by += " at most, for as long as YARN renews them"
	}
	if t.Renews {
		by += ", renewed by itself"
	}
	return by
}

type poolStatus struct {
	Name     string `json:"name"`
	Wanted   int    `json:"wanted"`
	Asked    int    `json:"asked"`
	Starting int    `json:"starting"`
	Running  int    `json:"running"`
	Stopping int    `json:"stopping"`
	Min      *int   `json:"min,omitempty"` // of a pool that scales by itself
	Max      *int   `json:"max,omitempty"`
	PerNode  int    `json:"maxPerNode,omitempty"`
	Waits    string `json:"waits,omitempty"` // why more do not come, where maxPerNode is the reason
}

// limits are those of a pool that scales by itself, MIN:MAX.
func (p poolStatus) limits() string {
	if p.Max == nil {
		return "-"
	}
	return fmt.Sprintf("%d:%d", *p.Min, *p.Max)
}

type containerStatus struct {
	ID    string    `json:"id"`
	Pool  string    `json:"pool"`
	Node  string    `json:"node"`
	State string    `json:"state"`
	Since time.Time `json:"since"`
	PID   int       `json:"pid,omitempty"`
}

type workStatus struct {
	Workers int         `json:"workers"`
	Slots   int         `json:"slots"`
	Clients *int        `json:"clients,omitempty"` // not known of a cluster that was started by hand
	Waiting int         `json:"waiting"`
	Running int         `json:"running"`
	Done    int         `json:"done"`
	Failed  int         `json:"failed"`
	Jobs    []jobStatus `json:"jobs,omitempty"`
}

type jobStatus struct {
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	Tasks   int    `json:"tasks"`
	Running int    `json:"running"`
	Done    int    `json:"done"`
	Failed  int    `json:"failed"`
	// Kept is for how many seconds it is there, if nobody uses it; 0: it is in use, or there is no end.
	Kept float64 `json:"keptSeconds,omitempty"`
}

// newJobStatus is what the scheduler says of a job.
func newJobStatus(j client.JobInfo) jobStatus {
	return jobStatus{strconv.FormatUint(uint64(j.ID), 10), j.Name, j.Tasks, j.Running, j.Done, j.Failed, j.Kept.Seconds()}
}

// kept is for how long a job is there, for a table.
func (j *jobStatus) kept() string {
	if j.Kept == 0 {
		return "-"
	}
	return (time.Duration(j.Kept) * time.Second).String()
}

type exitStatus struct {
	Container   string    `json:"container"`
	Pool        string    `json:"pool"`
	Node        string    `json:"node"`
	Cause       string    `json:"cause"`
	Diagnostics string    `json:"diagnostics,omitempty"`
	When        time.Time `json:"when"`
}

func (st *status) ask(ctx context.Context, client *edgeclient.Client) error {
	s, err := client.Connect(ctx, st.Report)
	if err != nil {
		return err
	}
	defer s.Close()
	info, err := s.Info(ctx)
	if err != nil {
		return err
	}
	st.fill(info)
	if st.Tokens != nil && st.Tokens.Renews {
		st.Tokens.Limit = client.LimitOfLife(ctx)
	}
	return nil
}

func (st *status) fill(info *ampb.Info) {
	for _, p := range info.GetPools() {
		row := poolStatus{Name: p.GetName(), Wanted: int(p.GetWanted()), Asked: int(p.GetAsked()), Starting: int(p.GetStarting()), Running: int(p.GetRunning()), Stopping: int(p.GetStopping()),
			PerNode: int(p.GetMaxPerNode()), Waits: p.GetWaits()}
		if l := p.GetAdapt(); l != nil {
			least, most := int(l.GetMin()), int(l.GetMax())
			row.Min, row.Max = &least, &most
		}
		st.Pools = append(st.Pools, row)
	}
	st.Containers = append(st.Containers, containerStatus{ID: info.GetContainer(), Pool: "appmaster", Node: info.GetNode(),
		State: strings.ToLower(info.GetState().String()), Since: info.GetStarted().AsTime(), PID: int(info.GetPid())})
	for _, k := range info.GetContainers() {
		st.Containers = append(st.Containers, containerStatus{k.GetId(), k.GetPool(), k.GetNode(), k.GetState(), k.GetSince().AsTime(), int(k.GetPid())})
	}
	for _, e := range info.GetExits() {
		st.Exits = append(st.Exits, exitStatus{e.GetContainer(), e.GetPool(), e.GetNode(), e.GetCause(), e.GetDiagnostics(), e.GetWhen().AsTime()})
	}
	if d := info.GetDelegation(); d != nil {
		st.Tokens = &tokenStatus{Renews: d.GetRenews(), Warning: edgeclient.DelegationEnds(info, time.Now())}
		if d.Until != nil {
			st.Tokens.Until, st.Tokens.AtMost = d.Until.AsTime(), d.GetAtMost()
		}
	}
	r := info.GetReport()
	if r == nil {
		return
	}
	clients := int(r.GetClients())
	st.Work = &workStatus{Workers: int(r.GetWorkers()), Slots: int(r.GetSlots()), Clients: &clients,
		Waiting: int(r.GetWaiting()), Running: int(r.GetRunning()), Done: int(r.GetDone()), Failed: int(r.GetFailed())}
	for _, j := range r.GetJobs() {
		st.Work.Jobs = append(st.Work.Jobs, jobStatus{j.GetId(), j.GetName(), int(j.GetTasks()), int(j.GetRunning()), int(j.GetDone()), int(j.GetFailed()), j.GetKept().AsDuration().Seconds()})
	}
}

// askScheduler fills in the work, where nobody else knows of it.
func (st *status) askScheduler(ctx context.Context, cluster *yarnd.Cluster) error {
	workers, err := cluster.Workers(ctx)
	if err != nil {
		return err
	}
	jobs, err := cluster.Jobs(ctx)
	if err != nil {
		return err
	}
	tasks := countTasks(jobs)
	st.Work = &workStatus{Workers: len(workers), Waiting: tasks.Waiting + tasks.Ready, Running: tasks.Running, Done: tasks.Done, Failed: tasks.Failed}
	for _, w := range workers {
		st.Work.Slots += w.Slots
	}
	for _, j := range jobs {
		st.Work.Jobs = append(st.Work.Jobs, newJobStatus(j))
	}
	return nil
}

// print shows a status to a person.
func (st *status) print(w io.Writer, wide bool) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = printable(cells[i])
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	n := strconv.Itoa
	row("ID", st.ID)
	row("NAME", st.Name)
	row("USER", st.User)
	row("QUEUE", st.Queue)
	state := string(st.State)
	if st.Final != "" {
		state += " (" + st.Final + ")"
	}
	row("STATE", state)
	row("AGE", ago(st.Started))
	row("TRACKING", dash(st.TrackingURL))
	if st.Tokens != nil {
		row("TOKENS", st.Tokens.text())
		if st.Tokens.Limit != "" {
			row("", st.Tokens.Limit)
		}
	}
	title := "DIAGNOSTICS"
	for line := range strings.Lines(st.Diagnostics) {
		row(title, strings.TrimSuffix(line, "\n"))
		title = ""
	}
	if len(st.Pools) > 0 {
		fmt.Fprintln(tw)
		row("POOL", "WANTED", "ASKED", "STARTING", "RUNNING", "STOPPING", "ADAPTS")
		for _, p := range st.Pools {
			row(p.Name, n(p.Wanted), n(p.Asked), n(p.Starting), n(p.Running), n(p.Stopping), p.limits())
		}
	}
	for _, p := range st.Pools {
		if p.Waits != "" {
			fmt.Fprintln(tw, printable(p.Waits))
		}
	}
	if len(st.Containers) > 0 {
		fmt.Fprintln(tw)
		row("CONTAINER", "POOL", "NODE", "STATE", "AGE", "PID")
		for _, k := range st.Containers {
			pid := "-"
			if k.PID != 0 {
				pid = n(k.PID)
			}
			row(k.ID, k.Pool, k.Node, k.State, ago(k.Since), pid)
		}
	}
	st.printWork(tw, row)
	if wide && len(st.Exits) > 0 {
		fmt.Fprintln(tw)
		row("EXITED", "POOL", "NODE", "AGE", "CAUSE")
		for _, e := range st.Exits {
			row(e.Container, e.Pool, e.Node, ago(e.When), e.Cause)
		}
	}
	return tw.Flush()
}

func (st *status) printWork(tw io.Writer, row func(...string)) {
	if st.Work == nil {
		return
	}
	n := strconv.Itoa
	clients := "-"
	if st.Work.Clients != nil {
		clients = n(*st.Work.Clients)
	}
	fmt.Fprintln(tw)
	row("WORKERS", "SLOTS", "CLIENTS", "WAITING", "RUNNING", "DONE", "FAILED")
	row(n(st.Work.Workers), n(st.Work.Slots), clients, n(st.Work.Waiting), n(st.Work.Running), n(st.Work.Done), n(st.Work.Failed))
	if len(st.Work.Jobs) == 0 {
		return
	}
	fmt.Fprintln(tw)
	row("JOB", "NAME", "TASKS", "RUNNING", "DONE", "FAILED", "KEPT")
	for _, j := range st.Work.Jobs {
		row(j.ID, dash(j.Name), n(j.Tasks), n(j.Running), n(j.Done), n(j.Failed), j.kept())
	}
}
