package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/provider/providertest"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

func TestMain(m *testing.M) {
	providertest.Main()
	if os.Getenv("TEST_LIFELINE") != "" {
		if err := WatchLifeline(func() { os.Exit(42) }); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready", os.Getenv(LifelineEnv))
		time.Sleep(time.Minute)
		os.Exit(0)
	}
	if os.Getenv("TEST_MASTER_DIR") != "" {
		master()
	}
	goleak.VerifyTestMain(m)
}

func file(t testing.TB, name, path string) spec.File {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return spec.File{Name: name, URL: "file://" + path, Size: st.Size(), ModTime: st.ModTime().UnixMilli(), Visibility: spec.Private}
}

func program(t testing.TB) spec.File {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return file(t, "yarnd", self)
}

func TestProvider(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data.txt")
	if err := os.WriteFile(data, []byte("some data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	providertest.Run(t, providertest.Factory{
		New: func(t *testing.T) provider.Provider {
			return newProvider(t, Options{EnforceMemory: true, User: "alice", Grace: 300 * time.Millisecond})
		},
		Program: program(t), Data: file(t, "data.txt", data), MemoryMiB: 128, EnforcesMemory: true, SameMachine: true, Patience: 20 * time.Second,
	})
}

func newProvider(t testing.TB, o Options) *Provider {
	t.Helper()
	o.App, o.Dir = "local_1700000000000_0001", t.TempDir()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func next[E reconcile.Event](t testing.TB, p *Provider) E {
	t.Helper()
	for {
		select {
		case ev := <-p.Events():
			if e, ok := ev.(E); ok {
				return e
			}
		case <-time.After(20 * time.Second):
			var e E
			t.Fatalf("no %T", e)
		}
	}
}

func TestCapacity(t *testing.T) {
	p := newProvider(t, Options{Capacity: 2})
	pools := []spec.Pool{{Name: "a"}, {Name: "b"}}
	if _, err := p.Register(context.Background(), provider.Registration{Pools: pools}); err != nil {
		t.Fatal(err)
	}
	p.Ask("b", 1, 0)
	p.Ask("a", 3, 0)
	first := next[reconcile.Allocated](t, p)
	next[reconcile.Allocated](t, p)
	select {
	case ev := <-p.Events():
		t.Fatalf("beyond the capacity: %+v", ev)
	case <-time.After(100 * time.Millisecond):
	}
	p.Release(first.ID)
	next[reconcile.Allocated](t, p)
}

// This machine is one node: of a pool with a bound for each node there are no more, and another comes when one has gone.
func TestOneNode(t *testing.T) {
	p := newProvider(t, Options{})
	pools := []spec.Pool{{Name: "a", MaxPerNode: 2}, {Name: "b"}}
	if _, err := p.Register(context.Background(), provider.Registration{Pools: pools}); err != nil {
		t.Fatal(err)
	}
	p.Ask("a", 5, 0)
	p.Ask("b", 1, 0)
	first := next[reconcile.Allocated](t, p)
	second := next[reconcile.Allocated](t, p)
	if other := next[reconcile.Allocated](t, p); first.Pool != "a" || second.Pool != "a" || other.Pool != "b" {
		t.Errorf("%+v, %+v, %+v", first, second, other)
	}
	p.Release(first.ID)
	if next[reconcile.Completed](t, p); next[reconcile.Allocated](t, p).Pool != "a" {
		t.Error("another pool's container came")
	}
}

// A program that was staged without its x bit is made to run, once.
func TestProgramThatIsNotExecutable(t *testing.T) {
	text, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bundle")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newProvider(t, Options{})
	pool := spec.Pool{Name: "w", Role: spec.RoleWorker, Files: []spec.File{file(t, "yarnd", path)}}
	if _, err := p.Register(context.Background(), provider.Registration{Pools: []spec.Pool{pool}}); err != nil {
		t.Fatal(err)
	}
	p.Ask("w", 3, 0)
	for range 3 {
		p.Start(next[reconcile.Allocated](t, p).ID, nil)
	}
	for range 3 {
		if c := next[reconcile.Completed](t, p); c.Status != 0 {
			t.Errorf("%+v", c)
		}
	}
}

func TestArchives(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env.tar.gz")
	if err := os.WriteFile(path, []byte("archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	archive := file(t, "env", path)
	archive.Archive = true
	unpacked := 0
	for name, o := range map[string]Options{
		"unpacked": {Unpack: func(_ context.Context, from, dir string) error {
			unpacked++
			if from != path {
				t.Errorf("unpacks %s", from)
			}
			return os.Mkdir(dir, 0o700)
		}},
		"nobody can": {},
	} {
		p := newProvider(t, o)
		pool := spec.Pool{Name: "w", Role: spec.RoleWorker, Args: []string{"providertest", "find"}, Files: []spec.File{program(t), archive}}
		if _, err := p.Register(context.Background(), provider.Registration{Pools: []spec.Pool{pool}}); err != nil {
			t.Fatal(err)
		}
		p.Ask("w", 2, 0)
		for range 2 {
			p.Start(next[reconcile.Allocated](t, p).ID, nil)
		}
		for range 2 {
			if o.Unpack == nil {
				if e := next[reconcile.LaunchFailed](t, p); !strings.Contains(e.Why, "cannot unpack") {
					t.Errorf("%s: %+v", name, e)
				}
			} else {
				next[reconcile.Launched](t, p)
			}
		}
	}
	if unpacked != 1 {
		t.Errorf("unpacked %d times for two containers", unpacked)
	}
}

func TestParseStat(t *testing.T) {
	st, ok := parseStat(42, []byte("42 (a) b (c)) S 1 40 41 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 12345 1000000 25 18446744073709551615 1 1 0\n"))
	if want := (procStat{pid: 42, parent: 1, session: 41, state: 'S', rss: 25 * int64(os.Getpagesize())}); !ok || st != want {
		t.Errorf("%+v, %v", st, ok)
	}
	for _, bad := range []string{"", "42", "42 (x", "42 (x) S 1", "42 (x) SS 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22"} {
		if _, ok := parseStat(42, []byte(bad)); ok {
			t.Errorf("%q was understood", bad)
		}
	}
}

// master is another process that plays an application master with containers.
func master() {
	fatal := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	p, err := New(Options{App: "local_1_0001", Dir: os.Getenv("TEST_MASTER_DIR")})
	fatal(err)
	self, err := os.Executable()
	fatal(err)
	st, err := os.Stat(self)
	fatal(err)
	pool := spec.Pool{Name: "w", Role: spec.RoleWorker, Args: []string{"providertest", "family"},
		Files: []spec.File{{Name: "yarnd", URL: "file://" + self, Size: st.Size(), ModTime: st.ModTime().UnixMilli()}}}
	_, err = p.Register(context.Background(), provider.Registration{Pools: []spec.Pool{pool}})
	fatal(err)
	p.Ask("w", 3, 0)
	for ev := range p.Events() {
		switch ev := ev.(type) {
		case reconcile.Allocated:
			p.Start(ev.ID, nil)
		case reconcile.Launched:
			fmt.Println(p.Describe(ev.ID).PID)
		default:
			fmt.Printf("error: %+v\n", ev)
		}
	}
}

// An application master that is killed takes its containers with it.
func TestMasterKilled(t *testing.T) {
	cmd := exec.Command(program(t).URL[len("file://"):])
	cmd.Env = append(os.Environ(), "TEST_MASTER_DIR="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var pids []int
	for len(pids) < 3 && lines.Scan() {
		pid, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatal(lines.Text())
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if !providertest.Alive(pid) {
			t.Errorf("container %d does not run", pid)
		}
	}
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()
	for _, pid := range pids {
		for deadline := time.Now().Add(10 * time.Second); providertest.Alive(pid); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("container %d lives on", pid)
			}
		}
		// What the container had started itself is its own to end; here it is a
		// shell that nobody ends.
		for _, st := range processes() {
			if st.session == pid {
				syscall.Kill(st.pid, syscall.SIGKILL)
			}
		}
	}
	if len(pids) != 3 {
		t.Errorf("%d containers came up", len(pids))
	}
}

// A process whose parent-death signal is lost still ends with the application
// master: its lifeline breaks.
func TestLifeline(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t).URL[len("file://"):])
	cmd.Env = append(os.Environ(), "TEST_LIFELINE=1", LifelineEnv+"=3")
	cmd.ExtraFiles = []*os.File{r}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready \n" {
		t.Errorf("%q, %v", line, err)
	}
	w.Close()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 42 {
		t.Errorf("%v", err)
	}
}

func TestLifelineThatIsNone(t *testing.T) {
	t.Setenv(LifelineEnv, "")
	if err := WatchLifeline(func() { t.Error("ended") }); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
	for _, bad := range []string{"x", "0", "-1"} {
		t.Setenv(LifelineEnv, bad)
		if err := WatchLifeline(func() { t.Error("ended") }); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// What left the session goes before the executor to which its orphans fall.
func TestRemains(t *testing.T) {
	list := []procStat{
		{pid: 10, parent: 1, session: 10, state: 'Z'},  // the leader
		{pid: 11, parent: 1, session: 10, state: 'S'},  // an executor, whose worker has ended
		{pid: 12, parent: 11, session: 10, state: 'S'}, // a command
		{pid: 13, parent: 12, session: 13, state: 'S'}, // left the session
		{pid: 14, parent: 13, session: 14, state: 'S'}, // and its child again
		{pid: 15, parent: 11, session: 10, state: 'Z'},
		{pid: 20, parent: 1, session: 20, state: 'S'}, // somebody else's
		{pid: 21, parent: 20, session: 20, state: 'S'},
	}
	tops, below := remains(list, 10)
	if !slices.Equal(tops, []int{11}) || !slices.Equal(below, []int{12, 13, 14}) {
		t.Errorf("tops %v, below %v", tops, below)
	}
	if tops, below := remains(list[6:], 10); tops != nil || below != nil {
		t.Errorf("of a session that is gone: %v, %v", tops, below)
	}
}
