package client

import (
	"context"
	"fmt"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/wire"
)

// Explanation is why something is as it is.
type Explanation struct {
	Answer string   // a sentence or two, for people
	Detail []string // more of them
	State  string   // of the task or worker that was asked about
	Worker string   // its container's whole id, if it was a worker
}

// Scaling is how large the pools of workers are, and why.
type Scaling struct {
	Explanation
	Pools     []PoolNow
	Decisions []Decision // those that changed something, the oldest first: the last few hundred
	// What planned shrinks cost: workers that were drained, attempts that these still had
	// (none), and results that nobody had room for.
	DrainedWorkers, DrainedAttempts, DrainedResults int
}

// PoolNow is a pool of workers at this moment.
type PoolNow struct {
	Name              string
	Adapts            bool // it scales by itself
	Min, Max          int  // then
	Target            int  // containers that it shall have
	Requested         int  // of them not allocated yet
	Starting, Running int  // allocated; running ones are workers that take tasks
	Draining          int
	Latest            *Decision // whether it changed something or not; nil: a person decides
}

// Decision is how many workers a pool shall have, why, and the numbers behind it.
type Decision struct {
	Time         time.Time
	Pool         string
	Kind         string // hold, raise, withdraw, lower, limit
	Bound        string // what keeps Want below what would be of use: failures, unmet, maximum, room; "": nothing
	Before, Want int
	Reason       string // for people
	Inputs       Inputs
}

// Inputs are the numbers behind a decision.
type Inputs struct {
	Running, Starting, Draining int
	Pending                     int           // asked for and not there
	Tasks, Waiting              int           // that can run or do; that wait for inputs
	Unknown                     int           // of Tasks: nobody knows how long they take
	Work                        time.Duration // of one worker
	Path                        time.Duration // the longest known chain of tasks
	Width                       int           // workers that could have something to do
	Goal                        time.Duration // within which the work shall be done
	Finish                      time.Duration // when those of Before would be done; 0: never, or there is nothing
	Stream                      float64       // workers that are kept busy by what comes all the time
	Enough                      int           // workers for the goal, or for the stream
	Peak                        int           // the most that were enough lately
	Busy                        float64       // workers, lately
	Memory                      int           // workers that it takes to hold the results
	Delay                       time.Duration // from request to ready, for nine of ten
	Unmet                       time.Duration // for how long the cluster has given nothing that was asked for
	Failures                    int           // rounds of starts in a row that failed
	Headroom                    int           // how many more the cluster said that there was room for; -1: it did not
}

// Scaling tells how large the pools of workers are and why, with the decisions that led
// there: what a page about scaling needs.
func (c *Client) Scaling(ctx context.Context) (*Scaling, error) {
	m, err := c.explain(ctx, &wire.Explain{})
	if err != nil {
		return nil, fmt.Errorf("ask why there are as many workers as there are: %w", err)
	}
	s := &Scaling{Explanation: explanation(m), DrainedWorkers: int(m.DrainedWorkers), DrainedAttempts: int(m.DrainedAttempts), DrainedResults: int(m.DrainedResults)}
	for _, p := range m.Pool {
		now := PoolNow{Name: p.Name, Adapts: p.Adapts, Min: int(p.Min), Max: int(p.Max), Target: int(p.Wanted), Requested: int(p.Asked),
			Starting: int(p.Starting), Running: int(p.Running), Draining: int(p.Draining)}
		if p.Latest != nil {
			d := decision(p.Latest)
			now.Latest = &d
		}
		s.Pools = append(s.Pools, now)
	}
	for _, d := range m.Decision {
		s.Decisions = append(s.Decisions, decision(d))
	}
	return s, nil
}

// WhyTask tells why a task, of any job, is where it is.
func (c *Client) WhyTask(ctx context.Context, t graph.TaskID) (Explanation, error) {
	m, err := c.explain(ctx, &wire.Explain{Task: true, Job: uint32(t.Job), Index: t.Index})
	if err != nil {
		return Explanation{}, fmt.Errorf("ask about task %s: %w", t, err)
	}
	return explanation(m), nil
}

// WhyWorker tells what became of a worker, by its container's id or an end of it that no
// other has, as far as the scheduler remembers.
func (c *Client) WhyWorker(ctx context.Context, name string) (Explanation, error) {
	m, err := c.explain(ctx, &wire.Explain{Worker: name})
	if err != nil {
		return Explanation{}, fmt.Errorf("ask about worker %s: %w", name, err)
	}
	return explanation(m), nil
}

func (c *Client) explain(ctx context.Context, m *wire.Explain) (*wire.Explanation, error) {
	r, err := c.ask(ctx, nil, &wire.Request{Body: &wire.Request_Explain{Explain: m}})
	if err != nil {
		return nil, err
	}
	if r.GetExplanation() == nil {
		return nil, errNoAnswer
	}
	return r.GetExplanation(), nil
}

func explanation(m *wire.Explanation) Explanation {
	return Explanation{Answer: m.Answer, Detail: m.Detail, State: m.State, Worker: m.Worker}
}

func decision(m *wire.Decision) Decision {
	us := func(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
	out := Decision{
		Time: time.UnixMicro(m.AtUs), Pool: m.Pool, Kind: m.Kind, Bound: m.Bound, Before: int(m.Before), Want: int(m.Want), Reason: m.Reason,
		Inputs: Inputs{
			Running: int(m.Running), Starting: int(m.Starting), Draining: int(m.Draining), Pending: int(m.Pending),
			Tasks: int(m.Tasks), Waiting: int(m.Waiting), Unknown: int(m.Unknown), Work: us(m.WorkUs), Path: us(m.PathUs), Width: int(m.Width),
			Goal: us(m.GoalUs), Finish: us(m.FinishUs), Enough: int(m.Enough), Peak: int(m.Peak), Busy: m.Busy, Memory: int(m.Memory),
			Delay: us(m.DelayUs), Unmet: us(m.UnmetUs), Failures: int(m.Failures), Stream: m.Stream, Headroom: -1,
		},
	}
	if m.Headroom != nil {
		out.Inputs.Headroom = int(*m.Headroom)
	}
	return out
}
