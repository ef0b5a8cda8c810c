package rawio

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// most is what one system call moves at most, bytes: longer ones shall be seen by the
// runtime's monitor.
const most = 64 << 10

// half is one direction of a descriptor that does not block. It is for one goroutine at
// a time. The fields below conn are of the call under way: a closure for each would be
// garbage.
type half struct {
	conn syscall.RawConn
	call func(fd uintptr) bool
	p    []byte
	n    int
	err  error
	wait bool // for the descriptor
}

func newReader(c syscall.RawConn) *half {
	h := &half{conn: c, wait: true}
	h.call = func(fd uintptr) bool { return h.system(syscall.SYS_READ, fd) }
	return h
}

func newWriter(c syscall.RawConn) *half {
	h := &half{conn: c}
	h.call = func(fd uintptr) bool { return h.system(syscall.SYS_WRITE, fd) }
	return h
}

// system does the call and reports whether it is over.
func (h *half) system(trap, fd uintptr) bool {
	p := h.p[:min(len(h.p), most)]
	for {
		n, _, e := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch e {
		case 0:
			h.n = int(n)
			return true
		case syscall.EINTR:
		case syscall.EAGAIN:
			return !h.wait
		default:
			h.err = e
			return true
		}
	}
}

// read is io.Reader's Read.
func (h *half) read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	h.p, h.n, h.err = p, 0, nil
	err := h.conn.Read(h.call)
	h.p = nil
	switch {
	case err != nil:
		return 0, ended(err)
	case h.err != nil:
		return 0, h.err
	case h.n == 0:
		return 0, io.EOF
	}
	return h.n, nil
}

// write is io.Writer's Write. Without wait it writes only what there is room for.
func (h *half) write(p []byte, wait bool) (written int, _ error) {
	h.wait = wait
	for written < len(p) {
		h.p, h.n, h.err = p[written:], 0, nil
		err := h.conn.Write(h.call)
		h.p = nil
		if err == nil {
			err = h.err
		} else {
			err = ended(err)
		}
		if err != nil {
			return written, err
		}
		if written += h.n; h.n == 0 && !wait {
			break
		}
	}
	return written, nil
}

// ended makes the error of a descriptor that was closed by this side what it is
// elsewhere; the other one is a deadline.
func ended(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return net.ErrClosed
}
