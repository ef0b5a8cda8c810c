package edgeclient

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
)

// bench is a cluster on which submits are killed.
type bench struct {
	c       *Client
	root    string // of staging directories
	errand  errand
	idFile  string
	cluster *mini // nil on this machine
}

// benches runs a test for each way of saying which application is meant, on an embedded
// cluster and on this machine.
func benches(t *testing.T, f func(*testing.T, *bench)) { benchesOf(t, []string{"yarn", "local"}, f) }

func benchesOf(t *testing.T, providers []string, f func(*testing.T, *bench)) {
	bundle := sleeper(t)
	for _, way := range []string{"IDFile", "IfNotExists"} {
		for _, provider := range providers {
			t.Run(way+"/"+provider, func(t *testing.T) {
				b := &bench{errand: errand{Provider: provider, Request: Request{Bundle: bundle, Name: "night"}}}
				if provider == "yarn" {
					b.cluster = newMini(t)
					b.cluster.RM.Hold("default", true)
					b.c, b.root = b.cluster.c, b.cluster.staging
				} else {
					t.Setenv("YARND_HOME", t.TempDir())
					t.Setenv("XDG_CACHE_HOME", t.TempDir())
					c, err := Open(t.Context(), Options{Provider: provider})
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Close() })
					b.c, b.root = c, filepath.Join(os.Getenv("YARND_HOME"), "local", stagingRoot)
				}
				b.errand.Request.IfNotExists = way == "IfNotExists"
				if way == "IDFile" {
					b.idFile = filepath.Join(t.TempDir(), "id")
					b.errand.Request.IDFile = b.idFile
				}
				f(t, b)
			})
		}
	}
}

// only checks that an application is the only one, and that nothing else is staged, and
// ends it.
func (b *bench) only(t *testing.T, id string) {
	t.Helper()
	list, err := b.c.List(t.Context(), Filter{All: true})
	if err != nil {
		t.Fatal(err)
	}
	var live []string
	for _, r := range list {
		if !r.State.Ended() {
			live = append(live, r.ID)
		}
	}
	if !slices.Equal(live, []string{id}) {
		t.Fatalf("%v run, of which %s is known", live, id)
	}
	staged := slices.DeleteFunc(names(t, b.root), func(n string) bool { return n == "cache" || n == namesDir })
	if !slices.Equal(staged, []string{id}) {
		t.Errorf("staged: %v; want %s alone", staged, id)
	}
	if err := b.c.Kill(t.Context(), list[slices.IndexFunc(list, func(r Report) bool { return r.ID == id })], "test"); err != nil {
		t.Fatal(err)
	}
	if b.idFile != "" {
		if text, err := os.ReadFile(b.idFile); err != nil || string(text) != id+"\n" {
			t.Errorf("the id file has %q, %v", text, err)
		}
		if err := os.Remove(b.idFile); err != nil {
			t.Fatal(err)
		}
	}
}

// Killed after each step, and run again, a submit gives the one application.
func TestSubmitKilledAtEachStep(t *testing.T) {
	benches(t, func(t *testing.T, b *bench) {
		for _, at := range []step{stepID, stepKept, stepStaging, stepUploaded, stepStaged, stepSubmitted, stepConfirmed} {
			dying := b.errand
			dying.KillAt = at
			if id, killed, code := dying.start(t).wait(); !killed {
				t.Fatalf("%s: not killed: %q, code %d", at, id, code)
			}
			id := b.errand.start(t).succeed(t)
			if again := b.errand.start(t).succeed(t); again != id {
				t.Errorf("%s: %s, then %s", at, id, again)
			}
			b.only(t, id)
		}
	})
}

// Killed while each of its calls to the ResourceManager is under way, before the answer is
// read, and run again, a submit gives the one application.
func TestSubmitKilledAtEachCall(t *testing.T) {
	benchesOf(t, []string{"yarn"}, func(t *testing.T, b *bench) {
		for at := 1; ; at++ {
			dying := b.errand.start(t)
			calls := 0
			b.cluster.RM.ClientServer().SetFault(func(*hadooptest.Call) hadooptest.Fault {
				b.cluster.mu.Lock()
				defer b.cluster.mu.Unlock()
				if calls++; calls == at {
					dying.cmd.Process.Kill()
				}
				return hadooptest.Fault{}
			})
			id, killed, code := dying.wait()
			b.cluster.RM.ClientServer().SetFault(nil)
			if !killed && code != OK {
				t.Fatalf("code %d: %s", code, dying.err.String())
			}
			if again := b.errand.start(t).succeed(t); !killed && again != id {
				t.Errorf("%s, then %s", id, again)
			} else {
				id = again
			}
			b.only(t, id)
			if !killed {
				if at < 5 {
					t.Errorf("only %d calls were interrupted", at-1)
				}
				return
			}
		}
	})
}

// Two processes at once get one application, each time; also when one of them is killed at
// any moment.
func TestSubmitsRace(t *testing.T) {
	rounds := 12
	if testing.Short() || underRace {
		rounds = 3
	}
	benches(t, func(t *testing.T, b *bench) {
		for round := range rounds {
			first, second := b.errand.start(t), b.errand.start(t)
			if round%2 == 1 {
				time.AfterFunc(time.Duration(rand.IntN(300))*time.Millisecond, func() { first.cmd.Process.Kill() })
			}
			id, killed, code := first.wait()
			if !killed && code != OK {
				t.Fatalf("code %d: %s", code, first.err.String())
			}
			if other := second.succeed(t); !killed && other != id {
				t.Fatalf("round %d: %s and %s\n%s\n%s", round, id, other, first.err.String(), second.err.String())
			} else {
				id = other
			}
			b.only(t, id)
		}
	})
}

// What an id file says of an application that is no more is an error with the way out.
func TestIDFileOfTheDead(t *testing.T) {
	bundle := staticProgram(t)
	m := newMini(t)
	m.RM.Hold("default", true)
	file := filepath.Join(t.TempDir(), "id")
	r := Request{Bundle: bundle, IDFile: file}
	first, err := m.c.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.c.Kill(t.Context(), first, "test"); err != nil {
		t.Fatal(err)
	}
	_, err = m.c.Submit(t.Context(), r)
	if CodeOf(err) != AppFailed || !strings.Contains(err.Error(), fmt.Sprintf("%s of %s has ended: KILLED", first.ID, file)) || !strings.Contains(err.Error(), "remove "+file) {
		t.Errorf("of one that was killed: %v", err)
	}
	r.Wait = WaitFinished
	if got, err := m.c.Submit(t.Context(), r); CodeOf(err) != AppFailed {
		t.Errorf("whose end is waited for: %+v, %v", got, err)
	}
	r.Wait = ""
	if err := m.RM.Restart(false, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, err = m.c.Submit(t.Context(), r); CodeOf(err) != NotFound || !strings.Contains(err.Error(), "the cluster does not know it any more. Remove "+file) {
		t.Errorf("of one that is forgotten: %v", err)
	}
	if err := os.WriteFile(file, []byte("notes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = m.c.Submit(t.Context(), r); CodeOf(err) != Usage || !strings.Contains(err.Error(), "it holds something else") {
		t.Errorf("of another's file: %v", err)
	}
	if text, _ := os.ReadFile(file); string(text) != "notes\n" {
		t.Errorf("which has %q now", text)
	}
	m.leftNothing(t)
}

// An id that was never submitted is submitted as it is, also to a ResourceManager that has
// begun anew since.
func TestIDFileOfTheUnborn(t *testing.T) {
	m := newMini(t)
	m.RM.Hold("default", true)
	file := filepath.Join(t.TempDir(), "id")
	e := errand{Provider: "yarn", Request: Request{Bundle: staticProgram(t), IDFile: file}, KillAt: stepUploaded}
	if _, killed, _ := e.start(t).wait(); !killed {
		t.Fatal("not killed")
	}
	text, err := os.ReadFile(file)
	id, pending := strings.CutSuffix(string(text), pendingMark+"\n")
	if err != nil || !pending {
		t.Fatalf("%q, %v", text, err)
	}
	if err := m.RM.Restart(false, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	m.RM.Hold("default", true)
	e.KillAt = ""
	if got := e.start(t).succeed(t); got != id {
		t.Errorf("%s became %s", id, got)
	}
	if r, err := m.c.Report(t.Context(), id); err != nil || r.State != StateAccepted {
		t.Errorf("%+v, %v", r, err)
	}
}

// When nobody knows whether a submission arrived nothing is ended, and the same command
// goes on with it.
func TestSubmissionOfUnknownOutcome(t *testing.T) {
	bundle := staticProgram(t)
	m := newMini(t)
	m.RM.Hold("default", true)
	for what, r := range map[string]Request{
		"IDFile":      {Bundle: bundle, IDFile: filepath.Join(t.TempDir(), "id")},
		"IfNotExists": {Bundle: bundle, Name: "night", IfNotExists: true},
	} {
		t.Run(what, func(t *testing.T) {
			silent := false
			m.RM.ClientServer().SetFault(func(c *hadooptest.Call) hadooptest.Fault {
				m.mu.Lock()
				defer m.mu.Unlock()
				silent = silent || c.Method == "submitApplication"
				return hadooptest.Fault{Drop: silent}
			})
			_, err := m.c.Submit(t.Context(), r)
			m.RM.ClientServer().SetFault(nil)
			if CodeOf(err) != TimedOut || !strings.Contains(err.Error(), "Run the same command again") {
				t.Errorf("%v", err)
			}
			list, err := m.c.List(t.Context(), Filter{})
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
			if again, err := m.c.Submit(t.Context(), r); err != nil || again.ID != list[0].ID {
				t.Errorf("%s became %s, %v", list[0].ID, again.ID, err)
			}
			if err := m.c.Kill(t.Context(), list[0], "test"); err != nil {
				t.Error(err)
			}
			m.leftNothing(t)
		})
	}
}

// A submission that is refused leaves no id file.
func TestRefusedLeavesNoIDFile(t *testing.T) {
	c, s, root := newStage(t)
	file := filepath.Join(t.TempDir(), "id")
	r := Request{Bundle: staticProgram(t), IDFile: file}
	s.submitErr = &Fault{Code: Refused, What: "no"}
	if _, err := c.Submit(t.Context(), r); CodeOf(err) != Refused {
		t.Error(err)
	}
	s.checkErr = s.submitErr
	if _, err := c.Submit(t.Context(), r); CodeOf(err) != Refused {
		t.Error(err)
	}
	if left := names(t, filepath.Dir(file)); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if left := names(t, root); !slices.Equal(left, []string{"cache"}) {
		t.Errorf("left: %v", left)
	}
}

func FuzzParseIDFile(f *testing.F) {
	for _, s := range []string{"", "application_1700000000000_0007\n", "application_1700000000000_0007 pending\n",
		"local_1700000000000_0001\npending\n", "application_1", "notes\n", "\n", "application_1_1 pending pending\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		id, confirmed, err := parseIDFile(text)
		if err != nil || len(text) == 0 {
			if id != "" || confirmed {
				t.Errorf("%q, %v with %v", id, confirmed, err)
			}
			return
		}
		want := id + "\n"
		if !confirmed {
			want = id + pendingMark + "\n"
		}
		if !IsID(id) || !strings.HasPrefix(string(text), want) {
			t.Errorf("%q is %q, %v", text, id, confirmed)
		}
	})
}
