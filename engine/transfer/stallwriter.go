package transfer

import (
	"errors"
	"io"
	"net"
	"time"
)

// stallWriter writes in pieces, each under its own deadline, so that a peer is
// given up for taking nothing and never for being slow.
type stallWriter struct {
	nc    net.Conn
	stall time.Duration
	buf   []byte
}

const piece = 128 << 10

// ReadFrom gathers what r gives into full pieces.
func (w *stallWriter) ReadFrom(r io.Reader) (n int64, err error) {
	if cap(w.buf) < piece {
		w.buf = append(make([]byte, 0, piece), w.buf...)
	}
	for {
		got, err := io.ReadFull(r, w.buf[len(w.buf):cap(w.buf)])
		n += int64(got)
		w.buf = w.buf[:len(w.buf)+got]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if err := w.flush(); err != nil {
			return n, err
		}
	}
}

// add takes a block of a result. A small one leaves with others; a large one is not
// copied.
func (w *stallWriter) add(b []byte) error {
	if len(w.buf)+len(b) <= piece {
		w.buf = append(w.buf, b...)
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	for len(b) > 0 {
		n := min(len(b), 2*piece)
		if err := w.write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// refuse takes the answer that says why not.
func (w *stallWriter) refuse(st status, why error) {
	reason := reasonOf(why)
	w.buf = append(appendHeader(w.buf, st, uint64(len(reason))), reason...)
}

// Write is not used by io.Copy, which prefers ReadFrom.
func (w *stallWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	return len(p), w.flush()
}

func (w *stallWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	err := w.write(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *stallWriter) write(p []byte) error {
	if err := w.nc.SetWriteDeadline(time.Now().Add(w.stall)); err != nil {
		return err
	}
	_, err := w.nc.Write(p)
	return err
}
