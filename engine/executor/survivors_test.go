package executor

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// workerEnv makes the test binary a worker that runs tasks which leave processes
// of every sort, all with the variable YARND_TEST_MARK in their environment.
const (
	workerEnv = "YARND_TEST_WORKER"
	markEnv   = "YARND_TEST_MARK"
)

const brood = `sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; nohup sleep 1000 & echo started >&2; sleep 1000`

func workerMain(marker string) {
	if dir := os.Getenv(pythonWorkerEnv); dir != "" {
		pythonWorkerMain(marker, dir)
	}
	m, err := newBlocking(Options{Adopt: true, Stderr: os.Stdout, Environ: append(os.Environ(), markEnv+"="+marker)})
	if err != nil {
		panic(err)
	}
	if f := m.Run(context.Background(), goTask("spawn", markEnv+"="+marker)).Failure; f != nil {
		panic(f)
	}
	go m.Run(context.Background(), commandTask(&CommandSpec{Argv: []string{"sh", "-c", brood}}, ""))
	for {
		if pids := m.Executors(); len(pids) == 2 && len(marked(marker)) >= 12 {
			fmt.Println("up", pids["go"], pids["command"])
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(os.Args) > 1 && os.Args[1] == "close" {
		m.Close()
		os.Exit(0)
	}
	select {}
}

// marked returns the living processes that have the marker in their environment.
func marked(marker string) []int {
	var pids []int
	for _, p := range processes() {
		if !p.zombie && p.pid != os.Getpid() && environ(p.pid, markEnv) == marker {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// TestNoSurvivors kills a worker, its group, its executors, in every way, and looks
// for processes that are still there.
func TestNoSurvivors(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		kill func(worker, goExec, commandExec int)
		// lives: the worker lives on, and must clear up behind its executors.
		lives bool
	}{
		{name: "close", args: []string{"close"}, kill: func(int, int, int) {}},
		{name: "SIGKILL of the worker", kill: func(w, _, _ int) { syscall.Kill(w, syscall.SIGKILL) }},
		{name: "SIGTERM of the worker", kill: func(w, _, _ int) { syscall.Kill(w, syscall.SIGTERM) }},
		{name: "SIGKILL of the worker's group", kill: func(w, _, _ int) { syscall.Kill(-w, syscall.SIGKILL) }},
		{name: "SIGKILL of the executors", lives: true, kill: func(_, g, k int) {
			syscall.Kill(g, syscall.SIGKILL)
			syscall.Kill(k, syscall.SIGKILL)
		}},
		{name: "SIGTERM of the executors", lives: true, kill: func(_, g, k int) {
			syscall.Kill(g, syscall.SIGTERM)
			syscall.Kill(k, syscall.SIGTERM)
		}},
		{name: "SIGKILL of an executor, then of the worker", kill: func(w, g, _ int) {
			syscall.Kill(g, syscall.SIGKILL)
			waitGone(g)
			waitOrphans(w)
			syscall.Kill(w, syscall.SIGKILL)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			marker := strconv.FormatInt(time.Now().UnixNano(), 36)
			cmd := exec.Command(self, c.args...)
			cmd.Env = append(os.Environ(), workerEnv+"="+marker)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			cmd.Stderr = os.Stderr
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				cmd.Process.Kill()
				for _, pid := range marked(marker) {
					syscall.Kill(pid, syscall.SIGKILL)
				}
				cmd.Wait()
			}()
			var g, k int
			for s := bufio.NewScanner(out); g == 0 && s.Scan(); {
				if line, ok := strings.CutPrefix(s.Text(), "up "); ok {
					fmt.Sscan(line, &g, &k)
				}
			}
			if g == 0 || k == 0 {
				t.Fatal("the worker did not come up")
			}
			var left []string
			c.kill(cmd.Process.Pid, g, k)
			if c.lives {
				waitGone(g)
				waitGone(k)
			} else {
				cmd.Process.Wait()
			}
			start := time.Now()
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("left: %v", left)
				}
			})
			waitFor(t, func() bool {
				pids := marked(marker)
				left = describe(pids)
				return len(pids) == 0
			})
			t.Logf("nobody left after %v", time.Since(start).Round(time.Millisecond))
		})
	}
}

// describe says what processes are: their pid, parent and command line.
func describe(pids []int) []string {
	var out []string
	for _, pid := range pids {
		p, _ := readStat(pid, make([]byte, 1024))
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		out = append(out, fmt.Sprintf("%d (of %d): %s", pid, p.ppid, strings.ReplaceAll(string(line), "\x00", " ")))
	}
	return out
}

// waitGone waits until a process has been reaped. A zombie is not enough: its first
// thread can be one while others still end, and until the last has ended its
// children have not fallen to anybody.
func waitGone(pid int) {
	for {
		if _, ok := readStat(pid, make([]byte, 1024)); !ok {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// waitOrphans waits until the worker has only executors as children.
func waitOrphans(worker int) {
	for len(processes().children(worker)) > 1 {
		time.Sleep(time.Millisecond)
	}
}

func commandTask(s *CommandSpec, item string) *Task {
	return &Task{
		ID: graph.TaskID{Job: 3, Index: 4}, Attempt: 2,
		Class:   &graph.Class{Name: s.Argv[0], Kind: graph.KindCommand, Spec: mustJSON(s)},
		Payload: []byte(item),
	}
}
