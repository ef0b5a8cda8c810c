// Command second is another program than the cluster's: it brings itself.
//
//	second SCHEDULER CREDENTIAL
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
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
