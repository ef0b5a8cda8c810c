package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// Factory makes what the suite needs of one kind of provider.
type Factory struct {
	// New returns a fresh provider. The suite closes it.
	New func(t *testing.T) provider.Provider
	// Program is the test binary, where the provider can localize it from.
	Program spec.File
	// Data is some small file, where the provider can localize it from.
	Data spec.File
	// MemoryMiB is a size that a Go program fits into.
	MemoryMiB int64
	// EnforcesMemory tells that the provider kills what holds more than its size.
	EnforcesMemory bool
	// SameMachine tells that containers' process ids mean something here.
	SameMachine bool
	// Patience is how long anything may take.
	Patience time.Duration
}

// Run runs the suite.
func Run(t *testing.T, f Factory) {
	for _, test := range []struct {
		name string
		run  func(*bench)
	}{
		{"Environment", testEnvironment},
		{"ExitStatuses", testExitStatuses},
		{"ManyAtOnce", testManyAtOnce},
		{"AbsoluteAsks", testAbsoluteAsks},
		{"ReleaseUnstarted", testReleaseUnstarted},
		{"StopWhileStarting", testStopWhileStarting},
		{"StubbornProcess", testStubborn},
		{"NothingStaysBehind", testFamily},
		{"NothingLeavesAKilledOne", testNest},
		{"ChangedFile", testChangedFile},
		{"MissingFile", testMissingFile},
		{"Logs", testLogs},
		{"MemoryLimit", testMemory},
		{"StrangeOrders", testStrangeOrders},
		{"Unregister", testUnregister},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newBench(t, f)) })
	}
}

// bench is one provider under test, with everything that it has said.
type bench struct {
	*testing.T
	f    Factory
	p    provider.Provider
	ctx  context.Context
	said []reconcile.Event
	seen map[string]int // Allocated events by pool
}

func (b *bench) hear(ev reconcile.Event) {
	b.said = append(b.said, ev)
	if e, ok := ev.(reconcile.Allocated); ok {
		b.seen[e.Pool]++
	}
}

func (b *bench) ask(pool string, n int) { b.p.Ask(pool, n, b.seen[pool]) }

func newBench(t *testing.T, f Factory) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*f.Patience)
	t.Cleanup(cancel)
	b := &bench{T: t, f: f, p: f.New(t), ctx: ctx, seen: map[string]int{}}
	t.Cleanup(func() { b.p.Close() })
	return b
}

// pool describes a pool whose processes play so.
func (b *bench) pool(name string, how ...string) spec.Pool {
	return spec.Pool{Name: name, Role: spec.RoleWorker, Args: args(how...), Resource: spec.Resource{VCores: 1, MemoryMiB: b.f.MemoryMiB}, Files: []spec.File{b.f.Program}}
}

func (b *bench) register(pools ...spec.Pool) {
	b.Helper()
	if _, err := b.p.Register(b.ctx, provider.Registration{Host: "localhost", Port: 1, Pools: pools}); err != nil {
		b.Fatal(err)
	}
}

// wait collects events until there is one that fits.
func wait[E reconcile.Event](b *bench, what string, fits func(E) bool) E {
	b.Helper()
	deadline := time.After(b.f.Patience)
	for {
		select {
		case ev, ok := <-b.p.Events():
			if !ok {
				b.Fatalf("waiting for %s: the events ended; so far %+v", what, b.said)
			}
			b.hear(ev)
			if e, ok := ev.(E); ok && fits(e) {
				return e
			}
		case <-deadline:
			b.Fatalf("no %s; so far %+v", what, b.said)
		}
	}
}

// quiet checks that nothing that fits comes for a while.
func quiet[E reconcile.Event](b *bench, what string, d time.Duration) {
	b.Helper()
	deadline := time.After(d)
	for {
		select {
		case ev := <-b.p.Events():
			b.hear(ev)
			if e, ok := ev.(E); ok {
				b.Errorf("%s: %+v", what, e)
			}
		case <-deadline:
			return
		}
	}
}

// settle hears what there is to hear for a while.
func settle(b *bench, d time.Duration) {
	deadline := time.After(d)
	for {
		select {
		case ev := <-b.p.Events():
			b.hear(ev)
		case <-deadline:
			return
		}
	}
}

func (b *bench) allocate(pool string, n int) []string {
	b.Helper()
	b.ask(pool, n)
	var ids []string
	for len(ids) < n {
		ids = append(ids, wait(b, "allocation", func(e reconcile.Allocated) bool { return e.Pool == pool }).ID)
	}
	return ids
}

func (b *bench) start(pool string) string {
	b.Helper()
	id := b.allocate(pool, 1)[0]
	b.p.Start(id, nil)
	wait(b, "launch of "+id, func(e reconcile.Launched) bool { return e.ID == id })
	return id
}

func (b *bench) completed(id string) reconcile.Completed {
	b.Helper()
	return wait(b, "end of "+id, func(e reconcile.Completed) bool { return e.ID == id })
}

// log polls a log file until it holds something that fits.
func (b *bench) log(id, file string, fits func(string) bool) string {
	b.Helper()
	deadline := time.Now().Add(b.f.Patience)
	for {
		text, err := provider.TailLog(b.ctx, b.p, id, file, 64<<10)
		if err == nil && fits(string(text)) {
			return string(text)
		}
		if time.Now().After(deadline) {
			b.Fatalf("log %s of %s: %q, %v", file, id, text, err)
		}
		select {
		case ev := <-b.p.Events():
			b.hear(ev)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func testEnvironment(b *bench) {
	pool := b.pool("w", "find", "--x=1,2:3/@4%5+6")
	pool.Files = append(pool.Files, b.f.Data)
	b.register(pool)
	id := b.allocate("w", 1)[0]
	secret := bytes.Repeat([]byte{0, 1, 2, 0xff, '\n'}, 100)
	b.p.Start(id, map[string][]byte{spec.SecretJoin: secret, spec.SecretLaunch: []byte("{}")})
	wait(b, "launch", func(e reconcile.Launched) bool { return e.ID == id })
	line := b.log(id, "stdout", func(s string) bool { return strings.HasSuffix(s, "\n") })
	var found Found
	if err := json.Unmarshal([]byte(line), &found); err != nil {
		b.Fatal(err)
	}
	if found.Env["CONTAINER_ID"] != id || found.Env["LOG_DIRS"] == "" || found.Env["NM_HOST"] == "" || found.Env["USER"] == "" {
		b.Errorf("environment %v", found.Env)
	}
	if found.Env["PWD"] != found.Dir {
		b.Errorf("PWD is %s, the directory %s", found.Env["PWD"], found.Dir)
	}
	if want := []string{"./yarnd", act, "find", "--x=1,2:3/@4%5+6"}; !slices.Equal(found.Args, want) {
		b.Errorf("arguments %q, want %q", found.Args, want)
	}
	for _, name := range []string{"yarnd", b.f.Data.Name} {
		if !slices.Contains(found.Files, name) {
			b.Errorf("no %s among %v", name, found.Files)
		}
	}
	if !bytes.Equal(found.Secrets[spec.SecretJoin], secret) || string(found.Secrets[spec.SecretLaunch]) != "{}" {
		b.Errorf("secrets: %d bytes and %q", len(found.Secrets[spec.SecretJoin]), found.Secrets[spec.SecretLaunch])
	}
	// Under YARN's default executor the containers' user is not the NodeManager's,
	// and the directory above guards the file instead.
	if b.f.SameMachine && found.Mode != "-rw-------" {
		b.Errorf("the credentials file has mode %s", found.Mode)
	}
	if strings.Contains(fmt.Sprint(found.Env, found.Args), "yarnd.join") {
		b.Error("secrets can be seen from outside")
	}
	if d := b.p.Describe(id); d.Node == "" || (b.f.SameMachine && d.PID == 0) {
		b.Errorf("described as %+v", d)
	}
	b.p.Stop(id)
	c := b.completed(id)
	if cause := reconcile.CauseOf(c.Status, true); cause != reconcile.StoppedByUs {
		b.Errorf("ended with %+v, which reads as %q", c, cause)
	}
}

func testExitStatuses(b *bench) {
	b.register(b.pool("zero", "exit", "0"), b.pool("three", "exit", "3"), b.pool("killed", "kill"))
	for pool, want := range map[string]int32{"zero": 0, "three": 3, "killed": 137} {
		id := b.allocate(pool, 1)[0]
		b.p.Start(id, nil)
		if c := b.completed(id); c.Status != want {
			b.Errorf("%s: %+v", pool, c)
		}
	}
}

// Many containers are started at the same time, and many ends at one time are all
// told.
func testManyAtOnce(b *bench) {
	const n = 12
	b.register(b.pool("w", "exit", "5"))
	ids := b.allocate("w", n)
	for _, id := range ids {
		b.p.Start(id, nil)
	}
	ended := map[string]int{}
	for len(ended) < n {
		c := wait(b, "end", func(reconcile.Completed) bool { return true })
		ended[c.ID]++
		if c.Status != 5 || ended[c.ID] > 1 {
			b.Errorf("%+v, told %d times", c, ended[c.ID])
		}
	}
	for _, id := range ids {
		if ended[id] != 1 {
			b.Errorf("the end of %s was told %d times", id, ended[id])
		}
	}
}

func testAbsoluteAsks(b *bench) {
	b.register(b.pool("w", "sleep"), b.pool("x", "sleep"))
	// An ask replaces the one before: 4 in all, and not 3 + 4 + 2. (The lowering
	// may come too late, but must not add anything.)
	b.ask("w", 3)
	b.ask("w", 4)
	b.ask("w", 2)
	for b.seen["w"] < 2 {
		wait(b, "allocation", func(e reconcile.Allocated) bool { return e.Pool == "w" })
	}
	b.ask("w", 0)
	b.ask("x", 1)
	wait(b, "allocation", func(e reconcile.Allocated) bool { return e.Pool == "x" })
	settle(b, min(b.f.Patience/10, 3*time.Second))
	if b.seen["w"] > 4 || b.seen["x"] != 1 {
		b.Errorf("got %v", b.seen)
	}
	for _, ev := range b.said {
		if e, ok := ev.(reconcile.Allocated); ok {
			b.p.Release(e.ID)
		}
	}
	if n := len(b.allocate("x", 2)); n != 2 {
		b.Errorf("%d", n)
	}
}

func testReleaseUnstarted(b *bench) {
	b.register(b.pool("w", "sleep"))
	id := b.allocate("w", 1)[0]
	b.p.Release(id)
	if c := b.completed(id); reconcile.CauseOf(c.Status, true) != reconcile.StoppedByUs {
		b.Errorf("%+v", c)
	}
	b.p.Start(id, nil)
	wait(b, "refusal", func(e reconcile.LaunchFailed) bool { return e.ID == id })
}

func testStopWhileStarting(b *bench) {
	b.register(b.pool("w", "sleep"))
	const n = 6
	ids := b.allocate("w", n)
	for i, id := range ids {
		b.p.Start(id, nil)
		if i%2 == 0 {
			b.p.Stop(id)
		}
	}
	for i, id := range ids {
		if i%2 == 1 {
			b.p.Stop(id)
		}
	}
	gone := map[string]bool{}
	for len(gone) < n {
		c := wait(b, "end", func(reconcile.Completed) bool { return true })
		if gone[c.ID] {
			b.Errorf("the end of %s was told twice", c.ID)
		}
		gone[c.ID] = true
	}
}

func testStubborn(b *bench) {
	b.register(b.pool("w", "stubborn"))
	id := b.start("w")
	b.log(id, "stdout", func(s string) bool { return s == "ready\n" })
	b.p.Stop(id)
	b.p.Stop(id)
	b.completed(id)
}

func testFamily(b *bench) {
	b.register(b.pool("w", "family"))
	id := b.start("w")
	text := b.log(id, "stdout", func(s string) bool { return strings.HasSuffix(s, "\n") })
	b.p.Stop(id)
	b.completed(id)
	if !b.f.SameMachine {
		return
	}
	child, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		b.Fatal(err)
	}
	if Alive(child) {
		b.Errorf("process %d has outlived its container", child)
	}
}

// What left the session of a container whose process was killed goes with it, too.
func testNest(b *bench) {
	if !b.f.SameMachine {
		b.Skip("its processes are on other machines")
	}
	b.register(b.pool("w", "nest"))
	id := b.start("w")
	text := b.log(id, "stdout", func(s string) bool { return strings.HasSuffix(s, "\n") })
	child, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		b.Fatal(err)
	}
	if err := syscall.Kill(b.p.Describe(id).PID, syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
	b.completed(id)
	if Alive(child) {
		b.Errorf("process %d has outlived its container", child)
		syscall.Kill(child, syscall.SIGKILL)
	}
}

// Alive tells whether a process of this machine is there, and no zombie.
func Alive(pid int) bool {
	return syscall.Kill(pid, 0) == nil && !zombie(pid)
}

func testChangedFile(b *bench) {
	pool := b.pool("w", "sleep")
	data := b.f.Data
	data.ModTime -= 1000
	pool.Files = append(pool.Files, data)
	b.register(pool)
	b.startFails("w")
}

func testMissingFile(b *bench) {
	pool := b.pool("w", "sleep")
	data := b.f.Data
	data.URL += ".missing"
	pool.Files = append(pool.Files, data)
	b.register(pool)
	b.startFails("w")
}

// startFails starts a container that cannot be, and expects the blame to fall on
// what was to be started.
func (b *bench) startFails(pool string) {
	b.Helper()
	id := b.allocate(pool, 1)[0]
	b.p.Start(id, nil)
	// A NodeManager accepts the start and fails later.
	ev := wait(b, "failure", func(e reconcile.Event) bool {
		switch e := e.(type) {
		case reconcile.LaunchFailed:
			return e.ID == id
		case reconcile.Completed:
			return e.ID == id
		}
		return false
	})
	switch e := ev.(type) {
	case reconcile.LaunchFailed:
		if e.Blameless || !strings.Contains(e.Why, b.f.Data.Name) {
			b.Errorf("%+v", e)
		}
	case reconcile.Completed:
		if reconcile.CauseOf(e.Status, false) != reconcile.Unstarted || e.Diagnostics == "" {
			b.Errorf("%+v", e)
		}
	}
}

func testLogs(b *bench) {
	b.register(b.pool("w", "say"))
	id := b.allocate("w", 1)[0]
	b.p.Start(id, nil)
	b.completed(id)
	const all = "line 0\nline 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\nline 9\n"
	b.log(id, "stdout", func(s string) bool { return s == all })
	buf := make([]byte, 7)
	for offset, want := range map[int64]string{0: "line 0\n", 7: "line 1\n", 63: "line 9\n", -7: "line 9\n", -14: "line 8\n", -1000: "line 0\n"} {
		n, at, err := b.p.ReadLog(b.ctx, id, "stdout", offset, buf)
		wantAt := offset
		if offset < 0 {
			wantAt = max(0, int64(len(all))+offset)
		}
		if err != nil || string(buf[:n]) != want || at != wantAt {
			b.Errorf("from %d: %q at %d, %v", offset, buf[:n], at, err)
		}
	}
	if n, _, err := b.p.ReadLog(b.ctx, id, "stdout", int64(len(all)), buf); n != 0 || !errors.Is(err, io.EOF) {
		b.Errorf("at the end: %d, %v", n, err)
	}
	if text, err := provider.TailLog(b.ctx, b.p, id, "stderr", 100); string(text) != "last words\n" || err != nil {
		b.Errorf("stderr: %q, %v", text, err)
	}
	for _, name := range [][2]string{{id, "../stdout"}, {id, "stdlog"}, {"container_0_0_0_0", "stdout"}, {"../" + id, "stdout"}} {
		if _, _, err := b.p.ReadLog(b.ctx, name[0], name[1], 0, buf); !errors.Is(err, provider.ErrNoLog) {
			b.Errorf("%v: %v", name, err)
		}
	}
}

func testMemory(b *bench) {
	b.register(b.pool("w", "grow"))
	if !b.f.EnforcesMemory {
		b.Log("this provider does not enforce memory limits")
		return
	}
	id := b.start("w")
	if c := b.completed(id); reconcile.CauseOf(c.Status, false) != reconcile.OverMemory {
		b.Errorf("%+v", c)
	}
}

func testStrangeOrders(b *bench) {
	b.register(b.pool("w", "sleep"))
	b.ask("unknown", 3)
	b.p.Stop("unknown")
	b.p.Release("unknown")
	b.p.Start("unknown", nil)
	wait(b, "refusal", func(e reconcile.LaunchFailed) bool { return e.ID == "unknown" })
	if d := b.p.Describe("unknown"); d != (provider.Description{}) {
		b.Errorf("%+v", d)
	}
	id := b.start("w")
	b.p.Start(id, nil) // again: one process is enough
	b.p.Stop(id)
	b.completed(id)
	b.p.Stop(id)
	b.p.Release(id)
	quiet[reconcile.Completed](b, "told twice", min(b.f.Patience/10, 2*time.Second))
}

func testUnregister(b *bench) {
	b.register(b.pool("w", "sleep"))
	if err := b.p.Unregister(b.ctx, provider.Final{Status: reconcile.Succeeded, Diagnostics: "done"}); err != nil {
		b.Fatal(err)
	}
	if err := b.p.Close(); err != nil {
		b.Error(err)
	}
	if err := b.p.Close(); err != nil {
		b.Errorf("the second time: %v", err)
	}
	for range b.p.Events() {
	}
}
