// Package journaltest is the contract of journal.Store as tests: one suite for every
// store.
package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine/journal"
)

// Open returns a store over one directory, the same for each call of a test: as another
// process sees it.
type Open func(t *testing.T) journal.Store

// TestStore holds a store to its contract. fresh makes a new directory.
func TestStore(t *testing.T, fresh func(t *testing.T) Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Open)
	}{
		{"created files are listed", createdIsListed},
		{"a name is taken once", createdOnce},
		{"what was flushed is read after the seal", flushedIsRead},
		{"a sealed file takes no more", sealedIsFinal},
		{"a file can be sealed again, and when it is closed", sealedTwice},
		{"a removed file is gone, and stays sealed", removedIsGone},
		{"what is not there is fs.ErrNotExist", notThere},
		{"an ended context ends calls", contextEnds},
		{"large files are read as they were written", large},
		{"files are many", many},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, fresh(t)) })
	}
}

func create(t *testing.T, s journal.Store, name string) journal.File {
	t.Helper()
	f, err := s.Create(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t *testing.T, f journal.File, p string) {
	t.Helper()
	if err := errors.Join(f.Write(t.Context(), []byte(p)), f.Flush(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func seal(t *testing.T, s journal.Store, name string) {
	t.Helper()
	if err := s.Seal(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, s journal.Store, name string) string {
	t.Helper()
	r, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	return string(p)
}

func list(t *testing.T, s journal.Store) []string {
	t.Helper()
	names, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// leave closes a file whose writing is over; what that returns says nothing.
func leave(t *testing.T, f journal.File) { _ = f.Close(context.WithoutCancel(t.Context())) }

func createdIsListed(t *testing.T, open Open) {
	a, b := open(t), open(t)
	if got := list(t, a); len(got) != 0 {
		t.Fatalf("a new directory lists %v", got)
	}
	defer leave(t, create(t, a, "x"))
	if got := list(t, b); !slices.Equal(got, []string{"x"}) {
		t.Fatalf("after Create: %v", got)
	}
	defer leave(t, create(t, b, "y"))
	if got := list(t, a); !slices.Equal(got, []string{"x", "y"}) {
		t.Fatalf("after Create: %v", got)
	}
}

func createdOnce(t *testing.T, open Open) {
	a, b := open(t), open(t)
	f := create(t, a, "x")
	for _, s := range []journal.Store{a, b} {
		if _, err := s.Create(t.Context(), "x"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a name that is being written: %v", err)
		}
	}
	write(t, f, "one")
	leave(t, f)
	if _, err := b.Create(t.Context(), "x"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that was written: %v", err)
	}
	seal(t, b, "x")
	if got := read(t, b, "x"); got != "one" {
		t.Errorf("it holds %q", got)
	}
}

func flushedIsRead(t *testing.T, open Open) {
	a, b := open(t), open(t)
	f := create(t, a, "x")
	defer leave(t, f)
	write(t, f, "one ")
	write(t, f, "two ")
	if err := f.Write(t.Context(), []byte("three")); err != nil {
		t.Fatal(err)
	}
	seal(t, b, "x")
	got := read(t, b, "x")
	if !bytes.HasPrefix([]byte(got), []byte("one two ")) || !bytes.HasPrefix([]byte("one two three"), []byte(got)) {
		t.Errorf("it holds %q", got)
	}
}

func sealedIsFinal(t *testing.T, open Open) {
	a, b, c := open(t), open(t), open(t)
	f := create(t, a, "x")
	defer leave(t, f)
	write(t, f, "one")
	seal(t, b, "x")
	err := f.Write(t.Context(), []byte("two"))
	if err == nil {
		err = f.Flush(t.Context())
	}
	if err == nil {
		t.Error("a writer was told that its bytes are safe, after the seal")
	}
	for _, s := range []journal.Store{b, c, a} {
		if got := read(t, s, "x"); got != "one" {
			t.Errorf("it holds %q", got)
		}
	}
}

func sealedTwice(t *testing.T, open Open) {
	a, b := open(t), open(t)
	f := create(t, a, "x")
	write(t, f, "one")
	leave(t, f)
	for _, s := range []journal.Store{b, b, a} {
		seal(t, s, "x")
		if got := read(t, s, "x"); got != "one" {
			t.Errorf("it holds %q", got)
		}
	}
	defer leave(t, create(t, a, "empty"))
	seal(t, b, "empty")
	if got := read(t, b, "empty"); got != "" {
		t.Errorf("an empty file holds %q", got)
	}
}

func removedIsGone(t *testing.T, open Open) {
	a, b := open(t), open(t)
	left, sealed := create(t, a, "left"), create(t, a, "sealed")
	defer leave(t, left)
	defer leave(t, sealed)
	write(t, left, "one")
	write(t, sealed, "one")
	seal(t, b, "sealed")
	for _, name := range []string{"left", "sealed"} {
		if err := b.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, a); len(got) != 0 {
		t.Errorf("there are %v", got)
	}
	err := sealed.Write(t.Context(), []byte("two"))
	if err == nil {
		err = sealed.Flush(t.Context())
	}
	if err == nil {
		t.Error("a writer was told that its bytes are safe, after the removal")
	}
}

func notThere(t *testing.T, open Open) {
	s := open(t)
	_, err := s.Open(t.Context(), "x")
	for what, err := range map[string]error{"open": err, "seal": s.Seal(t.Context(), "x"), "remove": s.Remove(t.Context(), "x")} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func contextEnds(t *testing.T, open Open) {
	s := open(t)
	f := create(t, s, "x")
	defer leave(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, lerr := s.List(ctx)
	_, cerr := s.Create(ctx, "y")
	_, oerr := s.Open(ctx, "x")
	for what, err := range map[string]error{"list": lerr, "create": cerr, "open": oerr, "seal": s.Seal(ctx, "x"), "remove": s.Remove(ctx, "x"), "flush": f.Flush(ctx)} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func large(t *testing.T, open Open) {
	a, b := open(t), open(t)
	f := create(t, a, "x")
	defer leave(t, f)
	var want []byte
	for i := range 20 {
		p := bytes.Repeat([]byte(fmt.Sprintf("%07d ", i)), 40_000+i)
		if err := f.Write(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		want = append(want, p...)
		if i%3 == 0 {
			write(t, f, "")
		}
	}
	write(t, f, "")
	seal(t, b, "x")
	if got := read(t, b, "x"); got != string(want) {
		t.Errorf("%d bytes were written, and %d are read", len(want), len(got))
	}
}

func many(t *testing.T, open Open) {
	s := open(t)
	var want []string
	for i := range 50 {
		name := fmt.Sprintf("f-%03d", i)
		leave(t, create(t, s, name))
		want = append(want, name)
	}
	if got := list(t, s); !slices.Equal(got, want) {
		t.Errorf("%d were made, and the list is %v", len(want), got)
	}
}
