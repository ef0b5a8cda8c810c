package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine/journal"
	"github.com/yarnd/yarnd/engine/journal/dirstore"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is a journal that was opened and replayed, and what came of it.
type epoch struct {
	*journal.Journal
	replayed []string
	flushed  chan uint64
	fenced   chan error
	states   chan error
}

func options(store journal.Store, n uint64) (journal.Options, *epoch) {
	e := &epoch{flushed: make(chan uint64, 1000), fenced: make(chan error, 2), states: make(chan error, 1000)}
	return journal.Options{
		Store: store, Epoch: n,
		OnFlushed: func(pos uint64) { e.flushed <- pos },
		OnFenced:  func(err error) { e.fenced <- err },
		OnState:   func(err error) { e.states <- err },
	}, e
}

// begin opens, replays and starts an epoch.
func begin(t testing.TB, store journal.Store, n uint64) *epoch {
	t.Helper()
	o, e := options(store, n)
	return start(t, o, e)
}

func start(t testing.TB, o journal.Options, e *epoch) *epoch {
	t.Helper()
	j, err := journal.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Replay(t.Context(), func(rec []byte) error {
		e.replayed = append(e.replayed, string(rec))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := j.Start(); err != nil {
		t.Fatal(err)
	}
	e.Journal = j
	t.Cleanup(func() { e.kill(t) })
	return e
}

// kill ends the epoch without waiting for anything to be safe.
func (e *epoch) kill(t testing.TB) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cancel()
	_ = e.Close(ctx)
}

// add appends records and commits them.
func (e *epoch) add(recs ...string) {
	for _, r := range recs {
		e.Append([]byte(r))
	}
	e.Commit()
}

// snap records a state, all of it at once.
func (e *epoch) snap(recs ...string) bool {
	s := e.Snapshot()
	if s == nil {
		return false
	}
	for _, r := range recs {
		s.Add([]byte(r))
	}
	s.End()
	return true
}

// settle waits until all that was appended is safe.
func (e *epoch) settle(t testing.TB) {
	t.Helper()
	for pos := range e.flushed {
		if pos == e.Appended() {
			return
		}
	}
}

func (e *epoch) close(t testing.TB) {
	t.Helper()
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (e *epoch) holds(t testing.TB, want ...string) {
	t.Helper()
	if !slices.Equal(e.replayed, want) {
		t.Fatalf("the replay has\n%q, not\n%q", e.replayed, want)
	}
}

func onDisk(t testing.TB) journal.Store {
	s, err := dirstore.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEpochsFollow(t *testing.T) {
	s := onDisk(t)
	a := begin(t, s, 3)
	a.holds(t)
	if a.Generation() != 0 {
		t.Errorf("generation %d of a new journal", a.Generation())
	}
	a.add("one", "", "three")
	a.settle(t)
	a.add("four")
	a.close(t)

	b := begin(t, s, 4)
	b.holds(t, "one", "", "three", "four")
	if b.Generation() != 1 || b.Appended() != 4 {
		t.Errorf("generation %d, position %d", b.Generation(), b.Appended())
	}
	b.add("five")
	b.close(t)

	c := begin(t, s, 9)
	c.holds(t, "one", "", "three", "four", "five")
	if c.Generation() != 2 {
		t.Errorf("generation %d", c.Generation())
	}
}

func TestSnapshotStandsForWhatCameBefore(t *testing.T) {
	s := onDisk(t)
	a := begin(t, s, 1)
	a.add("one", "two")
	a.settle(t)
	if !a.snap("1+2") {
		t.Fatal("no snapshot was taken")
	}
	a.add("three")
	a.settle(t)
	waitFor(t, func() bool {
		names := files(t, s, "segment")
		return a.Size() > 0 && len(names) == 1 && !strings.HasSuffix(names[0], "-0000000001") // that one is before the snapshot
	})
	if a.Grown() > 100 || a.Grown() == 0 {
		t.Errorf("%d bytes since the snapshot", a.Grown())
	}
	a.close(t)

	b := begin(t, s, 2)
	b.holds(t, "1+2", "three")
	b.add("four")
	b.settle(t)
	b.snap("1+2+3", "+4")
	waitFor(t, func() bool {
		names := files(t, s, "snapshot")
		return len(names) == 1 && strings.Contains(names[0], "0002-") && len(files(t, s, "segment")) == 1
	})
	b.close(t)

	c := begin(t, s, 3)
	c.holds(t, "1+2+3", "+4")
	if c.Appended() != 4 {
		t.Errorf("position %d", c.Appended())
	}
}

func TestZombieIsFenced(t *testing.T) {
	s := onDisk(t)
	a := begin(t, s, 1)
	a.add("one")
	a.settle(t)
	b := begin(t, s, 2)
	b.holds(t, "one")
	b.add("two")
	b.settle(t)
	a.add("zombie")
	err := <-a.fenced
	var fenced *journal.FencedError
	if !errors.As(err, &fenced) || fenced.Own != 1 || fenced.By != 2 {
		t.Errorf("fenced by %v", err)
	}
	if len(a.flushed) != 0 {
		t.Error("a zombie told something safe")
	}
	if err := a.Close(t.Context()); !errors.As(err, &fenced) {
		t.Errorf("close: %v", err)
	}
	if a.Snapshot() != nil {
		t.Error("a zombie took a snapshot")
	}
	b.close(t)
	begin(t, s, 3).holds(t, "one", "two")
	for _, n := range []uint64{1, 2, 3} {
		o, _ := options(s, n)
		if _, err := journal.Open(t.Context(), o); !errors.As(err, &fenced) {
			t.Errorf("epoch %d: %v", n, err)
		}
	}
}

func TestLargeRecords(t *testing.T) {
	s := onDisk(t)
	a := begin(t, s, 1)
	var want []string
	for i := range 20 {
		want = append(want, string(bytes.Repeat([]byte{byte('a' + i)}, i*300_000)), fmt.Sprint(i))
	}
	a.add(want...)
	a.close(t)
	begin(t, s, 2).holds(t, want...)
}

// A number that is taken is refused, and who has it goes on.
func TestEpochIsTaken(t *testing.T) {
	s := onDisk(t)
	a := begin(t, s, 1)
	o, _ := options(s, 1)
	var fenced *journal.FencedError
	if _, err := journal.Open(t.Context(), o); !errors.As(err, &fenced) || !strings.Contains(err.Error(), "already") {
		t.Errorf("open: %v", err)
	}
	a.add("one")
	a.settle(t)
	a.snap("one")
	waitFor(t, func() bool { return a.Size() > 0 })
	a.close(t)
	begin(t, s, 2).holds(t, "one")
}
