package executor

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipe is what a command writes one of its streams to. This side keeps the writing end
// too until the command has ended: else its last breath would be noticed three times, as
// each stream ends and then the process.
type pipe struct {
	r, w int // 0: closed, or not made
	dst  io.Writer
}

func (p *pipe) make(dst io.Writer) error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	p.r, p.w, p.dst = fds[0], fds[1], dst
	_, err := unix.FcntlInt(uintptr(p.w), unix.F_SETFL, 0) // commands expect to wait
	return os.NewSyscallError("fcntl", err)
}

func (p *pipe) closeWrite() { closeFD(&p.w) }

func (p *pipe) close() {
	closeFD(&p.r)
	closeFD(&p.w)
}

func closeFD(fd *int) {
	if *fd != 0 {
		unix.Close(*fd) //nolint:errcheck // nothing is lost with it
		*fd = 0
	}
}

// read passes on what is in the pipe, at most one buffer. It reports false at the end.
func (p *pipe) read(buf []byte) bool {
	n, err := unix.Read(p.r, buf)
	if n > 0 {
		p.dst.Write(buf[:n]) //nolint:errcheck // none of ours fails
	}
	return n > 0 || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
}

// start starts the command of a task, in a process group of its own. The calling thread
// must outlive it.
func (c *child) start(k *command, p *plan, r *run, null int) (err error) {
	argv := k.spec.Expand(r.payload)
	if strings.IndexByte(strings.Join(argv, ""), 0) >= 0 {
		return errors.New("an argument holds a NUL byte")
	}
	defer func() {
		if err != nil {
			k.pipes[0].close()
			k.pipes[1].close()
			closeFD(&k.endFD)
		}
	}()
	if err = k.pipes[0].make(k.both(k.stdout, r, Stdout, k.spec.StdoutLimit)); err != nil {
		return err
	}
	if err = k.pipes[1].make(k.both(k.stderr, r, Stderr, k.spec.StderrLimit)); err != nil {
		return err
	}
	in := standardInput{r: null}
	if k.spec.Stdin || k.spec.Feed {
		if err = in.make(k.spec, r.payload); err != nil {
			return err
		}
		defer in.closeRead()
	}
	attr := &syscall.ProcAttr{
		Dir: k.spec.Dir, Env: p.environment(r),
		Files: []uintptr{uintptr(in.r), uintptr(k.pipes[0].w), uintptr(k.pipes[1].w)},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	if pidfds() {
		attr.Sys.PidFD = &k.endFD
	} else if k.endFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if err = c.exec(k, argv, attr); err != nil {
		in.closeWrite()
		return err
	}
	if attr.Sys.PidFD == nil {
		k.watchEnd()
	}
	if in.w != 0 {
		c.write(k, r, in)
	}
	return nil
}

// exec finds the program and starts it. One that is not where it was is looked for anew.
func (c *child) exec(k *command, argv []string, attr *syscall.ProcAttr) error {
	for {
		path, old, err := c.programs.find(argv[0])
		if err != nil {
			return err
		}
		k.pid, err = c.family.fork(path, argv, attr)
		switch {
		case err == nil:
			return nil
		case old:
			c.programs.forget(argv[0])
			continue
		}
		if _, e := os.Stat(attr.Dir); attr.Dir != "" && e != nil {
			return e // it says better what is missing
		}
		if errors.Is(err, errFamilyClosed) {
			return err
		}
		return &fs.PathError{Op: "fork/exec", Path: path, Err: err}
	}
}

// pidfds reports whether there are files that tell of a process's end, as there are
// since Linux 5.3.
var pidfds = sync.OnceValue(func() bool {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n == 0 && err == nil
})

// watchEnd makes such a file without the kernel's help.
func (k *command) watchEnd() {
	k.watch.Go(func() {
		waitEnd(k.pid)
		ring(k.endFD)
	})
}

// standardInput is the pipe that a command reads from; r alone: a file.
type standardInput struct {
	r, w int
	rest []byte // of the item, that is not in the pipe yet
}

// make makes the pipe, with as much of the item as it takes.
func (in *standardInput) make(s *CommandSpec, item []byte) error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	in.r, in.w = fds[0], fds[1]
	unix.FcntlInt(uintptr(in.r), unix.F_SETFL, 0) //nolint:errcheck // it is a pipe
	if s.Feed {
		return nil
	}
	n, _ := unix.Write(in.w, item)
	if in.rest = item[max(n, 0):]; len(in.rest) == 0 {
		in.closeWrite()
	}
	return nil
}

func (in *standardInput) closeRead()  { closeFD(&in.r) }
func (in *standardInput) closeWrite() { closeFD(&in.w) }

// write writes what is still to come on the command's standard input, beside it.
func (c *child) write(k *command, r *run, in standardInput) {
	to := os.NewFile(uintptr(in.w), "stdin")
	ctx, cancel := context.WithCancel(&r.ctx)
	k.starve = func() {
		cancel()
		to.Close()
	}
	k.input.Go(func() {
		if k.spec.Feed {
			c.feed(ctx, r, to)
		} else {
			to.Write(in.rest) //nolint:errcheck // it need not read it
		}
		to.Close()
	})
}
