package executor

import (
	"bufio"
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
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/engine/graph"
)

// process is the worker's side of one executor.
//
//	starting ──ready──► live ──retire──► leaving ──last call ends──► gone
//	    └──────────────────┴───────── death ─────────┴──────────────► gone
//
// Its calls end with it.
type process struct {
	m       *Manager
	key     executorKey
	started time.Time
	in      *frameWriter
	out     io.Reader
	closeIn func() // asks the executor to end; once
	done    chan struct{}

	// of a process of its own; nil inside this one
	cmd    *exec.Cmd
	ends   []*os.File // this side's pipe ends
	stderr *tail
	copies sync.WaitGroup // of its output
	oom    uint64         // OOM kills of our control group before the start

	feed     chan read // pieces of inputs that it asked for
	expected atomic.Bool
	memory   atomic.Bool           // it was killed for its memory
	why      atomic.Pointer[error] // it was killed for what it sent

	mu     sync.Mutex
	calls  map[uint64]*call
	next   uint64
	stuck  int // calls that did not end when told to
	gone   bool
	reaped bool
	idle   *time.Timer
	users  int // runs that are under way
}

// call is a task in an executor.
type call struct {
	task  *Task
	data  []byte      // of the result so far
	pid   int         // its own process, 0: none
	stuck bool        // it did not end when told to
	end   chan Result // capacity 1
}

// launch starts an executor and waits until it is ready.
func (m *Manager) launch(key executorKey) (*process, error) {
	p := &process{
		m: m, key: key, done: make(chan struct{}), calls: map[uint64]*call{},
		feed: make(chan read, 64), started: time.Now(),
		stderr: &tail{limit: maxText}, oom: oomKills(),
	}
	if key.inside {
		p.inside()
	} else if err := p.spawn(); err != nil {
		return nil, &startError{err: err}
	}
	m.mu.Lock()
	m.all[p] = struct{}{}
	closed := m.closed
	m.mu.Unlock()
	greeted := make(chan error, 1)
	m.wg.Go(func() { p.watch(greeted) })
	if closed {
		p.end()
	}
	timer := time.AfterFunc(m.opts.StartTime, p.kill)
	err := <-greeted
	if !timer.Stop() {
		err = fmt.Errorf("it was not ready after %v: is the bundle a program that calls yarnd's Main first?", m.opts.StartTime)
	}
	if err == nil {
		return p, nil
	}
	p.kill()
	<-p.done
	return nil, &startError{err: err, code: p.code(), output: p.stderr.bytes()}
}

func (p *process) code() int {
	if p.cmd == nil || p.cmd.ProcessState == nil {
		return 0
	}
	code, _ := exitCode(p.cmd.ProcessState)
	return code
}

// inside makes the executor a part of this process.
func (p *process) inside() {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	p.in, p.out = &frameWriter{w: inW}, outR
	p.closeIn = func() { inW.Close() }
	var funcs Funcs
	if p.key.kind == graph.KindGo {
		funcs = p.m.opts.Funcs
	}
	p.copies.Go(func() {
		err := serve(bufio.NewReader(inR), outW, funcs, p.m.family)
		inR.CloseWithError(io.ErrClosedPipe)
		outW.CloseWithError(errors.Join(err, io.EOF))
	})
}

// spawn starts the executor's process.
func (p *process) spawn() (err error) {
	path, name := p.m.opts.Self, goExecutor
	if path == "" {
		path = ownPath()
	}
	switch {
	case p.key.kind == graph.KindCommand:
		name = commandExecutor
	case !p.key.bundle.IsZero():
		if p.m.opts.Bundle == nil {
			return errors.New("this worker takes no bundles")
		}
		if path, err = p.m.opts.Bundle(p.m.ctx, p.key.bundle); err != nil {
			return err
		}
	}
	cmd := exec.Command(path, "executor", name)
	cmd.Dir = p.m.opts.Dir
	if cmd.Env = p.m.opts.Environ; cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], envChild+"=1")
	if limit := p.m.opts.MemoryLimit; limit > 0 && !slices.ContainsFunc(cmd.Env, isMemLimit) {
		// The garbage collector works harder before the task is killed.
		cmd.Env = append(cmd.Env, fmt.Sprintf("%s%d", goMemLimit, uint64(collectShare*float64(limit))))
	}
	return p.connect(cmd)
}

const (
	goMemLimit   = "GOMEMLIMIT="
	collectShare = 0.7 // of the worker's memory that an executor may fill before it collects at all costs
)

func isMemLimit(v string) bool { return strings.HasPrefix(v, goMemLimit) }

// ownPath returns this process's executable: by its name, which process lists show,
// as long as that is still the same file.
func ownPath() string {
	const running = "/proc/self/exe"
	path, err := os.Executable()
	if err != nil {
		return running
	}
	named, err1 := os.Stat(path)
	real, err2 := os.Stat(running)
	if err1 != nil || err2 != nil || !os.SameFile(named, real) {
		return running
	}
	return path
}

// connect gives the process its pipes and starts it.
func (p *process) connect(cmd *exec.Cmd) (err error) {
	var theirs []*os.File
	defer func() {
		closeFiles(theirs)
		if err != nil {
			closeFiles(p.ends)
			p.copies.Wait()
		}
	}()
	pipe := func(write bool) (ours *os.File) {
		if err != nil {
			return nil
		}
		var r, w *os.File
		if r, w, err = os.Pipe(); err != nil {
			return nil
		}
		if write {
			r, w = w, r
		}
		p.ends, theirs = append(p.ends, r), append(theirs, w)
		return r
	}
	in, out, life := pipe(true), pipe(false), pipe(true)
	stdout, stderr := pipe(false), pipe(false)
	if err != nil {
		return err
	}
	_ = life // it is closed with the others, or by this process's death
	for _, f := range []*os.File{in, out} {
		enlarge(f)
	}
	cmd.ExtraFiles = theirs[:3]
	cmd.Stdout, cmd.Stderr = theirs[3], theirs[4]
	p.in, p.out = &frameWriter{w: in}, out
	p.closeIn = func() { in.Close() }
	if err = p.m.family.start(cmd, syscall.SIGTERM); err != nil {
		return err
	}
	p.cmd = cmd
	p.copyOutput(stdout, p.m.opts.Stdout, nil)
	p.copyOutput(stderr, p.m.opts.Stderr, p.stderr)
	if f := p.m.opts.onStart; f != nil {
		f(cmd.Process.Pid)
	}
	return nil
}

// enlarge gives a pipe room for several chunks, where the user's share of pipe
// memory allows (pipe(7)): fewer switches between the processes.
func enlarge(f *os.File) {
	if c, err := f.SyscallConn(); err == nil {
		c.Control(func(fd uintptr) { //nolint:errcheck // it is a wish
			unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 4*chunkSize) //nolint:errcheck // it is a wish
		})
	}
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// copyOutput passes on what the executor prints.
func (p *process) copyOutput(src io.Reader, dst io.Writer, also *tail) {
	l := &lines{mu: &p.m.out, dst: dst, prefix: fmt.Sprintf("[%s %d] ", p.key, p.cmd.Process.Pid)}
	var w io.Writer = l
	if also != nil {
		w = io.MultiWriter(l, also)
	}
	p.copies.Go(func() {
		io.Copy(w, src) //nolint:errcheck // ends when the pipe does
		l.flush()
	})
}

// watch lives as long as the executor: it greets it, reads what it says, and
// clears up behind it.
func (p *process) watch(greeted chan<- error) {
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		r := &frameReader{r: bufio.NewReaderSize(p.out, 64<<10), max: maxToWorker}
		err := p.greet(r)
		greeted <- err
		if err != nil {
			return
		}
		if err := p.listen(r); err != nil {
			p.why.Store(&err)
		}
	}()
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		p.serveReads()
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if p.cmd != nil {
			waitEnd(p.cmd.Process.Pid)
		} else {
			<-heard
		}
	}()
	select {
	case <-heard:
		p.kill() // it says no more: closed its pipe, or spoke nonsense
	case <-ended:
	}
	<-ended
	p.reap(heard)
	p.closeIn()
	close(p.feed)
	<-fed
	p.fail()
	p.m.ended(p, p.expected.Load())
	close(p.done)
}

// reap takes the ended process's status and what it still said, and kills what it
// left behind.
func (p *process) reap(heard <-chan struct{}) {
	if p.cmd == nil {
		p.out.(*io.PipeReader).CloseWithError(io.ErrClosedPipe)
		p.closeIn()
		p.copies.Wait()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), killTime)
	defer cancel()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	p.m.family.wait(p.cmd) //nolint:errcheck // the state tells
	p.m.family.killStrays(ctx, nil)
	// Everything that it wrote is in the pipes. Somebody who got away with their
	// other ends must not hold this up.
	soon := time.Now().Add(pipeWait)
	for _, f := range p.ends {
		f.SetReadDeadline(soon) //nolint:errcheck // then it is no reading end
	}
	<-heard
	p.copies.Wait()
	closeFiles(p.ends)
}

func (p *process) greet(r *frameReader) error {
	o := &p.m.opts
	err := p.in.write(kindSetup, func(b []byte) []byte {
		j, _ := json.Marshal(setup{Version: version, Host: o.Host, Worker: o.Worker, GraceMS: o.Grace.Milliseconds()})
		return append(b, j...)
	})
	if err != nil {
		return fmt.Errorf("it ended at once: %w", err)
	}
	k, body, err := r.next(nil)
	if err != nil {
		return fmt.Errorf("it ended before it was ready: %w", err)
	}
	var hello ready
	if k != kindReady || json.Unmarshal(body, &hello) != nil || hello.Version != version {
		return protocolError(fmt.Sprintf("frame %d instead of ready, or another version", k))
	}
	return nil
}

// listen handles what the executor says until its pipe ends.
func (p *process) listen(r *frameReader) error {
	for {
		k, body, err := r.next(nil)
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, os.ErrClosed) {
				return nil
			}
			return err
		}
		if err := p.handle(k, body); err != nil {
			return err
		}
	}
}

// handle does one frame. What concerns a call that is no more is ignored.
func (p *process) handle(k kind, body []byte) error {
	switch k {
	case kindBegan:
		id, pid, err := parseBegan(body)
		if err == nil {
			p.with(id, func(c *call) { c.pid = pid })
		}
		return err
	case kindRead:
		r, err := parseRead(body)
		if err == nil {
			p.feed <- r
		}
		return err
	case kindChunk:
		id, size, data, err := parseChunk(body)
		if err != nil {
			return err
		}
		p.with(id, func(c *call) {
			if c.data == nil { // room for all of it, as far as that is to be believed
				c.data = make([]byte, 0, min(size, believed))
			}
		})
		p.gather(id, data)
		return nil
	case kindDone:
		id, took, size, last, err := parseDone(body)
		if err != nil {
			return err
		}
		p.gather(id, last)
		return p.finish(id, size, took)
	case kindFailed:
		id, f, took, err := parseFailed(body)
		if err == nil {
			p.take(id, Result{Failure: f, Took: took})
		}
		return err
	}
	return protocolError(fmt.Sprintf("frame %d", k))
}

// believed is how much memory the announcement of a result is worth.
const believed = 16 << 20

func (p *process) with(id uint64, f func(*call)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.calls[id]; c != nil {
		f(c)
	}
}

// gather adds a piece to a call's result. One that grows too large ends the call,
// and what follows of it is ignored.
func (p *process) gather(id uint64, piece []byte) {
	var t *Task
	p.with(id, func(c *call) {
		if uint64(len(c.data)+len(piece)) > p.m.opts.MaxResult {
			t = c.task
			return
		}
		c.data = append(c.data, piece...)
	})
	if t != nil {
		p.take(id, Result{Failure: &graph.Failure{
			Kind:    graph.FailUser,
			Message: fmt.Sprintf("%s returned more than %d bytes: return less, or write to storage", t.Class.Name, p.m.opts.MaxResult),
		}})
	}
}

// finish ends a call with what was gathered.
func (p *process) finish(id uint64, size uint64, took time.Duration) (err error) {
	var data []byte
	p.with(id, func(c *call) {
		if data = c.data; uint64(len(data)) != size {
			err = protocolError(fmt.Sprintf("task %s: a result of %d bytes, announced as %d", c.task.ID, len(data), size))
		}
	})
	if err == nil {
		p.take(id, Result{Data: data, Took: took})
	}
	return err
}

// take ends a call.
func (p *process) take(id uint64, r Result) {
	p.mu.Lock()
	c := p.calls[id]
	if c != nil {
		delete(p.calls, id)
		if c.stuck {
			p.stuck--
		}
		c.end <- r
	}
	lost := p.stuck > 0 && p.stuck == len(p.calls)
	p.mu.Unlock()
	if lost {
		p.kill() // only calls are left that do not end
	}
}

// serveReads sends pieces of inputs. The executor always reads, so writing to it
// ends.
func (p *process) serveReads() {
	buf := make([]byte, 0, chunkSize)
	for r := range p.feed {
		var at io.ReaderAt
		p.with(r.call, func(c *call) {
			if int(r.input) < len(c.task.Inputs) {
				at = c.task.Inputs[r.input].At
			}
		})
		if at == nil {
			continue // the call has ended, and nobody waits
		}
		n, err := at.ReadAt(buf[:r.n], int64(r.offset))
		ok := n == int(r.n)
		p.in.write(kindData, func(b []byte) []byte { //nolint:errcheck // it is ending
			if b = appendDataHead(b, r.id, ok); ok {
				return append(b, buf[:n]...)
			}
			return append(b, fmt.Sprint(err)...)
		})
	}
}

// run runs a task. It reports false when the executor ended before the task
// reached it.
func (p *process) run(ctx context.Context, t *Task) (Result, bool) {
	c := &call{task: t, end: make(chan Result, 1)}
	id, ok := p.begin(c)
	if !ok {
		<-p.done
		return Result{}, false
	}
	defer p.leave()
	err := p.in.write(kindRun, func(b []byte) []byte { return appendRun(b, p.frame(id, t)) })
	if err != nil {
		p.kill()
		<-p.done
		return Result{}, false
	}
	// A task that does not end at its time limit, in spite of its executor, costs
	// the executor.
	var late <-chan time.Time
	if limit := t.Class.TimeLimit; limit > 0 {
		timer := time.NewTimer(limit + p.m.opts.Grace + stopSlack)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case r := <-c.end:
		return r, true
	case <-late:
		return p.despair(id, c, &graph.Failure{Kind: graph.FailTime, Message: fmt.Sprintf("%s did not end at its time limit of %v", t.Class.Name, t.Class.TimeLimit)}), true
	case <-ctx.Done():
	}
	reason := stopCancelled
	if errors.Is(context.Cause(ctx), errMemory) {
		reason = stopMemory
	}
	p.in.write(kindStop, func(b []byte) []byte { return appendStop(b, id, reason) }) //nolint:errcheck // then it is ending
	timer := time.NewTimer(p.m.opts.Grace + stopSlack)
	defer timer.Stop()
	select {
	case r := <-c.end:
		return r, true
	case <-timer.C:
		return p.despair(id, c, &graph.Failure{Kind: graph.FailCancelled, Message: t.Class.Name + " did not end when it was asked to"}), true
	}
}

// stopSlack is what a call gets beyond the grace that its executor gives it.
const stopSlack = 2 * time.Second

// despair gives a call up that does not end. Its executor gets no more calls, and
// is killed when only such calls are left in it: the others are not to blame.
func (p *process) despair(id uint64, c *call, f *graph.Failure) Result {
	p.m.retire(p)
	p.mu.Lock()
	if p.calls[id] == c {
		c.stuck = true
		p.stuck++
	}
	alone := p.stuck > 0 && p.stuck == len(p.calls)
	p.mu.Unlock()
	if alone {
		p.kill()
	}
	r := <-c.end
	if r.Failure != nil && (r.Failure.Kind == graph.FailDied || r.Failure.Kind == graph.FailCancelled) {
		f.Output = r.Failure.Output
		r.Failure = f
	}
	return r
}

// begin enters a call.
func (p *process) begin(c *call) (uint64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return 0, false
	}
	if p.idle != nil {
		p.idle.Stop()
		p.idle = nil
	}
	p.users++
	p.next++
	p.calls[p.next] = c
	return p.next, true
}

// leave ends a use; an executor without any is ended after a while.
func (p *process) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.users--; p.users == 0 && !p.gone {
		p.idle = time.AfterFunc(p.m.opts.IdleTime, p.expire)
	}
}

func (p *process) expire() {
	p.m.retire(p)
	p.mu.Lock()
	used := p.users > 0
	p.mu.Unlock()
	if !used {
		p.end()
	}
}

// Inputs so small are sent along with the task.
const (
	sendInput  = 64 << 10
	sendInputs = 256 << 10
)

// frame describes the task to the executor.
func (p *process) frame(id uint64, t *Task) *run {
	r := &run{
		call: id, kind: t.Class.Kind, task: t.ID, attempt: t.Attempt, limit: t.Class.TimeLimit,
		name: t.Class.Name, spec: t.Class.Spec, payload: t.Payload,
	}
	if len(t.Inputs) == 0 {
		return r
	}
	r.inputs = make([]runInput, len(t.Inputs))
	room := int64(sendInputs)
	for i, in := range t.Inputs {
		r.inputs[i] = runInput{task: in.Task, size: uint64(in.Size)}
		if in.Size <= sendInput && in.Size <= room {
			data := make([]byte, in.Size)
			if n, _ := in.At.ReadAt(data, 0); int64(n) == in.Size {
				r.inputs[i].sent, r.inputs[i].data = true, data
				room -= in.Size
			}
		}
	}
	return r
}

// end asks the executor to end, and kills it if it does not.
func (p *process) end() {
	p.expected.Store(true)
	p.closeIn()
	time.AfterFunc(p.m.opts.Grace+stopSlack, p.kill) // nothing happens if it has ended
}

// kill ends the executor's process: it is given a moment to kill its descendants.
func (p *process) kill() {
	p.signal(syscall.SIGTERM)
	time.AfterFunc(killAfter, func() { p.signal(syscall.SIGKILL) })
}

// killAfter is how long an executor has for killing its descendants.
const killAfter = 500 * time.Millisecond

// signal sends a signal to the process unless its pid may be another's by now.
func (p *process) signal(s syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		p.closeIn()
	} else if !p.reaped {
		p.cmd.Process.Signal(s) //nolint:errcheck // it may have ended
	}
}

// fail ends the calls that are left.
func (p *process) fail() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	if p.idle != nil {
		p.idle.Stop()
	}
	for id, c := range p.calls {
		delete(p.calls, id)
		c.end <- Result{Failure: p.death(c), Took: time.Since(p.started)}
	}
}

func (p *process) isGone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone
}

// death is the failure of a call whose executor ended.
func (p *process) death(c *call) *graph.Failure {
	f := &graph.Failure{Kind: graph.FailDied, Output: p.stderr.bytes()}
	how := "ended"
	if p.cmd != nil && p.cmd.ProcessState != nil {
		code, sig := exitCode(p.cmd.ProcessState)
		f.ExitCode = int32(code)
		if how = fmt.Sprintf("exited with code %d", code); sig != 0 {
			how = fmt.Sprintf("was ended by signal %d (%v)", int(sig), sig)
		}
		if p.memory.Load() || sig == syscall.SIGKILL && oomKills() > p.oom || outOfMemory(f.Output) {
			f.Kind = graph.FailMemory
			how += ", for its memory"
		}
	}
	if why := p.why.Load(); why != nil {
		how = "was ended: " + (*why).Error()
	}
	if p.expected.Load() {
		f.Kind = graph.FailCancelled
	}
	f.Message = fmt.Sprintf("the executor process of %s %s%s", c.task.Class.Name, how, firstPanic(f.Output))
	return f
}

// outOfMemory recognizes what Go's runtime says when it gets no memory.
func outOfMemory(stderr []byte) bool {
	s := string(stderr)
	return strings.Contains(s, "runtime: out of memory") || strings.Contains(s, "runtime: cannot allocate memory")
}

// firstPanic returns the line in which Go's runtime says why it ended the process,
// or the last line there is.
func firstPanic(stderr []byte) string {
	for line := range strings.Lines(string(stderr)) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return ": " + strings.TrimSpace(line)
		}
	}
	return lastLine(stderr)
}
