package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
)

func (c *command) task() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "task",
		Short: "List, look at, cancel and retry an application's tasks",
		Long: `task looks at single tasks. A TASK is JOB/INDEX, as yarnd task list shows it; JOB is
the number or the name of a job that is open (see yarnd connect): jobs without a
name end with the program that submits to them.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.taskList(), c.taskGet(), c.taskCancel(), c.taskRetry())
	return cmd
}

func (c *command) taskList() *cobra.Command {
	var job, state string
	var limit int
	cmd := &cobra.Command{
		Use:   "list [APP]",
		Short: "List tasks",
		Args:  oneApp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if state != "" && !slices.Contains(client.TaskStates, state) {
				return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("no task is ever %q", state), Next: "Use --state " + strings.Join(client.TaskStates, "|")}
			}
			if limit < 1 {
				return &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%d tasks cannot be shown", limit), Next: "Give a --limit of at least 1"}
			}
			return c.withCluster(cmd.Context(), first(args), func(cluster *yarnd.Cluster) error {
				rows, more, err := taskRows(cmd.Context(), cluster, job, state, limit)
				if err != nil {
					return err
				}
				if more {
					c.progress("there are more than %d: see --limit, --job, --state", limit)
				}
				return taskListing(rows).write(c.Out, c.output)
			})
		},
	}
	cmd.Flags().StringVar(&job, "job", "", "only of this job: its number or name")
	cmd.Flags().StringVar(&state, "state", "", "only in this state: "+strings.Join(client.TaskStates, ", "))
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many")
	return cmd
}

// taskRows lists tasks of one job, or of all, the oldest first.
func taskRows(ctx context.Context, cluster *yarnd.Cluster, job, state string, limit int) (rows []taskRow, more bool, err error) {
	jobs, err := cluster.Jobs(ctx)
	if err != nil {
		return nil, false, err
	}
	if job != "" {
		id, err := findJob(cluster.ID, jobs, job)
		if err != nil {
			return nil, false, err
		}
		jobs = slices.DeleteFunc(jobs, func(j client.JobInfo) bool { return j.ID != id })
	}
	workers, err := cluster.Workers(ctx)
	if err != nil {
		return nil, false, err
	}
	names := map[graph.WorkerID]client.WorkerInfo{}
	for _, w := range workers {
		names[w.ID] = w
	}
	for _, j := range jobs {
		list, err := cluster.Tasks(ctx, j.ID, 0, limit+1-len(rows), state)
		if err != nil {
			return nil, false, err
		}
		for _, t := range list {
			if len(rows) == limit {
				return rows, true, nil
			}
			rows = append(rows, newTaskRow(t, j.Name, names[t.Worker].Name, names[t.Worker].Host))
		}
	}
	return rows, false, nil
}

// findJob finds an open job by its number or name.
func findJob(app string, jobs []client.JobInfo, what string) (graph.JobID, error) {
	for _, j := range jobs {
		if what == strconv.FormatUint(uint64(j.ID), 10) || j.Name == what && what != "" {
			return j.ID, nil
		}
	}
	return 0, &edgeclient.Fault{Code: edgeclient.NotFound, What: fmt.Sprintf("%s has no open job %q", app, what), Next: "See yarnd connect " + app + "; a job without a name has closed with its program, as a map does: give it its failed items again"}
}

// findTask finds a task by JOB/INDEX.
func findTask(app string, jobs []client.JobInfo, what string) (graph.TaskID, error) {
	at := strings.LastIndexByte(what, '/')
	index, err := strconv.ParseUint(what[at+1:], 10, 32)
	if at < 1 || err != nil {
		return graph.TaskID{}, &edgeclient.Fault{Code: edgeclient.Usage, What: fmt.Sprintf("%q is no task", what), Next: "Give JOB/INDEX, as yarnd task list " + app + " shows it"}
	}
	job, err := findJob(app, jobs, what[:at])
	return graph.TaskID{Job: job, Index: uint32(index)}, err
}

func (c *command) taskGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get APP TASK",
		Short: "Show a task: its state, attempts, times, where it ran, its error",
		Args:  appArg(2, "an application and a task"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withCluster(cmd.Context(), args[0], func(cluster *yarnd.Cluster) error {
				jobs, err := cluster.Jobs(cmd.Context())
				if err != nil {
					return err
				}
				id, err := findTask(cluster.ID, jobs, args[1])
				if err != nil {
					return err
				}
				d, err := cluster.TaskDetail(cmd.Context(), id)
				if err != nil {
					return err
				}
				return c.showTask(newTaskDetail(d))
			})
		},
	}
}

func (c *command) taskCancel() *cobra.Command {
	var job string
	cmd := &cobra.Command{
		Use:   "cancel APP TASK... | --job JOB",
		Short: "End tasks that have not ended, and what depends on them",
		Args: func(cmd *cobra.Command, args []string) error {
			if job != "" && len(args) != 1 || job == "" && len(args) < 2 {
				return &edgeclient.Fault{Code: edgeclient.Usage, What: cmd.CommandPath() + " takes an application, and either tasks or --job", Next: "See " + cmd.CommandPath() + " --help"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withCluster(cmd.Context(), args[0], func(cluster *yarnd.Cluster) error {
				jobs, err := cluster.Jobs(cmd.Context())
				if err != nil {
					return err
				}
				return c.cancelTasks(cmd.Context(), cluster, jobs, job, args[1:])
			})
		},
	}
	cmd.Flags().StringVar(&job, "job", "", "all tasks of this job: its number or name")
	return cmd
}

// taskChoice is some of a job's tasks; without an index it is all of them.
type taskChoice struct {
	job   graph.JobID
	index []uint32
}

// choose adds a task to those of its job.
func choose(chosen []taskChoice, t graph.TaskID) []taskChoice {
	at := slices.IndexFunc(chosen, func(k taskChoice) bool { return k.job == t.Job })
	if at < 0 {
		at = len(chosen)
		chosen = append(chosen, taskChoice{job: t.Job})
	}
	chosen[at].index = append(chosen[at].index, t.Index)
	return chosen
}

// cancelTasks cancels a job's tasks, or the tasks named, when all of them exist.
func (c *command) cancelTasks(ctx context.Context, cluster *yarnd.Cluster, jobs []client.JobInfo, job string, tasks []string) error {
	var chosen []taskChoice
	if job != "" {
		id, err := findJob(cluster.ID, jobs, job)
		if err != nil {
			return err
		}
		chosen = []taskChoice{{job: id}}
	}
	for _, what := range tasks {
		id, err := findTask(cluster.ID, jobs, what)
		if err == nil {
			_, err = cluster.TaskDetail(ctx, id)
		}
		if err != nil {
			return err
		}
		chosen = choose(chosen, id)
	}
	total := 0
	for _, k := range chosen {
		n, err := cluster.CancelTasks(ctx, k.job, k.index...)
		if err != nil {
			return err
		}
		total += n
	}
	c.progress("ended %d tasks; others had ended before", total)
	return nil
}
