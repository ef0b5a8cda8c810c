package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// expiryPatience is how long YARN may take to give up a node: its default is ten minutes.
const expiryPatience = 15 * time.Minute

// lostNode is what the loss of the application master's node costs.
type lostNode struct {
	serves, whole time.Duration // from the loss, until the next master answers, and until all is whole
	rounds        int           // of small jobs, by the client that was connected, until the next master answered
	longest       time.Duration // one of these took
}

// loseNode has the node of the application master lose its power, on which no scheduler runs, and waits until another
// master serves. Meanwhile a client that is connected has one small job done after the other.
func (w *world) loseNode(ctx context.Context) error {
	node, err := w.masterApart(ctx)
	if err != nil {
		return err
	}
	old := w.master()
	lost := time.Now()
	w.mu.Lock()
	w.now, w.hurtAt = "", lost
	w.mu.Unlock()
	if err := w.place.power(ctx, node, false); err != nil {
		return err
	}
	var l lostNode
	next := w.awaitNext(ctx, old, lost)
	for over := false; !over; {
		began := time.Now()
		if err := w.smallJob(ctx); err != nil {
			return fmt.Errorf("while there is no application master: %w", err)
		}
		l.rounds, l.longest = l.rounds+1, max(l.longest, time.Since(began))
		select {
		case l.serves = <-next:
			over = true
		default:
		}
	}
	if l.serves == 0 {
		return fmt.Errorf("no application master serves %v after the last one's node was lost", expiryPatience)
	}
	for why := w.lacks(ctx); why != ""; why = w.lacks(ctx) {
		if time.Since(lost) > l.serves+patience {
			return fmt.Errorf("not whole again: %s", why)
		}
		sleep(ctx, 200*time.Millisecond)
	}
	l.whole = time.Since(lost)
	fmt.Fprintf(os.Stdout, "the application master's node was lost: the next one serves after %.1f s, and all is whole after %.1f s;\n"+
		"meanwhile a connected client had %d jobs of %d tasks done, the longest in %.1f s\n",
		l.serves.Seconds(), l.whole.Seconds(), l.rounds, clientTasks, l.longest.Seconds())
	if err := w.place.power(ctx, node, true); err != nil {
		return err
	}
	if err := errors.Join(w.place.settled(ctx), w.leave(ctx)); err != nil {
		return err
	}
	if left := w.t.Left; left.sum() > 0 {
		return fmt.Errorf("left behind: %+v", left)
	}
	return nil
}

// awaitNext looks for the next master while jobs go on, and tells when after the loss it answered: 0 is never.
func (w *world) awaitNext(ctx context.Context, old string, lost time.Time) <-chan time.Duration {
	next := make(chan time.Duration, 1)
	go func() {
		took := time.Duration(0)
		for ctx.Err() == nil && took == 0 && time.Since(lost) < expiryPatience {
			if w.serves(ctx, old) {
				took = time.Since(lost)
			}
			sleep(ctx, 100*time.Millisecond)
		}
		next <- took
	}()
	return next
}

// masterApart has the application's scheduler be on another node than its master, whose node it returns.
func (w *world) masterApart(ctx context.Context) (int, error) {
	const tries = 10
	for range tries {
		if err := w.awaitWhole(ctx); err != nil {
			return 0, err
		}
		node := w.nodeOf(w.master())
		scheduler := w.scheduler(ctx)
		if node >= 0 && node != w.nodeOf(scheduler) {
			return node, nil
		}
		w.signal(scheduler, syscall.SIGKILL) // another one comes, elsewhere maybe
	}
	return 0, fmt.Errorf("scheduler and application master were on one node %d times", tries)
}

// serves tells whether a master answers that is not the old one.
func (w *world) serves(ctx context.Context, old string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	info, err := w.app.Session().Info(ctx)
	return err == nil && info.GetContainer() != old
}

// smallJob has a few leaves computed, and looks at what they are.
func (w *world) smallJob(ctx context.Context) error {
	b := leaf.Map(ctx, w.app.Client, inputs(w.marks.file, w.marks.take(clientTasks), clientTasks, 5_000))
	defer b.Release()
	got, err := b.Gather(ctx)
	if err != nil {
		return err
	}
	want := make([]uint64, clientTasks)
	for i := range want {
		want[i] = valueOf(i)
	}
	if !slices.Equal(got, want) {
		return errors.New("a job's results are wrong")
	}
	return nil
}
