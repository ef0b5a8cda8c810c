//go:build hadoop

package dockertest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/cluster"
)

func TestEdgePassesEverythingThrough(t *testing.T) {
	c := dockertest.Running(t, "simple")
	for _, user := range []string{"alice", "bob"} {
		for _, node := range []string{"edge1", "edge2"} {
			r := c.Edge(user).On(node).Run(t, "sh", "-c",
				`echo "$(whoami) $USER $HOME $PWD $(hostname) $HADOOP_CONF_DIR"; echo oops >&2; exit 42`)
			home := "/home/" + user
			want := strings.Join([]string{user, user, home, home, node, "/etc/hadoop/conf"}, " ") + "\n"
			if r.Code != 42 || r.Stdout != want || r.Stderr != "oops\n" {
				t.Errorf("%v\nwant %q", r, want)
			}
		}
	}
	if r := c.Edge("alice").Run(t, "no-such-command"); r.Code != 127 {
		t.Errorf("a command that does not exist: %v; want code 127", r)
	}
	args := []string{"printf", "%s|", "two words", "", `quo"te`, "$HOME", "*", "a\nb"}
	if r := c.Edge("alice").Run(t, args...); r.Stdout != "two words||quo\"te|$HOME|*|a\nb|" {
		t.Errorf("arguments became %q", r.Stdout)
	}
}

// Exec and Output are the way onto hosts that are no edge nodes.
func TestExecOnAnyHost(t *testing.T) {
	c := dockertest.Running(t, "simple")
	var stdout, stderr bytes.Buffer
	code, err := c.Exec(t.Context(), cluster.Command{
		Host: "nm2", User: "yarn", Env: []string{"X=1"}, Argv: []string{"sh", "-c", "whoami; echo $X; cat; echo oops >&2; exit 9"},
		Stdin: strings.NewReader("input\n"), Stdout: &stdout, Stderr: &stderr,
	})
	if err != nil || code != 9 || stdout.String() != "yarn\n1\ninput\n" || stderr.String() != "oops\n" {
		t.Errorf("code %d, %v, stdout %q, stderr %q", code, err, &stdout, &stderr)
	}
	if _, err := c.Output(t.Context(), "nm2", "", "sh", "-c", "echo why >&2; exit 1"); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("%v; want what the command said", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, cluster.Command{Host: "nm2", Argv: []string{"sleep", "5"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a command longer than its context: %v", err)
	}
}

func TestEdgeIsBinarySafe(t *testing.T) {
	c := dockertest.Running(t, "simple")
	random := rand.New(rand.NewPCG(1, 2))
	in := make([]byte, 4<<20)
	for i := range in {
		in[i] = byte(random.Uint32())
	}
	r := c.Edge("alice").RunInput(t, string(in), "cat")
	if r.Code != 0 || !bytes.Equal([]byte(r.Stdout), in) {
		t.Errorf("code %d, %d bytes came back of %d, equal: %v", r.Code, len(r.Stdout), len(in), r.Stdout == string(in))
	}
}

// start runs a command that prints a line once it is there, and waits for that line.
func start(t *testing.T, e dockertest.Edge, id, shell string) (wait func() int, signal func(syscall.Signal)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := e.Command(ctx, id, "sh", "-c", shell)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the command said nothing: %v", err)
	}
	return func() int {
			cmd.Wait() // the code says it all
			return cmd.ProcessState.ExitCode()
		}, func(s syscall.Signal) {
			if err := cmd.Process.Signal(s); err != nil {
				t.Error(err)
			}
		}
}

func TestEdgeSignals(t *testing.T) {
	c := dockertest.Running(t, "simple")
	alice := c.Edge("alice")
	gone := func(seconds string) {
		t.Helper()
		if r := alice.Run(t, "pgrep", "-fx", "sleep "+seconds); r.Code != 1 {
			t.Errorf("still there: %v", r)
		}
	}
	t.Run("TERM to the script reaches the command and its children", func(t *testing.T) {
		wait, signal := start(t, alice, "", "sleep 1001 & echo ready; sleep 1001")
		signal(syscall.SIGTERM)
		if code := wait(); code != 143 {
			t.Errorf("exit code %d, want 143", code)
		}
		gone("1001")
	})
	t.Run("a command may handle INT and choose its exit code", func(t *testing.T) {
		wait, signal := start(t, alice, "", `trap "exit 3" INT; echo ready; while :; do sleep 0.1; done`)
		signal(syscall.SIGINT)
		if code := wait(); code != 3 {
			t.Errorf("exit code %d, want 3", code)
		}
	})
	t.Run("KILL by id reaches children of another session", func(t *testing.T) {
		wait, _ := start(t, alice, "kill-by-id", "setsid sleep 1002 & echo ready; sleep 1002")
		if err := alice.Signal(t.Context(), "kill-by-id", "KILL"); err != nil {
			t.Fatal(err)
		}
		if code := wait(); code != 137 {
			t.Errorf("exit code %d, want 137", code)
		}
		gone("1002")
		if err := alice.Signal(t.Context(), "kill-by-id", "KILL"); err == nil {
			t.Error("signalling what is over is no error")
		}
	})
	t.Run("KILL to the script leaves the command alone", func(t *testing.T) {
		wait, signal := start(t, alice, "left-alone", "echo ready; exec sleep 1003")
		signal(syscall.SIGKILL)
		wait()
		if err := alice.Signal(t.Context(), "left-alone", "TERM"); err != nil {
			t.Errorf("the command is gone: %v", err)
		}
	})
}
