package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

var nested = engine.DefineReduce("test.nested", func(_ context.Context, a, b string) (string, error) {
	if b == "bad" {
		return "", fmt.Errorf("a bad value behind %d bytes", len(a))
	}
	return "(" + a + b + ")", nil
})

// The order is kept, and the tree depends on the number of values alone.
func TestTree(t *testing.T) {
	client, ctx := enginetest.New(t, 2), t.Context()
	for n := 1; n < 40; n++ {
		for _, fanIn := range []int{0, 2, 3, 7} {
			var values []engine.Ref[string]
			var want strings.Builder
			for i := range n {
				values = append(values, engine.Value(fmt.Sprint(i, ",")))
				want.WriteString(fmt.Sprint(i, ","))
			}
			before := values[0]
			f := nested.Tree(ctx, client, values, fanIn)
			got, err := f.Result(ctx)
			f.Release()
			if flat := strings.NewReplacer("(", "", ")", "").Replace(got); err != nil || flat != want.String() {
				t.Fatalf("%d values, %d each: %q, %v", n, fanIn, got, err)
			}
			if strings.Count(got, "(") != n-1 || values[0] != before {
				t.Errorf("%d values, %d each: %q", n, fanIn, got)
			}
		}
	}
	bad := []engine.Ref[string]{engine.Value("a"), engine.Value("b"), engine.Value("c"), engine.Value("bad")}
	if _, err := nested.Tree(ctx, client, bad, 2).Result(ctx); err == nil || !strings.Contains(err.Error(), "a bad value") {
		t.Errorf("a value that cannot be joined: %v", err)
	}
	for _, fanIn := range []int{0, 1, -1} {
		if _, err := nested.Tree(ctx, client, nil, fanIn).Result(ctx); err == nil {
			t.Error("a tree of nothing has a result")
		}
	}
}

func TestBroadcast(t *testing.T) {
	client, ctx := enginetest.New(t, 5), t.Context()
	value := strings.Repeat("x", 100_000)
	for copies, want := range map[int]int{1: 1, 3: 3, 0: 5, 9: 5} {
		f, err := engine.Broadcast(ctx, client, value, copies)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the scheduler knows of the copies", func() bool {
			d, err := client.TaskDetail(ctx, f.ID())
			return err == nil && len(d.Holders) >= want
		})
		if got, err := f.Result(ctx); err != nil || got != value {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		f.Release()
	}
	if _, err := engine.Broadcast(ctx, client, []engine.Ref[int]{}, 1); err == nil {
		t.Error("a value with Refs was taken")
	}
}
