package cache

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
)

func TestFindPrefersTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("YARND_CACHE", dir)
	if got, err := Find(); err != nil || string(got) != dir {
		t.Errorf("Find() = %q, %v", got, err)
	}
	t.Setenv("YARND_CACHE", "")
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Find(); err != nil || string(got) != filepath.Join(root, ".cache") {
		t.Errorf("Find() = %q, %v", got, err)
	}
}

func TestLocks(t *testing.T) {
	d := Dir(t.TempDir())
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		t.Cleanup(cancel)
		return ctx
	}
	one, err := d.RLock(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	two, err := d.RLock(t.Context(), "x")
	if err != nil {
		t.Fatalf("two readers: %v", err)
	}
	if _, err := d.Lock(soon(), "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a writer beside readers: %v", err)
	}
	one()
	two()
	writer, err := d.Lock(t.Context(), "x")
	if err != nil {
		t.Fatalf("a writer after the readers: %v", err)
	}
	if _, err := d.RLock(soon(), "x"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a reader beside a writer: %v", err)
	}
	if other, err := d.Lock(t.Context(), "y"); err != nil {
		t.Errorf("another lock: %v", err)
	} else {
		other()
	}
	writer()
}
