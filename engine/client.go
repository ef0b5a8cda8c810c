package engine

import (
	"context"
	"fmt"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/codec"
	"github.com/yarnd/yarnd/engine/graph"
)

// Options say whom a client connects to, and as whom.
type Options = client.Options

// What the cluster tells about itself.
type (
	JobInfo    = client.JobInfo
	WorkerInfo = client.WorkerInfo
	NameInfo   = client.NameInfo
	TaskRow    = client.TaskRow
	TaskDetail = client.TaskDetail
	Event      = client.Event

	Scaling     = client.Scaling
	Explanation = client.Explanation
	Retried     = client.Retried
)

// Client is a connection to a cluster. When it breaks, it is made again, and what was
// under way goes on. It is safe for concurrent use.
type Client struct {
	c *client.Client
}

// Dial connects to a cluster's scheduler: see client.Dial. Programs usually call
// Connect, Submit or Local of the root package, which do.
func Dial(ctx context.Context, o Options) (*Client, error) {
	c, err := client.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	return &Client{c: c}, nil
}

// Close hands over what was submitted, ends the client's unnamed job and says
// goodbye. Named jobs go on. It may be called many times.
func (c *Client) Close() error { return c.c.Close() }

// Err returns why the client has ended by itself, or nil.
func (c *Client) Err() error { return c.c.Err() }

// Job opens a job with a name, or finds it again: see [InJob]. Its tasks go on when
// this client leaves, until somebody closes it. Only one client at a time may submit
// to it.
func (c *Client) Job(ctx context.Context, name string) (*Job, error) {
	return wrapJob(c.c.Job(ctx, name))
}

// AttachJob finds a job that was opened earlier; the error is [ErrNotFound] if it was
// not.
func (c *Client) AttachJob(ctx context.Context, name string) (*Job, error) {
	return wrapJob(c.c.AttachJob(ctx, name))
}

// Unnamed returns the job of tasks that are submitted without InJob.
func (c *Client) Unnamed(ctx context.Context) (*Job, error) {
	return wrapJob(c.c.Unnamed(ctx))
}

func wrapJob(j *client.Job, err error) (*Job, error) {
	if err != nil {
		return nil, err
	}
	return &Job{j: j}, nil
}

// Jobs lists the cluster's jobs.
func (c *Client) Jobs(ctx context.Context) ([]JobInfo, error) { return c.c.Jobs(ctx) }

// Scaling tells how large the pools of workers are and why, with the decisions that led
// there.
func (c *Client) Scaling(ctx context.Context) (*Scaling, error) { return c.c.Scaling(ctx) }

// WhyTask tells why a task, of any job, is where it is.
func (c *Client) WhyTask(ctx context.Context, t graph.TaskID) (Explanation, error) {
	return c.c.WhyTask(ctx, t)
}

// WhyWorker tells what became of a worker, by its container's id or an end of it, as far as
// the scheduler remembers.
func (c *Client) WhyWorker(ctx context.Context, name string) (Explanation, error) {
	return c.c.WhyWorker(ctx, name)
}

// Workers lists the workers that have joined.
func (c *Client) Workers(ctx context.Context) ([]WorkerInfo, error) { return c.c.Workers(ctx) }

// WaitWorkers waits until at least n workers have joined.
func (c *Client) WaitWorkers(ctx context.Context, n int) error { return c.c.WaitWorkers(ctx, n) }

// Names lists what is published.
func (c *Client) Names(ctx context.Context) ([]NameInfo, error) { return c.c.Names(ctx) }

// Tasks lists tasks of the job of that number, from an index on, at most limit, only
// those in the given state unless that is "".
func (c *Client) Tasks(ctx context.Context, job graph.JobID, from uint32, limit int, state string) ([]TaskRow, error) {
	return c.c.Tasks(ctx, job, from, limit, state)
}

// TaskDetail tells all that is known of one task.
func (c *Client) TaskDetail(ctx context.Context, t graph.TaskID) (TaskDetail, error) {
	return c.c.Task(ctx, t)
}

// CancelTasks ends tasks of any job, and what depends on them; without indices all of
// the job's. It returns how many of the job it ended.
func (c *Client) CancelTasks(ctx context.Context, job graph.JobID, indices ...uint32) (int, error) {
	return c.c.CancelTasks(ctx, job, indices...)
}

// RetryTasks has failed tasks of any job run again, as Future.Retry does; without
// indices all of the job's that can be.
func (c *Client) RetryTasks(ctx context.Context, job graph.JobID, indices ...uint32) (Retried, error) {
	return c.c.RetryTasks(ctx, job, indices...)
}

// Events tells what happened after an earlier answer's next, 0 at first.
func (c *Client) Events(ctx context.Context, since uint64) (list []Event, next uint64, err error) {
	return c.c.Events(ctx, since)
}

// Unpublish takes a name back; the result is freed if nobody else holds it.
func (c *Client) Unpublish(ctx context.Context, name string) error { return c.c.Unpublish(ctx, name) }

// Job is a list of tasks. It is safe for concurrent use.
type Job struct {
	j *client.Job
}

// ID returns the job's number in the cluster.
func (j *Job) ID() uint32 { return uint32(j.j.ID()) }

// Name returns the job's name.
func (j *Job) Name() string { return j.j.Name() }

// Info asks the scheduler for the job's counts.
func (j *Job) Info(ctx context.Context) (JobInfo, error) { return j.j.Info(ctx) }

// Tasks lists the job's tasks from an index on, at most limit of them, only those in
// the given state ("waiting", "ready", "assigned", "running", "done", "failed",
// "cancelled", "released") unless that is "".
func (j *Job) Tasks(ctx context.Context, from uint32, limit int, state string) ([]TaskRow, error) {
	return j.j.Tasks(ctx, from, limit, state)
}

// Close cancels what is unfinished, frees all results and ends the job.
func (j *Job) Close(ctx context.Context) error { return j.j.Close(ctx) }

// Flush waits until the scheduler has all tasks that were submitted so far: a named
// job then goes on without this program.
func (j *Job) Flush(ctx context.Context) error { return j.j.Flush(ctx) }

// JobFuture returns the future of a job's task by its index (Future.ID), also of one
// that another program submitted. T must be what the task's results are: if not,
// Result is an [ErrMismatch]. A task that does not exist is an error of Result.
func JobFuture[T any](j *Job, index uint32) *Future[T] {
	c, err := codec.For[T]()
	if err != nil {
		return failed(&kind[T]{}, j.j, err)
	}
	j.j.Hold(index)
	return &Future[T]{job: j.j, index: index, kind: &kind[T]{codec: c}}
}

// Publish gives a task's result a name, under which every client of the cluster
// finds it. The result is kept until the name is taken back. A name that is in use
// for another task is an error.
func Publish[T any](ctx context.Context, c *Client, name string, f *Future[T]) error {
	if err := f.err(); err != nil {
		return fmt.Errorf("publish %q: %w", name, err)
	}
	return c.c.Publish(ctx, name, f.job, f.index, f.kind.codec.Shape())
}

// Lookup finds the task whose result was published under a name. The error is
// [ErrNotFound] when there is none, [ErrMismatch] when the result is not what T can
// hold: types are compared by their shape, so two programs need not share a package.
func Lookup[T any](ctx context.Context, c *Client, name string) (*Future[T], error) {
	want, err := codec.For[T]()
	if err != nil {
		return nil, fmt.Errorf("look up %q: %w", name, err)
	}
	got, err := c.c.Lookup(ctx, name)
	if err != nil {
		return nil, err
	}
	if got.Type != want.Shape() {
		return nil, fmt.Errorf("look up %q: %w: it holds %s, asked for as %s, which is %s", name, ErrMismatch, got.Type, want.Type(), want.Shape())
	}
	job := c.c.Foreign(got.Task.Job)
	job.Hold(got.Task.Index)
	return &Future[T]{job: job, index: got.Task.Index, kind: &kind[T]{codec: want}}, nil
}

// Scatter brings a value to the cluster, for use as a Ref in the inputs of many tasks:
// it travels once to each worker that needs it, instead of with every task.
func Scatter[T any](ctx context.Context, c *Client, v T, o ...SubmitOption) *Future[T] {
	out, err := codec.For[T]()
	if err == nil && out.HasRefs() {
		err = fmt.Errorf("type %s holds Refs, which only inputs can", out.Type())
	}
	t := &Task[T, T]{class: graph.Class{Name: scatterName, Kind: graph.KindGo}, out: &kind[T]{out, scatterName}}
	if err != nil {
		return t.failed(nil, err)
	}
	t.in = out.Append
	return t.Submit(ctx, c, v, o...)
}
