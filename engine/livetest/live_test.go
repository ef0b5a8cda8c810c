package livetest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/engine/client"
)

var (
	schedules = flag.Int("schedules", manySchedules, "schedules to play")
	first     = flag.Uint64("seed", 1, "seed of the first schedule")
)

// A schedule in which all clients get what the oracle says, and nothing is left.
func TestLive(t *testing.T) {
	for seed := *first; seed < *first+uint64(*schedules); seed++ {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			log := &syncBuffer{}
			t.Cleanup(func() {
				if t.Failed() || os.Getenv("LIVELOG") != "" {
					file := filepath.Join(os.TempDir(), fmt.Sprintf("livetest-%d.log", seed))
					os.WriteFile(file, log.buf.Bytes(), 0o600)
					t.Logf("its log is %s; again: go test ./engine/livetest -run TestLive -schedules 1 -seed %d", file, seed)
				}
			})
			synctest.Test(t, func(t *testing.T) { play(t, seed, log) })
		})
		if !ok {
			return
		}
	}
}

// patience is how long all may take once the adversary has had enough, in virtual time.
const patience = 30 * time.Minute

func play(t *testing.T, seed uint64, log *syncBuffer) {
	time.Sleep(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))) // certificates are good from 2020 on
	w := newWorld(t, seed, 0, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for range 1 + w.rnd.IntN(3) {
		w.join()
	}
	rnd := rand.New(rand.NewPCG(seed, 3))
	users := make([]*user, 1+rnd.IntN(3))
	for i := range users {
		name := fmt.Sprintf("u%d", i+1)
		users[i] = &user{
			w: w, name: name, named: rnd.IntN(2) == 0, told: map[ear]int{},
			rnd: rand.New(rand.NewPCG(seed, uint64(10+i))), log: w.log.With("who", name),
		}
	}
	quit, over := make(chan struct{}), make(chan struct{})
	go func() { defer close(over); w.adversary(users, quit) }()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var wg sync.WaitGroup
	for _, u := range users {
		wg.Go(func() {
			if err := u.run(ctx); err != nil && !errors.Is(err, errGone) {
				t.Errorf("schedule %d: %s: %v", seed, u.name, err)
				cancel(errors.New("another has failed"))
			}
		})
	}
	time.Sleep(time.Minute)
	close(quit)
	<-over
	limit := time.AfterFunc(patience, func() { cancel(errors.New("it takes for ever")) })
	wg.Wait()
	limit.Stop()
	if !t.Failed() {
		w.judgeEmpty(t)
	}
	w.end()
}

// judgeEmpty looks at what the cluster holds when everybody has let go.
func (w *world) judgeEmpty(t *testing.T) {
	c, err := w.client("auditor", "auditor")
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	for {
		held, err := w.held(ctx, c)
		if err != nil {
			t.Errorf("%v; at last %s is held", err, held)
			return
		}
		if held == "" {
			return
		}
		time.Sleep(time.Second)
	}
}

func (w *world) held(ctx context.Context, c *client.Client) (string, error) {
	jobs, err := c.Jobs(ctx)
	if err != nil {
		return "", err
	}
	for _, j := range jobs {
		return fmt.Sprintf("job %d", j.ID), ctx.Err()
	}
	ws, err := c.Workers(ctx)
	if err != nil {
		return "", err
	}
	for _, info := range ws {
		if info.MemoryUsed > 0 {
			return fmt.Sprintf("%d bytes on %s", info.MemoryUsed, info.Name), ctx.Err()
		}
	}
	return "", nil
}

// syncBuffer is a log.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}
