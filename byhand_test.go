package yarnd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// A scheduler and a worker that are started by hand work in one process too, and end
// with their contexts.
func TestByHand(t *testing.T) {
	credentials := filepath.Join(t.TempDir(), "credentials")
	t.Setenv(edgeclient.CredentialsVar, credentials)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ready := make(chan string, 1)
	wg.Go(func() {
		err := RunScheduler(serving, SchedulerOptions{Listen: "127.0.0.1:0", Dir: t.TempDir(), Ready: func(address, made string) {
			if made != credentials {
				t.Errorf("made %q", made)
			}
			ready <- address
		}})
		if err != nil {
			t.Error(err)
			cancel()
		}
	})
	var address string
	select {
	case address = <-ready:
	case <-ctx.Done():
		t.Fatal("the scheduler is not ready")
	}
	cluster, err := Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	if cluster.ID != "tcp://"+address || !cluster.Session().ByHand() {
		t.Errorf("connected to %q", cluster.ID)
	}
	if workers, err := cluster.Workers(ctx); err != nil || len(workers) != 0 {
		t.Errorf("%v, %v", workers, err)
	}
	if err := cluster.Scale(ctx, 3); ExitCode(err) != edgeclient.Refused {
		t.Errorf("scale: %v", err)
	}
	if err := cluster.Stop(ctx); ExitCode(err) != edgeclient.Refused {
		t.Errorf("stop: %v", err)
	}
}

// A clock that was set back, by an hour or to the beginning of time, does not keep a scheduler from going on with the
// journal of the one before.
func TestByHandAfterTheClockWasSetBack(t *testing.T) {
	dir := t.TempDir()
	w, err := handJournal(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	now, last := time.Now(), uint64(0)
	for _, at := range []time.Time{now, now.Add(-time.Hour), now.Add(-time.Minute), time.Unix(0, 0), now.Add(time.Hour)} {
		epoch, err := w.epoch(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if epoch <= last {
			t.Fatalf("epoch %d after %d", epoch, last)
		}
		last = epoch
		j, err := journal.Open(t.Context(), journal.Options{Store: w.store, Epoch: epoch})
		if err != nil {
			t.Fatalf("at %v: %v", at, err)
		}
		if err := j.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if want := uint64(now.Add(time.Hour).UnixMilli()); last != want {
		t.Errorf("the last epoch is %d, want %d", last, want)
	}
}

// told collects what a worker tells a person, and why it ended.
type told struct {
	lines []string
	end   error
}

func newTold(t *testing.T, patience time.Duration) (*told, *contact) {
	x := &told{}
	c := newContact(WorkerOptions{Scheduler: "node1:1", Cores: 2, Memory: 1 << 30, Patience: patience,
		Tell: func(format string, args ...any) { x.lines = append(x.lines, fmt.Sprintf(format, args...)) }},
		func(err error) { x.end = err })
	t.Cleanup(c.close)
	return x, c
}

func (x *told) want(t *testing.T, lines ...string) {
	t.Helper()
	if len(x.lines) != len(lines) {
		t.Fatalf("told %q, want %q", x.lines, lines)
	}
	for i, want := range lines {
		if !strings.Contains(x.lines[i], want) {
			t.Errorf("told %q, want %q", x.lines[i], want)
		}
	}
}

// A person hears of a scheduler that is found and lost, once for each time.
func TestContactTells(t *testing.T) {
	x, c := newTold(t, 0)
	gone := errors.New("connection refused")
	for _, err := range []error{gone, gone, nil, gone, gone, nil, &identity.RejectedError{}} {
		c.tried(err)
	}
	x.want(t, "no scheduler at node1:1: connection refused; trying until it answers", "joined tcp://node1:1 with 1GiB for 2 tasks",
		"no scheduler", "joined", "no scheduler at node1:1: identity: refused")
	if x.end != nil {
		t.Errorf("it ended: %v: another cluster may hold the port for a while", x.end)
	}
}

// What trying again cannot mend ends a worker that has never been accepted.
func TestContactGivesUp(t *testing.T) {
	for _, x := range []struct {
		err  error
		want edgeclient.Code
	}{
		{fmt.Errorf("connect: %w", &identity.RejectedError{}), edgeclient.Auth},
		{wire.Errorf(wire.Mismatch, "protocol 9"), edgeclient.Mismatch},
	} {
		told, c := newTold(t, 0)
		c.tried(x.err)
		if ExitCode(told.end) != x.want || told.end == nil {
			t.Errorf("%v: ended with %v", x.err, told.end)
		}
	}
}

// Patience runs while there is no scheduler, and begins anew when one is lost.
func TestContactPatience(t *testing.T) {
	x, c := newTold(t, time.Hour)
	if c.timer == nil {
		t.Error("it waits for ever")
	}
	c.tried(nil)
	c.lost() // the timer fired when it was joining
	if c.timer != nil || x.end != nil {
		t.Errorf("ended with %v though it has joined", x.end)
	}
	c.tried(errors.New("connection refused"))
	x.want(t, "joined", "trying for 1h0m0s")
	if c.timer == nil {
		t.Fatal("it waits for ever")
	}
	c.lost()
	if ExitCode(x.end) != edgeclient.TimedOut || !strings.Contains(x.end.Error(), "no scheduler at node1:1 for 1h0m0s: connection refused") {
		t.Errorf("ended with %v", x.end)
	}
}
