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
	death := &Death{Attempts: len(p.calls)}
	for id, c := range p.calls {
		delete(p.calls, id)
		c.end <- Result{Failure: p.death(c), Took: time.Since(p.started), Death: death}
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
