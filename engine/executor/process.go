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
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

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
	place   *slot
	key     executorKey
	started time.Time
	in      *frameWriter
	out     io.Reader
	closeIn func() // asks the executor to end; once
	done    chan struct{}

	// of a process of its own; nil inside this one
	cmd    *exec.Cmd
	path   string     // of the interpreter
	ends   []*os.File // this side's pipe ends
	stderr *tail
	copies sync.WaitGroup // of its output
	oom    uint64         // OOM kills of our control group before the start

	// Where it says which calls run: one of both.
	pageFile *os.File
	page     page // inside this process

	heard    turn      // of who reads from it, used again
	feed     chan read // pieces of inputs that it asked for
	far      farReads  // of inputs that lie elsewhere
	kick     chan struct{}
	pen      sync.Mutex // of who takes what is to be written and writes it
	writer   taskWriter // of who has the pen
	expected atomic.Bool
	memory   atomic.Bool           // it was killed for its memory
	why      atomic.Pointer[error] // it was killed for what it sent

	mu       sync.Mutex
	calls    callTable
	order    uint64    // of the last task handed over
	limit    int       // slots that its calls may take at once
	pending  []*Task   // to be written
	recalls  []uint64  // to be written behind
	orders   []byte    // frames, to be written last
	timed    []*Task   // that must end some time
	hasStuck bool      // some did not
	used     time.Time // when the last call ended; zero: it takes none yet
	gone     bool
	reaped   bool
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
	quit, written := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(written)
		p.write(quit)
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
	close(quit)
	<-fed
	<-written
	var n turn
	spared := p.fail(&n)
	if p.pageFile != nil {
		p.pageFile.Close()
	}
	p.m.ended(p, p.expected.Load(), spared, &n)
	p.m.do(&n)
	p.far.wait() // they end with their calls
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
	p.m.family.killStrays(ctx, true, nil)
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
		j, _ := json.Marshal(setup{Version: version, Host: o.Host, Worker: o.Worker, GraceMS: o.Grace.Milliseconds(), Slots: o.Slots, Parked: p.mayPark()})
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
		k, body, err := r.next(func(k kind) bool { return k == kindDone }) // results are views of it
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
			p.with(id, func(t *Task) { t.pid = pid })
		}
		return err
	case kindRead:
		r, err := parseRead(body)
		if err == nil {
			p.feed <- r
		}
		return err
	case kindPark:
		return p.parks(body)
	case kindNest:
		return p.nested(body)
	case kindResult:
		return p.readResult(body)
	case kindRecalled:
		calls, ok, err := parseRecalled(body)
		if err == nil {
			p.recalled(calls, ok)
		}
		return err
	}
	if k == kindChunk && p.m.opts.Sink != nil {
		return p.pour(body)
	}
	n := &p.heard
	p.mu.Lock()
	err := p.outcome(k, body, n)
	p.mu.Unlock()
	p.m.do(n)
	if p.key.kind == graph.KindPython && len(n.reports) > 0 {
		p.turned()
	}
	n.reset()
	return err
}

// outcome does a frame about results. Called with p.mu.
func (p *process) outcome(k kind, body []byte, n *turn) (err error) {
	switch k {
	case kindChunk:
		id, size, data, err := parseChunk(body)
		if t := p.calls.get(id); err == nil && t != nil {
			p.gather(t, size, data, n)
		}
		return err
	case kindDone:
		bad := parseDones(body, func(r doneRow) {
			if t := p.calls.get(r.call); err == nil && t != nil {
				err = p.finish(t, r, n)
			}
		})
		return errors.Join(bad, err)
	case kindFailed:
		id, f, took, err := parseFailed(body)
		if t := p.calls.get(id); err == nil && t != nil {
			p.end(t, Result{Failure: f, Took: took}, n)
		}
		return err
	}
	return protocolError(fmt.Sprintf("frame %d", k))
}

// shutdown asks the executor to end, and kills it if it does not.
func (p *process) shutdown() {
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

// opens says that the process takes calls from now on.
func (p *process) opens() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = time.Now()
}

// running returns the ids that the page says run.
func (p *process) running() []uint64 {
	if p.pageFile != nil {
		return readPage(p.pageFile, p.pageSlots())
	}
	return p.page.ids()
}

// mostSpared is how many executors may die under a task that they do not seem to have
// begun, and that have begun no other either.
const mostSpared = 3

// fail ends the calls that are left, and returns those that had not begun: they are
// somebody else's to run. The page tells which those are. If it names none at all,
// nobody had begun, or it was tampered with; not for ever.
func (p *process) fail(n *turn) (spared []*Task) {
	began := map[uint64]bool{}
	for _, id := range p.running() {
		began[id] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = true
	left := p.calls.all()
	known := 0
	for _, t := range left {
		if began[t.id] {
			known++
		}
	}
	for _, t := range left {
		p.calls.remove(t)
		if known == 0 {
			t.spared++
		}
		if !p.expected.Load() && t.stuck == nil && !began[t.id] && t.spared <= mostSpared {
			spared = append(spared, t)
			continue
		}
		n.end(t, p.death(t))
	}
	return spared
}

// death is the failure of a call whose executor ended.
func (p *process) death(t *Task) Result {
	f := &graph.Failure{Kind: graph.FailDied, Output: p.stderr.bytes()}
	how := "ended"
	if p.cmd != nil && p.cmd.ProcessState != nil {
		code, sig := exitCode(p.cmd.ProcessState.Sys().(syscall.WaitStatus))
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
	f.Message = fmt.Sprintf("the executor process of %s %s%s", t.Class.Name, how, firstPanic(f.Output))
	if t.stuck != nil {
		t.stuck.Output, f = f.Output, t.stuck
	}
	return Result{Failure: f, Took: time.Since(p.started), Died: isDeath(f.Kind)}
}

func isDeath(k graph.FailKind) bool { return k == graph.FailDied || k == graph.FailMemory }

// outOfMemory recognizes what Go's runtime says when it gets no memory.
func outOfMemory(stderr []byte) bool {
	s := string(stderr)
	return strings.Contains(s, "runtime: out of memory") || strings.Contains(s, "runtime: cannot allocate memory")
}

// firstPanic returns the line in which Go's runtime says why it ended the process,
// or the last line there is.
func firstPanic(stderr []byte) string {
	if line := pythonFatal(stderr); line != nil {
		return ": " + string(line)
	}
	for line := range strings.Lines(string(stderr)) {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
			return ": " + strings.TrimSpace(line)
		}
	}
	return lastLine(stderr)
}
