package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

// fib is a task that submits tasks of its own kind.
var fib *engine.Task[int, int]

func init() {
	fib = engine.Define("fib", func(ctx context.Context, n int) (int, error) {
		if n < 2 {
			return n, nil
		}
		c, err := engine.Inside(ctx)
		if err != nil {
			return 0, err
		}
		a, b := fib.Submit(ctx, c, n-1), fib.Submit(ctx, c, n-2)
		x, err := a.Result(ctx)
		if err != nil {
			return 0, err
		}
		y, err := b.Result(ctx)
		return x + y, err
	})
}

// A fleet of one slot gets to the end of a recursion, as those who wait take no slots.
func TestRecursion(t *testing.T) {
	for name, o := range map[string]enginetest.Options{
		"inside":    {Workers: 1, Slots: 1},
		"processes": {Workers: 1, Slots: 1, Processes: true},
		"two":       {Workers: 2, Slots: 2, Processes: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := enginetest.Start(t, o)
			want(t, fib.Submit(t.Context(), c.Client(), 15), 610)
			eventually(t, "all child jobs are gone", func() bool {
				jobs, err := c.Client().Jobs(t.Context())
				return err == nil && len(jobs) == 1
			})
		})
	}
}

var insideMap = engine.Define("insideMap", func(ctx context.Context, n int) ([]int, error) {
	c, err := engine.Inside(ctx)
	if err != nil {
		return nil, err
	}
	return square.Map(ctx, c, count(n)).Gather(ctx)
})

func TestInsideMap(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 2, Processes: true})
	got, err := insideMap.Call(deadline(t), c.Client(), 50_000)
	if err != nil || len(got) != 50_000 || got[49_999] != 49_999*49_999 || !slices.IsSorted(got) {
		t.Fatalf("%d results, %v", len(got), err)
	}
}

func TestNotInside(t *testing.T) {
	if _, err := engine.Inside(t.Context()); !errors.Is(err, engine.ErrNotInside) {
		t.Errorf("%v", err)
	}
}

// parent waits for a child that passes a gate.
var parent = engine.Define("parent", func(ctx context.Context, g gate) (int, error) {
	c, err := engine.Inside(ctx)
	if err != nil {
		return 0, err
	}
	return wait.Submit(ctx, c, g).Result(ctx)
})

// A worker dies while a parent waits on it: the parent runs again, with a new child, and
// the old child's job is closed.
func TestParentsWorkerKilled(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Slots: 1, Processes: true})
	client, g := c.Client(), gate{Dir: t.TempDir(), N: 7}
	f := parent.Submit(t.Context(), client, g)
	eventually(t, "the child runs", func() bool { return g.arrived() == 1 })
	c.AddWorker()
	if err := client.WaitWorkers(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	c.Workers()[0].Kill()
	jobs := func() []engine.JobInfo {
		list, err := client.Jobs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	eventually(t, "another child runs", func() bool {
		list := jobs()
		return len(list) == 2 && list[1].ID == 3 && list[1].Running == 1
	})
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	want(t, f, 7)
	eventually(t, "its job is gone", func() bool { return len(jobs()) == 1 })
}

// A parent is cancelled, or its client leaves: its children end, and theirs.
func TestParentEnds(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *engine.Client, *engine.Future[int]){
		"cancelled": func(t *testing.T, _ *engine.Client, f *engine.Future[int]) {
			if err := f.Cancel(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		"client leaves": func(t *testing.T, c *engine.Client, _ *engine.Future[int]) {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			suite(t, enginetest.Options{Workers: 1, Slots: 1}, func(t *testing.T, c *enginetest.Cluster) {
				client, g := c.Client(), gate{Dir: t.TempDir()}
				f := grandparent.Submit(t.Context(), client, g)
				eventually(t, "the grandchild runs", func() bool { return g.arrived() == 1 })
				end(t, client, f)
				other := c.Client()
				eventually(t, "all but the first job are gone", func() bool {
					jobs, err := other.Jobs(t.Context())
					return err == nil && len(jobs) <= 1
				})
				want(t, square.Submit(t.Context(), other, 3), 9) // the slot is free
			})
		})
	}
}

var grandparent = engine.Define("grandparent", func(ctx context.Context, g gate) (int, error) {
	c, err := engine.Inside(ctx)
	if err != nil {
		return 0, err
	}
	return parent.Submit(ctx, c, g).Result(ctx)
})

// keptClient is what a task took away with it.
var keptClient = make(chan *engine.Client, 1)

var escape = engine.Define("escape", func(ctx context.Context, _ struct{}) (int, error) {
	c, err := engine.Inside(ctx)
	if err != nil {
		return 0, err
	}
	keptClient <- c
	return square.Submit(ctx, c, 4).Result(ctx)
})

func TestClientOutlivesTask(t *testing.T) {
	client := enginetest.New(t, 1)
	want(t, escape.Submit(t.Context(), client, struct{}{}), 16)
	c := <-keptClient
	eventually(t, "the client has ended", func() bool { return c.Err() != nil })
	if _, err := square.Submit(t.Context(), c, 4).Result(t.Context()); !errors.Is(err, engine.ErrTaskOver) {
		t.Errorf("submit: %v", err)
	}
	if _, err := c.Lock(t.Context(), "it"); !errors.Is(err, engine.ErrTaskOver) {
		t.Errorf("lock: %v", err)
	}
}

// detach leaves a job behind that has a name.
var detach = engine.Define("detach", func(ctx context.Context, name string) (uint32, error) {
	c, err := engine.Inside(ctx)
	if err != nil {
		return 0, err
	}
	j, err := c.Job(ctx, name)
	if err != nil {
		return 0, err
	}
	return square.Submit(ctx, c, 12, engine.InJob(j)).ID().Index, nil
})

func TestDetachedChild(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client := c.Client()
		index, err := detach.Call(t.Context(), client, "stays")
		if err != nil {
			t.Fatal(err)
		}
		j, err := client.AttachJob(t.Context(), "stays")
		if err != nil {
			t.Fatal(err)
		}
		want(t, engine.JobFuture[int](j, index), 144)
	})
}

// large reads a result that does not fit a message.
var large = engine.Define("large", func(ctx context.Context, size int) (map[byte]int, error) {
	c, err := engine.Inside(ctx)
	if err != nil {
		return nil, err
	}
	data, err := blob.Submit(ctx, c, blobOf{Fill: 3, Size: size}).Result(ctx)
	if err != nil {
		return nil, err
	}
	count := map[byte]int{}
	for _, b := range data {
		count[b]++
	}
	return count, nil
})

func TestLargeResultInside(t *testing.T) {
	suite(t, enginetest.Options{Workers: 2, Slots: 1}, func(t *testing.T, c *enginetest.Cluster) {
		for range 3 {
			want(t, large.Submit(t.Context(), c.Client(), 5_000_001), map[byte]int{3: 5_000_001})
		}
	})
}

// forbidden asks for what a client within a task may not have.
var forbidden = engine.Define("forbidden", func(ctx context.Context, job uint32) ([]string, error) {
	c, err := engine.Inside(ctx)
	if err != nil {
		return nil, err
	}
	var said []string
	note := func(err error) {
		switch {
		case errors.Is(err, engine.ErrAuth):
			said = append(said, "refused")
		default:
			said = append(said, fmt.Sprint(err))
		}
	}
	_, err = c.Jobs(ctx)
	note(err)
	_, _, err = c.Events(ctx, 0)
	note(err)
	_, err = c.CancelTasks(ctx, engine.TaskID{}.Job+1)
	note(err)
	_, err = c.RetryTasks(ctx, 1)
	note(err)
	_, err = c.Workers(ctx)
	note(err)
	return said, nil
})

func TestForbiddenInside(t *testing.T) {
	client := enginetest.New(t, 1)
	want(t, forbidden.Submit(t.Context(), client, 1), []string{"refused", "refused", "refused", "refused", "<nil>"})
}

// locked counts under a lock of the cluster, and publishes.
var locked = engine.Define("locked", func(ctx context.Context, n int) (int, error) {
	c, err := engine.Inside(ctx)
	if err != nil {
		return 0, err
	}
	l, err := c.Lock(ctx, "counter")
	if err != nil {
		return 0, err
	}
	defer l.Release(ctx) //nolint:errcheck // the task's end releases it as well
	return square.Submit(ctx, c, n).Result(ctx)
})

// Whoever waits for a lock takes no slot either, and a lock goes with its task.
func TestLocksInside(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Slots: 1, Processes: true})
	got, err := locked.Map(t.Context(), c.Client(), count(20)).Gather(deadline(t))
	if err != nil || len(got) != 20 || got[19] != 361 {
		t.Errorf("%v, %v", got, err)
	}
}
