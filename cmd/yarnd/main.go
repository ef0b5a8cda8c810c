// Command yarnd is the binary that plays every role: the command line on the
// edge node, and the application master, scheduler, worker and executor inside
// the cluster.
package main

import (
	"context"
	"os"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/edgeclient/cli"
)

func main() {
	yarnd.MainCode(func(ctx context.Context) int {
		return cli.Run(ctx, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	})
}
