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
// Children are started from one OS thread that lives as long as the family does:
// the parent-death signal that Linux sends is bound to the thread that forked, and
// the Go runtime ends idle threads.
//
// A family that adopts makes this process the one to which orphaned descendants
// fall (PR_SET_CHILD_SUBREAPER). It reaps those, and finds and kills them. Only a
// process that starts children in no other way may do that.
type family struct {
	adopt bool
	jobs  chan func()
	quit  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
	known map[int]bool // children started here and not yet waited for; the thread's
}

// newFamily starts a family, which must be closed.
func newFamily(adopt bool) (*family, error) {
	f := &family{adopt: adopt, jobs: make(chan func()), quit: make(chan struct{}), known: map[int]bool{}}
	if adopt {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return nil, os.NewSyscallError("prctl", err)
		}
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

// do runs job on the thread and waits for it. It reports false when the family is
// closed.
func (f *family) do(job func()) bool {
	done := make(chan struct{})
	select {
	case f.jobs <- func() { defer close(done); job() }:
		<-done
		return true
	case <-f.quit:
		return false
	}
}

var errFamilyClosed = errors.New("executor: closed")

// start starts cmd in a process group of its own, with sig as its parent-death
// signal.
func (f *family) start(cmd *exec.Cmd, sig syscall.Signal) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: sig}
	err := errFamilyClosed
	f.do(func() {
		if err = cmd.Start(); err == nil {
			f.known[cmd.Process.Pid] = true
		}
	})
	return err
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
	f.do(func() {
		delete(f.known, cmd.Process.Pid)
		f.reap() // it may have hidden orphans, see reap
	})
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
			f.do(f.reap)
		case <-f.quit:
			return
		}
	}
}

// reap reaps the orphans that have ended. It must not take a known child's status
// from the one who waits for it, so it looks before it takes; a known child that
// is seen hides orphans behind it until it is waited for. Runs on the thread.
func (f *family) reap() {
	for f.adopt {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		pid := sigchldPid(&info)
		if err != nil || pid == 0 || f.known[pid] {
			return
		}
		unix.Wait4(pid, nil, unix.WNOHANG, nil) //nolint:errcheck // it has ended
	}
}

// tree returns the processes of the machine, or just this one while it has no
// children: an idle worker reads one file.
func (f *family) tree() (t table) {
	children := 0
	f.do(func() { children = len(f.known) })
	if children > 0 {
		return processes()
	}
	if p, ok := readStat(os.Getpid(), make([]byte, 1024)); ok {
		t = append(t, p)
	}
	return t
}

// strays returns this process's children that the family did not start: orphans of
// its descendants.
func (f *family) strays() []int {
	var pids []int
	f.do(func() {
		f.reap()
		for _, p := range processes().children(os.Getpid()) {
			if !f.known[p] {
				pids = append(pids, p)
			}
		}
	})
	return pids
}

// killStrays kills orphans that want selects, and their descendants as they fall
// to this process, until there are none or ctx ends.
func (f *family) killStrays(ctx context.Context, want func(pid int) bool) {
	if !f.adopt {
		return
	}
	for {
		n := 0
		for _, pid := range f.strays() {
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
