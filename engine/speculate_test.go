package engine_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

var stuck, freed atomic.Int64

// sticky does not end on the first worker that it meets with n 7. It is for workers
// within the test.
var sticky = engine.Define("sticky", func(ctx context.Context, n int) (string, error) {
	info, _ := engine.Info(ctx)
	if n == 7 && stuck.Add(1) == 1 {
		<-ctx.Done()
		freed.Add(1)
		return "", ctx.Err()
	}
	return info.Host, nil
})

// A task that may run twice does when it hangs on one worker: the other's result
// counts, and the one that hangs is ended.
func TestIdempotent(t *testing.T) {
	stuck.Store(0)
	freed.Store(0)
	c := enginetest.Start(t, enginetest.Options{Workers: 3, Slots: 1})
	client := c.Client()
	items := []int{1, 2, 3, 4, 5, 6, 7}
	hosts, err := sticky.Map(t.Context(), client, slices.Values(items), engine.Idempotent()).Gather(deadline(t))
	if err != nil || hosts[6] == "" || stuck.Load() != 2 {
		t.Errorf("%v after %d attempts, %v", hosts, stuck.Load(), err)
	}
	for end := deadline(t); freed.Load() == 0; time.Sleep(time.Millisecond) {
		if end.Err() != nil {
			t.Fatal("the attempt that hangs is not ended")
		}
	}
}
