package worker

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"
)

// A worker that says goodbye does not connect again while that is under way: the scheduler, which closes the connection
// when it hears that, would have it join once more.
func TestNoConnectionAfterGoodbye(t *testing.T) {
	w := &worker{opts: Options{Backoff: time.Hour, LoadEvery: time.Hour, Log: slog.New(slog.DiscardHandler)}}
	w.init()
	tries := 0
	w.opts.Scheduler = func(context.Context) (string, uint64, error) {
		if tries++; tries == 1 {
			close(w.leaving) // as the loop does; it has not ended
		}
		return "", 0, errors.New("there is none now")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	w.opts.Identity = newCluster(t).identity("worker", "c2")
	w.link(ctx)
	if ctx.Err() != nil || tries != 1 {
		t.Errorf("the link ended after %d tries, %v", tries, ctx.Err())
	}
}
