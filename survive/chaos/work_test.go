package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func testJobs() *jobs {
	w := &world{t: newTable(), now: kinds[0].name}
	return &jobs{w: w, over: make(chan struct{}), patience: 50 * time.Millisecond, why: func(context.Context) string { return "nobody has a place for it" }}
}

// Work that never ends is lost, some time after the last fault, and what is known of it is told.
func TestForgottenWorkIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := testJobs()
		began := make(chan struct{})
		forgotten := work{"forgotten", time.Millisecond, func(_ *jobs, ctx context.Context, n int) (string, error) {
			if n == 3 {
				close(began)
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "right", nil
		}}
		j.wg.Go(func() { j.goOn(t.Context(), forgotten, "right") })
		<-began
		time.Sleep(2 * j.patience) // faults go on: a round may take as long as they do
		if r := j.w.t.row(kinds[0].name); r.Lost != 0 {
			t.Errorf("while faults go on %d are lost", r.Lost)
		}
		j.last()
		ended := make(chan error)
		go func() { ended <- j.wait() }()
		select {
		case err := <-ended:
			if err == nil || !strings.Contains(err.Error(), "nobody has a place for it") {
				t.Errorf("what is said of it: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it is waited for without end")
		}
		if r := j.w.t.row(kinds[0].name); r.Lost != 1 || r.Changed != 0 {
			t.Errorf("%d are lost, %d changed; want 1, 0", r.Lost, r.Changed)
		}
	})
}

// Who is interrupted has lost nothing.
func TestInterruptedWorkIsNotLost(t *testing.T) {
	j := testJobs()
	j.patience = time.Minute
	ctx, stop := context.WithCancel(t.Context())
	j.wg.Go(func() {
		j.goOn(ctx, work{"", 0, func(_ *jobs, ctx context.Context, _ int) (string, error) {
			<-ctx.Done()
			return "", j.lose(ctx, ctx.Err())
		}}, "")
	})
	j.last()
	stop()
	if err := j.wait(); !errors.Is(err, context.Canceled) || j.w.t.row(kinds[0].name).Lost != 0 {
		t.Errorf("%v, %d lost", err, j.w.t.row(kinds[0].name).Lost)
	}
}

// batch is one of three tasks that are acknowledged when safe is closed.
type batch struct {
	safe chan struct{}
	err  error
}

func (b batch) Submitted(context.Context) (int, error) {
	<-b.safe
	return 3, b.err
}

// Tasks count when the scheduler has said that it has them.
func TestAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := testJobs()
		b := batch{safe: make(chan struct{})}
		done := make(chan error)
		go func() { done <- j.acknowledged(t.Context(), b) }()
		synctest.Wait()
		j.mu.Lock()
		if j.tasks != 0 {
			t.Errorf("%d tasks count that are on their way", j.tasks)
		}
		j.mu.Unlock()
		close(b.safe)
		if err := <-done; err != nil || j.tasks != 3 {
			t.Errorf("%v, %d tasks; want 3", err, j.tasks)
		}
		b.err = errors.New("the scheduler is gone")
		if err := j.acknowledged(t.Context(), b); err == nil || j.tasks != 3 {
			t.Errorf("%v, %d tasks; want an error, and 3", err, j.tasks)
		}
	})
}

// Results of map tasks can be lost with their worker: those that are in the scheduler's journal cannot.
func TestMapResultsStayWithWorkers(t *testing.T) {
	const inline = 4 << 10 // see engine/executor
	for from := 0; from < 40_000; from += 1000 {
		seen := map[int64]bool{}
		for v := range digitsOf(from) {
			seen[v] = true
		}
		if bytes := len(seen) * 16; bytes <= 2*inline {
			t.Errorf("digits of %d: %d bytes", from, bytes)
		}
	}
	large := 0
	for from := range 20 {
		seen, bytes := map[string]bool{}, 0
		for word := range wordsOf(from) {
			if !seen[word] {
				seen[word], bytes = true, bytes+len(word)
			}
		}
		if bytes > inline {
			large++
		}
	}
	if large != 10 {
		t.Errorf("of 20 texts %d have more words than go into the journal, want 10", large)
	}
}
