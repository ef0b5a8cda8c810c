package executor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/yarnd/yarnd/engine/graph"
)

// Limits of what is kept of a command's output, unless CommandSpec says otherwise.
const (
	DefaultStdoutLimit = 64 << 20
	DefaultStderrLimit = 64 << 10
	// pipeWait is how long output is awaited after a command's processes are gone;
	// only somebody who left its process group can hold it up.
	pipeWait = time.Second
)

// CommandSpec is graph.Class.Spec of a class of kind graph.KindCommand, as JSON.
// The task's payload is its item.
type CommandSpec struct {
	// Argv is the command. "{}" anywhere in an argument becomes the item. There is
	// no shell unless Argv names one.
	Argv []string `json:"argv"`
	// Env is added to the worker's environment.
	Env map[string]string `json:"env,omitempty"`
	// Dir is the working directory, relative to the container's; "" is that.
	Dir string `json:"dir,omitempty"`
	// Stdin gives the item on standard input, which is empty otherwise.
	Stdin bool `json:"stdin,omitempty"`
	// Feed gives on standard input what Manager.Give brings while the command runs.
	Feed bool `json:"feed,omitempty"`
	// OK lists exit codes besides 0 that are a success.
	OK []int `json:"ok,omitempty"`
	// Keep makes every exit code a success, for the result to tell. An end by a
	// signal stays a failure.
	Keep bool `json:"keep,omitempty"`
	// Live makes what the command writes readable while it runs (see LivePath), and
	// an end by a signal that the worker did not send a success, with 128+n as its
	// exit code, so that the result has all output whatever the command did.
	Live bool `json:"live,omitempty"`
	// Literal leaves "{}" in Argv alone.
	Literal bool `json:"literal,omitempty"`
	// StdoutLimit is the most bytes that the command may write to standard output: a
	// command that writes more fails. 0 is DefaultStdoutLimit.
	StdoutLimit int64 `json:"stdout_limit,omitempty"`
	// StderrLimit is how many bytes of the end of standard error are kept; the
	// command may write more. 0 is DefaultStderrLimit.
	StderrLimit int64 `json:"stderr_limit,omitempty"`
}

// CommandResult is the result of a command, as a CBOR map.
type CommandResult struct {
	Exit   int    `cbor:"exit"`
	Stdout []byte `cbor:"stdout"`
	Stderr []byte `cbor:"stderr"`
}

// ParseCommandSpec reads and checks a class's Spec.
func ParseCommandSpec(data []byte) (*CommandSpec, error) {
	s := &CommandSpec{}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	if len(s.Argv) == 0 || s.Argv[0] == "" {
		return nil, errors.New("command: no program named")
	}
	if s.Stdin && s.Feed {
		return nil, errors.New("command: two sources of standard input")
	}
	if s.StdoutLimit < 0 || s.StderrLimit < 0 {
		return nil, errors.New("command: negative output limit")
	}
	if s.StdoutLimit == 0 {
		s.StdoutLimit = DefaultStdoutLimit
	}
	if s.StderrLimit == 0 {
		s.StderrLimit = DefaultStderrLimit
	}
	return s, nil
}

// Expand returns the command line for an item.
func (s *CommandSpec) Expand(item []byte) []string {
	if s.Literal {
		return slices.Clone(s.Argv)
	}
	argv := make([]string, len(s.Argv))
	for i, a := range s.Argv {
		argv[i] = strings.ReplaceAll(a, "{}", string(item))
	}
	return argv
}

// Variables that tell a command for which task and attempt it runs. A command with
// effects outside can use them to make them once.
const (
	EnvTask    = "YARND_TASK"    // job/index
	EnvAttempt = "YARND_ATTEMPT" // from 1
)

// hidden are variables of the container that a command has no business with.
// The credentials file is the application's, not the command's.
var hidden = []string{"HADOOP_TOKEN_FILE_LOCATION", EnvTask, EnvAttempt, envChild}

// commandEnv returns the environment of a task's command.
func commandEnv(base []string, s *CommandSpec, r *run) []string {
	env := slices.DeleteFunc(slices.Clone(base), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(hidden, name) || isMemLimit(v)
	})
	for name, value := range s.Env {
		env = append(env, name+"="+value) // the last one counts
	}
	return append(env, EnvTask+"="+r.task.String(), fmt.Sprintf("%s=%d", EnvAttempt, r.attempt))
}

// command is one that runs.
type command struct {
	spec   *CommandSpec
	cmd    *exec.Cmd
	stdout *capture
	stderr *tail
	pipes  sync.WaitGroup  // what copies to and from it
	oom    uint64          // oomKills before its start
	ours   []*os.File      // this side's ends of its pipes
	live   []*live         // copies of its output, for CommandSpec.Live
	ended  bool            // by us, before its own end
	input  func(io.Writer) // writes its standard input; nil: it has none
	starve func()          // ends input
	mu     sync.Mutex
	reaped bool // its process number may be another's
}

// runCommand runs a task's command to its end.
func (c *child) runCommand(ctx context.Context, r *run) ([]byte, *graph.Failure) {
	spec, err := ParseCommandSpec(r.class.spec)
	if err != nil {
		return nil, &graph.Failure{Kind: graph.FailSetup, Message: err.Error()}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, &graph.Failure{Kind: graph.FailCancelled, Message: err.Error()}
	}
	ctx, overflow := context.WithCancelCause(ctx)
	defer overflow(nil)
	limit := fmt.Errorf("wrote more than %d bytes to standard output: write to a file, or raise the limit", spec.StdoutLimit)
	k := &command{
		spec:   spec,
		oom:    oomKills(),
		stdout: &capture{limit: spec.StdoutLimit, full: func() { overflow(limit) }},
		stderr: &tail{limit: int(min(spec.StderrLimit, 1<<30))},
	}
	defer func() {
		for _, l := range k.live {
			l.remove()
		}
	}()
	feeding, starve := context.WithCancel(ctx)
	k.starve = starve
	defer starve()
	switch {
	case spec.Stdin:
		k.input = func(w io.Writer) { w.Write(r.payload) } //nolint:errcheck // it need not read it
	case spec.Feed:
		k.input = func(w io.Writer) { c.feed(feeding, r, w) }
	}
	if err := k.start(c.family, r); err != nil {
		return nil, startFailure(spec.Argv[0], err)
	}
	c.register(r, k)
	defer c.unregister(r)
	state := k.wait(ctx, c.family, time.Duration(c.set.GraceMS)*time.Millisecond)
	return k.outcome(state, context.Cause(ctx) == limit, limit)
}

// register tells the worker which process the call has, and this side which tasks
// have commands.
func (c *child) register(r *run, k *command) {
	c.mu.Lock()
	c.tasks[taskMark(r.task.String(), fmt.Sprint(r.attempt))] = true
	c.commands[r.call] = k
	c.mu.Unlock()
	c.out.write(kindBegan, func(b []byte) []byte { return appendBegan(b, r.call, k.cmd.Process.Pid) }) //nolint:errcheck // the worker is gone
}

func (c *child) unregister(r *run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tasks, taskMark(r.task.String(), fmt.Sprint(r.attempt)))
	delete(c.commands, r.call)
	c.ended = true
}

func taskMark(task, attempt string) string { return task + "#" + attempt }

// sweepEvery is how often what commands left behind is looked for.
const sweepEvery = time.Second

// sweep kills what finished commands left behind: processes that left the
// command's group (setsid) and fell to this process. Their environment tells whose
// they are. One that hides that lives until the executor ends.
func (c *child) sweep(ctx context.Context) {
	for pause(ctx, sweepEvery) {
		c.mu.Lock()
		look := c.ended
		c.ended = false
		c.mu.Unlock()
		if !look || c.family == nil {
			continue
		}
		c.family.killStrays(ctx, func(pid int) bool {
			task := environ(pid, EnvTask)
			c.mu.Lock()
			defer c.mu.Unlock()
			return task != "" && !c.tasks[taskMark(task, environ(pid, EnvAttempt))]
		})
	}
}

// start starts the command with pipes for its output. They are made here and not
// by os/exec, whose Wait waits for them before the process group can be killed.
func (k *command) start(f *family, r *run) (err error) {
	argv := k.spec.Expand(r.payload)
	k.cmd = exec.Command(argv[0], argv[1:]...)
	k.cmd.Env = commandEnv(os.Environ(), k.spec, r)
	k.cmd.Dir = k.spec.Dir
	if strings.IndexByte(strings.Join(argv, ""), 0) >= 0 {
		return errors.New("an argument holds a NUL byte")
	}
	var theirs []*os.File
	defer func() {
		for _, file := range theirs {
			file.Close()
		}
		if err != nil {
			k.starve()
			k.closePipes()
			k.pipes.Wait()
		}
	}()
	for _, dst := range []io.Writer{k.both(k.stdout, r, Stdout, k.spec.StdoutLimit), k.both(k.stderr, r, Stderr, k.spec.StderrLimit)} {
		pr, pw, err := os.Pipe()
		if err != nil {
			return err
		}
		theirs, k.ours = append(theirs, pw), append(k.ours, pr)
		k.pipes.Go(func() { io.Copy(dst, pr) }) //nolint:errcheck // ends when the pipe does
	}
	k.cmd.Stdout, k.cmd.Stderr = theirs[0], theirs[1]
	if k.input != nil {
		pr, pw, err := os.Pipe()
		if err != nil {
			return err
		}
		theirs, k.ours = append(theirs, pr), append(k.ours, pw)
		k.cmd.Stdin = pr
		k.pipes.Go(func() {
			k.input(pw)
			pw.Close()
		})
	}
	return f.start(k.cmd, syscall.SIGKILL)
}

func (k *command) closePipes() {
	for _, file := range k.ours {
		file.Close()
	}
}

// wait waits for the command's end; when ctx ends, it asks its process group to
// end, and kills it after grace. Whoever is left of the group when the command has
// ended is killed.
func (k *command) wait(ctx context.Context, f *family, grace time.Duration) *os.ProcessState {
	pid := k.cmd.Process.Pid
	ended := make(chan struct{})
	go func() {
		waitEnd(pid)
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		k.ended = true
		if !errors.Is(context.Cause(ctx), errMemory) && !errors.Is(context.Cause(ctx), errLeaving) {
			syscall.Kill(-pid, syscall.SIGTERM) //nolint:errcheck // it may have ended
			waitOr(ended, grace)
		}
	}
	syscall.Kill(-pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
	<-ended
	k.starve()
	k.mu.Lock()
	k.reaped = true
	k.mu.Unlock()
	f.wait(k.cmd) //nolint:errcheck // the state tells
	copied := make(chan struct{})
	go func() {
		k.pipes.Wait()
		close(copied)
	}()
	if !errors.Is(context.Cause(ctx), errLeaving) {
		waitOr(copied, pipeWait)
	}
	k.closePipes()
	<-copied
	return k.cmd.ProcessState
}

// waitOr waits for done, for at most d.
func waitOr(done <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
}

// outcome judges how the command ended.
func (k *command) outcome(state *os.ProcessState, overflowed bool, limit error) ([]byte, *graph.Failure) {
	name := k.spec.Argv[0]
	fail := func(kind graph.FailKind, code int, format string, args ...any) ([]byte, *graph.Failure) {
		return nil, &graph.Failure{Kind: kind, ExitCode: int32(code), Message: name + " " + fmt.Sprintf(format, args...), Output: k.stderr.bytes()}
	}
	code, signal := exitCode(state)
	switch {
	case overflowed:
		return fail(graph.FailUser, 0, "%v", limit) // the code would be of the signal that was sent for it
	case signal == syscall.SIGKILL && oomKills() > k.oom:
		return fail(graph.FailMemory, code, "was killed by the kernel for its memory, or another of this container was")
	case signal != 0 && (k.ended || !k.spec.Live):
		return fail(graph.FailUser, code, "was ended by signal %d (%v)", int(signal), signal)
	case code != 0 && !k.spec.Keep && !slices.Contains(k.spec.OK, code):
		return fail(graph.FailUser, code, "exited with code %d%s", code, lastLine(k.stderr.bytes()))
	}
	data, err := cbor.Marshal(CommandResult{Exit: code, Stdout: notNil(k.stdout.buf.Bytes()), Stderr: notNil(k.stderr.bytes())})
	if err != nil {
		return fail(graph.FailSetup, code, "gave a result that cannot be encoded: %v", err)
	}
	return data, nil
}

// notNil makes no bytes an empty byte string; nil would be CBOR's null.
func notNil(b []byte) []byte { return append([]byte{}, b...) }

// exitCode returns the code, which is 128+n for an end by signal n, as a shell
// tells it.
func exitCode(state *os.ProcessState) (code int, signal syscall.Signal) {
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), ws.Signal()
	}
	return state.ExitCode(), 0
}

// lastLine returns the last line of standard error as the tail of a message.
func lastLine(output []byte) string {
	output = bytes.TrimRight(output, "\r\n")
	line := output[bytes.LastIndexByte(output, '\n')+1:]
	if len(line) == 0 {
		return ""
	}
	return ": " + string(line[:min(len(line), 300)])
}

// capture keeps what is written up to a limit, and then calls full and keeps no
// more.
type capture struct {
	buf   bytes.Buffer
	limit int64
	full  func()
	over  bool
}

func (c *capture) Write(p []byte) (int, error) {
	if c.over {
		return len(p), nil
	}
	if int64(c.buf.Len()+len(p)) > c.limit {
		c.over = true
		c.full()
		return len(p), nil
	}
	return c.buf.Write(p)
}

// tail keeps the end of what is written.
type tail struct {
	mu    sync.Mutex
	buf   []byte
	limit int
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[max(0, len(p)-t.limit):]...)
	if len(t.buf) > 2*t.limit { // not at each write
		t.buf = append(t.buf[:0], t.buf[len(t.buf)-t.limit:]...)
	}
	return len(p), nil
}

// bytes returns the tail, a copy.
func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.buf[max(0, len(t.buf)-t.limit):])
}
