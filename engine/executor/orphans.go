package executor

import (
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Processes that functions start may leave others behind, which fall to the executor and
// must be reaped when they end; but what functions themselves start is theirs to wait for.
// The kernel tells the two apart: a process belongs to the thread that forked it, an orphan
// to the first thread of whom it falls to. That one runs nothing but the main goroutine of
// an executor, from its first moment, and so has no other children.
func init() {
	if InChild() {
		runtime.LockOSThread()
	}
}

// reapEvery is how often orphans that ended are reaped.
const reapEvery = 5 * time.Second

// untilReaping waits for a result, and meanwhile reaps orphans of this thread. Those that
// end last are reaped by whoever reaps this process.
func untilReaping(result <-chan error) error {
	if unix.Gettid() != unix.Getpid() { // Main was called somewhere else
		return <-result
	}
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-result:
			return err
		case <-tick.C:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG|unix.WNOTHREAD, nil); pid <= 0 && err != syscall.EINTR {
					break
				}
			}
		}
	}
}
