package memory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// files are a directory whose calls can be made to fail.
type files struct {
	held map[string][]byte
	fail func(op, name string) error
}

func newFiles() *files {
	return &files{held: map[string][]byte{"spec.json": nil, "state-x.json": nil, "state-03.json": nil, "state-9.txt": nil}, fail: func(string, string) error { return nil }}
}

func (f *files) Publish(_ context.Context, name string, data []byte) error {
	err := f.fail("publish", name)
	if err == nil {
		f.held[name] = data
	}
	return err
}

func (f *files) Read(_ context.Context, name string) ([]byte, error) {
	data, ok := f.held[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, f.fail("read", name)
}

func (f *files) List(context.Context) ([]string, error) {
	return slices.Collect(maps.Keys(f.held)), f.fail("list", "")
}

func (f *files) Discard(_ context.Context, name string) error {
	delete(f.held, name)
	return nil
}

func (f *files) open(t *testing.T, attempt int) (*Store, *State, error) {
	t.Helper()
	return Open(t.Context(), f, attempt, slog.New(slog.DiscardHandler))
}

func wants(n int) *State {
	return &State{Memory: reconcile.Memory{Pools: []reconcile.PoolMemory{{Name: "worker", Wanted: n}}}}
}

func full() *State {
	s := wants(3)
	s.Version, s.Attempt = Version, 2
	s.Containers = []reconcile.ContainerMemory{{ID: "c1", Pool: "worker", Node: "n1", Well: true}, {ID: "c2", Pool: "worker", Node: "n2", Leaving: "retired", Stopping: true}}
	s.Scaling = []Scaling{{Pool: "worker", Limits: &spec.Limits{Min: 1, Max: 5}, Round: 7}, {Pool: "other"}}
	s.Stop = &reconcile.Stop{Status: reconcile.Failed, Why: "so", Quick: true}
	s.Exits = []Exit{{Container: "c0", Pool: "worker", Node: "n", Cause: "exited", Status: 3, Diagnostics: "d", Blameless: true, When: time.Unix(1, 0).UTC()}}
	return s
}

func TestWrittenAndRead(t *testing.T) {
	data, err := full().Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Decode(data); err != nil || !reflect.DeepEqual(got, full()) {
		t.Errorf("%+v, %v", got, err)
	}
	for what, text := range map[string]string{
		"version":       `{"version":2,"attempt":1}`,
		"attempt":       `{"version":1}`,
		"after its end": `{"version":1,"attempt":1}{}`,
		"unknown field": `{"version":1,"attempt":1,"what":2}`,
		"pool":          `{"version":1,"attempt":1,"pools":[{"name":"w","wanted":-1}]}`,
		"the limits":    `{"version":1,"attempt":1,"scaling":[{"pool":"w","limits":{"min":2,"max":1}}]}`,
		"container":     `{"version":1,"attempt":1,"containers":[{"id":""}]}`,
		"final status":  `{"version":1,"attempt":1,"stop":{"status":"DONE","why":""}}`,
	} {
		if _, err := Decode([]byte(text)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Each attempt begins where the one before it ended, also where some in between did not
// come so far as to write, or wrote what cannot be read.
func TestOneAfterTheOther(t *testing.T) {
	f := newFiles()
	one, last, err := f.open(t, 1)
	if err != nil || last != nil {
		t.Fatalf("%+v, %v", last, err)
	}
	if err := one.Save(t.Context(), wants(5)); err != nil {
		t.Fatal(err)
	}
	if _, last, err = f.open(t, 2); err != nil || last.Pools[0].Wanted != 5 || last.Attempt != 1 {
		t.Fatalf("%+v, %v", last, err)
	}
	f.held["state-3.json"] = []byte("{")
	four, last, err := f.open(t, 4)
	if err != nil || last.Pools[0].Wanted != 5 {
		t.Fatalf("%+v, %v", last, err)
	}
	if err := four.Save(t.Context(), wants(6)); err != nil {
		t.Fatal(err)
	}
	for n := 1; n < 4; n++ {
		if _, ok := f.held[fileName(n)]; ok {
			t.Errorf("what attempt %d left is still there", n)
		}
	}
	// The first lives still, and is told.
	err = one.Save(t.Context(), wants(7))
	if past, ok := errors.AsType[*PastError](err); !ok || past.Later != 4 {
		t.Errorf("%v", err)
	}
	if _, _, err := f.open(t, 3); !errors.As(err, new(*PastError)) {
		t.Errorf("%v", err)
	}
	if _, last, err = f.open(t, 5); err != nil || last.Pools[0].Wanted != 6 {
		t.Errorf("%+v, %v", last, err)
	}
}

func TestWhatFails(t *testing.T) {
	boom := errors.New("boom")
	for _, op := range []string{"publish", "list", "read"} {
		f := newFiles()
		s, _, err := f.open(t, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Save(t.Context(), wants(1)); err != nil {
			t.Fatal(err)
		}
		f.fail = func(o, name string) error {
			if o == op {
				return boom
			}
			return nil
		}
		if _, _, err := f.open(t, 2); !errors.Is(err, boom) {
			t.Errorf("%s: opened with %v", op, err)
		}
		if err := s.Save(t.Context(), wants(2)); op == "publish" && !errors.Is(err, boom) {
			t.Errorf("%s: saved with %v", op, err)
		}
	}
}

// Two attempts in every order of their calls: what the first was told is saved, the second
// knows, or there is no such word.
func TestNothingThatWasAnsweredIsForgotten(t *testing.T) {
	answered, refused := 0, 0
	for seed := range uint64(3000) {
		rng := rand.New(rand.NewPCG(seed, 0))
		f := newFiles()
		old, _, err := f.open(t, 1)
		if err != nil {
			t.Fatal(err)
		}
		// Each call of either waits for its turn, in an order that the seed chooses.
		turns := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
		done := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
		var saved error
		var last *State
		go func() {
			defer close(done[0])
			s := *old
			s.files = &stepped{f, turns[0]}
			saved = s.Save(t.Context(), wants(9))
		}()
		go func() {
			defer close(done[1])
			_, last, err = Open(t.Context(), &stepped{f, turns[1]}, 2, slog.New(slog.DiscardHandler))
		}()
		for left := []int{0, 1}; len(left) > 0; {
			i := left[rng.IntN(len(left))]
			select {
			case turns[i] <- struct{}{}:
				turns[i] <- struct{}{} // it is over
			case <-done[i]:
				left = slices.DeleteFunc(left, func(x int) bool { return x == i })
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		knows := last != nil && last.Pools[0].Wanted == 9
		if saved == nil {
			answered++
			if !knows {
				t.Fatalf("seed %d: it was answered, and the next attempt has %+v", seed, last)
			}
		} else {
			refused++
		}
	}
	if answered < 100 || refused < 100 {
		t.Errorf("%d answered, %d refused: the orders are not all tried", answered, refused)
	}
}

// stepped makes each call wait for its turn.
type stepped struct {
	*files
	turn chan struct{}
}

func (s *stepped) Publish(ctx context.Context, name string, data []byte) error {
	<-s.turn
	defer func() { <-s.turn }()
	return s.files.Publish(ctx, name, data)
}

func (s *stepped) Read(ctx context.Context, name string) ([]byte, error) {
	<-s.turn
	defer func() { <-s.turn }()
	return s.files.Read(ctx, name)
}

func (s *stepped) List(ctx context.Context) ([]string, error) {
	<-s.turn
	defer func() { <-s.turn }()
	return s.files.List(ctx)
}

func (s *stepped) Discard(ctx context.Context, name string) error {
	<-s.turn
	defer func() { <-s.turn }()
	return s.files.Discard(ctx, name)
}

func TestNames(t *testing.T) {
	for n := range 20 {
		if got, ok := attemptOf(fileName(n)); ok != (n > 0) || ok && got != n {
			t.Errorf("%d: %d, %v", n, got, ok)
		}
	}
	for _, name := range []string{"state-01.json", "state-1.json.tmp", "state--1.json", "state-.json", "astate-1.json", fmt.Sprintf("state-%d0.json", uint64(1)<<63)} {
		if n, ok := attemptOf(name); ok {
			t.Errorf("%s is of attempt %d", name, n)
		}
	}
}

func FuzzDecode(f *testing.F) {
	data, err := full().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"attempt":3,"claim":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(data)
		if err != nil {
			return
		}
		again, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := back.Encode(); err != nil || string(twice) != string(again) {
			t.Errorf("%s became %s, %v", again, twice, err)
		}
	})
}
