package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// Retried is what a retry did.
type Retried struct {
	Tasks []graph.TaskID // that run again, of whatever job
	Left  int            // failed tasks of the job that cannot be retried, if all were asked for
}

// Retry has failed tasks run again that are still held, with the failed ones on which
// they depend and those that failed because of them. If one of them cannot be retried,
// none is, and the error is ErrNotFound or ErrState. When it returns, Result and Wait
// of these tasks wait for their new outcome; whoever has had the failure keeps it.
func (j *Job) Retry(ctx context.Context, indices ...uint32) (Retried, error) {
	j.mu.Lock()
	j.flush(true) // the scheduler must know them
	j.mu.Unlock()
	return j.c.retry(ctx, j, &wire.Retry{Job: uint32(j.id), Index: indices})
}

// RetryTasks is Job.Retry for tasks of any job; without indices it is all of the job's
// that failed and can be retried.
func (c *Client) RetryTasks(ctx context.Context, job graph.JobID, indices ...uint32) (Retried, error) {
	return c.retry(ctx, nil, &wire.Retry{Job: uint32(job), Index: indices, All: len(indices) == 0})
}

// retry asks for it. What this client knows of the tasks is taken back by the reader,
// in the order of what the scheduler says: their new outcomes come after the answer.
func (c *Client) retry(ctx context.Context, j *Job, m *wire.Retry) (Retried, error) {
	r, err := c.askThen(ctx, j, &wire.Request{Body: &wire.Request_Retry{Retry: m}}, c.runAgain)
	if errors.Is(err, wire.Conflict) {
		err = &Error{Kind: ErrState, Err: err}
	}
	if err != nil {
		return Retried{}, fmt.Errorf("retry tasks of job %d: %w", m.Job, err)
	}
	if r.GetRetried() == nil {
		return Retried{}, errNoAnswer
	}
	out := Retried{Left: int(r.GetRetried().Left)}
	for i, job := range r.GetRetried().Job {
		out.Tasks = append(out.Tasks, graph.TaskID{Job: graph.JobID(job), Index: r.GetRetried().Index[i]})
	}
	return out, nil
}

// runAgain takes in that tasks were retried.
func (c *Client) runAgain(r *wire.Reply) {
	var j *Job
	for i, id := range r.GetRetried().GetJob() {
		if j == nil || uint32(j.id) != id {
			c.mu.Lock()
			j = c.jobs[graph.JobID(id)]
			c.mu.Unlock()
		}
		if j == nil {
			continue // nobody asked for a task of it
		}
		j.mu.Lock()
		if cell := j.find(r.GetRetried().Index[i]); cell.held() {
			cell.again()
			j.watch()
		}
		j.mu.Unlock()
	}
}
