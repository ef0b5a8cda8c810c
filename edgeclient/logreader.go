package edgeclient

import (
	"context"
	"io"
	"iter"

	"github.com/yarnd/yarnd/appmaster/ampb"
)

// chunks asks the application master for one log file, from its beginning.
func (s *Session) chunks(ctx context.Context, container, file string, follow bool) iter.Seq2[*ampb.LogChunk, error] {
	return s.am.Logs(ctx, &ampb.LogsRequest{Container: container, File: file, Follow: follow})
}

// logReader reads a stream of chunks.
type logReader struct {
	next iter.Seq2[*ampb.LogChunk, error]
	pull func() (*ampb.LogChunk, error, bool)
	end  func()
	rest []byte
	err  error // of the stream
}

func (r *logReader) Read(b []byte) (int, error) {
	if r.pull == nil {
		r.pull, r.end = iter.Pull2(r.next)
	}
	for len(r.rest) == 0 {
		chunk, err, ok := r.pull()
		if !ok {
			return 0, io.EOF
		}
		if err != nil {
			r.err = err
			return 0, err
		}
		r.rest = chunk.GetData()
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// stop ends the stream; it may not have begun.
func (r *logReader) stop() {
	if r.end != nil {
		r.end()
	}
}
