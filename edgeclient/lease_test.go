package edgeclient

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/yarnd/yarnd/packaging"
)

func TestGC(t *testing.T) {
	bundle := staticProgram(t)
	t.Run("Leased", func(t *testing.T) { testGCLeased(t, bundle) })
	t.Run("NoLease", func(t *testing.T) { testGCNoLease(t, bundle) })
}

// A clean-up keeps what an application uses that runs, or may run on another
// cluster, and removes it once the application has ended.
func testGCLeased(t *testing.T, bundle string) {
	c, s, home := newStage(t)
	if all, err := c.ListCache(t.Context()); err != nil || len(all) > 0 {
		t.Errorf("without a cache: %v, %v", all, err)
	}
	if gone, err := c.GC(t.Context(), 0, true, false); err != nil || len(gone) > 0 {
		t.Errorf("without a cache would be removed: %v, %v", gone, err)
	}
	if left := names(t, home); len(left) > 0 {
		t.Errorf("looking left %v", left)
	}
	report, err := c.Submit(t.Context(), Request{Bundle: bundle, Wait: WaitNone})
	if err != nil {
		t.Fatal(err)
	}
	gc := func(forgotten bool) int {
		t.Helper()
		removed, err := c.GC(t.Context(), 0, false, forgotten)
		if err != nil {
			t.Fatal(err)
		}
		return len(removed)
	}
	entries, err := c.ListCache(t.Context())
	if err != nil || len(entries) != 1 || entries[0].Application != report.ID {
		t.Fatalf("%+v, %v", entries, err)
	}
	if n := gc(true); n != 0 {
		t.Errorf("removed %d of a running application", n)
	}
	if _, err := c.RemoveEntry(t.Context(), entries[0].Hash[:12], false); CodeOf(err) != Refused {
		t.Errorf("rm of what is in use: %v", err)
	}

	// The cluster does not know it: a submission under way, then another cluster's.
	known := s.apps
	s.apps = nil
	if n := gc(true); n != 0 {
		t.Errorf("removed %d of a submission under way", n)
	}
	other := "application_1600000000000_0001"
	if err := os.Rename(filepath.Join(home, report.ID), filepath.Join(home, other)); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * abandoned)
	if err := os.Chtimes(filepath.Join(home, other), old, old); err != nil {
		t.Fatal(err)
	}
	if n := gc(false); n != 0 {
		t.Errorf("removed %d of what may be another cluster's application", n)
	}

	// It ended.
	s.apps = known
	s.apps[0].ID, s.apps[0].State = other, StateFinished
	if n := gc(false); n != 1 {
		t.Errorf("removed %d of an application that ended", n)
	}
}

// Without knowing what a running application uses nothing is removed.
func testGCNoLease(t *testing.T, bundle string) {
	c, _, home := newStage(t)
	report, err := c.Submit(t.Context(), Request{Bundle: bundle, Wait: WaitNone})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(home, report.ID, packaging.LeaseName)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GC(t.Context(), 0, false, false); CodeOf(err) != Refused {
		t.Errorf("error %v", err)
	}
}

func TestChoose(t *testing.T) {
	all := []packaging.Entry{{Hash: "abcdef01", Name: "a.tgz", URL: "file:///a"}, {Hash: "abcdef02", Name: "b.tgz"}, {Hash: "abcdef02", Name: "a.tgz"}}
	for what, n := range map[string]int{"abcdef01": 1, "abcdef02": 2, "b.tgz": 2, "file:///a": 1} {
		if got, err := choose(all, what); err != nil || len(got) != n {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	for what, code := range map[string]Code{"abcdef": Usage, "a.tgz": Usage, "abc": NotFound, "c": NotFound} {
		if _, err := choose(all, what); CodeOf(err) != code {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Wrong archives end with Usage, a tampered entry with Auth, a full disk with
// Internal.
func TestPackagingFault(t *testing.T) {
	for code, err := range map[Code]error{
		Usage: &packaging.ArchiveError{Path: "a", Why: "it is empty"}, Auth: &packaging.TamperedError{URL: "u", Why: "w"},
		Internal: errors.New("odd"),
	} {
		if got := CodeOf(PackagingFault("x", err)); got != code {
			t.Errorf("%v: code %d, want %d", err, got, code)
		}
	}
}
