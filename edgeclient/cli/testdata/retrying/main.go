// Command retrying submits to the job nightly a command that fails until a file
// exists, and tasks that depend on it; "wait" prints what came of them.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/engine"
)

var length = yarnd.Define("length", func(_ context.Context, text engine.Ref[engine.CommandResult]) (int, error) {
	return len(text.Value().Stdout), nil
})

var twice = yarnd.Define("twice", func(_ context.Context, n engine.Ref[int]) (int, error) {
	return 2 * n.Value(), nil
})

func main() {
	yarnd.Main(func(ctx context.Context) error {
		cluster, err := yarnd.Connect(ctx, "last")
		if err != nil {
			return err
		}
		defer cluster.Close()
		job, err := cluster.Job(ctx, "nightly")
		if err != nil {
			return err
		}
		if os.Args[1] == "wait" {
			n, err := engine.JobFuture[int](job, 2).Result(ctx)
			fmt.Println(n)
			return err
		}
		in := engine.InJob(job)
		text := engine.Command([]string{"cat", os.Args[1]}).Submit(ctx, cluster.Client, "", in)
		n := length.Submit(ctx, cluster.Client, text.Ref(), in)
		twice.Submit(ctx, cluster.Client, n.Ref(), in)
		return job.Flush(ctx)
	})
}
