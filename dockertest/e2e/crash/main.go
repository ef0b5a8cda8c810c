// Command crash is a bundle whose workers die as soon as they start.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/yarnd/yarnd"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		fmt.Fprintln(os.Stderr, "these are my last words")
		os.Exit(3)
	}
	yarnd.Main(func(context.Context) error { return fmt.Errorf("crash is a bundle, not a command") })
}
