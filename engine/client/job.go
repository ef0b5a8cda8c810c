package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// Job is a list of tasks to which this client may add. Only one client may add to
// a job at a time. It is safe for concurrent use.
type Job struct {
	c      *Client
	id     graph.JobID
	name   string // "" for one that ends with the session
	own    bool   // tasks are added by this client; not: known by a task's id only
	opened int64  // milliseconds since 1970: another job of the same name differs

	// Guarded by Client.mu.
	suspended bool  // not yet found again after the session was lost
	gone      error // why nothing can be asked of it any more

	mu       sync.Mutex
	err      error // why no task can be added and no outcome will come
	outbox         // what is to be submitted (submit.go)
	table          // what became of it (cell.go)
	locating ask1  // questions about single tasks (locate.go)
	letting  release
}

// JobInfo describes a job of the cluster.
type JobInfo struct {
	ID      graph.JobID
	Name    string // "" for one that ends with its session
	Owner   string
	Opened  time.Time
	Tasks   int // all ever submitted
	Waiting int // for other tasks
	Ready   int // for a worker, or in the queue of one
	Running int
	Done    int
	Failed  int
	// Cancelled counts those that a client cancelled.
	Cancelled int
	// Kept is for how long it is there, if nobody uses it; 0: it is in use, or there is no end.
	Kept time.Duration
}

func jobInfo(m *wire.JobInfo) JobInfo {
	return JobInfo{
		ID: graph.JobID(m.Job), Name: m.Name, Owner: m.Owner, Opened: time.UnixMilli(m.OpenedMs),
		Tasks: int(m.Tasks), Waiting: int(m.Waiting), Ready: int(m.Ready), Running: int(m.Running),
		Done: int(m.Done), Failed: int(m.Failed), Cancelled: int(m.Cancelled),
		Kept: time.Duration(m.KeptMs) * time.Millisecond,
	}
}

// Job opens the job of that name, or finds it again. It survives this client.
func (c *Client) Job(ctx context.Context, name string) (*Job, error) {
	return c.named(ctx, name, false)
}

// AttachJob finds the job of that name, which must exist: the error is ErrNotFound
// otherwise.
func (c *Client) AttachJob(ctx context.Context, name string) (*Job, error) {
	return c.named(ctx, name, true)
}

func (c *Client) named(ctx context.Context, name string, attach bool) (*Job, error) {
	if name == "" {
		return nil, errors.New("a job to be found again needs a name")
	}
	j, err := c.openJob(ctx, &wire.OpenJob{Name: name, Attach: attach})
	if err != nil {
		return nil, fmt.Errorf("job %q: %w", name, err)
	}
	return j, nil
}

// Unnamed returns the job of tasks that were submitted to no job in particular. It
// is opened when it is first asked for, and again after it was closed or lost.
func (c *Client) Unnamed(ctx context.Context) (*Job, error) {
	c.defaultMu.Lock()
	defer c.defaultMu.Unlock()
	if j := c.defaultJob; j != nil && j.Err() == nil {
		return j, nil
	}
	j, err := c.openJob(ctx, &wire.OpenJob{})
	if err != nil {
		return nil, fmt.Errorf("open a job: %w", err)
	}
	c.defaultJob = j
	return j, nil
}

func (c *Client) openJob(ctx context.Context, open *wire.OpenJob) (*Job, error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_OpenJob{OpenJob: open}})
	if err != nil {
		return nil, err
	}
	m := r.GetJob()
	if m == nil || m.Job == 0 {
		return nil, errNoAnswer
	}
	j := c.job(graph.JobID(m.Job))
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.own { // it was known by a task's id only, or is new
		j.own, j.name, j.opened = true, open.Name, m.OpenedMs
		j.outbox.begin(m.Tasks, m.Classes)
	}
	return j, nil
}

// Foreign returns the job that id names, for looking at its tasks only.
func (c *Client) Foreign(id graph.JobID) *Job { return c.job(id) }

// job returns the job of that id, known from now on.
func (c *Client) job(id graph.JobID) *Job {
	c.mu.Lock()
	defer c.mu.Unlock()
	j := c.jobs[id]
	if j == nil {
		j = &Job{c: c, id: id, err: c.err, gone: c.err}
		c.jobs[id] = j
	}
	return j
}

// Client returns the client that knows the job so.
func (j *Job) Client() *Client { return j.c }

// ID returns the job's number in the cluster.
func (j *Job) ID() graph.JobID { return j.id }

// Name returns the job's name, "" for one that ends with the session.
func (j *Job) Name() string { return j.name }

// Err returns why the job can no longer be used, or nil.
func (j *Job) Err() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err
}

// Info asks the scheduler for the job's counts.
func (j *Job) Info(ctx context.Context) (JobInfo, error) {
	r, err := j.c.ask(ctx, j, &wire.Request{Body: &wire.Request_OpenJob{OpenJob: &wire.OpenJob{Id: uint32(j.id), Attach: true}}})
	if err != nil {
		return JobInfo{}, err
	}
	if r.GetJob() == nil {
		return JobInfo{}, errNoAnswer
	}
	return jobInfo(r.GetJob()), nil
}

// Cancel ends tasks that are not finished, and those that depend on them.
func (j *Job) Cancel(ctx context.Context, indices ...uint32) error {
	return j.cancel(ctx, &wire.Cancel{Job: uint32(j.id), Index: indices})
}

func (j *Job) cancel(ctx context.Context, m *wire.Cancel) error {
	j.mu.Lock()
	j.flush(true) // the scheduler must know them
	j.mu.Unlock()
	_, err := j.c.ask(ctx, j, &wire.Request{Body: &wire.Request_Cancel{Cancel: m}})
	return err
}

// CancelRuns is Cancel for tasks whose indices follow one another.
func (j *Job) CancelRuns(ctx context.Context, runs ...graph.Run) error {
	m := &wire.Cancel{Job: uint32(j.id)}
	for _, r := range runs {
		m.From, m.Count = append(m.From, r.First), append(m.Count, r.N)
	}
	return j.cancel(ctx, m)
}

// Close cancels what is unfinished, frees all results and ends the job, also one
// with a name.
func (j *Job) Close(ctx context.Context) error {
	j.mu.Lock()
	err := j.err
	j.mu.Unlock()
	if err != nil {
		return nil // it is gone already
	}
	_, err = j.c.ask(ctx, j, &wire.Request{Body: &wire.Request_CloseJob{CloseJob: &wire.CloseJob{Job: uint32(j.id)}}})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	if err == nil {
		j.fail(ErrJobClosed)
	}
	return err
}

// fail ends the job here: all that wait get err.
func (j *Job) fail(err error) {
	j.mu.Lock()
	if j.err != nil {
		j.mu.Unlock()
		return
	}
	j.err = err
	j.outbox.wake()
	to := j.failCells(err)
	j.mu.Unlock()

	c := j.c
	c.mu.Lock()
	j.gone = err
	if c.jobs[j.id] == j {
		delete(c.jobs, j.id)
	}
	c.mu.Unlock()
	c.drop(err, func(k *call) bool { return k.job == j })
	to.tell()
}

// reopen finds a job again after the session was lost.
func (j *Job) reopen() {
	c := j.c
	if j.name == "" {
		j.fail(&Error{Kind: ErrLost, Err: fmt.Errorf("job %d ended with its session: the scheduler was replaced, or not heard of this client for too long (give a job a name to find it again)", j.id)})
		return
	}
	open := &wire.OpenJob{Name: j.name, Attach: true}
	k := &call{req: &wire.Request{Body: &wire.Request_OpenJob{OpenJob: open}}, done: func(r *wire.Reply, err error) {
		m := r.GetJob()
		switch {
		case err != nil:
			j.fail(&Error{Kind: ErrLost, Err: fmt.Errorf("job %q is not on the scheduler any more: %w", j.name, err)})
		case m.GetJob() != uint32(j.id) || m.GetOpenedMs() != j.opened:
			j.fail(&Error{Kind: ErrLost, Err: fmt.Errorf("job %q was ended, and another one has its name", j.name)})
		default:
			j.resume(m.Tasks)
		}
	}}
	if err := c.start(k); err != nil {
		j.fail(err)
	}
}

// resume sends what is pending of a job that was found again and has so many tasks.
// Submissions that had arrived are not sent again: to the scheduler this is another
// client than the one that sent them first.
func (j *Job) resume(tasks uint32) {
	c := j.c
	c.mu.Lock()
	j.suspended = false
	var arrived []*call
	for id, k := range c.calls {
		s, r := k.req.GetSubmit(), k.req.GetSubmitRange()
		end := uint64(s.GetFirst()) + uint64(len(s.GetClass())) + uint64(r.GetFirst()) + uint64(r.GetCount())
		if k.job == j && submits(k.req) && end <= uint64(tasks) {
			delete(c.calls, id)
			arrived = append(arrived, k)
		}
	}
	c.sendAll(func(k *call) bool { return k.job == j })
	c.mu.Unlock()
	for _, k := range arrived {
		k.done(&wire.Reply{}, nil)
	}
}

var errNoAnswer = errors.New("the scheduler's answer lacks what was asked for")
