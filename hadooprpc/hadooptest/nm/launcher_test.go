package nm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Containers may be functions: many nodes need no processes.
func TestFunctions(t *testing.T) {
	var running atomic.Int32
	f := Func(func(ctx context.Context, l *Launch) int32 {
		running.Add(1)
		defer running.Add(-1)
		if len(l.Command) > 0 && l.Command[0] == "exit" {
			return 7
		}
		<-ctx.Done()
		if s := (Signalled{}); !errors.As(context.Cause(ctx), &s) || s.Signal != syscall.SIGTERM {
			return 1
		}
		return 143
	})
	const nodes, each = 20, 10
	var all []*bench
	for range nodes {
		all = append(all, newBench(t, func(o *Options) { o.Launcher = f; o.Heartbeat = 100 * time.Millisecond }))
	}
	for _, b := range all {
		var reqs []*pb.StartContainerRequest
		for i := range each {
			reqs = append(reqs, &pb.StartContainerRequest{ContainerLaunchContext: command("wait"), ContainerToken: b.container(cid(int64(i + 1))).GetContainerToken()})
		}
		res, err := b.cl.StartContainers(b.ctx, b.ID(), b.nmToken(), reqs)
		if err != nil || len(res.Succeeded) != each {
			t.Fatal(res, err)
		}
	}
	b := all[0]
	b.eventually("all functions", func() bool { return running.Load() == nodes*each })
	if c := b.runs(cid(100), command("exit")); c.Exit != 7 {
		t.Errorf("%+v", c)
	}
	if _, err := b.cl.StopContainers(b.ctx, b.ID(), b.nmToken(), cid(1)); err != nil {
		t.Fatal(err)
	}
	if c := b.ended(cid(1)); c.Exit != yarn.ExitKilledByAppMaster || !strings.Contains(c.Diagnostics, "Exit code is 143") {
		t.Errorf("%+v", c)
	}
	for _, b := range all {
		b.Close()
	}
	b.eventually("end of all", func() bool { return running.Load() == 0 })
}

// Who has ended takes signals until somebody has waited for it: that is no hit.
func TestSignalOfWhoHasEnded(t *testing.T) {
	p, err := NewProcesses()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dir := t.TempDir()
	script := filepath.Join(dir, "script")
	if err := os.WriteFile(script, []byte("read wait\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	proc, err := p.Launch(&Launch{Script: script, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Wait()
	// Its input is empty: it ends by itself, and nobody waits for it yet.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", proc.PID()))
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("it does not end, or somebody has waited for it: %v", err)
		}
		if st, ok := parseStat(proc.PID(), text); ok && st.state == 'Z' {
			break
		}
	}
	if err := proc.Signal(syscall.SIGKILL); err == nil {
		t.Error("a process that has ended was hit")
	}
}

// What left its session ends with the node.
func TestEscapes(t *testing.T) {
	dir := t.TempDir()
	n, err := New(Options{RM: newRM(), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Node: n, t: t, rm: n.opt.RM.(*testRM)}
	b.attach()
	if err := n.Ready(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.start(cid(1), command("setsid sleep 302 & sleep 0.01; touch up; wait"))
	b.running(cid(1), "up")
	n.Close()
	b.eventually("end of the escaped", func() bool {
		for _, p := range processes() {
			cmd, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
			if string(cmd) == "sleep\x00302\x00" && p.state != 'Z' {
				return false
			}
		}
		return true
	})
}

// When the process that has the node is killed, so are its containers, children and grandchildren too.
func TestDeath(t *testing.T) {
	if dir := os.Getenv("NM_TEST_DEATH"); dir != "" {
		victim(t, dir)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestDeath$")
	cmd.Env = append(os.Environ(), "NM_TEST_DEATH="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	line, err := bufio.NewReader(out).ReadString('\n')
	pids := strings.Fields(line)
	if err != nil || len(pids) != 2 {
		t.Fatalf("%q, %v", line, err)
	}
	cmd.Process.Kill()
	for deadline := time.Now().Add(20 * time.Second); len(survivors(dir)) > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	noProcesses(t, dir)
	for _, p := range pids {
		pid, _ := strconv.Atoi(p)
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if st, ok := parseStat(pid, text); err == nil && ok && st.state != 'Z' {
			t.Errorf("process %d survives", pid)
		}
	}
}

// victim runs a container and prints the ids of its processes, one of which ignores what others do not.
func victim(t *testing.T, dir string) {
	n, err := New(Options{RM: newRM(), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Node: n, t: t, rm: n.opt.RM.(*testRM)}
	b.attach()
	if err := n.Ready(b.ctx); err != nil {
		t.Fatal(err)
	}
	b.start(cid(1), command("(trap '' TERM HUP; while true; do sleep 0.1; done) & echo \\$\\$ \\$! > pids; mv pids up; wait"))
	b.running(cid(1), "up")
	text, _ := os.ReadFile(filepath.Join(n.WorkDir("alice", cid(1)), "up"))
	os.Stdout.Write(text)
	time.Sleep(time.Minute)
}

func FuzzEnvironment(f *testing.F) {
	f.Add("$A ${B} ${#C} \\$D '$E' $1 $$", "{{A}}<LOG_DIR><CPS>")
	f.Fuzz(func(t *testing.T, a, b string) {
		e := &environment{}
		e.set("A", a)
		e.set("B", Expand(b, "/logs"))
		e.set("C", b+"$A$B")
		e.setOwn("OWN", a)
		if got := e.ordered(); len(got) != 4 || got[0].name != "OWN" {
			t.Errorf("%v", got)
		}
	})
}

func TestOrder(t *testing.T) {
	e := &environment{}
	for _, v := range [][2]string{{"A", "${B}:$A"}, {"B", "'$D' \\$D $C"}, {"C", "${#D}"}, {"D", "x"}} {
		e.set(v[0], v[1])
	}
	e.setOwn("C", "own")
	var names []string
	for _, v := range e.ordered() {
		names = append(names, v.name)
	}
	if got := strings.Join(names, " "); got != "C B A D" {
		t.Error(got)
	}
	if got := strings.Join(mentioned("$A ${B} ${#C} \\$D '$E' $1 $$ $F_1-"), " "); got != "A B C F_1" {
		t.Error(got)
	}
}

func FuzzStat(f *testing.F) {
	own, _ := os.ReadFile("/proc/self/stat")
	f.Add(own)
	f.Add([]byte("1 (a) b) S 1 1 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if st, ok := parseStat(1, text); ok && st.pid != 1 {
			t.Error(st)
		}
	})
}

func TestTree(t *testing.T) {
	list := []procStat{{pid: 5, parent: 1}, {pid: 6, parent: 5}, {pid: 7, parent: 6}, {pid: 8, parent: 1}, {pid: 9, parent: 5}}
	if got := tree(list, 5); len(got) != 4 || got[0].pid != 5 {
		t.Errorf("%v", got)
	}
	if got := tree([]procStat{{pid: 5, parent: 5}}, 5); len(got) > 3 { // no loop
		t.Errorf("%v", got)
	}
}

// A launch script with a quote in a value breaks as Hadoop's does.
func TestNothingIsEscaped(t *testing.T) {
	b := newBench(t)
	l := command("true")
	l.Environment = []*pb.StringStringMap{{Key: proto.String("Q"), Value: proto.String(`a"b`)}}
	if c := b.runs(cid(1), l); c.Exit == 0 {
		t.Errorf("%+v", c)
	}
}
