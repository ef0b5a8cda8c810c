package executor

import (
	"encoding/binary"
	"io/fs"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The goroutine that runs a command waits for it in one poll, on one thread, for all that
// can happen: the process ended, it wrote something, its call is to end, or it takes long
// enough for the worker to be told of it. Anything else that would be woken beside it
// costs as much as a tenth of a small command.

const (
	// pipeWait is how long output is awaited after a command's processes are gone;
	// only somebody who left its process group can hold it up.
	pipeWait = time.Second
	// keepTime is how long a goroutine that waits for a command keeps its processor, one of
	// Go's: what waits longer in a system call has it taken away, by a thread that wakes for
	// that, and wakes others to use it. Nothing else in an executor of commands misses it
	// for so long, as there are more of them than commands (spareProcessors); a collection
	// of garbage may wait for it.
	keepTime        = 4 * time.Millisecond
	spareProcessors = 3
	// outputRead is how much output is read at once.
	outputRead = 64 << 10
)

// waiter is where a goroutine waits for its command. Those that nobody uses are kept.
type waiter struct {
	null int  // the empty standard input of commands
	bell int  // an eventfd
	rung bool // it was; to be read when nobody can ring it
	fds  [4]unix.PollFd
	buf  []byte

	limit unix.Timespec // of poll
}

func newWaiter() (*waiter, error) {
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: os.DevNull, Err: err}
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(null)
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &waiter{null: null, bell: fd, buf: make([]byte, outputRead)}, nil
}

// wake ends the present poll, or the next. Nobody else calls it at the same time.
func (w *waiter) wake() {
	w.rung = true
	ring(w.bell)
}

// ring adds one to an eventfd.
func ring(fd int) {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	unix.Write(fd, one[:]) //nolint:errcheck // it cannot have been rung so often
}

// hush forgets that it was woken.
func (w *waiter) hush() {
	var n [8]byte
	unix.Read(w.bell, n[:]) //nolint:errcheck // it was not
}

func (w *waiter) close() {
	unix.Close(w.null)
	unix.Close(w.bell)
}

func (c *child) takeWaiter() (*waiter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := len(c.waiters) - 1; n >= 0 {
		w := c.waiters[n]
		c.waiters = c.waiters[:n]
		return w, nil
	}
	return newWaiter()
}

func (c *child) giveWaiter(w *waiter) {
	if w.rung {
		w.hush()
		w.rung = false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiters = append(c.waiters, w)
}

func (c *child) closeWaiters() {
	for _, w := range c.waiters {
		w.close()
	}
}

// The places in waiter.fds.
const (
	atEnd = iota
	atBell
	atOutput // the two pipes
)

// watch sets what the polls of a command look at.
func (w *waiter) watch(k *command) {
	w.fds = [4]unix.PollFd{
		atEnd:        {Fd: int32(k.endFD), Events: unix.POLLIN},
		atBell:       {Fd: int32(w.bell), Events: unix.POLLIN},
		atOutput:     {Fd: int32(k.pipes[0].r), Events: unix.POLLIN},
		atOutput + 1: {Fd: int32(k.pipes[1].r), Events: unix.POLLIN},
	}
}

// poll waits until something happens or the time has passed; less than 0 is for ever.
// One that keeps its processor does not tell Go's runtime that it waits, see keepTime.
func (w *waiter) poll(d time.Duration, keep bool) {
	fds, limit := unsafe.Pointer(&w.fds[0]), unsafe.Pointer(nil)
	if d >= 0 {
		w.limit = unix.NsecToTimespec(d.Nanoseconds())
		limit = unsafe.Pointer(&w.limit)
	}
	var n uintptr
	var errno unix.Errno
	if keep {
		n, _, errno = unix.RawSyscall6(unix.SYS_PPOLL, uintptr(fds), uintptr(len(w.fds)), uintptr(limit), 0, 0, 0)
	} else {
		n, _, errno = unix.Syscall6(unix.SYS_PPOLL, uintptr(fds), uintptr(len(w.fds)), uintptr(limit), 0, 0, 0)
	}
	if n == 0 || errno != 0 { // or it was interrupted
		for i := range w.fds {
			w.fds[i].Revents = 0
		}
	}
}

// await waits for the command's end. When its call is to end, it asks the process group
// to end, and kills it after the grace, or when there is no time for that. When the command
// takes long, the worker is told of it, and of what has waited to be told.
func (c *child) await(k *command, r *run, w *waiter) {
	w.watch(k)
	grace := time.Duration(c.set.GraceMS) * time.Millisecond
	const never = -1
	began := clock()
	tell, kill, loosen := began+holdTime, time.Duration(never), began+c.keep
	for w.fds[atEnd].Revents == 0 {
		next := tell
		if kill != never && (next == never || kill < next) {
			next = kill
		}
		now := clock()
		if next != never {
			next = max(0, next-now)
		}
		keep := now < loosen
		if left := loosen - now; keep && (next == never || left < next) {
			next = left
		}
		w.poll(next, keep)
		for i := range k.pipes {
			if w.fds[atOutput+i].Revents != 0 {
				k.pipes[i].read(w.buf)
			}
		}
		if w.fds[atBell].Revents != 0 {
			w.hush()
		}
		if why, hurry := r.ctx.ends(); why != nil || k.stdout.over {
			switch {
			case !k.asked && !hurry:
				k.signal(syscall.SIGTERM)
				kill = clock() + grace
			case hurry && (!k.asked || kill != never):
				kill = clock()
			}
			k.asked = true
		}
		if now := clock(); kill != never && now >= kill {
			k.signal(syscall.SIGKILL)
			kill = never
		} else if tell != never && now >= tell {
			c.tell(k, r)
			tell = never
		}
	}
}

// tell tells the worker which process a call has, and what ended before.
func (c *child) tell(k *command, r *run) {
	c.out.flush()
	c.out.write(kindBegan, func(b []byte) []byte { return appendBegan(b, r.call, k.pid) }) //nolint:errcheck // the worker is gone
}

// reap kills whoever is left of an ended command's process group, and takes its status.
func (c *child) reap(k *command) (status syscall.WaitStatus) {
	k.mu.Lock()
	syscall.Kill(-k.pid, syscall.SIGKILL) //nolint:errcheck // mostly nobody is left
	k.reaped = true
	k.mu.Unlock()
	status = c.family.collect(k.pid)
	k.watch.Wait()
	closeFD(&k.endFD)
	return status
}

// drain takes what is left of a command's output, and closes the pipes. Whoever holds
// their other ends may have left the process group; that is waited for a little, unless
// this process ends.
func (k *command) drain(w *waiter, leaving bool) {
	k.starve()
	for i := range k.pipes {
		k.pipes[i].closeWrite()
	}
	w.fds[atEnd].Fd, w.fds[atBell].Fd = -1, -1
	until := clock() + pipeWait
	if leaving {
		until = 0
	}
	for open, left := len(k.pipes), pipeWait; open > 0 && left > 0; {
		left = max(0, until-clock())
		w.poll(left, false)
		for i := range k.pipes {
			fd := &w.fds[atOutput+i]
			if fd.Revents == 0 {
				continue
			}
			if fd.Revents&unix.POLLIN == 0 || !k.pipes[i].read(w.buf) {
				fd.Fd = -1
				open--
			}
		}
	}
	for i := range k.pipes {
		k.pipes[i].close()
	}
	k.input.Wait()
}
