package hdfs

import (
	"context"
	"errors"
	"io/fs"

	"github.com/colinmarc/hdfs/v2"
)

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
	case errors.Is(w.client.guard.dataCause(), ErrUnprotected): // says itself what to do
		w.err = w.client.guard.dataCause()
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
