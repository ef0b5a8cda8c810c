package client

import (
	"context"
	"fmt"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// WorkerInfo describes a worker of the cluster.
type WorkerInfo struct {
	ID      graph.WorkerID
	Name    string // its container
	Host    string // as its node manager calls it
	Pool    string
	Slots   int
	Memory  uint64 // bytes for results
	Address string // of its data plane
	PID     int
	Joined  time.Time
	State   string
	// The rest is what it last told, about a second ago.
	MemoryUsed uint64 // by results, bytes
	RSS        uint64 // of worker and executors, bytes
	Running    int
	Queued     int
	Done       uint64 // tasks since it joined
	CPU        float64
}

// NameInfo is a published name.
type NameInfo struct {
	Name string
	Task graph.TaskID
	Type string // shape of the result's type
}

// TaskStates are the states that a TaskRow can have.
var TaskStates = []string{"released", "waiting", "ready", "assigned", "running", "done", "failed", "cancelled", "forgotten"}

// TaskRow is one task in a list.
type TaskRow struct {
	Task    graph.TaskID
	State   string
	Class   string
	Worker  graph.WorkerID // that has, or had, the last attempt that started
	Attempt graph.Attempt
	Started time.Time // the last attempt; zero: none
	Ended   time.Time // zero: it has no outcome
}

// TaskDetail is all that the scheduler knows of one task.
type TaskDetail struct {
	TaskRow
	JobName    string
	Kind       string // of what it runs: go, command
	Retries    int    // that its class allows
	Pool       string
	WorkerName string // the container of Worker, if it is remembered
	WorkerHost string
	Size       uint64   // of the result, bytes
	Holders    []string // containers that hold the result
	Submitted  time.Time
	Failure    *graph.Failure // nil: it did not fail
}

// Jobs lists the cluster's jobs.
func (c *Client) Jobs(ctx context.Context) ([]JobInfo, error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_ListJobs{ListJobs: &wire.ListJobs{}}})
	if err != nil {
		return nil, fmt.Errorf("list jobs: %w", err)
	}
	var out []JobInfo
	for _, m := range r.GetJobs().GetJob() {
		out = append(out, jobInfo(m))
	}
	return out, nil
}

// Workers lists the workers that have joined.
func (c *Client) Workers(ctx context.Context) ([]WorkerInfo, error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_ListWorkers{ListWorkers: &wire.ListWorkers{}}})
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	var out []WorkerInfo
	for _, m := range r.GetWorkers().GetWorker() {
		l := m.GetLoad()
		out = append(out, WorkerInfo{
			ID: graph.WorkerID(m.Id), Name: m.Name, Host: m.Host, Pool: m.Pool, Slots: int(m.Slots), Memory: m.Memory,
			Address: m.Address, PID: int(m.Pid), Joined: time.UnixMilli(m.JoinedMs), State: m.State,
			MemoryUsed: l.GetMemoryUsed(), RSS: l.GetRss(), Running: int(l.GetRunning()), Queued: int(l.GetQueued()),
			Done: l.GetDone(), CPU: l.GetCpu(),
		})
	}
	return out, nil
}

// WaitWorkers waits until at least n workers have joined.
func (c *Client) WaitWorkers(ctx context.Context, n int) error {
	for poll := firstPoll; ; poll = min(2*poll, maxPoll) {
		have, err := c.Workers(ctx)
		if err != nil {
			return err
		}
		if len(have) >= n {
			return nil
		}
		if err := sleep(ctx, poll); err != nil {
			return fmt.Errorf("%d of %d workers have joined: %w", len(have), n, err)
		}
	}
}

// Names lists what is published.
func (c *Client) Names(ctx context.Context) ([]NameInfo, error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_ListNames{ListNames: &wire.ListNames{}}})
	if err != nil {
		return nil, fmt.Errorf("list names: %w", err)
	}
	var out []NameInfo
	for _, m := range r.GetNames().GetName() {
		out = append(out, nameInfo(m))
	}
	return out, nil
}

func nameInfo(m *wire.Name) NameInfo {
	return NameInfo{Name: m.Name, Task: graph.TaskID{Job: graph.JobID(m.Job), Index: m.Index}, Type: m.Type}
}

// Publish gives a task's result a name, under which any client finds it; the result
// is kept as long as it has the name. A name that is in use is an error.
func (c *Client) Publish(ctx context.Context, name string, j *Job, index uint32, typ string) error {
	j.mu.Lock()
	j.flush(true) // the scheduler must know the task
	j.mu.Unlock()
	_, err := c.ask(ctx, j, &wire.Request{Body: &wire.Request_Publish{Publish: &wire.Publish{
		Name: name, Job: uint32(j.id), Index: index, Type: typ,
	}}})
	if err != nil {
		return fmt.Errorf("publish %q: %w", name, err)
	}
	return nil
}

// Unpublish takes a name back; the result is freed if nobody else holds it.
func (c *Client) Unpublish(ctx context.Context, name string) error {
	_, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_Publish{Publish: &wire.Publish{Name: name, Remove: true}}})
	if err != nil {
		return fmt.Errorf("unpublish %q: %w", name, err)
	}
	return nil
}

// Lookup finds what was published under a name. The error is ErrNotFound when there
// is nothing.
func (c *Client) Lookup(ctx context.Context, name string) (NameInfo, error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_Lookup{Lookup: &wire.Lookup{Name: name}}})
	if err != nil {
		return NameInfo{}, fmt.Errorf("look up %q: %w", name, err)
	}
	if r.GetName() == nil {
		return NameInfo{}, errNoAnswer
	}
	return nameInfo(r.GetName()), nil
}

// Tasks lists the job's tasks from an index on, at most limit, only those in the given
// state unless that is "".
func (j *Job) Tasks(ctx context.Context, from uint32, limit int, state string) ([]TaskRow, error) {
	return j.c.tasks(ctx, j, j.id, from, limit, state)
}

// Tasks lists tasks of any job, as Job.Tasks does.
func (c *Client) Tasks(ctx context.Context, job graph.JobID, from uint32, limit int, state string) ([]TaskRow, error) {
	return c.tasks(ctx, nil, job, from, limit, state)
}

func (c *Client) tasks(ctx context.Context, j *Job, job graph.JobID, from uint32, limit int, state string) ([]TaskRow, error) {
	var out []TaskRow
	for len(out) < limit {
		r, err := c.ask(ctx, j, &wire.Request{Body: &wire.Request_ListTasks{ListTasks: &wire.ListTasks{
			Job: uint32(job), From: from, Limit: uint32(limit - len(out)), State: state,
		}}})
		if err != nil {
			return nil, fmt.Errorf("list tasks of job %d: %w", job, err)
		}
		m := r.GetTasks()
		for i, index := range m.GetIndex() {
			out = append(out, TaskRow{
				Task:  graph.TaskID{Job: job, Index: index},
				State: m.State[i], Class: m.Class[i], Worker: graph.WorkerID(m.Worker[i]), Attempt: graph.Attempt(m.Attempt[i]),
				Started: moment(m.StartedMs[i]), Ended: moment(m.EndedMs[i]),
			})
		}
		if m.GetNext() <= from { // 0 at the end
			break
		}
		from = m.Next
	}
	return out, nil
}

// moment is a time from milliseconds since 1970; 0 is none.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// Task tells all that is known of a task of any job. The error is wire.NotFound when
// there is none.
func (c *Client) Task(ctx context.Context, t graph.TaskID) (TaskDetail, error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_GetTask{GetTask: &wire.GetTask{Job: uint32(t.Job), Index: t.Index}}})
	if err != nil {
		return TaskDetail{}, fmt.Errorf("look at task %s: %w", t, err)
	}
	m := r.GetTask()
	if m == nil {
		return TaskDetail{}, errNoAnswer
	}
	d := TaskDetail{
		TaskRow: TaskRow{Task: t, State: m.State, Class: m.Class, Worker: graph.WorkerID(m.Worker), Attempt: graph.Attempt(m.Attempt), Started: moment(m.StartedMs), Ended: moment(m.EndedMs)},
		JobName: m.JobName, Kind: m.Kind, Retries: int(m.Retries), Pool: m.Pool, WorkerName: m.WorkerName, WorkerHost: m.WorkerHost,
		Size: m.Size, Holders: m.Holder, Submitted: moment(m.SubmittedMs),
	}
	if m.Failure != nil {
		d.Failure = wire.FailureFromWire(m.Failure)
	}
	return d, nil
}

// CancelTasks ends tasks of any job that have not ended, and what depends on them;
// without indices all of the job's. It returns how many of the job it ended.
func (c *Client) CancelTasks(ctx context.Context, job graph.JobID, indices ...uint32) (int, error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_Cancel{Cancel: &wire.Cancel{Job: uint32(job), Index: indices, All: len(indices) == 0}}})
	if err != nil {
		return 0, fmt.Errorf("cancel tasks of job %d: %w", job, err)
	}
	return int(r.GetChanged().GetTasks()), nil
}

// Event is something that happened.
type Event struct {
	When   time.Time
	Kind   string // job.opened, worker.left, …
	Object string // whom it is about
	Text   string // what happened and why, for people
	// Decision is what was decided, with the numbers behind it; nil: it is no decision.
	Decision *Decision
}

// Events tells what happened after an earlier answer's next, 0 at first, as far as
// the scheduler remembers it.
func (c *Client) Events(ctx context.Context, since uint64) (list []Event, next uint64, err error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_ListEvents{ListEvents: &wire.ListEvents{Since: since}}})
	if err != nil {
		return nil, since, fmt.Errorf("ask for events: %w", err)
	}
	for _, e := range r.GetEvents().GetEvent() {
		ev := Event{When: time.UnixMicro(e.AtUs), Kind: e.Kind, Object: e.Object, Text: e.Text}
		if e.Decision != nil {
			d := decision(e.Decision)
			ev.Decision = &d
		}
		list = append(list, ev)
	}
	return list, r.GetEvents().GetNext(), nil
}
