package appmaster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
)

// The containers of these tests run this test binary, under the name yarnd.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "yarnd" && len(os.Args) > 1 {
		if err := play(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, "error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// play is a container's process: a scheduler without tasks, or a worker without
// work. What is odd about it is in its environment, which comes with the launch
// data.
func play(role string) error {
	if err := amclient.Lifeline(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	launch, err := amclient.ReadLaunch()
	if err != nil {
		return err
	}
	fmt.Printf("%s %s of %s says hello\n", role, launch.Container, launch.App)
	if os.Getenv("TEST_CRASH") != "" {
		return errors.New("cannot go on: " + os.Getenv("TEST_CRASH"))
	}
	id, err := amclient.Join(ctx, launch, amclient.Options{})
	if err != nil {
		return err
	}
	if os.Getenv("TEST_KEEP") != "" { // for a test that wants to be this process
		pem, err := id.PEM()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(os.Getenv("TEST_KEEP"), launch.Container+".pem"), pem, 0o600); err != nil {
			return err
		}
	}
	c, err := amclient.Dial(id, amclient.Options{Addresses: launch.AM, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		return err
	}
	defer c.Close()
	if role == "scheduler" {
		return playScheduler(ctx, c, launch)
	}
	for ctx.Err() == nil {
		ep, err := c.Scheduler(ctx)
		if err != nil {
			break
		}
		fmt.Printf("scheduler of epoch %#x at %s\n", ep.Epoch, ep.Address)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	fmt.Println("worker ends")
	return nil
}

// playScheduler obeys: told to shrink, it releases the oldest workers.
func playScheduler(ctx context.Context, c *amclient.Client, launch *amclient.Launch) error {
	var ctl *amclient.Control
	var mu sync.Mutex
	report := &ampb.Report{Busy: os.Getenv("TEST_BUSY") != "", Workers: 3, Slots: 6, Done: 41, Jobs: []*ampb.Job{{Id: "j1", Name: "<script>alert(1)</script>", State: "running", Tasks: 100, Done: 41}}}
	ctl = amclient.Attach(c, amclient.ControlOptions{
		Address: "127.0.0.1:1", Epoch: launch.Epoch,
		OnExited: func(e *ampb.ContainerExited) {
			fmt.Printf("exited: %s, %s, blameless %v\n", e.Container, e.Cause, e.Blameless)
		},
		OnShrink: func(pool string, to int) {
			fmt.Printf("shrink %s to %d\n", pool, to)
			mu.Lock()
			defer mu.Unlock()
			ids := workersOf(os.Getenv("TEST_DIR"))
			if len(ids) > to {
				ctl.Release(ids[:len(ids)-to], "told to")
			}
		},
		OnDrain: func(ids []string, why string) {
			fmt.Printf("drain %s: %s\n", ids, why)
			ctl.Release(ids, why)
		},
		OnPools: func(m *ampb.Pools) {
			for _, p := range m.Pool {
				if p.Adapt == nil {
					fmt.Printf("pool %s is a person's and has %d\n", p.Pool, p.Wanted)
				} else {
					fmt.Printf("pool %s of %d to %d has %d\n", p.Pool, p.Adapt.Min, p.Adapt.Max, p.Wanted)
				}
			}
		},
		OnStopping: func(why string) { fmt.Printf("stopping: %s\n", why) },
	})
	ctl.Report(report)
	if os.Getenv("TEST_WANT") != "" {
		ctl.Want("worker", 2, "there is work")
	}
	err := ctl.Run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// workersOf lists the containers that have a directory, oldest first, without the
// scheduler's, which is the first.
func workersOf(dir string) []string {
	entries, _ := os.ReadDir(filepath.Join(dir, "containers"))
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	slices.Sort(ids)
	return ids[min(1, len(ids)):]
}
