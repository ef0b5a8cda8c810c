package edgeclient

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// errandVar has an errand for a process of the tests' own binary.
const errandVar = "YARND_TEST_ERRAND"

// errand is one submit in a process of its own, which can be killed.
type errand struct {
	Provider string
	Request  Request
	KillAt   step // where it kills itself
}

func runErrand(text string) int {
	var e errand
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return int(Internal)
	}
	progress := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	c, err := open("", Options{Provider: e.Provider, CallTimeout: 20 * time.Second, Progress: progress})
	if err == nil {
		defer c.Close()
		c.patient = 300 * time.Millisecond
		c.onStep = func(s step) {
			if s == e.KillAt {
				syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		var r Report
		r, err = c.Submit(context.Background(), e.Request)
		fmt.Println(r.ID)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return int(CodeOf(err))
}

// process is a submit that runs.
type process struct {
	cmd      *exec.Cmd
	out, err bytes.Buffer
}

func (e errand) start(t *testing.T) *process {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	p.cmd.Env = append(os.Environ(), errandVar+"="+string(text))
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// wait returns the id that was printed, and whether the process was killed.
func (p *process) wait() (id string, killed bool, code Code) {
	p.cmd.Wait()
	s := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return strings.TrimSpace(p.out.String()), s.Signaled(), Code(s.ExitStatus())
}

// succeed waits for a submit that must give an id.
func (p *process) succeed(t *testing.T) string {
	t.Helper()
	id, killed, code := p.wait()
	if killed || code != OK || !IsID(id) {
		t.Fatalf("submit: %q, killed: %v, code %d: %s", id, killed, code, p.err.String())
	}
	return id
}

// sleeper is a static program that goes on until it is ended.
func sleeper(t *testing.T) string {
	t.Helper()
	source := filepath.Join(t.TempDir(), "main.go")
	text := "package main\nimport \"time\"\nfunc main() { time.Sleep(time.Hour) }\n"
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	bundle := strings.TrimSuffix(source, ".go")
	cmd := exec.Command("go", "build", "-o", bundle, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bundle
}
