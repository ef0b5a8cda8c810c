package cli_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell is a bash that is told one thing after another, as a person does.
type shell struct {
	dir   string // where what it is told, and what it says, lies
	stdin io.Writer
	codes chan string
	code  int
	n     int
}

// startShell starts a shell in dir; it, and all that it started, ends with the test.
func startShell(t *testing.T, dir string, env []string) *shell {
	t.Helper()
	codes, codesIn, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "--noprofile", "--norc")
	cmd.Dir, cmd.Env, cmd.ExtraFiles = dir, env, []*os.File{codesIn}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	codesIn.Close()
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{dir: t.TempDir(), stdin: stdin, codes: make(chan string)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(s.codes)
		for r := bufio.NewScanner(codes); r.Scan(); {
			s.codes <- r.Text()
		}
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) //nolint:errcheck // it may have ended
		stdin.Close()
		for range s.codes { // nobody else reads them any more
		}
		cmd.Wait() //nolint:errcheck // it was ended
		<-ended
		codes.Close()
	})
	return s
}

// do runs commands in the shell, which keeps what they change of it, and returns what
// they write and their exit code. They find that of the ones before as $?.
func (s *shell) do(commands string) (stdout, stderr string, code int, err error) {
	s.n++
	name := filepath.Join(s.dir, strconv.Itoa(s.n))
	if err := os.WriteFile(name, []byte(commands), 0o600); err != nil {
		return "", "", 0, err
	}
	said := func() {
		out, _ := os.ReadFile(name + ".out")
		text, _ := os.ReadFile(name + ".err")
		stdout, stderr = string(out), string(text)
	}
	if _, err := fmt.Fprintf(s.stdin, "(exit %d); . %[2]s >%[2]s.out 2>%[2]s.err </dev/null 3>&-; echo $? >&3\n", s.code, name); err != nil {
		return "", "", 0, fmt.Errorf("the shell has ended: %w", err)
	}
	select {
	case text, ok := <-s.codes:
		said()
		if !ok {
			return stdout, stderr, 0, fmt.Errorf("the shell has ended with it")
		}
		s.code, err = strconv.Atoi(strings.TrimSpace(text))
		return stdout, stderr, s.code, err
	case <-time.After(stepTime):
		said()
		return stdout, stderr, 0, fmt.Errorf("not done after %s; if it goes on until it is interrupted, say <!-- run: no, WHY --> above the block", stepTime)
	}
}

func TestShell(t *testing.T) {
	s := startShell(t, t.TempDir(), []string{"PATH=" + os.Getenv("PATH")})
	for _, x := range []struct {
		commands, stdout, stderr string
		code                     int
	}{
		{"kept=here; echo out; echo err >&2", "out\n", "err\n", 0},
		{"echo $kept; false", "here\n", "", 1},
		{"echo $?", "1\n", "", 0},
		{"cat", "", "", 0}, // there is nobody at the keyboard
		{"sleep 1000 & true", "", "", 0},
		{"set -e\nkill $!\nset +e", "", "", 0},
		{"eval if 2>/dev/null", "", "", 2},
		{"(exit 7)", "", "", 7},
	} {
		stdout, stderr, code, err := s.do(x.commands)
		if err != nil || stdout != x.stdout || stderr != x.stderr || code != x.code {
			t.Errorf("%s: %q, %q, %d, %v; want %q, %q, %d", x.commands, stdout, stderr, code, err, x.stdout, x.stderr, x.code)
		}
	}
	if _, stderr, _, err := s.do("set -e\necho why >&2\nfalse"); err == nil || stderr != "why\n" {
		t.Errorf("a shell that has ended: %v, %q", err, stderr)
	}
	if _, _, _, err := s.do("true"); err == nil {
		t.Error("a shell that has ended goes on")
	}
}
