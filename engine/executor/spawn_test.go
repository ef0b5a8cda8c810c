package executor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/engine/graph"
)

// TestKernelWithoutPidfds: commands end, are stopped and killed as ever.
func TestKernelWithoutPidfds(t *testing.T) {
	with := pidfds
	pidfds = func() bool { return false }
	t.Cleanup(func() { pidfds = with })
	m := manager(t, Options{Inside: true, Grace: 50 * time.Millisecond})
	for _, c := range []struct {
		script string
		kind   graph.FailKind
		says   string
	}{
		{"echo good", graph.FailNone, "good\n"},
		{"exit 3", graph.FailUser, "exited with code 3"},
		{"trap '' TERM; sleep 1000 & wait; sleep 1000", graph.FailTime, "time limit"},
	} {
		task := commandTask(&CommandSpec{Argv: []string{"sh", "-c", c.script}}, "")
		task.Class.TimeLimit = 300 * time.Millisecond
		r := m.Run(t.Context(), task)
		switch {
		case c.kind == graph.FailNone && r.Failure == nil:
			if got := string(result(t, r.Data).Stdout); got != c.says {
				t.Errorf("%s: %q", c.script, got)
			}
		case r.Failure == nil || r.Failure.Kind != c.kind || !strings.Contains(r.Failure.Message, c.says):
			t.Errorf("%s: %+v", c.script, r.Failure)
		}
	}
}

// TestProgramsAreFoundAgain: one that is not where it was is looked for, and one that is
// nowhere any more is missed.
func TestProgramsAreFoundAgain(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	t.Setenv("PATH", first+string(filepath.ListSeparator)+second+string(filepath.ListSeparator)+os.Getenv("PATH"))
	m := manager(t, Options{})
	for _, dir := range []string{first, second} {
		if err := os.WriteFile(dir+"/moving-program", []byte("#!/bin/sh\necho "+dir+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if r := result(t, mustRun(t, m, commandTask(&CommandSpec{Argv: []string{"moving-program"}}, ""))); string(r.Stdout) != dir+"\n" {
				t.Errorf("%q was run, want the one of %s", r.Stdout, dir)
			}
		}
		if err := os.Remove(dir + "/moving-program"); err != nil {
			t.Fatal(err)
		}
	}
	f := m.Run(t.Context(), commandTask(&CommandSpec{Argv: []string{"moving-program"}}, "")).Failure
	if f == nil || f.ExitCode != 127 || !strings.Contains(f.Message, "--files") {
		t.Errorf("%+v", f)
	}
}

// TestCommandsLeaveNoDescriptors: neither those that run, nor those that cannot start.
func TestCommandsLeaveNoDescriptors(t *testing.T) {
	m := manager(t, Options{Inside: true})
	open := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	all := func() {
		for _, s := range []CommandSpec{
			{Argv: []string{"true"}}, {Argv: []string{"cat"}, Stdin: true}, {Argv: []string{"no-such-command"}},
			{Argv: []string{"./no-such-command"}, Stdin: true}, {Argv: []string{"true"}, Dir: "/no/such/directory"},
		} {
			m.Run(t.Context(), commandTask(&s, "item"))
		}
	}
	all()
	before := open()
	for range 20 {
		all()
	}
	if after := open(); after > before+5 { // a goroutine of the tests may have some
		t.Errorf("%d descriptors are open, before %d", after, before)
	}
}

// TestDirectoryThatIsNotThere is told as that.
func TestDirectoryThatIsNotThere(t *testing.T) {
	f := manager(t, Options{}).Run(t.Context(), commandTask(&CommandSpec{Argv: []string{"true"}, Dir: "/no/such"}, "")).Failure
	if f == nil || !strings.Contains(f.Message, "/no/such: no such file") {
		t.Errorf("%+v", f)
	}
}

// TestOutputWhileItRuns: more than a pipe holds, of both streams, while the process that
// wrote it goes on.
func TestOutputWhileItRuns(t *testing.T) {
	const n = 300_000
	r := result(t, mustRun(t, manager(t, Options{}), commandTask(&CommandSpec{
		Argv:        []string{"sh", "-c", fmt.Sprintf("head -c %d /dev/zero >&2; head -c %d /dev/zero; exec >&- 2>&-; sleep 0.1", n, n)},
		StderrLimit: n,
	}, "")))
	if len(r.Stdout) != n || len(r.Stderr) != n {
		t.Errorf("%d bytes of output, %d of errors", len(r.Stdout), len(r.Stderr))
	}
}

// TestFunctionsWaitForTheirProcesses: nobody takes the status of a process that a
// function started, however late it asks.
func TestFunctionsWaitForTheirProcesses(t *testing.T) {
	m := manager(t, Options{})
	if got := string(mustRun(t, m, goTask("child", ""))); got != "exit status 7" {
		t.Errorf("%q", got)
	}
}

// TestOrphansOfFunctions: what a function's processes leave behind is reaped when it ends,
// and nothing else.
func TestOrphansOfFunctions(t *testing.T) {
	m := manager(t, Options{})
	pid, err := strconv.Atoi(string(mustRun(t, m, goTask("pid", ""))))
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, m, goTask("orphan", ""))
	slow := m.start(goTask("child", "1.5"))[0] // it waits late for its own
	waitFor(t, func() bool {
		children, _ := childrenOf(pid)
		return len(children) == 0
	})
	if r := <-slow; string(r.Data) != "exit status 7" {
		t.Errorf("%q, %v", r.Data, r.Failure)
	}
}

func init() {
	testFuncs["orphan"] = func(context.Context, *Call) ([]byte, error) {
		return nil, exec.Command("sh", "-c", "sleep 0.1 &").Run()
	}
	testFuncs["child"] = func(_ context.Context, c *Call) ([]byte, error) {
		cmd := exec.Command("sh", "-c", "exit 7")
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		waitEnd(cmd.Process.Pid)
		d, _ := time.ParseDuration(string(c.Payload) + "s")
		time.Sleep(max(d, 50*time.Millisecond)) // for who would take it
		err := cmd.Wait()
		return fmt.Append(nil, err), nil
	}
}

// TestEndedCommandsAreNoted until the worker is told of them: they had their effects.
func TestEndedCommandsAreNoted(t *testing.T) {
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	defer pw.Close()
	all := make(page, 6)
	r := &reporter{pipe: frameWriter{w: pw}}
	r.note(all)
	for _, calls := range [][]uint64{{1, 2}, {3, 4, 5, 6}} { // of the last there is one too many: the others are told
		for _, id := range calls {
			r.done(id, 0, nil)
		}
		if got, want := fmt.Sprint(all.ids()), fmt.Sprint(r.rows.calls); got != want {
			t.Errorf("noted %s, want %s", got, want)
		}
		r.flush()
		if got := all.ids(); got != nil {
			t.Errorf("%d are still noted", got)
		}
	}
}

// TestRoomForNotes: there is some for each slot, however many there are.
func TestRoomForNotes(t *testing.T) {
	for _, slots := range []int{1, 511, 512, 513, 10_000} {
		f, err := newPageFile(slots)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		all, err := mapPage(f.Fd(), slots)
		if err != nil {
			t.Fatal(err)
		}
		r := &reporter{}
		r.note(all[slots:])
		if n := min(len(r.notes[0]), len(r.notes[1])); n < slots*notesPerSlot {
			t.Errorf("%d notes for %d slots", n, slots)
		}
	}
}

// TestHold: ends wait for one another while enough is left to do, and not for long.
func TestHold(t *testing.T) {
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	defer pw.Close()
	r := &reporter{pipe: frameWriter{w: pw}}
	written := func() bool {
		n, err := unix.IoctlGetInt(int(pr.Fd()), unix.TIOCINQ)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return false
		}
		_, err = pr.Read(make([]byte, n))
		return err == nil
	}
	now := time.Second
	end := func(left int) bool {
		r.done(1, 0, nil)
		r.hold(now, left)
		return written()
	}
	for n := 1; n <= 6; n++ {
		if out := end(2); out != (n == 6) {
			t.Errorf("six with two left: after %d they went out: %v", n, out)
		}
	}
	if !end(0) {
		t.Error("nothing is left, and it waits")
	}
	if end(100) {
		t.Error("it does not wait for others")
	}
	if now += holdTime + 1; !end(100) {
		t.Error("it waits for more than holdTime")
	}
}

func TestNextLook(t *testing.T) {
	for _, c := range []struct {
		took       time.Duration
		rss, limit uint64
		want       time.Duration
	}{
		{0, 1 << 30, 0, calmly},
		{0, 0, 1 << 40, calmly},
		{0, 1 << 30, 1 << 30, 0}, // closely, that is
		{time.Millisecond, 1 << 30, 1 << 30, lookShare * time.Millisecond},
		{time.Minute, 0, 1 << 30, calmly},
	} {
		if got := nextLook(c.took, c.rss, c.limit); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if d := nextLook(0, 0, 2<<30); d < 400*time.Millisecond || d > 500*time.Millisecond {
		t.Errorf("2 GiB that are free are looked at after %v", d)
	}
}
