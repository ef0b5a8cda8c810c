package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient"
)

func main() { yarnd.MainCode(run) }

// options of a run.
type options struct {
	length  time.Duration
	atMost  time.Duration // 0: see bound
	seed    uint64
	runs    int
	workers int
	tasks   int
	kinds   string
	counts  bool
	each    bool
	all     bool
	keep    bool
	verbose bool

	report int // file descriptor for the table of a run that is one of several; 0: it is not
	open   bool

	hadoop   string // the cluster's composition; "" is the embedded one
	lostNode bool
}

func run(ctx context.Context) int {
	if os.Getenv(agentVar) != "" {
		return agentMain(ctx)
	}
	useHosts(os.Getenv(hostsVar))
	if verb := os.Getenv(clientVerb); verb != "" {
		return clientMain(ctx, verb)
	}
	var o options
	f := flag.NewFlagSet("chaos", flag.ExitOnError)
	f.DurationVar(&o.length, "for", 10*time.Minute, "go on for so long")
	f.Uint64Var(&o.seed, "seed", 1, "of the first run's faults; the next has the next")
	f.IntVar(&o.runs, "runs", 1, "runs side by side")
	f.IntVar(&o.workers, "workers", 4, "of the application")
	f.IntVar(&o.tasks, "tasks", 100_000, "of the large graph")
	f.StringVar(&o.kinds, "faults", "", "of these kinds only, with commas between; default all")
	f.BoolVar(&o.counts, "counts", false, "go on until each kind has hit as often as it is to, and judge what the deaths of application masters cost")
	f.DurationVar(&o.atMost, "at-most", 0, "with -counts: go on for so long at most; 0 is four times -for")
	f.BoolVar(&o.each, "each", false, "do one fault of each kind, a short one, and end")
	f.BoolVar(&o.all, "all", false, "fail where a kind of fault is not possible here")
	f.BoolVar(&o.keep, "keep", false, "keep the clusters' directories, with their logs")
	f.BoolVar(&o.verbose, "v", false, "tell of each fault on standard error")
	f.IntVar(&o.report, "report", 0, "internal: where the table goes")
	f.BoolVar(&o.open, "open", false, "internal: there are no private namespaces")
	f.StringVar(&o.hadoop, "hadoop", "", "hurt Hadoop's own daemons, in a cluster in Docker of this composition, such as ha")
	f.BoolVar(&o.lostNode, "lost-node", false, "with -hadoop: lose the node of the application master, once, and print what that costs")
	f.Parse(os.Args[1:]) //nolint:errcheck // it exits
	switch {
	case f.NArg() > 0 || o.runs < 1:
		fmt.Fprintln(os.Stderr, "chaos takes no arguments, and one run at least")
		return int(edgeclient.Usage)
	case o.atMost > 0 && (o.atMost < o.length || !o.counts):
		fmt.Fprintf(os.Stderr, "chaos: -at-most bounds -counts, and cannot be less than -for; try -counts -for %v -at-most %v\n", o.atMost, o.atMost)
		return int(edgeclient.Usage)
	case o.lostNode && o.hadoop == "" || o.hadoop != "" && o.runs > 1:
		fmt.Fprintln(os.Stderr, "chaos: -lost-node needs -hadoop, of which there is one run at a time; try -hadoop ha -runs 1")
		return int(edgeclient.Usage)
	}
	do := side
	switch {
	case o.report > 0:
		do = one
	case o.hadoop != "":
		do = alone
	}
	if err := do(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	return 0
}
