package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

const many = 24 * chunkLen

// ranged returns a core with a job that has a range of many tasks behind one task.
func ranged(t *testing.T) *Core {
	t.Helper()
	c := New(Config{MaxPrefill: 1})
	c.Step(OpenJob{1})
	c.Step(DeclareClass{1, 0, graph.Class{Name: "f"}})
	c.Step(DeclareClass{1, 1, graph.Class{Name: "urgent", Priority: 1}})
	c.Step(Submit{batch(1, 0, [][]uint32{nil})})
	c.Step(SubmitRange{Job: 1, First: 1, N: many, Class: 0})
	if c.Ready() != many+1 || rowsOf(c) != chunkLen {
		t.Fatalf("%d tasks are ready, with rows for %d; want %d and %d", c.Ready(), rowsOf(c), many+1, chunkLen)
	}
	return c
}

// rowsOf counts the rows that job 1 has.
func rowsOf(c *Core) (n int) {
	for _, rows := range c.jobs[1].tasks.chunks {
		n += len(rows)
	}
	return n
}

func checked(t *testing.T, c *Core) {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
}

// TestRangeIsLazy makes rows when a task is given or depended on, and not when it is
// looked at, asked about, or named by a worker that was never given it.
func TestRangeIsLazy(t *testing.T) {
	c := ranged(t)
	last := id(many)
	before := c.Hash()
	if info, ok := c.Task(last); !ok || info.State != StateReady || c.Held(last) {
		t.Errorf("the last task is %+v (there: %v)", info, ok)
	}
	if why, _ := c.MayRetry(last); why != DidNotFail {
		t.Errorf("obstacle %v to a retry of the last task", why)
	}
	if c.Hash() != before {
		t.Errorf("looking changes the state")
	}
	c.Step(WorkerJoined{Worker: 1, Slots: 1, Held: []Held{{TaskAttempt{last, 1}, 8}}})
	c.Step(Done{1, []Finished{{TaskAttempt: TaskAttempt{last, 1}, Size: 8, Inline: true}}})
	c.Step(Missing{1, []TaskAttempt{{Task: last}}})
	if rowsOf(c) != chunkLen {
		t.Errorf("there are rows for %d tasks", rowsOf(c))
	}

	c.Step(Submit{batch(1, many+1, [][]uint32{{many}, {many / 2}})})
	for range 3 {
		for _, a := range c.Output().Assign {
			c.Step(Done{1, []Finished{{TaskAttempt: TaskAttempt{a.Task, a.Attempt}, Size: 8, Inline: true}}})
		}
	}
	// Those of the first task, of the two that are depended on, and of the last chunk,
	// to which more was added.
	if n := rowsOf(c); n > 4*chunkLen {
		t.Errorf("there are rows for %d tasks", n)
	}
	checked(t, c)
}

// TestRangeAmongOthers has what is urgent go first, and a range in its order.
func TestRangeAmongOthers(t *testing.T) {
	c := ranged(t)
	c.Step(SubmitRange{Job: 1, First: many + 1, N: 2, Class: 1})
	c.Step(WorkerJoined{Worker: 1, Slots: 4})
	var got []uint32
	for _, a := range c.Output().Assign {
		got = append(got, a.Task.Index)
	}
	want := []uint32{many + 1, many + 2, 0, 1}
	for k := range want {
		if k >= len(got) || got[k] != want[k] {
			t.Fatalf("assigned %v, want %v first", got, want)
		}
	}
	checked(t, c)
}

// TestRangeEndsWithoutRows cancels and releases most of a range, and closes the job.
func TestRangeEndsWithoutRows(t *testing.T) {
	c := ranged(t)
	c.Step(CancelRun{graph.Run{Job: 1, First: 0, N: many / 2}})
	c.Step(CancelRun{graph.Run{Job: 1, First: 0, N: many / 2}})
	out := c.Output()
	cancelled := len(out.Ended)
	for _, r := range out.Cancelled {
		cancelled += int(r.N)
	}
	if cancelled != many/2 || c.Rejected(AlreadyEnded) == 0 {
		t.Errorf("%d tasks are told to be cancelled", cancelled)
	}
	if info, _ := c.Task(id(many / 4)); info.State != StateCancelled || info.Cause != id(many/4) {
		t.Errorf("a task that was cancelled: %+v", info)
	}
	c.Step(ReleaseRun{graph.Run{Job: 1, First: many / 4, N: 1<<32 - 1}})
	forgotten := 0
	for _, r := range c.Output().Forgotten {
		forgotten += int(r.N)
	}
	if forgotten < many/2-2*chunkLen {
		t.Errorf("%d tasks are forgotten", forgotten)
	}
	if info, _ := c.Task(id(many - chunkLen)); info.State != StateForgotten {
		t.Errorf("a task that was released: %+v", info)
	}
	if n := rowsOf(c); n > 3*chunkLen {
		t.Errorf("there are rows for %d tasks", n)
	}
	checked(t, c)
	c.Step(SubmitRange{Job: 1, First: many + 1, N: many, Class: 0})
	c.Step(CloseJob{1})
	if out := c.Output(); len(out.Gone) != 1 || c.Busy() || c.Ready() > 0 {
		t.Errorf("the job is not gone: %d tasks are ready", c.Ready())
	}
	checked(t, c)
}

// TestRangeOfClosedJob has a task of another job depend on one of a range whose job was
// closed, and which is there still because of another of its tasks.
func TestRangeOfClosedJob(t *testing.T) {
	c := ranged(t)
	c.Step(WorkerJoined{Worker: 1, Slots: 1})
	a := c.Output().Assign[0]
	c.Step(Done{1, []Finished{{TaskAttempt: TaskAttempt{a.Task, a.Attempt}, Size: 8, Inline: true}}})
	c.Step(Pin{a.Task, 1})
	c.Step(CloseJob{1})
	c.Step(OpenJob{2})
	c.Step(DeclareClass{2, 0, graph.Class{Name: "g"}})
	c.Output()
	c.Step(Submit{&graph.Batch{Job: 2, Class: []graph.ClassID{0}, DepEnd: []uint32{1}, Deps: []graph.TaskID{id(many / 2)}}})
	want := Ended{Task: graph.TaskID{Job: 2}, Kind: graph.FailUpstream, Cause: id(many / 2)}
	if out := c.Output(); len(out.Ended) != 1 || out.Ended[0] != want {
		t.Errorf("%+v ended, want %+v", out.Ended, want)
	}
	checked(t, c)
}

// TestRangeRefused has submissions change nothing that are not the job's next tasks, of
// no class, or too many.
func TestRangeRefused(t *testing.T) {
	c := ranged(t)
	before := c.jobs[1].counts
	for _, r := range []SubmitRange{
		{Job: 1, First: 1, N: many}, {Job: 1, First: many + 1, N: 0}, {Job: 1, First: many + 1, N: 1, Class: 2},
		{Job: 1, First: many + 1, N: 1<<32 - 1 - many}, {Job: 2, First: 0, N: 1},
	} {
		c.Step(r)
	}
	if c.Rejected(BadBatch) != 4 || c.Rejected(UnknownJob) != 1 || c.jobs[1].counts != before {
		t.Errorf("%d and %d were refused, the job has %v", c.Rejected(BadBatch), c.Rejected(UnknownJob), c.jobs[1].counts)
	}
	if chunkBits >= 12 {
		c.Step(SubmitRange{Job: 1, First: many + 1, N: 1<<32 - 1 - many - 1})
		if info, _ := c.Job(1); info.Tasks != 1<<32-1 {
			t.Errorf("the job has %d tasks", info.Tasks)
		}
	}
	c.Step(CloseJob{1})
	if out := c.Output(); len(out.Gone) != 1 {
		t.Errorf("the job is not gone")
	}
}
