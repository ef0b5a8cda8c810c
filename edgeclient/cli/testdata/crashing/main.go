// Command crashing is a bundle whose workers end as soon as they start.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/yarnd/yarnd"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "worker" {
		fmt.Fprint(os.Stderr, "cannot start\nthere is no licence\n")
		os.Exit(3)
	}
	yarnd.Main(func(context.Context) error { return nil })
}
