package executor

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// family starts child processes and sees to it that none outlives its parent.
//
// The parent-death signal that Linux sends is bound to the thread that forked, and the
// Go runtime ends idle threads: children that start starts are forked by one OS thread,
// which lives as long as the family does.
//
// A family that adopts makes this process the one to which orphaned descendants
// fall (PR_SET_CHILD_SUBREAPER), and finds and kills them.
type family struct {
	adopt bool
	reaps bool // adopted processes, as they end
	jobs  chan func()
	quit  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup

	// looks is held for reading while a child is started and not yet known, for writing
	// by those who look for children that are not known. It is taken before mu.
	looks sync.RWMutex
	mu    sync.Mutex
	known map[int]bool // children started here and not yet waited for
}

// newFamily starts a family, which must be closed. Whether it adopts, and then reaps
// orphans as they end, which only a process may do that starts children in no other way.
func newFamily(adopt, reaps bool) (*family, error) {
	f := &family{adopt: adopt, reaps: adopt && reaps, jobs: make(chan func()), quit: make(chan struct{}), known: map[int]bool{}}
	if adopt {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return nil, os.NewSyscallError("prctl", err)
		}
	}
	if f.reaps {
		f.wg.Go(f.reapOrphans)
	}
	f.wg.Go(f.thread)
	return f, nil
}

// thread runs jobs on one OS thread. It never unlocks it, so that the thread ends
// with the family.
func (f *family) thread() {
	runtime.LockOSThread()
	for {
		select {
		case job := <-f.jobs:
			job()
		case <-f.quit:
			return
		}
	}
}

// do runs job on the thread and waits for it, if the family is not closed.
func (f *family) do(job func()) {
	done := make(chan struct{})
	select {
	case f.jobs <- func() { defer close(done); job() }:
		<-done
	case <-f.quit:
	}
}

var errFamilyClosed = errors.New("executor: closed")

// start starts cmd in a process group of its own, with sig as its parent-death
// signal.
func (f *family) start(cmd *exec.Cmd, sig syscall.Signal) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: sig}
	err := errFamilyClosed
	f.do(func() {
		err = f.bear(func() (int, error) {
			if err := cmd.Start(); err != nil {
				return 0, err
			}
			return cmd.Process.Pid, nil
		})
	})
	return err
}

// fork starts a process on the calling thread, to be waited for by collect.
func (f *family) fork(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	err = f.bear(func() (int, error) {
		pid, _, err = syscall.StartProcess(path, argv, attr)
		return pid, err
	})
	return pid, err
}

// bear makes the child that start starts a known one.
func (f *family) bear(start func() (pid int, err error)) error {
	f.looks.RLock()
	defer f.looks.RUnlock()
	select {
	case <-f.quit:
		return errFamilyClosed
	default:
	}
	pid, err := start()
	if err == nil {
		f.mu.Lock()
		f.known[pid] = true
		f.mu.Unlock()
	}
	return err
}

// collect takes the status of a child that fork started and that has ended.
func (f *family) collect(pid int) (status syscall.WaitStatus) {
	f.mu.Lock() // until it is forgotten: its number may be given to another child
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	delete(f.known, pid)
	f.mu.Unlock()
	f.reap() // it may have hidden orphans, see there
	return status
}

// waitEnd waits until the child has ended, without reaping it: its pid, and so its
// process group's id, cannot be taken by others yet.
func waitEnd(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// wait reaps a child that start started.
func (f *family) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	f.mu.Lock()
	delete(f.known, cmd.Process.Pid)
	f.mu.Unlock()
	f.reap()
	return err
}

// reapOrphans reaps adopted processes as they end.
func (f *family) reapOrphans() {
	died := make(chan os.Signal, 1)
	signal.Notify(died, syscall.SIGCHLD)
	defer signal.Stop(died)
	for {
		select {
		case <-died:
			f.reap()
		case <-f.quit:
			return
		}
	}
}

// reap reaps the orphans that have ended. It must not take a known child's status
// from the one who waits for it, so it looks before it takes; a known child that
// is seen hides orphans behind it until it is waited for.
func (f *family) reap() {
	if !f.reaps {
		return
	}
	f.looks.Lock()
	defer f.looks.Unlock()
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		pid := sigchldPid(&info)
		if err != nil || pid == 0 || f.knows(pid) {
			return
		}
		unix.Wait4(pid, nil, unix.WNOHANG, nil) //nolint:errcheck // it has ended
	}
}

func (f *family) knows(pid int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[pid]
}

// tree returns this process and its descendants, and may be others too. While it has no
// children an idle worker reads one file.
func (f *family) tree() (t table) {
	f.mu.Lock()
	children := len(f.known)
	f.mu.Unlock()
	if children > 0 {
		if t, ok := familyOf(os.Getpid()); ok {
			return t
		}
		return processes()
	}
	if p, ok := readStat(os.Getpid(), make([]byte, 1024)); ok {
		t = append(t, p)
	}
	return t
}

// strays returns this process's children that the family did not start: orphans of
// its descendants. It reaps those that have ended. Unless it is thorough it may miss one.
func (f *family) strays(thorough bool) (pids []int) {
	f.looks.Lock()
	defer f.looks.Unlock()
	children, ok := childrenOf(os.Getpid())
	if thorough || !ok {
		children = children[:0]
		for _, p := range processes() {
			if p.ppid == os.Getpid() {
				children = append(children, p.pid)
			}
		}
	}
	for _, pid := range children {
		if f.knows(pid) {
			continue
		}
		if ended, err := unix.Wait4(pid, nil, unix.WNOHANG, nil); ended == 0 && err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killStrays kills orphans that want selects, and their descendants as they fall
// to this process, until there are none or ctx ends. See strays for thorough.
func (f *family) killStrays(ctx context.Context, thorough bool, want func(pid int) bool) {
	if !f.adopt {
		return
	}
	for {
		n := 0
		for _, pid := range f.strays(thorough) {
			if want == nil || want(pid) {
				n++
				killTree(pid)
			}
		}
		if n == 0 || !pause(ctx, 5*time.Millisecond) {
			return
		}
	}
}

// killAll kills every descendant of this process until there are none or ctx ends.
// Nothing can be started any more. It is the last thing an executor does.
func (f *family) killAll(ctx context.Context) {
	f.once.Do(func() { close(f.quit) })
	f.looks.Lock()
	//lint:ignore SA2001 what is being started is there then
	f.looks.Unlock()
	self := os.Getpid()
	for {
		all := processes().descendants(self)
		for _, pid := range all {
			syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
		}
		// Their statuses are of no use to anybody now.
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		if len(all) == 0 || !pause(ctx, 2*time.Millisecond) {
			return
		}
	}
}

// killTree kills a process and its present descendants.
func killTree(pid int) {
	for _, p := range append(processes().descendants(pid), pid) {
		syscall.Kill(p, syscall.SIGKILL) //nolint:errcheck // it may have ended
	}
}

// close ends the family's thread. Children that are left get their parent-death
// signal.
func (f *family) close() {
	f.once.Do(func() { close(f.quit) })
	f.wg.Wait()
}

// pause waits for d and reports whether ctx still goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
