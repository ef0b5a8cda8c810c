package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// unfinished is what the application says of the tasks that have not ended: a few of each job and state, with why.
func (w *world) unfinished(ctx context.Context) string {
	const each = 2
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	jobs, err := w.app.Jobs(ctx)
	if err != nil {
		return "nobody tells why: " + err.Error()
	}
	var said []string
	for _, job := range jobs {
		if job.Waiting+job.Ready+job.Running == 0 {
			continue
		}
		said = append(said, fmt.Sprintf("of job %d %q %d tasks wait, %d are ready, %d run", job.ID, job.Name, job.Waiting, job.Ready, job.Running))
		for _, state := range []string{"waiting", "ready", "assigned", "running"} {
			rows, err := w.app.Tasks(ctx, job.ID, 0, each, state)
			if err != nil {
				said = append(said, err.Error())
			}
			for _, row := range rows {
				said = append(said, w.whyTask(ctx, row.Task))
			}
		}
	}
	if len(said) == 0 {
		return "the scheduler knows of no task that has not ended"
	}
	return strings.Join(said, "\n")
}

func (w *world) whyTask(ctx context.Context, task graph.TaskID) string {
	why, err := w.app.WhyTask(ctx, task)
	if err != nil {
		return fmt.Sprintf("task %v: %v", task, err)
	}
	return strings.Join(append([]string{fmt.Sprintf("task %v is %s: %s", task, why.State, why.Answer)}, why.Detail...), "\n")
}
