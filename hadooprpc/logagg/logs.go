package logagg

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// Logs are the aggregated logs of one application.
type Logs struct {
	fs      hdfs.FS
	app     string
	files   []nodeFile
	pending []string
}

// File is one log file of one container. It reads its contents, once, until
// the iteration that gave it goes on. A file that was not written whole ends
// in io.ErrUnexpectedEOF.
type File struct {
	Container string
	Node      string // host:port of the node manager
	Name      string // such as "stdout"
	Size      int64  // bytes
	// ModTimeMs is when the file was last changed, or for TFile, which does
	// not say, when the node's logs were uploaded; in milliseconds.
	ModTimeMs int64
	body      io.Reader
	read      int64
}

// Read implements io.Reader.
func (f *File) Read(b []byte) (int, error) {
	n, err := f.body.Read(b)
	f.read += int64(n)
	if err == io.EOF && f.read < f.Size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Open finds the logs of an application, whose owner one has to know; it is in
// the application's report. The error is a [*NotFoundError] when there are none
// (yet).
func Open(ctx context.Context, fsys hdfs.FS, c *conf.Conf, app, owner string) (*Logs, error) {
	dirs, tried, err := appDirs(ctx, fsys, c, app, owner)
	if err != nil {
		return nil, err
	}
	l := &Logs{fs: fsys, app: app}
	if l.files, l.pending, err = nodeFiles(ctx, fsys, app, dirs); err != nil {
		return nil, err
	}
	if len(l.files) == 0 && len(l.pending) == 0 {
		enabled, err := c.Bool("yarn.log-aggregation-enable", false)
		return nil, &NotFoundError{App: app, Tried: tried, Disabled: err == nil && !enabled}
	}
	return l, nil
}

// Pending names the nodes whose node managers are still uploading, as
// host:port; their logs are missing or not complete. A node that has not begun
// is not among them: only the application's report tells.
func (l *Logs) Pending() []string { return l.pending }

// Nodes names the nodes with logs to read.
func (l *Logs) Nodes() []string {
	var names []string
	for _, f := range l.files {
		if n := f.node(); len(names) == 0 || names[len(names)-1] != n {
			names = append(names, n)
		}
	}
	return names
}

// Filter picks log files; an empty field admits every value.
type Filter struct {
	Container string
	Node      string // host:port
	Name      string
}

func (f Filter) admits(container, name string) bool {
	return (f.Container == "" || f.Container == container) && (f.Name == "" || f.Name == name)
}

// Files yields the log files of all containers, node by node. An error about
// one node's file is a [*FileError] and does not end the iteration; that of a
// context does.
func (l *Logs) Files(ctx context.Context, filter Filter) iter.Seq2[*File, error] {
	return func(yield func(*File, error) bool) {
		for _, nf := range l.files {
			if filter.Node != "" && filter.Node != nf.node() {
				continue
			}
			more, err := l.node(ctx, nf, filter, yield)
			if !more {
				return
			}
			if err != nil && (!yield(nil, fileError(nf.info.Path, err)) || ctx.Err() != nil) {
				return
			}
		}
	}
}

func fileError(path string, err error) error {
	if he := (*hdfs.Error)(nil); errors.As(err, &he) {
		return err // it names the file
	}
	return &FileError{Path: path, Err: err}
}

// node yields the logs in one node's file and reports whether to go on.
func (l *Logs) node(ctx context.Context, nf nodeFile, filter Filter, yield func(*File, error) bool) (more bool, err error) {
	if nf.end == 0 {
		return true, nil // created, but nothing was written yet
	}
	f, err := l.fs.Open(ctx, nf.info.Path)
	if err != nil {
		return true, err
	}
	defer f.Close()
	tail := make([]byte, min(nf.end, ifileTail))
	if _, err := f.ReadAt(tail, nf.end-int64(len(tail))); err != nil && err != io.EOF {
		return true, err
	}
	give := func(container string, p part) bool {
		return yield(&File{Container: container, Node: nf.node(), Name: p.name, Size: p.size, ModTimeMs: p.mtime, body: p.body}, nil)
	}
	switch {
	case bytes.HasSuffix(tail, bcMagic):
		return tfileLogs(f, nf, filter, give)
	case isIFileTail(tail, l.app):
		return ifileLogs(f, nf.end, l.app, filter, give)
	}
	return true, corrupt("it is neither a TFile nor an indexed log file of this application")
}

func tfileLogs(f io.ReaderAt, nf nodeFile, filter Filter, give func(string, part) bool) (more bool, err error) {
	t, err := openTFile(f, nf.end)
	if err != nil {
		return true, err
	}
	for rec, err := range t.records() {
		if err != nil {
			return true, err
		}
		if isReserved(rec.key) || (filter.Container != "" && filter.Container != rec.key) {
			continue
		}
		for p, err := range logsOf(rec.value) {
			if err != nil {
				return true, err
			}
			p.mtime = nf.info.ModTimeMs
			if filter.admits(rec.key, p.name) && !give(rec.key, p) {
				return false, nil
			}
		}
	}
	return true, nil
}

func ifileLogs(f io.ReaderAt, end int64, app string, filter Filter, give func(string, part) bool) (more bool, err error) {
	x, err := openIFile(f, end, app)
	if err != nil {
		return true, err
	}
	for _, e := range x.parts {
		if !filter.admits(e.container, e.name) {
			continue
		}
		body, err := x.open(e)
		if err != nil {
			return true, err
		}
		if !give(e.container, part{name: e.name, size: e.region.raw, mtime: e.mtime, body: body}) {
			return false, nil
		}
	}
	return true, nil
}
