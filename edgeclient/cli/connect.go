package cli

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

func (c *command) connect() *cobra.Command {
	return &cobra.Command{
		Use:   "connect [APP]",
		Short: "Come back to an application: prove who you are, show what is there",
		Long: `connect proves to a running application that you are its owner, or one who may
submit work to it (submit --submit-acl), shows its workers, jobs and named results, and makes it this host's current application, until it ends:
the APP "current" of every command, and what a program finds that asks for none. It is
remembered in ~/.yarnd/current.`,
		Args: oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withCluster(cmd.Context(), first(args), func(cluster *yarnd.Cluster) error {
				if err := c.showCluster(cmd.Context(), cluster); err != nil {
					return err
				}
				if err := edgeclient.SetCurrent(cluster.ID); err != nil {
					return &edgeclient.Fault{Code: edgeclient.Internal, What: "cannot remember the current application", Why: err, Next: "Check your home directory, or set YARND_HOME"}
				}
				return nil
			})
		},
	}
}

// withCluster runs f with a connection to the engine of the application that app
// names.
func (c *command) withCluster(ctx context.Context, app string, f func(*yarnd.Cluster) error) error {
	return c.withApp(ctx, app, func(client *edgeclient.Client, r edgeclient.Report) error {
		return c.onCluster(ctx, client, r, f)
	})
}

// onCluster runs f with a connection to an application's engine.
func (c *command) onCluster(ctx context.Context, client *edgeclient.Client, r edgeclient.Report, f func(*yarnd.Cluster) error) error {
	cluster, err := c.attach(ctx, client, r)
	if err != nil {
		return err
	}
	defer cluster.Close()
	return f(cluster)
}

// attach connects to an application's engine, and waits for it so long as a person does.
func (c *command) attach(ctx context.Context, client *edgeclient.Client, r edgeclient.Report) (*yarnd.Cluster, error) {
	return c.patiently(ctx, r, func(ctx context.Context) (*yarnd.Cluster, error) { return yarnd.Attach(ctx, client, r, false) })
}

// patiently has f connect to an application's engine for as long as a person waits.
func (c *command) patiently(ctx context.Context, r edgeclient.Report, f func(context.Context) (*yarnd.Cluster, error)) (*yarnd.Cluster, error) {
	late := &edgeclient.Fault{Code: edgeclient.TimedOut, What: "no answer from the scheduler of " + r.ID, Next: "See yarnd status " + r.ID}
	wait := 2 * callTimeout
	if edgeclient.IsAddress(r.ID) { // there is nobody who might start one anew
		wait, late.Next = callTimeout, "Check that yarnd scheduler runs there, and the address"
	}
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	cluster, err := f(bounded)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		late.Why, err = err, late
	}
	return cluster, err
}

// connection is the JSON form of what connect shows.
type connection struct {
	ID      string            `json:"id"`
	Workers []connectedWorker `json:"workers"`
	Jobs    []jobStatus       `json:"jobs"`
	Names   []publishedName   `json:"names"`
}

type connectedWorker struct {
	Container string `json:"container"`
	Host      string `json:"host"`
	Pool      string `json:"pool"`
	Slots     int    `json:"slots"`
	Running   int    `json:"running"`
	State     string `json:"state"`
}

type publishedName struct {
	Name string `json:"name"`
	Task string `json:"task"`
	Type string `json:"type,omitempty"`
}

// look asks the scheduler what is there.
func look(ctx context.Context, cluster *yarnd.Cluster) (connection, error) {
	show := connection{ID: cluster.ID, Workers: []connectedWorker{}, Jobs: []jobStatus{}, Names: []publishedName{}}
	workers, err := cluster.Workers(ctx)
	if err != nil {
		return show, err
	}
	for _, w := range workers {
		show.Workers = append(show.Workers, connectedWorker{w.Name, w.Host, w.Pool, w.Slots, w.Running, w.State})
	}
	jobs, err := cluster.Jobs(ctx)
	if err != nil {
		return show, err
	}
	for _, j := range jobs {
		show.Jobs = append(show.Jobs, newJobStatus(j))
	}
	names, err := cluster.Names(ctx)
	for _, n := range names {
		show.Names = append(show.Names, publishedName{n.Name, n.Task.String(), n.Type})
	}
	return show, err
}

func (c *command) showCluster(ctx context.Context, cluster *yarnd.Cluster) error {
	show, err := look(ctx, cluster)
	if err != nil {
		return err
	}
	if c.output != "table" && c.output != "wide" {
		return listing[connection]{kind: "ConnectionList", items: []connection{show}, name: func(s connection) string { return s.ID }}.write(c.Out, c.output)
	}
	tw := tabwriter.NewWriter(c.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "ID\t%s\n\nWORKER\tHOST\tSLOTS\tRUNNING\tSTATE\n", show.ID)
	for _, w := range show.Workers {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%s\n", printable(w.Container), printable(w.Host), w.Slots, w.Running, w.State)
	}
	fmt.Fprint(tw, "\nJOB\tNAME\tTASKS\tRUNNING\tDONE\tFAILED\tKEPT\n")
	for _, j := range show.Jobs {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", j.ID, dash(printable(j.Name)), j.Tasks, j.Running, j.Done, j.Failed, j.kept())
	}
	if len(show.Names) > 0 {
		fmt.Fprint(tw, "\nRESULT\tTASK\tTYPE\n")
		for _, p := range show.Names {
			fmt.Fprintf(tw, "%s\t%s\t%s\n", printable(p.Name), p.Task, dash(printable(p.Type)))
		}
	}
	return tw.Flush()
}
