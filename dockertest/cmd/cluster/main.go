// Command cluster brings test clusters up and down. `make cluster-up`, `cluster-down` and `cluster-status` call it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/dockertest/cluster"
	"github.com/yarnd/yarnd/dockertest/layout"
)

const usage = `usage: cluster [-c COMPOSITION] [-name NAME] [-hadoop VERSION] VERB [ARGUMENT…]

  up                  bring the cluster up, or repair it
  down                remove it and all it wrote
  down-all            remove every cluster
  status              say what runs and what is amiss; exit code 1 unless healthy
  kill  HOST DAEMON   SIGKILL one daemon        start HOST [DAEMON]  start a host, or one daemon
  stop  HOST          end a whole host          pause, unpause HOST  freeze it, let it go on

To run a command on an edge node: dockertest/edge [-c NAME] [-n HOST] [-u USER] -- COMMAND…
`

func main() {
	composition := flag.String("c", "simple", "composition")
	name := flag.String("name", "", "the cluster's `name`, if not the composition's")
	hadoop := flag.String("hadoop", "", "Hadoop `version` (default $HADOOP, else 3.4.2)")
	flag.Usage = func() { fmt.Fprint(flag.CommandLine.Output(), usage); flag.PrintDefaults() }
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *composition, *name, *hadoop, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, composition, name, hadoop string, args []string) error {
	comp, err := layout.ByName(composition)
	if err != nil {
		return err
	}
	if name == "" {
		name = composition
	}
	if len(args) == 0 {
		flag.Usage()
		os.Exit(2)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	switch args[0] {
	case "up":
		start := time.Now()
		c, err := cluster.Up(ctx, cluster.Spec{Name: name, Composition: comp, Hadoop: hadoop}, log)
		if err != nil {
			return err
		}
		fmt.Printf("cluster %s with Hadoop %s is healthy (%.1f s); try dockertest/edge -c %s -u alice -- yarnd list\n",
			c.Name(), c.Hadoop(), time.Since(start).Seconds(), c.Name())
		return nil
	case "down":
		return cluster.Down(ctx, name, log)
	case "down-all":
		names, err := cluster.Names()
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := cluster.Down(ctx, name, log); err != nil {
				return err
			}
		}
		return nil
	}
	c, err := cluster.Find(ctx, name)
	if err != nil {
		return err
	}
	return operate(ctx, c, args)
}

// operate carries out the verbs that need a cluster that is there.
func operate(ctx context.Context, c *cluster.Cluster, args []string) error {
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch verb, host, daemon := args[0], arg(1), arg(2); verb {
	case "status":
		if err := c.Report(ctx, os.Stdout); err != nil {
			return err
		}
		return c.Health(ctx)
	case "kill":
		return c.KillDaemon(ctx, host, daemon)
	case "start":
		if daemon != "" {
			return c.StartDaemon(ctx, host, daemon)
		}
		return c.StartHost(ctx, host)
	case "stop":
		return c.StopHost(ctx, host)
	case "pause":
		return c.PauseHost(ctx, host)
	case "unpause":
		return c.UnpauseHost(ctx, host)
	default:
		return fmt.Errorf("there is no verb %q\n%s", verb, usage)
	}
}
