package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

func lock(t testing.TB, c *engine.Client, name string) *engine.Held {
	t.Helper()
	h, err := c.Lock(deadline(t), name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A lock is one client's at a time, also when that leaves without a word.
func TestLock(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	first, second, ctx := c.Client(), c.Client(), deadline(t)
	a := lock(t, first, "db")
	short, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := second.Lock(short, "db"); !errors.Is(err, context.Canceled) {
		t.Fatalf("a wait that was ended: %v", err)
	}
	var got *engine.Held
	var err error
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		got, err = second.Lock(ctx, "db")
	}()
	other := lock(t, second, "another")
	select {
	case <-waiting:
		t.Fatal("two have it")
	default:
	}
	must(t, a.Release(ctx))
	if err := a.Release(ctx); !errors.Is(err, engine.ErrState) {
		t.Errorf("released twice: %v", err)
	}
	<-a.Lost()
	<-waiting
	if err != nil || got.Token() <= a.Token() || got.Token() <= other.Token() {
		t.Fatalf("token %d after %d, %v", got.Token(), a.Token(), err)
	}
	must(t, second.Close())
	<-got.Lost()
	lock(t, first, "db")
}

// A semaphore has as many holders as permits and no more.
func TestSemaphore(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	clients, ctx := []*engine.Client{c.Client(), c.Client()}, deadline(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	holders, most := 0, 0
	move := func(by int) {
		mu.Lock()
		defer mu.Unlock()
		holders += by
		most = max(most, holders)
	}
	for i := range 40 {
		wg.Go(func() {
			h, err := clients[i%2].Semaphore(ctx, "gpu", 3)
			if err != nil {
				t.Error(err)
				return
			}
			move(1)
			move(-1)
			if err := h.Release(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most > 3 {
		t.Errorf("%d at once", most)
	}
	h, err := clients[0].Semaphore(ctx, "gpu", 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clients[1].Semaphore(ctx, "gpu", 4); err == nil {
		t.Error("3 permits and 4 are the same")
	}
	if _, err := clients[1].Semaphore(ctx, "none", 0); err == nil {
		t.Error("no permits")
	}
	must(t, h.Release(ctx))
}

func TestEvent(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1})
	first, second, ctx := c.Client(), c.Client(), deadline(t)
	done := make(chan error, 2)
	for range 2 {
		go func() { done <- first.WaitEvent(ctx, "go") }()
	}
	must(t, second.SetEvent(ctx, "go"))
	must(t, <-done)
	must(t, <-done)
	must(t, second.WaitEvent(ctx, "go")) // it stays set
	must(t, first.ClearEvent(ctx, "go"))
	short, cancel := context.WithCancel(ctx)
	go func() { done <- second.WaitEvent(short, "go") }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was ended: %v", err)
	}
}
