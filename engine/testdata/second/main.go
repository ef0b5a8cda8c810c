// Command second is another program than the cluster's: it brings itself.
//
//	second SCHEDULER CREDENTIAL [JOB]
//
// With JOB it submits to the job of that name, and kills itself as soon as the
// scheduler has the tasks.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
	"github.com/yarnd/yarnd/identity"
)

// The name is one that the cluster's own program has too, with other code behind it.
var square = engine.Define("square", func(_ context.Context, n int) (string, error) {
	return fmt.Sprintf("%d*%d", n, n), nil
})

var join = engine.Define("join", func(_ context.Context, in []engine.Ref[string]) (string, error) {
	out := ""
	for _, r := range in {
		out += r.Value() + ";"
	}
	return out, nil
})

// slow is still running when its program is gone.
var slow = engine.Define("slow", func(_ context.Context, n int) (string, error) {
	time.Sleep(200 * time.Millisecond)
	return fmt.Sprint(n), nil
})

func main() {
	enginetest.Processes()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		return err
	}
	id, err := identity.ParsePEM(text)
	if err != nil {
		return err
	}
	c, err := engine.Dial(ctx, engine.Options{
		Identity:  id,
		Scheduler: func(context.Context) (string, uint64, error) { return os.Args[1], 0, nil },
		OwnBundle: true,
	})
	if err != nil {
		return err
	}
	defer c.Close()
	if len(os.Args) > 3 {
		return vanish(ctx, c, os.Args[3])
	}
	refs, err := square.Map(ctx, c, slices.Values([]int{1, 2, 3})).Refs(ctx)
	if err != nil {
		return err
	}
	out, err := join.Call(ctx, c, refs)
	if err != nil {
		return err
	}
	fmt.Println(out)
	return nil
}

func vanish(ctx context.Context, c *engine.Client, name string) error {
	job, err := c.Job(ctx, name)
	if err != nil {
		return err
	}
	refs, err := slow.Map(ctx, c, slices.Values([]int{1, 2, 3}), engine.InJob(job)).Refs(ctx)
	if err != nil {
		return err
	}
	join.Submit(ctx, c, refs, engine.InJob(job))
	if err := job.Flush(ctx); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}
