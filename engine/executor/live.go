package executor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/yarnd/yarnd/engine/graph"
)

// LiveDir is where the output of a command with CommandSpec.Live can be read while it
// runs, in the directory in which executors run. The files go when the command has
// ended: its result has all of it.
const LiveDir = ".yarnd-output"

// The streams of a command.
const (
	Stdout byte = 1
	Stderr byte = 2
)

// LivePath names the file of one stream of one attempt, below the executors' directory.
func LivePath(t graph.TaskID, a graph.Attempt, stream byte) string {
	return filepath.Join(LiveDir, fmt.Sprintf("%d-%d-%d.%d", t.Job, t.Index, a, stream))
}

// live is a file that others read while it is written. That it cannot be written ends
// nothing: it is a copy.
type live struct {
	file *os.File // nil: no more is written
	path string
	left int64
}

func openLive(r *run, stream byte, limit int64) *live {
	l := &live{path: LivePath(r.task, r.attempt, stream), left: limit}
	for range 3 { // the end of another command may remove the directory in between
		err := os.MkdirAll(LiveDir, 0o700)
		if err == nil {
			l.file, err = os.OpenFile(l.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return l
}

// Write never fails.
func (l *live) Write(p []byte) (int, error) {
	if l.file != nil {
		part := p[:min(int64(len(p)), l.left)]
		n, err := l.file.Write(part)
		if l.left -= int64(n); err != nil || l.left == 0 {
			l.close()
		}
	}
	return len(p), nil
}

func (l *live) close() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}

func (l *live) remove() {
	l.close()
	os.Remove(l.path)  //nolint:errcheck // it goes with the container
	os.Remove(LiveDir) //nolint:errcheck // others may have files there
}

// both writes to a command's capture, which decides, and to its copy.
func (k *command) both(dst io.Writer, r *run, stream byte, limit int64) io.Writer {
	if !k.spec.Live {
		return dst
	}
	l := openLive(r, stream, limit)
	k.live = append(k.live, l)
	return io.MultiWriter(dst, l)
}
