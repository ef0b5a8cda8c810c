package edgeclient

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// shelf is a cluster with a list of applications and nothing else.
type shelf struct {
	Cluster
	apps []Report
}

func (s shelf) Name() string { return "shelf" }
func (s shelf) User() string { return "alice" }

func (s shelf) Report(_ context.Context, id string) (Report, error) {
	for _, r := range s.apps {
		if r.ID == id {
			return r, nil
		}
	}
	return Report{}, &Fault{Code: NotFound, What: id}
}

func (s shelf) List(_ context.Context, f Filter) ([]Report, error) {
	var out []Report
	for _, r := range s.apps {
		if (f.All || !r.State.Ended()) && r.User == f.User {
			out = append(out, r)
		}
	}
	return out, nil
}

func TestFind(t *testing.T) {
	t.Setenv("YARND_APP", "")
	os.Unsetenv("YARND_APP")
	t.Setenv("YARND_HOME", t.TempDir())
	app := func(id, name, user string, s State) Report { return Report{ID: id, Name: name, User: user, State: s} }
	var said []string
	progress := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	c := &Client{opts: Options{Progress: progress}, cluster: shelf{apps: []Report{ // newest first
		app("application_1700000000000_0013", "b", "bob", StateRunning),
		app("application_1700000000000_0012", "a", "alice", StateFinished),
		app("application_1700000000000_0011", "twin", "alice", StateRunning),
		app("application_1700000000000_0010", "twin", "alice", StateRunning),
		app("application_1600000000000_0001", "old", "alice", StateFailed),
	}}}
	const current = "application_1700000000000_0010"
	if err := SetCurrent(current); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{
		"application_1700000000000_0013": "application_1700000000000_0013", // a full id may be anybody's
		"last":                           "application_1700000000000_0011", // what ended does not count while something lives
		"0011":                           "application_1700000000000_0011",
		"_0001":                          "application_1600000000000_0001",
		"name:old":                       "application_1600000000000_0001",
		"current":                        current,
	} {
		if r, err := c.Find(t.Context(), arg); err != nil || r.ID != want {
			t.Errorf("Find(%q) = %s, %v; want %s", arg, r.ID, err, want)
		}
	}
	if want := "last is application_1700000000000_0011, which runs; application_1700000000000_0012, submitted later, has ended"; !slices.Equal(said, []string{want}) {
		t.Errorf("said %q, want %q", said, want)
	}
	for arg, code := range map[string]Code{"name:twin": Usage, "name:b": NotFound, "name:": Usage, "foo": Usage, "": Usage, "77": NotFound,
		"application_1_1": NotFound} {
		if r, err := c.Find(t.Context(), arg); CodeOf(err) != code {
			t.Errorf("Find(%q) = %s, %v; want code %d", arg, r.ID, err, code)
		}
	}
	for app, want := range map[string]string{ // the variable holds whatever an APP may be
		"last": "application_1700000000000_0011", "0010": current, "name:old": "application_1600000000000_0001", "current": current,
	} {
		t.Setenv("YARND_APP", app)
		if r, err := c.Find(t.Context(), "current"); err != nil || r.ID != want {
			t.Errorf("YARND_APP=%s: %s, %v; want %s", app, r.ID, err, want)
		}
	}
	_, err := c.Find(t.Context(), "name:twin")
	if err == nil || !strings.Contains(err.Error(), "_0010") || !strings.Contains(err.Error(), "_0011") {
		t.Errorf("the candidates are not named: %v", err)
	}
}

func TestProcessBegan(t *testing.T) {
	mine, alive := processBegan(os.Getpid())
	if !alive || mine == "" {
		t.Errorf("this process: %q, %v", mine, alive)
	}
	if _, alive := processBegan(1<<22 + 1); alive { // above the kernel's largest pid
		t.Error("a process that cannot be is alive")
	}
}
