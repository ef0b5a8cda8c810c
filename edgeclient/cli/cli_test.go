package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// programs is the directory of the yarnd and examples that the scripts run: static
// however the tests were built, since they are what gets staged and plays every role
// of an application on this machine.
var programs string

// linked leaves out what debuggers read: less to link, hash, upload and give to every
// container. Stack traces do not need it.
const linked = "-ldflags=-s -w"

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "yarnd-cli")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", linked, "-o", dir, "github.com/yarnd/yarnd/cmd/yarnd", "github.com/yarnd/yarnd/examples/hello", "github.com/yarnd/yarnd/examples/later", "github.com/yarnd/yarnd/examples/wordcount", "github.com/yarnd/yarnd/examples/terasort", "./testdata/crashing", "./testdata/retrying")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		programs = dir
		return m.Run()
	}())
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"code": code},
		Setup: func(e *testscript.Env) error {
			e.Setenv("YARND_HOME", filepath.Join(e.WorkDir, ".state"))
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("PROGRAMS", programs)
			e.Setenv("PATH", programs+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Defer(func() { endLeftovers(e.WorkDir) })
			return nil
		},
	})
}

// endLeftovers kills what a script that failed in the middle has started and not ended:
// an application outlives the command that submitted it.
func endLeftovers(home string) {
	mark := []byte("\x00HOME=" + home + "\x00")
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, name := range environs {
		environ, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(append([]byte{0}, environ...), mark) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// code N COMMAND… demands an exit code, where "! exec" takes any but 0.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command [args…]")
	}
	got := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}
