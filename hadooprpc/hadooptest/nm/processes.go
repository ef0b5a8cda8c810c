package nm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Processes runs containers as processes of this machine, each the leader of a session of its own, as
// DefaultContainerExecutor does with setsid. Nothing stays behind:
//
//   - when a container's leader ends, the rest of its session is killed before the end is reported;
//   - when this process dies, the kernel kills the leaders (PR_SET_PDEATHSIG), and a watchdog, a shell that reads a
//     pipe whose other end only this process has, kills what is left of their sessions;
//   - Close kills all, also what left its session: its environment names the container's token
//     file, whose path is nobody else's.
//
// It is safe for concurrent use, and several nodes may share one.
type Processes struct {
	spawns  chan spawn
	stopped chan struct{}
	dog     *exec.Cmd
	leash   *os.File // writing end

	mu     sync.Mutex
	live   map[*process]bool
	marks  map[string]bool // token files of all containers there were
	closed bool
}

type spawn struct {
	cmd    *exec.Cmd
	enter  func() (leave func() error, err error) // may be nil
	result chan error
}

// start starts the process, where it is to be born.
func (s spawn) start() error {
	if s.enter == nil {
		return s.cmd.Start()
	}
	leave, err := s.enter()
	if err != nil {
		return err
	}
	err = s.cmd.Start()
	if out := leave(); out != nil { // no other process of this thread would be where it belongs
		panic("nm: the thread that starts containers cannot leave a node: " + out.Error())
	}
	return err
}

// watchdog kills the sessions it was told of and not told to forget, once its input ends. It needs nothing but bash.
const watchdog = `declare -A s
while read -r op id; do
  if [ "$op" = + ]; then s[$id]=1; else unset "s[$id]"; fi
done
for round in {1..1000}; do
  left=
  for f in /proc/[0-9]*/stat; do
    line=
    { IFS= read -r -d '' line <"$f"; } 2>/dev/null
    set -- ${line##*) }
    if [ -n "$4" ] && [ -n "${s[$4]}" ] && [ "$1" != Z ]; then
      p=${f#/proc/}
      kill -KILL "${p%/stat}" 2>/dev/null
      left=1
    fi
  done
  [ -z "$left" ] && exit
done`

// NewProcesses returns a launcher that runs until Close. It needs /bin/bash.
func NewProcesses() (*Processes, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	dog := &exec.Cmd{Path: "/bin/bash", Args: []string{"bash", "-c", watchdog}, Stdin: r, Dir: "/", SysProcAttr: &syscall.SysProcAttr{Setsid: true}}
	if err := dog.Start(); err != nil {
		w.Close()
		return nil, fmt.Errorf("nm: containers need /bin/bash: %w", err)
	}
	p := &Processes{spawns: make(chan spawn), stopped: make(chan struct{}), dog: dog, leash: w, live: map[*process]bool{}, marks: map[string]bool{}}
	go p.spawnAll()
	return p, nil
}

// spawnAll starts processes, all from one thread: the kernel sends the parent-death signal when the thread ends that
// started a process, and Go ends threads as it likes.
func (p *Processes) spawnAll() {
	runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
	defer close(p.stopped)
	for s := range p.spawns {
		s.result <- s.start()
	}
}

// Launch implements Launcher.
func (p *Processes) Launch(l *Launch) (Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errors.New("nm: the launcher is closed")
	}
	cmd := &exec.Cmd{
		Path: "/bin/bash", Args: []string{"/bin/bash", l.Script}, Dir: l.Dir, Env: l.Env,
		SysProcAttr: &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL},
	}
	s := spawn{cmd, l.Enter, make(chan error, 1)}
	p.spawns <- s
	if err := <-s.result; err != nil {
		return nil, fmt.Errorf("cannot run the launch script: %w", err)
	}
	proc := &process{owner: p, cmd: cmd, pid: cmd.Process.Pid}
	fmt.Fprintf(p.leash, "+ %d\n", proc.pid)
	p.live[proc], p.marks[filepath.Join(l.Dir, tokensFile)] = true, true
	return proc, nil
}

// Close kills what still runs, and returns when somebody has waited for each process. It may be called twice.
func (p *Processes) Close() error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	for proc := range p.live {
		proc.Signal(syscall.SIGKILL)
	}
	p.mu.Unlock()
	for p.count() > 0 {
		time.Sleep(time.Millisecond)
	}
	killMarked(p.marks)
	close(p.spawns)
	<-p.stopped
	p.leash.Close()
	return p.dog.Wait()
}

func (p *Processes) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.live)
}

// process is a container's leader.
type process struct {
	owner *Processes
	cmd   *exec.Cmd
	pid   int

	mu     sync.Mutex
	reaped bool // the number may be somebody else's now: no signals any more
}

func (p *process) PID() int { return p.pid }

func (p *process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped || ended(p.pid) {
		return syscall.ESRCH
	}
	return syscall.Kill(-p.pid, s)
}

func (p *process) Wait() int32 {
	// The leader stays a zombie, and the session's number ours, until all others are gone.
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	killSession(p.pid)
	p.mu.Lock()
	p.reaped = true
	p.cmd.Wait()
	p.mu.Unlock()
	p.owner.mu.Lock()
	delete(p.owner.live, p)
	fmt.Fprintf(p.owner.leash, "- %d\n", p.pid)
	p.owner.mu.Unlock()
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return signalBase + int32(ws.Signal())
	}
	return int32(p.cmd.ProcessState.ExitCode())
}

// killSession kills what is left of a session whose leader has ended, and waits until it is gone. New processes may
// be made while the list is read, so it is read until it is empty; somebody else's reaper may take a while, hence a
// bound.
func killSession(sid int) {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		left := 0
		for _, st := range processes() {
			if st.session == sid && st.state != 'Z' && st.pid != sid {
				left++
				syscall.Kill(st.pid, syscall.SIGKILL)
			}
		}
		if left == 0 {
			return
		}
	}
}

// killMarked kills processes of containers that have left their sessions.
func killMarked(marks map[string]bool) {
	if len(marks) == 0 {
		return
	}
	for _, st := range processes() {
		f, err := os.Open(fmt.Sprintf("/proc/%d/environ", st.pid))
		if err != nil {
			continue
		}
		env, _ := io.ReadAll(io.LimitReader(f, 1<<20))
		f.Close()
		for v := range strings.SplitSeq(string(env), "\x00") {
			if file, ok := strings.CutPrefix(v, "HADOOP_TOKEN_FILE_LOCATION="); ok && marks[file] && st.pid != os.Getpid() {
				syscall.Kill(st.pid, syscall.SIGKILL)
			}
		}
	}
}
