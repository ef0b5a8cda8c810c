package edgeclient

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/yarnd/yarnd/appmaster/ampb"
)

// chunks asks the application master for one log file, from its beginning.
func (s *Session) chunks(ctx context.Context, container, file string) iter.Seq2[*ampb.LogChunk, error] {
	return s.readLog(ctx, &ampb.LogsRequest{Container: container, File: file}, s.am.Logs)
}

// logReader reads a stream of chunks.
type logReader struct {
	next iter.Seq2[*ampb.LogChunk, error]
	pull func() (*ampb.LogChunk, error, bool)
	end  func()
	rest []byte
	err  error // of the stream; io.EOF at its end
}

// open waits for the first chunk: whether there is such a log is known before anything
// of it is read. It need not be called.
func (r *logReader) open() error {
	if r.pull == nil {
		r.pull, r.end = iter.Pull2(r.next)
	}
	for len(r.rest) == 0 && r.err == nil {
		chunk, err, ok := r.pull()
		if !ok {
			err = io.EOF
		}
		r.rest, r.err = chunk.GetData(), err
	}
	if len(r.rest) > 0 || errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

func (r *logReader) Read(b []byte) (int, error) {
	r.open()
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// failure is why the stream broke off; nil when it did not.
func (r *logReader) failure() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// stop ends the stream; it may not have begun.
func (r *logReader) stop() {
	if r.end != nil {
		r.end()
	}
}
