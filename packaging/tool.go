package packaging

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// findTool looks for a program on the path and in further directories; "" is
// nowhere.
func findTool(name string, dirs ...string) string {
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	for _, d := range dirs {
		if d == "" || !filepath.IsAbs(d) {
			continue
		}
		if p, err := exec.LookPath(filepath.Join(d, name)); err == nil {
			return p
		}
	}
	return ""
}

// repack has another packer write its archive, and writes that again with a
// manifest, without what differs from run to run.
func repack(ctx context.Context, s Source, to string, o PackOptions, argv func(out string) []string) (Packed, error) {
	scratch, err := os.MkdirTemp(filepath.Dir(to), ".yarnd-pack-")
	if err != nil {
		return Packed{}, &PackError{Source: s.Name, Why: err.Error(), Err: err}
	}
	defer os.RemoveAll(scratch)
	out := filepath.Join(scratch, "packed.tar.gz")
	if err := runTool(ctx, s.Name, argv(out), nil); err != nil {
		return Packed{}, err
	}
	tree := filepath.Join(scratch, "tree")
	if _, err := Unpack(ctx, out, tree, Limits{Ratio: -1, OutsideLinks: true}); err != nil {
		if isFull(err) {
			return Packed{}, &PackError{Source: s.Name, Why: "the disk of " + filepath.Dir(to) + " is full", Hint: "name a place on another one with --to", Err: err}
		}
		return Packed{}, &PackError{Source: s.Name, Why: filepath.Base(argv(out)[0]) + " wrote what cannot be unpacked: " + err.Error(), Err: err}
	}
	if err := os.Remove(out); err != nil {
		return Packed{}, &PackError{Source: s.Name, Why: err.Error(), Err: err}
	}
	return packDir(ctx, tree, s.Kind, to, o)
}

// grace is how long a tool may take to end when it is told to.
const grace = 3 * time.Second

// runTool runs another program and keeps the end of what it says for an error.
func runTool(ctx context.Context, source string, argv, env []string) error {
	out, err := output(ctx, argv, env)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &PackError{Source: source, Why: fmt.Sprintf("%s failed (%v)%s", filepath.Base(argv[0]), err, said(out)),
		Hint: "correct that, or run it by hand: " + strings.Join(argv, " "), Err: err}
}

// output runs a program in a process group of its own, which ends with ctx, and
// returns the last part of all that it writes.
func output(ctx context.Context, argv, env []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = grace
	var tail tail
	cmd.Stdout, cmd.Stderr = &tail, &tail
	err := cmd.Run()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return tail.b, err
}

// tail keeps the last bytes written to it.
type tail struct{ b []byte }

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > tailSize {
		t.b = append(t.b[:0], t.b[len(t.b)-tailSize:]...)
	}
	return len(p), nil
}

// said is what a program wrote last, for an error's text: its last line, or all lines
// from the one that begins with "error:", as uv puts the causes below it.
func said(out []byte) string {
	out = bytes.TrimSpace(out)
	from := bytes.LastIndexByte(out, '\n') + 1
	if i := bytes.LastIndex(append([]byte("\n"), out...), []byte("\nerror: ")); i >= 0 {
		from = i
	}
	var lines []string
	for line := range bytes.Lines(out[from:]) {
		lines = append(lines, strings.TrimSpace(string(line)))
	}
	if len(lines) == 0 {
		return ""
	}
	return ": " + strings.Join(lines, "; ")
}
