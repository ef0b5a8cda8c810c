package executor

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/rawio"
)

// launch starts an executor and waits until it is ready.
func (m *Manager) launch(s *slot) (*process, error) {
	key := s.key
	p := &process{
		m: m, place: s, key: key, done: make(chan struct{}),
		feed: make(chan read, 64), kick: make(chan struct{}, 1), started: time.Now(),
		stderr: &tail{limit: maxText}, oom: oomKills(),
	}
	p.writer.p = p
	if key.inside {
		p.inside()
	} else if err := p.spawn(); err != nil {
		return nil, &startError{err: err}
	}
	m.mu.Lock()
	m.all[p] = struct{}{}
	s.live++
	closed := m.closed
	m.mu.Unlock()
	greeted := make(chan error, 1)
	m.wg.Go(func() { p.watch(greeted) })
	if closed {
		p.shutdown()
	}
	timer := time.AfterFunc(m.opts.StartTime, p.kill)
	err := <-greeted
	if !timer.Stop() {
		err = fmt.Errorf("it was not ready after %v%s", m.opts.StartTime, notReady[key.kind])
	}
	if err == nil {
		return p, nil
	}
	if p.path != "" {
		err = fmt.Errorf("%s: %w", p.path, err)
	}
	p.kill()
	<-p.done
	return nil, &startError{err: err, code: p.code(), output: p.stderr.bytes()}
}

// notReady is what may be the matter with an executor that does not get ready.
var notReady = map[graph.Kind]string{graph.KindGo: ": is the bundle a program that calls yarnd's Main first?"}

func (p *process) code() int {
	if p.cmd == nil || p.cmd.ProcessState == nil {
		return 0
	}
	code, _ := exitCode(p.cmd.ProcessState.Sys().(syscall.WaitStatus))
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
	p.page = make(page, p.pageSlots())
	p.copies.Go(func() {
		err := serve(bufio.NewReader(inR), outW, funcs, p.m.family, func(int) (page, error) { return p.page, nil }, 0)
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
	case p.key.kind == graph.KindPython:
		return p.spawnPython()
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

// connect gives the process its pipes, and more behind the page, and starts it.
func (p *process) connect(cmd *exec.Cmd, more ...*os.File) (err error) {
	var theirs []*os.File
	defer func() {
		closeFiles(theirs)
		if err != nil {
			closeFiles(p.ends)
			if p.pageFile != nil {
				p.pageFile.Close()
			}
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
	if p.pageFile, err = newPageFile(p.pageSlots()); err != nil {
		return err
	}
	cmd.ExtraFiles = append(append(theirs[:3:3], p.pageFile), more...)
	cmd.Stdout, cmd.Stderr = theirs[3], theirs[4]
	raw, err := rawio.NewFile(in)
	if err != nil {
		return err
	}
	p.in = &frameWriter{w: raw, raw: raw}
	if p.out, err = rawio.NewFile(out); err != nil {
		return err
	}
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
