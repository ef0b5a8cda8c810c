package edgeclient

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Kill of a shelf's application does nothing.
func (s shelf) Kill(context.Context, string, string) error { return nil }

// What yarnd connect remembered is forgotten with the application's end, and only then.
func TestCurrentEnds(t *testing.T) {
	home := t.TempDir()
	t.Setenv("YARND_HOME", home)
	t.Setenv("YARND_APP", "")
	const one, other = "application_1700000000000_0001", "application_1700000000000_0002"
	running := Report{ID: one, User: "bob", State: StateRunning} // of somebody else: nothing is unstaged
	ended := Report{ID: one, User: "alice", State: StateKilled, Final: "KILLED", Diagnostics: "by bob"}
	c := &Client{cluster: shelf{apps: []Report{ended}}}
	remember := func(id string) {
		t.Helper()
		if err := SetCurrent(id); err != nil {
			t.Fatal(err)
		}
	}
	want := func(id string) {
		t.Helper()
		if got, err := Current(); got != id || (id == "") != (CodeOf(err) == NotFound) {
			t.Errorf("current: %q, %v; want %q", got, err, id)
		}
	}

	remember(other)
	if err := c.Kill(t.Context(), running, "test"); err != nil {
		t.Fatal(err)
	}
	want(other)
	if _, err := c.Connect(t.Context(), ended); CodeOf(err) != NotFound || strings.Contains(err.Error(), home) {
		t.Errorf("another one that ended: %v", err)
	}
	want(other)
	_, err := c.Find(t.Context(), "current") // of another cluster, maybe
	if CodeOf(err) != NotFound || !strings.Contains(err.Error(), filepath.Join(home, "current")) || !strings.Contains(err.Error(), "yarnd connect last") {
		t.Errorf("unknown: %v", err)
	}
	want(other)

	remember(one)
	if err := c.Kill(t.Context(), running, "test"); err != nil {
		t.Fatal(err)
	}
	want("")
	remember(one)
	_, err = c.Connect(t.Context(), ended)
	if CodeOf(err) != NotFound {
		t.Fatal(err)
	}
	for _, part := range []string{filepath.Join(home, "current"), one, "KILLED: by bob", "yarnd connect last", "yarnd logs " + one} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in: %v", part, err)
		}
	}
	want("")

	if err := os.WriteFile(filepath.Join(home, "current"), []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Current(); CodeOf(err) != Usage || !strings.Contains(err.Error(), filepath.Join(home, "current")) {
		t.Errorf("nonsense: %v", err)
	}
}
