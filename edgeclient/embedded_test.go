package edgeclient

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
)

// mini is an embedded cluster and a client of it.
type mini struct {
	*minicluster.Cluster
	c       *Client
	staging string

	mu   sync.Mutex
	said []string
}

func newMini(t *testing.T) *mini {
	t.Helper()
	return newMiniOf(t, minicluster.Options{})
}

func newMiniOf(t *testing.T, o minicluster.Options) *mini {
	t.Helper()
	o.Dir, o.Heartbeat = t.TempDir(), 20*time.Millisecond
	cluster, err := minicluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("HADOOP_CONF_DIR", cluster.ConfDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	m := &mini{Cluster: cluster}
	m.c, err = Open(t.Context(), Options{Provider: "yarn", CallTimeout: 2 * time.Second, Progress: func(format string, args ...any) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.said = append(m.said, format)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.c.Close() })
	m.staging = filepath.Join(cluster.Home(m.c.User()), stagingRoot)
	return m
}

// leftNothing fails the test if an application lives or anything but the cache is
// staged.
func (m *mini) leftNothing(t *testing.T) {
	t.Helper()
	list, err := m.c.List(t.Context(), Filter{})
	if err != nil || len(list) > 0 {
		t.Errorf("applications are left: %+v, %v", list, err)
	}
	left := slices.DeleteFunc(names(t, m.staging), func(n string) bool { return n == "cache" || n == namesDir })
	if len(left) > 0 {
		t.Errorf("left in the staging directory: %v", left)
	}
}

// Interrupted at its first call to the ResourceManager, at the second, and so on:
// submit either has told its application's id, or has left nothing.
func TestSubmitInterruptedAtEachCall(t *testing.T) {
	bundle := staticProgram(t)
	m := newMini(t)
	m.RM.Hold("default", true) // the application master never starts, as in a full queue
	for at := 1; ; at++ {
		ctx, cancel := context.WithCancel(t.Context())
		calls := 0
		m.RM.ClientServer().SetFault(func(*hadooptest.Call) hadooptest.Fault {
			m.mu.Lock()
			defer m.mu.Unlock()
			if calls++; calls == at {
				cancel()
			}
			return hadooptest.Fault{}
		})
		r, err := m.c.Submit(ctx, Request{Workers: 1, Bundle: bundle, Wait: WaitAccepted})
		m.RM.ClientServer().SetFault(nil)
		cancel()
		if r.ID != "" {
			if err := m.c.Kill(t.Context(), r, "test"); err != nil {
				t.Fatal(err)
			}
		} else if CodeOf(err) != Interrupted {
			t.Errorf("interrupted at call %d: %v", at, err)
		}
		m.leftNothing(t)
		if err == nil {
			if at < 4 {
				t.Errorf("only %d calls were interrupted", at-1)
			}
			return
		}
	}
}

// What another user's application is not open to ends as lacking the right, wherever
// the ResourceManager hides that in its answer.
func TestAnotherUsersApplication(t *testing.T) {
	bundle := staticProgram(t)
	m := newMiniOf(t, minicluster.Options{ACLs: true})
	m.RM.Hold("default", true)
	r, err := m.c.Submit(t.Context(), Request{Workers: 1, Bundle: bundle, Wait: WaitAccepted})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HADOOP_USER_NAME", "bob")
	bob, err := Open(t.Context(), Options{Provider: "yarn", CallTimeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bob.Close() })
	for what, err := range map[string]error{"kill": bob.Kill(t.Context(), r, "test"), "move": bob.Move(t.Context(), r, "etl")} {
		if CodeOf(err) != Auth || !strings.Contains(err.Error(), "User bob cannot perform operation MODIFY_APP on "+r.ID) {
			t.Errorf("bob may not %s: %v", what, err)
		}
	}
	if err := m.c.Kill(t.Context(), r, "test"); err != nil {
		t.Error(err)
	}
	m.leftNothing(t)
}

// A ResourceManager that stops answering in the middle ends every command with an
// error in time, and what was staged is removed.
func TestResourceManagerFallsSilent(t *testing.T) {
	bundle := staticProgram(t)
	m := newMini(t)
	for _, method := range []string{"getNewApplication", "getQueueInfo", "submitApplication"} {
		t.Run(method, func(t *testing.T) {
			silent := false
			m.RM.ClientServer().SetFault(func(c *hadooptest.Call) hadooptest.Fault {
				m.mu.Lock()
				defer m.mu.Unlock()
				silent = silent || c.Method == method
				return hadooptest.Fault{Drop: silent}
			})
			_, err := m.c.Submit(t.Context(), Request{Workers: 1, Bundle: bundle})
			m.RM.ClientServer().SetFault(nil)
			if CodeOf(err) != TimedOut || !strings.Contains(err.Error(), "does not answer") {
				t.Errorf("%v", err)
			}
			if left := names(t, m.staging); len(left) > 0 && !slices.Equal(left, []string{"cache"}) {
				t.Errorf("left in the staging directory: %v", left)
			}
			list, err := m.c.List(t.Context(), Filter{})
			for _, r := range list { // it could not be told to end it
				if err := m.c.Kill(t.Context(), r, "test"); err != nil {
					t.Error(err)
				}
			}
			if err != nil || method != "submitApplication" && len(list) > 0 {
				t.Errorf("%v, %v", list, err)
			}
		})
	}
}

// An application master that never starts: the wait ends in time and says what YARN
// is waiting for; the application is there still, and can be ended.
func TestQueueIsFull(t *testing.T) {
	bundle := staticProgram(t)
	m := newMini(t)
	m.RM.Hold("default", true)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	r, err := m.c.Submit(ctx, Request{Workers: 1, Bundle: bundle, Wait: WaitWorkers, WaitWorkers: 1})
	if r.ID == "" || CodeOf(err) != TimedOut || !strings.Contains(err.Error(), "it waits: Application is Activated, waiting for resources to be assigned for AM") {
		t.Fatalf("%+v, %v", r, err)
	}
	t.Log(err)
	_, err = m.c.Connect(t.Context(), r)
	if CodeOf(err) != TimedOut || !strings.Contains(err.Error(), "has not started yet") {
		t.Errorf("%v", err)
	}
	t.Log(err)
	if err := m.c.Kill(t.Context(), r, "test"); err != nil {
		t.Error(err)
	}
	m.leftNothing(t)
}

// An id that the ResourceManager of before gave is unknown to one that has
// forgotten everything.
func TestResourceManagerForgets(t *testing.T) {
	bundle := staticProgram(t)
	m := newMini(t)
	m.RM.Hold("default", true)
	r, err := m.c.Submit(t.Context(), Request{Workers: 1, Bundle: bundle})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.RM.Restart(true, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if again, err := m.c.Report(t.Context(), r.ID); err != nil || again.State.Ended() {
		t.Errorf("after a restart with a state store: %+v, %v", again, err)
	}
	if err := m.RM.Restart(false, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if _, err := m.c.Report(t.Context(), r.ID); CodeOf(err) != NotFound {
		t.Errorf("after a restart without: %v", err)
	}
}

// Who was slow finds that another has submitted his id, and that the application has ended: the name gets another id.
func TestNameWhoseIDIsUsedUp(t *testing.T) {
	bundle := staticProgram(t)
	m := newMini(t)
	m.RM.Hold("default", true)
	ctx := t.Context()
	f, err := m.c.cluster.FS(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n := &naming{Client: m.c, r: Request{Workers: 1, Bundle: bundle, Name: "night", IfNotExists: true}.withDefaults(), cluster: m.c.cluster.Name()}
	if n.g, err = openRegistry(ctx, f); err != nil {
		t.Fatal(err)
	}
	if app, err := n.try(ctx); err != nil || app.ID != "" {
		t.Fatalf("%+v, %v", app, err)
	}
	other, err := m.c.Submit(ctx, n.r) // who waits for the id to come, and submits it
	if err != nil || other.ID != n.s.fresh {
		t.Fatalf("%+v, %v", other, err)
	}
	if err := m.c.Kill(ctx, other, "test"); err != nil {
		t.Fatal(err)
	}
	if app, err := n.try(ctx); err != nil || app.ID != "" {
		t.Fatalf("%+v, %v", app, err)
	}
	app, err := n.try(ctx)
	if err != nil || app.ID == other.ID || app.ID != n.s.fresh {
		t.Fatalf("%+v, %v", app, err)
	}
	if app, err = m.c.Report(ctx, app.ID); err != nil {
		t.Fatal(err)
	}
	if err := m.c.Kill(ctx, app, "test"); err != nil {
		t.Error(err)
	}
	m.leftNothing(t)
}

// The same command again gives the same application, as long as that has not ended.
func TestIfNotExists(t *testing.T) {
	bundle := staticProgram(t)
	m := newMini(t)
	m.RM.Hold("default", true)
	r := Request{Workers: 1, Bundle: bundle, Name: "night", IfNotExists: true}
	first, err := m.c.Submit(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := m.c.Submit(t.Context(), r); err != nil || again.ID != first.ID {
		t.Errorf("%+v, %v", again, err)
	}
	if err := m.c.Kill(t.Context(), first, "test"); err != nil {
		t.Fatal(err)
	}
	second, err := m.c.Submit(t.Context(), r)
	if err != nil || second.ID == first.ID {
		t.Fatalf("%+v, %v", second, err)
	}
	r.IfNotExists = false
	third, err := m.c.Submit(t.Context(), r)
	if err != nil || third.ID == second.ID {
		t.Fatalf("%+v, %v", third, err)
	}
	r.IfNotExists = true
	if got, err := m.c.Submit(t.Context(), r); CodeOf(err) != Refused || !strings.Contains(err.Error(), second.ID) || !strings.Contains(err.Error(), third.ID) {
		t.Errorf("of two: %+v, %v", got, err)
	}
	r.Name = ""
	if _, err := m.c.Submit(t.Context(), r); CodeOf(err) != Usage {
		t.Errorf("without a name: %v", err)
	}
	for _, app := range []Report{second, third} {
		if err := m.c.Kill(t.Context(), app, "test"); err != nil {
			t.Error(err)
		}
	}
	m.leftNothing(t)
}
