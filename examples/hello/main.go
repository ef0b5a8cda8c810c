// Command hello is the smallest program: it squares numbers on two workers, which
// are processes of this very binary on this machine.
package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/yarnd/yarnd"
)

var square = yarnd.Define("hello.square", func(_ context.Context, n int) (int, error) { return n * n, nil })

func main() {
	yarnd.Main(func(ctx context.Context) error {
		cluster, err := yarnd.Local(ctx, 2) // or yarnd.Connect(ctx, "last"), or yarnd.Submit(ctx, yarnd.Spec{Workers: 20})
		if err != nil {
			return err
		}
		defer cluster.Close()
		squares, err := square.Map(ctx, cluster.Client, slices.Values([]int{1, 2, 3, 4, 5})).Gather(ctx)
		fmt.Println(squares)
		return err
	})
}
