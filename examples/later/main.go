// Command later starts work and leaves; another run of it, on another host and
// another day, fetches the result.
//
//	later start [--app APP] NAME N     begins to sum the primes below N, publishes the future as NAME, and leaves
//	later fetch [--app APP] NAME       waits for that result and prints it
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
)

// pieces is into how many tasks the numbers are cut.
const pieces = 16

// piece is the half-open range of numbers that one task looks at.
type piece struct{ From, To int }

var sumPrimes = yarnd.Define("later.sumPrimes", func(ctx context.Context, p piece) (int, error) {
	sum := 0
	for n := max(2, p.From); n < p.To; n++ {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if isPrime(n) {
			sum += n
		}
	}
	return sum, nil
})

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return true
}

// total depends on all the pieces: a Ref in the input is an edge of the graph.
var total = yarnd.Define("later.total", func(_ context.Context, sums []yarnd.Ref[int]) (int, error) {
	sum := 0
	for _, s := range sums {
		sum += s.Value()
	}
	return sum, nil
})

func main() {
	yarnd.Main(func(ctx context.Context) error {
		usage := &edgeclient.Fault{Code: edgeclient.Usage, What: "later takes start NAME N, or fetch NAME", Next: "Write later start --app APP answer 100000"}
		if len(os.Args) < 2 {
			return usage
		}
		flags := flag.NewFlagSet("later", flag.ContinueOnError)
		app := flags.String("app", "current", "application to run on")
		if err := flags.Parse(os.Args[2:]); err != nil {
			return usage
		}
		switch {
		case os.Args[1] == "start" && flags.NArg() == 2:
			n, err := strconv.Atoi(flags.Arg(1))
			if err != nil || n < 2 {
				return usage
			}
			return start(ctx, *app, flags.Arg(0), n)
		case os.Args[1] == "fetch" && flags.NArg() == 1:
			return fetch(ctx, *app, flags.Arg(0))
		}
		return usage
	})
}

func start(ctx context.Context, app, name string, n int) error {
	cluster, err := yarnd.Connect(ctx, app)
	if err != nil {
		return err
	}
	defer cluster.Close()
	if _, err := engine.Lookup[int](ctx, cluster.Client, name); !errors.Is(err, engine.ErrNotFound) {
		if err == nil { // before its tasks are submitted: nobody would let go of them
			err = &edgeclient.Fault{Code: edgeclient.Refused, What: fmt.Sprintf("%q has been started already", name), Next: "Write later fetch " + name + ", or give another name"}
		}
		return err
	}
	job, err := cluster.Job(ctx, name) // a job with a name outlives its client
	if err != nil {
		return err
	}
	var sums []yarnd.Ref[int]
	for i := range pieces {
		sums = append(sums, sumPrimes.Submit(ctx, cluster.Client, piece{n * i / pieces, n * (i + 1) / pieces}, engine.InJob(job)).Ref())
	}
	return engine.Publish(ctx, cluster.Client, name, total.Submit(ctx, cluster.Client, sums, engine.InJob(job)))
}

func fetch(ctx context.Context, app, name string) error {
	cluster, err := yarnd.Connect(ctx, app)
	if err != nil {
		return err
	}
	defer cluster.Close()
	future, err := engine.Lookup[int](ctx, cluster.Client, name)
	if err != nil {
		return err
	}
	sum, err := future.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println(sum)
	return nil
}
