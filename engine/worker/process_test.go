package worker

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
	"syscall"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/identity"
)

// workerEnv makes the test binary a worker process; it holds a processConfig.
const (
	workerEnv = "YARND_TEST_WORKER"
	markEnv   = "YARND_TEST_MARK"
)

type processConfig struct{ PEM, Endpoint, Dir string }

func workerProcess(config string) int {
	var c processConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		panic(err)
	}
	os.Unsetenv(workerEnv)
	pem, err := os.ReadFile(c.PEM)
	if err != nil {
		panic(err)
	}
	id, err := identity.ParsePEM(pem)
	if err != nil {
		panic(err)
	}
	err = Run(context.Background(), Options{
		Identity: id, Slots: 2, Dir: c.Dir, Listen: "127.0.0.1:0", Adopt: true,
		Scheduler: func(context.Context) (string, uint64, error) { return c.Endpoint, 0, nil },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process starts a worker as a process with a group of its own. Everything that it
// starts has its name as a mark in the environment.
func (c *cluster) process(name, mark string) *exec.Cmd {
	c.t.Helper()
	pem, err := c.identity(identity.Worker, name).PEM()
	if err != nil {
		c.t.Fatal(err)
	}
	dir := c.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pem"), pem, 0o600); err != nil {
		c.t.Fatal(err)
	}
	endpoint, _, err := c.endpoint(context.Background())
	if err != nil {
		c.t.Fatal(err)
	}
	config, err := json.Marshal(processConfig{filepath.Join(dir, "pem"), endpoint, dir})
	if err != nil {
		c.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), workerEnv+"="+string(config), markEnv+"="+mark)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = c.t.Output(), c.t.Output()
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		waitFor(c.t, name+" leaves no process", func() bool { return len(marked(mark)) == 0 })
	})
	return cmd
}

// marked returns the living processes with the mark.
func marked(mark string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err == nil && bytes.Contains(env, []byte(markEnv+"="+mark+"\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// vmSize returns the MiB of address space of a process.
func vmSize(pid int) int {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])); len(f) > 20 {
		n, _ := strconv.Atoi(f[20])
		return n >> 20
	}
	return 0
}

// TestKilledWorker kills a worker's process group with SIGKILL while it runs a
// function and a command that left processes all over. Nobody survives, and the
// work is done by the other worker.
func TestKilledWorker(t *testing.T) {
	c := newCluster(t)
	cl := c.client()
	gate := filepath.Join(t.TempDir(), "gate")
	marks := map[uint32]string{}
	for _, name := range []string{"c2", "c3"} {
		mark := fmt.Sprintf("%s-%d-%s", name, os.Getpid(), filepath.Base(filepath.Dir(gate)))
		marks[uint32(c.process(name, mark).Process.Pid)] = mark
	}
	waitFor(t, "both are there", func() bool { return len(cl.workers()) == 2 })
	spec, err := json.Marshal(executor.CommandSpec{Argv: []string{"sh", "-c",
		`sleep 1000 & setsid sleep 1000 & (setsid sh -c 'sleep 1000 & sleep 1000' &) ; while ! test -e {}; do sleep 0.02; done; echo ok`}})
	if err != nil {
		t.Fatal(err)
	}
	command := cl.class(graph.Class{Name: "sh", Kind: graph.KindCommand, Spec: spec})
	until := cl.function("until")
	tasks := []uint32{cl.submit(command, gate), cl.submit(until, gate), cl.submit(command, gate), cl.submit(until, gate)}
	waitFor(t, "all run", func() bool {
		running := uint32(0)
		for _, w := range cl.workers() {
			running += w.GetLoad().GetRunning()
		}
		return running == 4
	})
	victim := cl.workers()[0]
	mark := marks[victim.Pid]
	waitFor(t, "it has left processes all over", func() bool { return len(marked(mark)) > 3 })
	for _, pid := range marked(mark) {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		t.Logf("%s: %d MiB of address space", strings.TrimSpace(string(name)), vmSize(pid))
	}
	if err := syscall.Kill(-int(victim.Pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "nobody survives", func() bool {
		left := marked(mark)
		return len(left) == 0 || len(left) == 1 && left[0] == int(victim.Pid) // a zombie until it is waited for
	})
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i, task := range tasks {
		data := cl.result(task)
		if i%2 == 1 {
			if len(data) != 10_000 {
				t.Errorf("function: %d bytes", len(data))
			}
			continue
		}
		var r executor.CommandResult
		if err := cbor.Unmarshal(data, &r); err != nil || string(r.Stdout) != "ok\n" {
			t.Errorf("command: %q, %v", r.Stdout, err)
		}
	}
}
