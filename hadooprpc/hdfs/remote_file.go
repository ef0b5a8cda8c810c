package hdfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"

	"github.com/colinmarc/hdfs/v2"
)

// Open implements FS.
func (r *remote) Open(ctx context.Context, name string) (File, error) {
	p, err := r.Resolve(name)
	if err != nil {
		return nil, err
	}
	if !r.readable() {
		return nil, &Error{Op: "open", Path: p, Kind: ErrUnsupported,
			Detail: "reading is not there yet where data travels signed or encrypted on a cluster with Kerberos (dfs.data.transfer.protection, dfs.encrypt.data.transfer)",
			Hint:   "read it with: hdfs dfs -cat"}
	}
	f := &remoteFile{fs: r, ctx: ctx}
	if err := f.open(p); err != nil {
		return nil, err
	}
	return f, nil
}

// remoteFile reads a file through a client of its own. When a read fails in a
// way that another connection may cure, the file is opened again and reading
// goes on at the same offset; the library itself tries all replicas of a block
// before it fails.
type remoteFile struct {
	fs   *remote
	ctx  context.Context
	info FileInfo

	mu     sync.Mutex
	client *client
	reader *hdfs.FileReader
	stop   func() bool
	pos    int64 // where the library's reader stands
	off    int64 // where Read continues
	closed bool
}

// readAttempts is how often one read is tried, each time on a new connection.
const readAttempts = 3

func (f *remoteFile) open(p string) error {
	c, err := f.fs.borrow(f.ctx, "open", p, func(c *client, _ int) error {
		info, err := c.stat(p)
		if err != nil {
			return err
		}
		if info.IsDir {
			return newError("open", p, ErrIsDir)
		}
		if f.reader, err = c.Client.Open(p); err != nil {
			return err
		}
		if f.info.Path == "" {
			f.info = info
		}
		return nil
	})
	if err != nil {
		return err
	}
	f.client, f.stop, f.pos = c, c.watch(f.ctx), 0
	return nil
}

func (f *remoteFile) Info() FileInfo { return f.info }

func (f *remoteFile) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.readAt(b, f.off)
	f.off += int64(n)
	return n, err
}

func (f *remoteFile) ReadAt(b []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < 0 {
		return 0, newError("read", f.info.Path, fs.ErrInvalid)
	}
	total := 0
	for total < len(b) {
		n, err := f.readAt(b[total:], off+int64(total))
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// readAt reads some bytes at an offset.
func (f *remoteFile) readAt(b []byte, off int64) (int, error) {
	if f.closed {
		return 0, &Error{Op: "read", Path: f.info.Path, Kind: fs.ErrClosed}
	}
	if off >= f.info.Length {
		return 0, io.EOF
	}
	if len(b) == 0 {
		return 0, nil
	}
	b = b[:min(int64(len(b)), f.info.Length-off)]
	for attempt := 1; ; attempt++ {
		n, err := f.tryRead(b, off)
		if n > 0 || err == nil {
			return n, nil
		}
		if f.ctx.Err() != nil {
			return 0, &Error{Op: "read", Path: f.info.Path, Err: context.Cause(f.ctx)}
		}
		if mapped := mapRemote("read", f.info.Path, err); mapped != nil {
			return 0, mapped
		}
		if attempt == readAttempts {
			return 0, &Error{Op: "read", Path: f.info.Path, Err: err,
				Hint: "look at the DataNodes that hold it (hdfs fsck " + f.info.Path + " -blocks -locations)"}
		}
		f.release(false)
		if !pause(f.ctx, attempt) {
			continue // the next round reports the context's end
		}
		if err := f.open(f.info.Path); err != nil {
			return 0, err
		}
	}
}

func (f *remoteFile) tryRead(b []byte, off int64) (int, error) {
	if f.client == nil {
		return 0, errClosed
	}
	if f.pos != off {
		if _, err := f.reader.Seek(off, io.SeekStart); err != nil {
			return 0, err
		}
		f.pos = off
	}
	n, err := f.reader.Read(b)
	f.pos += int64(n)
	if err == io.EOF { // before the length that the NameNode gave: it was cut
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (f *remoteFile) Seek(offset int64, whence int) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += f.off
	case io.SeekEnd:
		offset += f.info.Length
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return 0, newError("seek", f.info.Path, fs.ErrInvalid)
	}
	f.off = offset
	return offset, nil
}

func (f *remoteFile) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.closed = true
		f.release(true)
	}
	return nil
}

// release gives the client back when it is healthy.
func (f *remoteFile) release(healthy bool) {
	if f.client == nil {
		return
	}
	alive := f.stop()
	f.reader.Close()
	if healthy && alive && f.client.guard.cause() == nil {
		f.fs.pool.give(f.client)
	} else {
		f.client.discard()
	}
	f.client = nil
}

// Create implements FS. A repeated attempt that finds the file there cannot
// tell whether it is its own and reports fs.ErrExist.
func (r *remote) Create(ctx context.Context, name string, opts CreateOptions) (Writer, error) {
	p, err := r.Resolve(name)
	if err != nil {
		return nil, err
	}
	var fw *hdfs.FileWriter
	c, err := r.borrow(ctx, "create", p, func(c *client, _ int) error {
		replication, blockSize, err := r.sizes(c, opts)
		if err != nil {
			return err
		}
		if opts.Overwrite {
			if err := c.Client.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if fw, err = c.CreateFile(p, replication, blockSize, toHadoop(opts.perm())); err != nil {
			return err
		}
		return c.ensurePerm(p, opts.perm())
	})
	if err != nil {
		return nil, err
	}
	return &remoteWriter{fs: r, ctx: ctx, path: p, client: c, w: fw, stop: c.watch(ctx)}, nil
}

// sizes picks replication and block size: what the caller wants, else what the
// client's configuration says, else what the server does by default.
func (r *remote) sizes(c *client, opts CreateOptions) (int, int64, error) {
	replication, blockSize := opts.Replication, opts.BlockSize
	if replication == 0 {
		replication = r.replication
	}
	if blockSize == 0 {
		blockSize = r.blockSize
	}
	if replication != 0 && blockSize != 0 {
		return replication, blockSize, nil
	}
	r.defaultsOnce.Lock()
	defer r.defaultsOnce.Unlock()
	if r.defaults == nil {
		d, err := c.ServerDefaults()
		if err != nil {
			return 0, 0, err
		}
		r.defaults = &d
	}
	if replication == 0 {
		replication = r.defaults.Replication
	}
	if blockSize == 0 {
		blockSize = r.defaults.BlockSize
	}
	return replication, blockSize, nil
}

type remoteWriter struct {
	fs     *remote
	ctx    context.Context
	path   string
	client *client
	w      *hdfs.FileWriter
	stop   func() bool
	err    error // first failure
	done   bool
}

func (w *remoteWriter) Write(b []byte) (int, error) {
	if err := w.usable(); err != nil {
		return 0, err
	}
	n, err := w.w.Write(b)
	// A DataNode's connection that failed swallows what it is given; its
	// failure is known to the guard first.
	if err == nil {
		err = w.client.guard.dataCause()
	}
	return n, w.failed(err)
}

// Close writes what is left and tells the NameNode that the file is complete.
// The NameNode may answer that the last block has not yet been reported by
// enough DataNodes; like Java's client we ask again, for as long as a call may
// take.
func (w *remoteWriter) Close() error {
	if err := w.usable(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.fs.timeout)
	defer cancel()
	err := w.w.Close()
	for attempt := 0; hdfs.IsErrReplicating(err) && pause(ctx, attempt); attempt++ {
		err = w.w.Close()
	}
	if err != nil {
		return w.failed(err)
	}
	w.done = true
	if w.stop() {
		w.fs.pool.give(w.client)
	}
	return nil
}

func (w *remoteWriter) usable() error {
	if w.done {
		return &Error{Op: "write", Path: w.path, Kind: fs.ErrClosed}
	}
	if w.err == nil && w.ctx.Err() != nil {
		w.err = &Error{Op: "write", Path: w.path, Err: context.Cause(w.ctx)}
	}
	return w.err
}

// failed keeps and returns the error of a write in our form.
func (w *remoteWriter) failed(err error) error {
	if err == nil {
		return nil
	}
	switch mapped := mapRemote("write", w.path, err); {
	case w.ctx.Err() != nil:
		w.err = &Error{Op: "write", Path: w.path, Err: context.Cause(w.ctx)}
	case mapped != nil:
		w.err = mapped
	default:
		if cause := w.client.guard.cause(); cause != nil {
			err = cause
		}
		w.err = &Error{Op: "write", Path: w.path, Err: err, Hint: "write the file again: a pipeline of DataNodes that broke is not repaired"}
	}
	return w.err
}

func (w *remoteWriter) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	w.stop()
	w.client.guard.close()
	// The library's Close ends the goroutines of the block that was being
	// written. With its connections gone it fails and changes nothing.
	_ = w.w.Close()
	w.client.discard()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), cleanupTime)
	defer cancel()
	return w.fs.RemoveAll(ctx, w.path)
}
