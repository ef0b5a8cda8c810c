package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

// example runs an example with a client of a small cluster. A program gets its client
// from Connect, Submit or Local of the root package.
func example(run func(context.Context, *engine.Client)) {
	err := enginetest.Run(context.Background(), func(t enginetest.TB) {
		run(t.Context(), enginetest.New(t, 2))
	})
	if err != nil {
		fmt.Println(err)
	}
}

// Tasks are package variables, so that the program on the workers knows them too.
var (
	exampleSquare = engine.Define("example.square", func(_ context.Context, n int) (int, error) {
		return n * n, nil
	})
	exampleTotal = engine.Define("example.total", func(_ context.Context, in []engine.Ref[int]) (int, error) {
		total := 0
		for _, r := range in {
			total += r.Value()
		}
		return total, nil
	}, engine.Retries(2))
	exampleDivide = engine.Define("example.divide", func(_ context.Context, n [2]int) (int, error) {
		return n[0] / n[1], nil
	})
)

func ExampleTask_Submit() {
	example(func(ctx context.Context, client *engine.Client) {
		f := exampleSquare.Submit(ctx, client, 7)
		defer f.Release()
		n, err := f.Result(ctx)
		fmt.Println(n, err)
	})
	// Output: 49 <nil>
}

func ExampleTask_Map() {
	example(func(ctx context.Context, client *engine.Client) {
		b := exampleSquare.Map(ctx, client, slices.Values([]int{1, 2, 3, 4}))
		defer b.Release()
		for n, err := range b.All(ctx) {
			fmt.Println(n, err)
		}
	})
	// Output:
	// 1 <nil>
	// 4 <nil>
	// 9 <nil>
	// 16 <nil>
}

// The results of a map are the inputs of another task. They go from worker to worker.
func ExampleRef() {
	example(func(ctx context.Context, client *engine.Client) {
		squares, err := exampleSquare.Map(ctx, client, slices.Values([]int{1, 2, 3, 4})).Refs(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		total, err := exampleTotal.Call(ctx, client, append(squares, engine.Value(100)))
		fmt.Println(total, err)
	})
	// Output: 130 <nil>
}

func ExampleCommand() {
	example(func(ctx context.Context, client *engine.Client) {
		wc := engine.Command([]string{"sh", "-c", "printf %s {} | wc -c"})
		for r, err := range wc.Map(ctx, client, slices.Values([]string{"a", "bbb"})).All(ctx) {
			fmt.Print(string(r.Stdout), err, "\n")
		}
		_, err := engine.Command([]string{"sh", "-c", "echo cannot >&2; exit 3"}).Call(ctx, client, "")
		if e, ok := errors.AsType[*engine.TaskError](err); ok {
			fmt.Printf("exit code %d: %s", e.ExitCode, e.Output)
		}
	})
	// Output:
	// 1
	// <nil>
	// 3
	// <nil>
	// exit code 3: cannot
}

func ExampleTaskError() {
	example(func(ctx context.Context, client *engine.Client) {
		_, err := exampleDivide.Call(ctx, client, [2]int{1, 0})
		if e, ok := errors.AsType[*engine.TaskError](err); ok {
			fmt.Println(e.Name, e.Kind, e.Message, e.Stack != "")
		}
	})
	// Output: example.divide user panic: runtime error: integer divide by zero true
}

// A named job goes on when its program leaves; another one finds it again.
func ExampleJobFuture() {
	example(func(ctx context.Context, client *engine.Client) {
		job, err := client.Job(ctx, "nightly")
		if err != nil {
			fmt.Println(err)
			return
		}
		index := exampleSquare.Submit(ctx, client, 12, engine.InJob(job)).ID().Index

		// Later, elsewhere:
		again, err := client.AttachJob(ctx, "nightly")
		if err != nil {
			fmt.Println(err)
			return
		}
		n, err := engine.JobFuture[int](again, index).Result(ctx)
		fmt.Println(n, err)
	})
	// Output: 144 <nil>
}

func ExamplePublish() {
	example(func(ctx context.Context, client *engine.Client) {
		f := exampleSquare.Submit(ctx, client, 5)
		if err := engine.Publish(ctx, client, "area", f); err != nil {
			fmt.Println(err)
			return
		}
		// Any client of the cluster:
		area, err := engine.Lookup[int](ctx, client, "area")
		if err != nil {
			fmt.Println(err)
			return
		}
		n, err := area.Result(ctx)
		fmt.Println(n, err)
		_, err = engine.Lookup[string](ctx, client, "area")
		fmt.Println(errors.Is(err, engine.ErrMismatch))
	})
	// Output:
	// 25 <nil>
	// true
}
