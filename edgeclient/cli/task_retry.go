package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
)

// retryChoice is what task retry was asked for: tasks, or all that failed of a job or
// of all jobs.
type retryChoice struct {
	tasks []string
	job   string
	all   bool
}

func (c *command) taskRetry() *cobra.Command {
	var choice retryChoice
	cmd := &cobra.Command{
		Use:   "retry APP TASK... | --job JOB | --all-failed",
		Short: "Run failed tasks again, and what failed because of them",
		Long: `retry has tasks run again that failed, with all the attempts that they are allowed:
those named, or all that failed of a job, or of all jobs. The failed tasks that they
depend on run again with them, and so do those that failed only because of them; what
of their inputs was freed meanwhile is computed again. It shows what runs again.

A task can be retried as long as somebody holds it: the program that submitted it, its
named job, or a published name. One that was cancelled cannot. If one of the tasks
named cannot be retried, none of its job is; of --job and --all-failed, those that can
be are.`,
		Example: `  yarnd task retry last 1/7 1/9
  yarnd task retry last --job nightly
  yarnd task retry last --all-failed -o name`,
		Args: func(cmd *cobra.Command, args []string) error {
			ways := 0
			for _, way := range []bool{len(args) > 1, choice.job != "", choice.all} {
				if way {
					ways++
				}
			}
			if len(args) == 0 || ways != 1 {
				return usage(cmd.CommandPath()+" takes an application, and either tasks, --job or --all-failed", "See "+cmd.CommandPath()+" --help")
			}
			choice.tasks = args[1:]
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withCluster(cmd.Context(), args[0], func(cluster *yarnd.Cluster) error {
				return c.retryTasks(cmd.Context(), cluster, choice)
			})
		},
	}
	cmd.Flags().StringVar(&choice.job, "job", "", "all that failed of this job: its number or name")
	cmd.Flags().BoolVar(&choice.all, "all-failed", false, "all that failed, of every job")
	return cmd
}

func (c *command) retryTasks(ctx context.Context, cluster *yarnd.Cluster, choice retryChoice) error {
	jobs, err := cluster.Jobs(ctx)
	if err != nil {
		return err
	}
	chosen, err := choice.find(ctx, cluster, jobs)
	if err != nil {
		return err
	}
	var again []graph.TaskID
	left := 0
	for _, k := range chosen {
		done, err := cluster.RetryTasks(ctx, k.job, k.index...)
		if err != nil {
			return retryFault(cluster.ID, len(again), err)
		}
		again = append(again, done.Tasks...)
		left += done.Left
	}
	if left > 0 {
		c.progress("%d more have failed and cannot be retried: yarnd task retry %s JOB/INDEX says why", left, cluster.ID)
	}
	c.progress("%d tasks run again", len(again))
	rows, err := namedRows(ctx, cluster, jobs, again)
	if err != nil {
		return err
	}
	return taskListing(rows).write(c.Out, c.output)
}

// find finds the tasks, all of which exist.
func (r retryChoice) find(ctx context.Context, cluster *yarnd.Cluster, jobs []client.JobInfo) (chosen []taskChoice, err error) {
	switch {
	case r.all:
		for _, j := range jobs {
			if j.Failed > 0 {
				chosen = append(chosen, taskChoice{job: j.ID})
			}
		}
	case r.job != "":
		id, err := findJob(cluster.ID, jobs, r.job)
		if err != nil {
			return nil, err
		}
		return []taskChoice{{job: id}}, nil
	}
	for _, what := range r.tasks {
		id, err := findTask(cluster.ID, jobs, what)
		if err == nil {
			_, err = cluster.TaskDetail(ctx, id)
		}
		if err != nil {
			return nil, err
		}
		chosen = choose(chosen, id)
	}
	return chosen, nil
}

// retryFault says what to look at when a task cannot be retried.
func retryFault(app string, again int, err error) error {
	what := "nothing was retried"
	if again > 0 {
		what = fmt.Sprintf("%d tasks run again, and then", again)
	}
	return &edgeclient.Fault{Code: yarnd.ExitCode(err), What: what, Why: err, Next: fmt.Sprintf("See yarnd task list %s --state failed", app)}
}

// namedRows are the rows of tasks in a list, by job and index.
func namedRows(ctx context.Context, cluster *yarnd.Cluster, jobs []client.JobInfo, tasks []graph.TaskID) (rows []taskRow, err error) {
	tasks = slices.Clone(tasks)
	slices.SortFunc(tasks, graph.TaskID.Compare)
	workers, err := cluster.Workers(ctx)
	if err != nil {
		return nil, err
	}
	byID := map[graph.WorkerID]client.WorkerInfo{}
	for _, w := range workers {
		byID[w.ID] = w
	}
	names := map[graph.JobID]string{}
	for _, j := range jobs {
		names[j.ID] = j.Name
	}
	for len(tasks) > 0 {
		run := runOf(tasks)
		first, last := run[0], run[len(run)-1]
		list, err := cluster.Tasks(ctx, first.Job, first.Index, int(last.Index-first.Index)+1, "")
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			if _, ok := slices.BinarySearchFunc(run, t.Task, graph.TaskID.Compare); ok {
				rows = append(rows, newTaskRow(t, names[t.Task.Job], byID[t.Worker].Name, byID[t.Worker].Host))
			}
		}
		tasks = tasks[len(run):]
	}
	return rows, nil
}

// nearby is how far apart tasks may be that are asked for at once.
const nearby = 1000

// runOf returns the tasks at the beginning that are close to each other.
func runOf(tasks []graph.TaskID) []graph.TaskID {
	n := 1
	for n < len(tasks) && tasks[n].Job == tasks[n-1].Job && tasks[n].Index-tasks[n-1].Index <= nearby {
		n++
	}
	return tasks[:n]
}
