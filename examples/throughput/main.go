// Command throughput measures what the engine itself costs: tasks that do nothing.
//
//	throughput [--app APP] [--tasks N] [--rounds R]
//
// It prints, as medians over the rounds, the time from a first submission to its
// result, and tasks a second.
package main

import (
	"context"
	"flag"
	"fmt"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

var double = yarnd.Define("throughput.double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

func main() {
	yarnd.Main(func(ctx context.Context) error {
		flags := flag.NewFlagSet("throughput", flag.ContinueOnError)
		app := flags.String("app", "current", "application to run on")
		tasks := flags.Int("tasks", 10_000, "tasks in a round")
		rounds := flags.Int("rounds", 5, "rounds")
		if err := flags.Parse(os.Args[1:]); err != nil || *tasks < 1 || *rounds < 1 {
			return &edgeclient.Fault{Code: edgeclient.Usage, What: "throughput takes numbers above 0", Next: "See throughput --help"}
		}
		return measure(ctx, *app, *tasks, *rounds)
	})
}

func measure(ctx context.Context, app string, tasks, rounds int) error {
	start := time.Now()
	cluster, err := yarnd.Connect(ctx, app)
	if err != nil {
		return err
	}
	defer cluster.Close()
	fmt.Printf("connected in %s\n", time.Since(start).Round(time.Millisecond))
	start = time.Now()
	if _, err := double.Call(ctx, cluster.Client, 21); err != nil {
		return err
	}
	fmt.Printf("first result %s after its submission, the program's way to the workers included\n", time.Since(start).Round(time.Millisecond))
	single, many := make([]time.Duration, rounds), make([]time.Duration, rounds)
	for r := range rounds {
		start = time.Now()
		if _, err := double.Call(ctx, cluster.Client, r); err != nil {
			return err
		}
		single[r] = time.Since(start)
		if many[r], err = round(ctx, cluster, tasks); err != nil {
			return err
		}
	}
	slices.Sort(single)
	slices.Sort(many)
	median := many[rounds/2]
	fmt.Printf("one task there and back: %s (median of %d)\n", single[rounds/2].Round(time.Microsecond), rounds)
	fmt.Printf("%d tasks: %s, %.0f a second (median of %d)\n", tasks, median.Round(time.Millisecond), float64(tasks)/median.Seconds(), rounds)
	return nil
}

// round runs tasks and checks each result.
func round(ctx context.Context, cluster *yarnd.Cluster, tasks int) (time.Duration, error) {
	start := time.Now()
	batch := double.Map(ctx, cluster.Client, count(tasks))
	defer batch.Release()
	i := 0
	for got, err := range batch.All(ctx) {
		if err != nil {
			return 0, err
		}
		if got != 2*i {
			return 0, fmt.Errorf("task %d gave %d", i, got)
		}
		i++
	}
	if i != tasks {
		return 0, fmt.Errorf("%d results of %d tasks", i, tasks)
	}
	return time.Since(start), nil
}

func count(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}
