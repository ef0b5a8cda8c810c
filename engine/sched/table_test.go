package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// TestMemoryFollowsLiveTasks streams tasks through a job, each of which depends on the
// one before: what was let go of takes no rows and no edges.
func TestMemoryFollowsLiveTasks(t *testing.T) {
	const rounds = 40
	c := New(Config{})
	c.Step(OpenJob{1})
	c.Step(DeclareClass{1, 0, graph.Class{Name: "f"}})
	c.Step(WorkerJoined{Worker: 1, Slots: 1})
	n := uint32(0)
	for range rounds {
		first := n
		var deps [][]uint32
		for range chunkLen {
			row := []uint32{}
			if n > 0 {
				row = append(row, n-1)
			}
			deps = append(deps, row)
			n++
		}
		c.Step(Submit{batch(1, first, deps)})
		for ended := first; ended < n; {
			for _, a := range c.Output().Assign {
				c.Step(Done{1, []Finished{{TaskAttempt: TaskAttempt{a.Task, a.Attempt}, Size: 8, Inline: true}}})
				ended++
			}
		}
		var all []graph.TaskID
		for i := first; i+1 < n; i++ {
			all = append(all, id(i))
		}
		if first > 0 {
			all = append(all, id(first-1))
		}
		c.Step(Release{all})
		c.Output()
		if j := c.jobs[1]; live(j.tasks.chunks) > 2 || live(j.edges.chunks) > 3 {
			t.Fatalf("after %d tasks, of which one is held: %d chunks of tasks, %d of edges", n, live(j.tasks.chunks), live(j.edges.chunks))
		}
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	info, _ := c.Task(id(0))
	if info.State != StateForgotten {
		t.Errorf("the first task is %v", info.State)
	}
	c.Step(Submit{&graph.Batch{Job: 1, First: n, Class: []graph.ClassID{0}, DepEnd: []uint32{1}, Deps: []graph.TaskID{id(0)}}})
	want := Ended{Task: id(n), Kind: graph.FailUpstream, Cause: id(0)}
	if out := c.Output(); len(out.Ended) != 1 || out.Ended[0] != want {
		t.Errorf("a task that depends on a forgotten one: %+v, want %+v", out.Ended, want)
	}
	c.Step(CloseJob{1})
	if out := c.Output(); len(out.Gone) != 1 {
		t.Errorf("the job is not gone")
	}
}

func live[T any](chunks [][]T) (n int) {
	for _, c := range chunks {
		if c != nil {
			n++
		}
	}
	return n
}
