package yarn

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster"
	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/nm"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/identity"
)

// An application master as a process of its own, so that what it takes can be told.

// masterFile is what such a process has to know, besides the credentials, the spec and the seed.
type masterFile struct {
	Scheduler []string
	User      string
}

// masterMain makes this process an application master if that is what it was started for.
func masterMain() {
	if len(os.Args) != 3 || os.Args[1] != "master" {
		return
	}
	if err := playMaster(os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func playMaster(dir string) error {
	var f masterFile
	var app *spec.Application
	var seed identity.Seed
	for name, take := range map[string]func([]byte) error{
		"master.json": func(b []byte) error { return json.Unmarshal(b, &f) },
		"spec.json":   func(b []byte) (err error) { app, err = spec.Decode(b); return err },
		"seed":        func(b []byte) (err error) { seed, err = identity.ParseSeed(b); return err },
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = take(text)
		}
		if err != nil {
			return err
		}
	}
	creds, err := token.ReadFile(filepath.Join(dir, "tokens"))
	if err != nil {
		return err
	}
	appmaster.TuneMemory()
	p, err := New(Options{Scheduler: f.Scheduler, Credentials: creds, User: f.User})
	if err != nil {
		return err
	}
	return appmaster.Run(context.Background(), appmaster.Options{Spec: app, Seed: seed, Provider: p, Node: "127.0.0.1"})
}

// masterProcess is such a process.
type masterProcess struct {
	*testing.T
	cmd  *exec.Cmd
	errs bytes.Buffer
}

func startMaster(t *testing.T, o Options, app *spec.Application, seed identity.Seed) *masterProcess {
	t.Helper()
	text, err := app.Encode()
	if err != nil {
		t.Fatal(err)
	}
	about, err := json.Marshal(masterFile{o.Scheduler, o.User})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, data := range map[string][]byte{"master.json": about, "spec.json": text, "seed": seed.Encode(), "tokens": o.Credentials.Append(nil, token.V0)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := &masterProcess{T: t, cmd: exec.Command(os.Args[0], "master", dir)}
	m.cmd.Stderr = &m.errs
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.cmd.Process.Kill() //nolint:errcheck // it has ended, but for a test that failed
		if m.cmd.ProcessState == nil {
			m.cmd.Wait() //nolint:errcheck // killed
		}
	})
	return m
}

// cpu is the processor time that it has had so far, by Linux' clock ticks of a hundredth of a second.
func (m *masterProcess) cpu() (user, system time.Duration) {
	m.Helper()
	_, rest, _ := strings.Cut(m.proc("stat"), ") ")
	f := strings.Fields(rest) // from the third field on: proc(5)
	ticks := func(i int) time.Duration {
		n, err := strconv.Atoi(f[i-3])
		if err != nil {
			m.Fatal(err)
		}
		return time.Duration(n) * 10 * time.Millisecond
	}
	return ticks(14), ticks(15)
}

// peak is the most memory that it has had, in MiB.
func (m *masterProcess) peak() int {
	m.Helper()
	_, rest, _ := strings.Cut(m.proc("status"), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		m.Fatal(err)
	}
	return n >> 10
}

func (m *masterProcess) proc(file string) string {
	m.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", m.cmd.Process.Pid, file))
	if err != nil {
		m.Fatalf("the application master is gone: %v: %s", err, m.errs.String())
	}
	return string(text)
}

// wait waits for its end.
func (m *masterProcess) wait() {
	m.Helper()
	if err := m.cmd.Wait(); err != nil {
		m.Errorf("%v: %s", err, m.errs.String())
	}
}

// calls counts what application masters ask the ResourceManager, by the second.
type calls struct {
	mu       sync.Mutex
	by       map[int64]int
	all      int
	methods  map[string]int
	joinings map[string]error // of containers that could not join
}

func countCalls(c *minicluster.Cluster) *calls {
	n := &calls{by: map[int64]int{}, methods: map[string]int{}, joinings: map[string]error{}}
	c.RM.SchedulerServer().SetFault(func(call *hadooptest.Call) hadooptest.Fault {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.by[time.Now().Unix()]++
		n.methods[call.Method]++
		n.all++
		return hadooptest.Fault{}
	})
	return n
}

// total is how many there were, most how many in one second.
func (n *calls) total() (total, most int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range n.by {
		most = max(most, x)
	}
	return n.all, most
}

// joiner is a worker's process as far as its application master sees it: it comes for its certificate, and has a line on
// which it waits for a scheduler. There is none.
func (n *calls) joiner(ctx context.Context, l *nm.Launch) int32 {
	if err := joinAndWait(ctx, l); err != nil && ctx.Err() == nil {
		n.mu.Lock()
		n.joinings[l.ID.String()] = err
		n.mu.Unlock()
	}
	<-ctx.Done()
	return 143
}

func joinAndWait(ctx context.Context, l *nm.Launch) error {
	creds, err := token.Parse(l.Context.GetTokens())
	if err != nil {
		return err
	}
	launch, err := amclient.LaunchOf(creds)
	if err != nil {
		return err
	}
	id, err := amclient.Join(ctx, launch, amclient.Options{})
	if err != nil {
		return err
	}
	am, err := amclient.Dial(id, amclient.Options{Addresses: launch.AM})
	if err != nil {
		return err
	}
	defer am.Close()
	am.Scheduler(ctx) //nolint:errcheck // it waits until it, or the application, ends
	return nil
}
