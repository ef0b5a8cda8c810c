package executor

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// bucket is a Sink that fails after some bytes.
type bucket struct {
	mu      sync.Mutex
	data    []byte
	room    int
	aborted int
}

func (b *bucket) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.data = append(b.data, p...); len(b.data) > b.room {
		return 0, errors.New("the disk is full")
	}
	return len(p), nil
}

func (b *bucket) Abort() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.aborted++
}

func (b *bucket) ends() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.aborted
}

// Large results go into the sink and nowhere else; one that has no room for them fails
// its task alone, and is aborted once.
func TestLargeResultsGoIntoTheSink(t *testing.T) {
	var mu sync.Mutex
	var last *bucket
	room, full := 1<<30, (*graph.Failure)(nil)
	sink := func(_ *Task, size uint64) (Sink, *graph.Failure) {
		mu.Lock()
		defer mu.Unlock()
		if size != 3*chunkSize+1 {
			t.Errorf("a result of %d bytes is announced", size)
		}
		last = &bucket{room: room}
		return last, full
	}
	both(t, Options{Sink: sink, MaxResult: 4 << 20}, func(t *testing.T, m *blocking) {
		set := func(r int, f *graph.Failure) {
			mu.Lock()
			defer mu.Unlock()
			room, full, last = r, f, nil
		}
		set(1<<30, nil)
		r := m.Run(t.Context(), goTask("large", ""))
		if r.Failure != nil || r.Data != nil || r.Sink != Sink(last) || !bytes.Equal(last.data, bytes.Repeat([]byte("x"), 3*chunkSize+1)) || last.ends() != 0 {
			t.Errorf("%+v", r.Failure)
		}
		set(chunkSize, nil)
		r = m.Run(t.Context(), goTask("large", ""))
		if r.Failure == nil || r.Failure.Kind != graph.FailSetup || !strings.Contains(r.Failure.Message, "disk is full") || last.ends() != 1 {
			t.Errorf("no room on the way: %+v", r.Failure)
		}
		set(0, &graph.Failure{Kind: graph.FailMemory, Message: "no room"})
		if r = m.Run(t.Context(), goTask("large", "")); r.Failure == nil || r.Failure.Kind != graph.FailMemory {
			t.Errorf("no room from the start: %+v", r.Failure)
		}
		if r := m.Run(t.Context(), goTask("echo", "small")); r.Failure != nil || string(r.Data) != "small" || r.Sink != nil {
			t.Errorf("a small one: %+v", r)
		}
	})
	m := manager(t, Options{Sink: sink, MaxResult: 1000})
	if f := m.Run(t.Context(), goTask("large", "")).Failure; f == nil || f.Kind != graph.FailUser || !strings.Contains(f.Message, "1000 bytes") {
		t.Errorf("more than the limit: %+v", f)
	}
}

func TestResultLimit(t *testing.T) {
	m := manager(t, Options{MaxResult: 1000})
	if f := m.Run(t.Context(), goTask("large", "")).Failure; f == nil || f.Kind != graph.FailUser || !strings.Contains(f.Message, "1000 bytes") {
		t.Errorf("%+v", f)
	}
	mustRun(t, m, goTask("echo", "x"))
}

// A result that is refused is sent no further: the one slot would never be free again.
func TestRefusedResultEnds(t *testing.T) {
	sink := func(*Task, uint64) (Sink, *graph.Failure) { return &bucket{room: 1 << 20}, nil }
	for what, o := range map[string]Options{
		"too long":              {Slots: 1, MaxResult: 1 << 20},
		"too long for a sink":   {Slots: 1, MaxResult: 1 << 20, Sink: sink},
		"the sink is soon full": {Slots: 1, MaxResult: 1 << 60, Sink: sink},
	} {
		t.Run(what, func(t *testing.T) {
			both(t, o, func(t *testing.T, m *blocking) {
				for range 3 {
					if f := m.Run(t.Context(), goTask("endless", "")).Failure; f == nil || f.Kind == graph.FailDied {
						t.Fatalf("%+v", f)
					}
					mustRun(t, m, goTask("echo", "x"))
				}
			})
		})
	}
}
