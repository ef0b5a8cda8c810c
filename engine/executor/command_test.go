package executor

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/yarnd/yarnd/engine/graph"
)

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// eachWay runs a test with the command executor as a process and inside this one.
func eachWay(t *testing.T, o Options, f func(t *testing.T, m *blocking)) {
	for _, inside := range []bool{false, true} {
		name := "process"
		if o.Inside = inside; inside {
			name = "inside"
		}
		t.Run(name, func(t *testing.T) { f(t, manager(t, o)) })
	}
}

func result(t *testing.T, data []byte) CommandResult {
	t.Helper()
	var r CommandResult
	if err := cbor.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// What a command finds of tokens is what the worker has for commands, unless the command names another file.
func TestTokensOfCommands(t *testing.T) {
	for _, c := range []struct {
		tokens string
		env    map[string]string
		want   string
	}{{"", nil, "[] []\n"}, {"/tokens", nil, "[/tokens] []\n"}, {"/tokens", map[string]string{"HADOOP_TOKEN_FILE_LOCATION": "/own"}, "[/own] []\n"}} {
		t.Setenv("HADOOP_TOKEN_FILE_LOCATION", "/secret")
		t.Setenv(EnvTokens, c.tokens)
		spec := &CommandSpec{Argv: []string{"sh", "-c", "echo [$HADOOP_TOKEN_FILE_LOCATION] [$YARND_TOKENS]"}, Env: c.env}
		if r := result(t, mustRun(t, manager(t, Options{Dir: t.TempDir()}), commandTask(spec, ""))); string(r.Stdout) != c.want {
			t.Errorf("%q, %v: %q, want %q", c.tokens, c.env, r.Stdout, c.want)
		}
	}
}

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/shipped", []byte("#!/bin/sh\necho shipped $1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HADOOP_TOKEN_FILE_LOCATION", "/secret")
	t.Setenv("SHARED", "yes")
	sh := func(script string) []string { return []string{"sh", "-c", script} }
	for _, c := range []struct {
		name   string
		spec   CommandSpec
		item   string
		stdout string
		stderr string
		exit   int
	}{
		{name: "item in arguments", spec: CommandSpec{Argv: []string{"echo", "a{}b", "{}{}"}}, item: "X Y", stdout: "aX Yb X YX Y\n"},
		{name: "no shell", spec: CommandSpec{Argv: []string{"echo", "$HOME;", "{}"}}, item: "$(id)", stdout: "$HOME; $(id)\n"},
		{name: "stdin", spec: CommandSpec{Argv: []string{"cat"}, Stdin: true}, item: strings.Repeat("line\n", 100_000), stdout: strings.Repeat("line\n", 100_000)},
		{name: "empty stdin", spec: CommandSpec{Argv: []string{"cat"}}, item: "x", stdout: ""},
		{name: "stdin that is not read", spec: CommandSpec{Argv: []string{"true"}, Stdin: true}, item: strings.Repeat("x", 1<<20)},
		{name: "stderr", spec: CommandSpec{Argv: sh("echo out; echo err >&2")}, stdout: "out\n", stderr: "err\n"},
		{name: "tail of stderr", spec: CommandSpec{Argv: sh("echo 123456789 >&2"), StderrLimit: 4}, stderr: "789\n"},
		{name: "exit code that is fine", spec: CommandSpec{Argv: sh("exit 1"), OK: []int{1}}, exit: 1},
		{name: "kept exit code", spec: CommandSpec{Argv: sh("echo x; exit 42"), Keep: true}, exit: 42, stdout: "x\n"},
		{name: "environment", spec: CommandSpec{Argv: sh("echo $YARND_TASK $YARND_ATTEMPT $A $SHARED [$HADOOP_TOKEN_FILE_LOCATION] [$YARND_EXECUTOR]"), Env: map[string]string{"A": "a=b"}}, stdout: "3/4 2 a=b yes [] []\n"},
		{name: "shipped file", spec: CommandSpec{Argv: []string{"./shipped", "{}"}}, item: "it", stdout: "shipped it\n"},
		{name: "directory", spec: CommandSpec{Argv: []string{"pwd"}, Dir: "/"}, stdout: "/\n"},
		{name: "background process", spec: CommandSpec{Argv: sh("sleep 1000 & echo done")}, stdout: "done\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := manager(t, Options{Dir: dir})
			r := result(t, mustRun(t, m, commandTask(&c.spec, c.item)))
			if string(r.Stdout) != c.stdout || string(r.Stderr) != c.stderr || r.Exit != c.exit {
				t.Errorf("exit %d, stdout %.100q, stderr %.100q", r.Exit, r.Stdout, r.Stderr)
			}
		})
	}
}

func TestCommandsThatFail(t *testing.T) {
	sh := func(script string) []string { return []string{"sh", "-c", script} }
	eachWay(t, Options{Grace: 100 * time.Millisecond}, func(t *testing.T, m *blocking) {
		for _, c := range []struct {
			name    string
			spec    CommandSpec
			limit   time.Duration
			kind    graph.FailKind
			code    int32
			message string
			output  string
		}{
			{"exit code", CommandSpec{Argv: sh("echo why >&2; exit 7")}, 0, graph.FailUser, 7, "exited with code 7: why", "why\n"},
			{"signal", CommandSpec{Argv: sh("kill -SEGV $$"), Keep: true}, 0, graph.FailUser, 139, "signal 11", ""},
			{"not there", CommandSpec{Argv: []string{"no-such-command"}}, 0, graph.FailUser, 127, "--files", ""},
			{"not there either", CommandSpec{Argv: []string{"./no-such-command"}}, 0, graph.FailUser, 127, "--files", ""},
			{"not executable", CommandSpec{Argv: []string{"/etc/passwd"}}, 0, graph.FailUser, 126, "permission", ""},
			{"no program", CommandSpec{Argv: []string{""}}, 0, graph.FailSetup, 0, "no program", ""},
			{"too much output", CommandSpec{Argv: sh("yes"), StdoutLimit: 1000}, 0, graph.FailUser, 0, "1000 bytes", ""},
			{"time limit", CommandSpec{Argv: sh("echo x >&2; sleep 1000")}, 300 * time.Millisecond, graph.FailTime, 143, "300ms", "x\n"},
			{"time limit, deaf", CommandSpec{Argv: sh("trap '' TERM; sleep 1000 & wait; sleep 1000")}, 300 * time.Millisecond, graph.FailTime, 137, "300ms", ""},
		} {
			task := commandTask(&c.spec, "")
			task.Class.TimeLimit = c.limit
			f := m.Run(t.Context(), task).Failure
			if f == nil || f.Kind != c.kind || f.ExitCode != c.code || !strings.Contains(f.Message, c.message) || !strings.Contains(string(f.Output), c.output) {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
	})
}

func TestStopOfACommand(t *testing.T) {
	eachWay(t, Options{}, func(t *testing.T, m *blocking) {
		ctx, cancel := context.WithCancel(t.Context())
		file := t.TempDir() + "/asked"
		done := make(chan *graph.Failure, 1)
		go func() {
			task := commandTask(&CommandSpec{Argv: []string{"sh", "-c", "trap 'echo bye > {}; exit 0' TERM; echo > {}.up; sleep 1000 & wait"}}, file)
			done <- m.Run(ctx, task).Failure
		}()
		waitFor(t, func() bool { _, err := os.Stat(file + ".up"); return err == nil })
		cancel()
		f := <-done
		if text, _ := os.ReadFile(file); string(text) != "bye\n" {
			t.Errorf("it was not asked to end: %q", text)
		}
		_ = f // it ended with code 0 all the same: either outcome is true
	})
}

// TestMemoryIsShortMeanwhile: a command that takes its time to end, as it was asked to, is
// killed at once when its memory is needed.
func TestMemoryIsShortMeanwhile(t *testing.T) {
	eachWay(t, Options{Grace: time.Hour}, func(t *testing.T, m *blocking) {
		file := t.TempDir() + "/asked"
		task := commandTask(&CommandSpec{Argv: []string{"sh", "-c", "trap 'echo > {}' TERM; echo > {}.up; while :; do sleep 1000 & wait; done"}}, file)
		end := m.start(task)[0]
		exists := func(file string) { waitFor(t, func() bool { _, err := os.Stat(file); return err == nil }) }
		exists(file + ".up")
		m.Stop(task)
		exists(file)
		if p := task.in; p.stop(task, stopMemory) {
			p.wake()
		}
		if f := (<-end).Failure; f == nil || f.Kind != graph.FailCancelled || f.ExitCode != 137 {
			t.Errorf("%+v", f)
		}
	})
}

// TestLeftBehind: what leaves a command's process group is killed soon after the
// command has ended, while another command's goes on.
func TestLeftBehind(t *testing.T) {
	m := manager(t, Options{Adopt: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	file := t.TempDir() + "/pid"
	other := commandTask(&CommandSpec{Argv: []string{"sh", "-c", "setsid sh -c 'echo $$ > {}; exec sleep 1000' & sleep 1000"}}, file)
	other.ID.Index = 99
	done := make(chan Result, 1)
	go func() { done <- m.Run(ctx, other) }()
	otherPid := readPid(t, file)

	file2 := t.TempDir() + "/pid"
	r := result(t, mustRun(t, m, commandTask(&CommandSpec{Argv: []string{"sh", "-c", "setsid sh -c 'echo $$ > {}; exec sleep 1000' >/dev/null 2>&1 & while ! test -s {}; do sleep 0.01; done; cat {}"}}, file2)))
	_ = r
	pid := readPid(t, file2)
	waitFor(t, func() bool { _, alive := readStat(pid, make([]byte, 1024)); return !alive })
	if p, alive := readStat(otherPid, make([]byte, 1024)); !alive || p.zombie {
		t.Error("another command's process was killed")
	}
	cancel()
	<-done
	waitFor(t, func() bool { _, alive := readStat(otherPid, make([]byte, 1024)); return !alive })
}

func readPid(t *testing.T, file string) (pid int) {
	t.Helper()
	waitFor(t, func() bool {
		text, _ := os.ReadFile(file)
		return strings.HasSuffix(string(text), "\n") && json.Unmarshal(text, &pid) == nil
	})
	return pid
}

func TestManyCommands(t *testing.T) {
	m := manager(t, Options{})
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for range 200 {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if r := m.Run(t.Context(), commandTask(&CommandSpec{Argv: []string{"echo", "{}"}}, "x")); r.Failure != nil {
				t.Error(r.Failure)
			}
		})
	}
	wg.Wait()
}

func TestMemoryOfACommand(t *testing.T) {
	m := manager(t, Options{MemoryLimit: room(t, 400<<20)})
	// awk doubles a string until it is stopped.
	f := m.Run(t.Context(), commandTask(&CommandSpec{Argv: []string{"awk", "BEGIN { s = \"0123456789abcdef\"; while (length(s) < 2^30) s = s s; while (1) n++ }"}}, "")).Failure
	if f == nil || f.Kind != graph.FailMemory {
		t.Errorf("%+v", f)
	}
	mustRun(t, m, commandTask(&CommandSpec{Argv: []string{"true"}}, ""))
}
