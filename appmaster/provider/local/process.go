package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// spawner starts processes, all from one thread: the kernel sends the
// parent-death signal when the *thread* ends that started a process, and Go ends
// threads as it likes. This one is locked to a goroutine that lives until close.
type spawner struct {
	requests chan spawnRequest
	stopped  chan struct{}
	lifeline *os.File // reading end, for the containers
	hold     *os.File // writing end; its closing is the signal
}

type spawnRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func newSpawner() (*spawner, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s := &spawner{requests: make(chan spawnRequest), stopped: make(chan struct{}), lifeline: r, hold: w}
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		defer close(s.stopped)
		for req := range s.requests {
			req.result <- req.cmd.Start()
		}
	}()
	return s, nil
}

// start starts a process as leader of a session of its own.
func (s *spawner) start(st startup) (*process, error) {
	stdout, err := openLog(st.stdout)
	if err != nil {
		return nil, err
	}
	defer stdout.Close()
	stderr, err := openLog(st.stderr)
	if err != nil {
		return nil, err
	}
	defer stderr.Close()
	cmd := &exec.Cmd{
		Path: st.argv[0], Args: st.argv, Dir: st.dir, Env: st.env,
		Stdout: stdout, Stderr: stderr,
		ExtraFiles:  []*os.File{s.lifeline}, // descriptor 3
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	req := spawnRequest{cmd, make(chan error, 1)}
	s.requests <- req
	if err := <-req.result; err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", st.argv[0], err)
	}
	return &process{cmd: cmd, pid: cmd.Process.Pid, ended: make(chan struct{})}, nil
}

func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// close ends the thread. All processes must have ended before.
func (s *spawner) close() {
	close(s.requests)
	<-s.stopped
	s.lifeline.Close()
	s.hold.Close()
}

// process is a container's process and its session.
type process struct {
	cmd   *exec.Cmd
	pid   int
	ended chan struct{} // closed when it was waited for
	once  sync.Once

	mu     sync.Mutex
	reaped bool // the pid may be somebody else's now: no signals any more
}

// wait waits until the process has ended, ends the rest of its session, and tells
// how the process ended, the way a shell does: 128 + n for signal n.
func (p *process) wait() (status int32, why string) {
	// The leader stays a zombie, and the session's number ours, until all
	// others are gone.
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	killSession(p.pid)
	p.mu.Lock()
	p.reaped = true
	err := p.cmd.Wait()
	p.mu.Unlock()
	close(p.ended)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 1, err.Error()
	}
	ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return 128 + int32(ws.Signal()), "ended by " + ws.Signal().String()
	}
	return int32(p.cmd.ProcessState.ExitCode()), ""
}

// terminate asks the process to end, and makes it after the grace. The signal
// goes to its process group, as under YARN, where a container's shell and all its
// children get it.
func (p *process) terminate(grace time.Duration) {
	p.once.Do(func() {
		p.signal(syscall.SIGTERM)
		timer := time.AfterFunc(grace, p.kill)
		go func() {
			<-p.ended
			timer.Stop()
		}()
	})
}

// kill ends the process group at once; wait sees to the rest of the session.
func (p *process) kill() { p.signal(syscall.SIGKILL) }

func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		// A failure means that it has ended by itself.
		syscall.Kill(-p.pid, sig)
	}
}
