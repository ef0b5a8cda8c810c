package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/fxamacker/cbor/v2"

	"github.com/yarnd/yarnd/engine/graph"
)

// Limits of what is kept of a command's output, unless CommandSpec says otherwise.
const (
	DefaultStdoutLimit = 64 << 20
	DefaultStderrLimit = 64 << 10
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

// command is one that runs.
type command struct {
	spec   *CommandSpec
	pid    int            // of its process and process group
	endFD  int            // readable when the process has ended
	watch  sync.WaitGroup // what sees to that, if it is no pidfd
	stdout *capture
	stderr *tail
	pipes  [2]pipe        // its output
	live   []*live        // copies of its output, for CommandSpec.Live
	oom    uint64         // OOM kills when it began
	input  sync.WaitGroup // what writes its standard input
	starve func()         // ends input
	asked  bool           // by us, to end
	mu     sync.Mutex
	reaped bool // its process number may be another's
}

// runCommand runs a task's command to its end.
func (c *child) runCommand(r *run) ([]byte, *graph.Failure) {
	p := c.planOf(r.class.spec)
	if p.err != nil {
		return nil, &graph.Failure{Kind: graph.FailSetup, Message: p.err.Error()}
	}
	if why := r.ctx.why(); why != nil {
		return nil, &graph.Failure{Kind: graph.FailCancelled, Message: why.Error()}
	}
	k := &command{
		spec:   p.spec,
		oom:    c.ooms.recent(),
		stdout: &capture{limit: p.spec.StdoutLimit},
		stderr: &tail{limit: int(min(p.spec.StderrLimit, 1<<30))},
		starve: func() {},
	}
	defer func() {
		for _, l := range k.live {
			l.remove()
		}
	}()
	w, err := c.takeWaiter()
	if err != nil {
		return nil, startFailure(p.spec.Argv[0], err)
	}
	defer c.giveWaiter(w)
	r.ctx.onEnd(w.wake)
	defer r.ctx.onEnd(nil)
	// The parent-death signal is bound to the thread that forks: it must live as long.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.expect(r)
	defer c.unregister(r)
	if err := c.start(k, p, r, w.null); err != nil {
		return nil, startFailure(p.spec.Argv[0], err)
	}
	c.register(r, k)
	c.await(k, r, w)
	status := c.reap(k)
	k.drain(w, errors.Is(r.ctx.why(), errLeaving))
	return k.outcome(status, &c.ooms)
}

// outcome judges how the command ended.
func (k *command) outcome(status syscall.WaitStatus, ooms *oomCount) ([]byte, *graph.Failure) {
	name := k.spec.Argv[0]
	fail := func(kind graph.FailKind, code int, format string, args ...any) ([]byte, *graph.Failure) {
		return nil, &graph.Failure{Kind: kind, ExitCode: int32(code), Message: name + " " + fmt.Sprintf(format, args...), Output: k.stderr.bytes()}
	}
	code, signal := exitCode(status)
	switch {
	case k.stdout.over: // the code would be of the signal that was sent for it
		return fail(graph.FailUser, 0, "wrote more than %d bytes to standard output: write to a file, or raise the limit", k.spec.StdoutLimit)
	case signal == syscall.SIGKILL && ooms.now() > k.oom:
		return fail(graph.FailMemory, code, "was killed by the kernel for its memory, or another of this container was")
	case signal != 0 && (k.asked || !k.spec.Live):
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
func exitCode(status syscall.WaitStatus) (code int, signal syscall.Signal) {
	if status.Signaled() {
		return 128 + int(status.Signal()), status.Signal()
	}
	return status.ExitStatus(), 0
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
