package hdfs

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

const (
	// maxBuffered bytes wait in memory for a Flush.
	maxBuffered = 1 << 20
	// setUpAttempts is how many pipelines are tried for one block.
	setUpAttempts = 4
	// keepInterval is how often a writer that rests shows that it lives.
	// The NameNode may give the lease to others after 60 s of silence, and a
	// DataNode drops a connection after as many.
	keepInterval = 15 * time.Second
	// fencedTime bounds the question to the NameNode why a pipeline broke.
	fencedTime = 2 * time.Second
)

// remoteWriter is an Appender and a Writer on HDFS. It speaks to the DataNodes
// itself: the library's sends packets and does not wait for their
// acknowledgement when it flushes, and does not outlive the NameNode it began
// with.
type remoteWriter struct {
	op, cure  string // what errors say
	fs        *remote
	path      string
	lease     string // name of its holder, of this file alone
	fileID    uint64
	blockSize int64
	flushed   bool // what is flushed has to be there after Recover
	closed    bool
	aborted   bool

	// life ends with the context of its creation, the first failure, Close or
	// Abort; its cause is what every later call returns.
	life context.Context
	end  context.CancelCauseFunc
	kept chan struct{} // closed when keep has ended

	turn chan struct{} // has room while somebody holds what follows
	buf  []byte        // taken and not sent
	pipe *pipeline     // the block being written; nil between blocks
	last *nnpb.ExtendedBlock
	// noted says that the NameNode has been told that the block has bytes.
	noted bool
}

func (w *remoteWriter) Write(b []byte) (int, error) {
	total := len(b)
	err := w.do(w.life, func(ctx context.Context) error {
		for len(b) > 0 {
			n := min(len(b), maxBuffered-len(w.buf))
			w.buf, b = append(w.buf, b[:n]...), b[n:]
			if len(w.buf) == maxBuffered {
				if err := w.push(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return total - len(b), err
}

func (w *remoteWriter) Flush(ctx context.Context) error { return w.do(ctx, w.flush) }

// Close implements Writer and Appender. A second time it says the same.
func (w *remoteWriter) Close() error {
	if w.closed {
		return nil
	}
	err := w.do(w.life, w.complete)
	w.closed = err == nil
	w.stop("")
	return err
}

// Abort implements Writer.
func (w *remoteWriter) Abort() error {
	if w.closed || w.aborted {
		return nil
	}
	w.aborted = true
	w.stop("it was aborted")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.life), cleanupTime)
	defer cancel()
	return w.fs.RemoveAll(ctx, w.path)
}

// stop lets go of what is held. Operations that are called later, or are under way, fail.
func (w *remoteWriter) stop(why string) {
	w.end(&Error{Op: w.op, Path: w.path, Kind: fs.ErrClosed, Detail: why})
	<-w.kept
}

// do runs an operation, whose failure is the last. The operation ends when ctx
// or the Appender's life does.
func (w *remoteWriter) do(ctx context.Context, op func(context.Context) error) error {
	if w.life.Err() != nil {
		return w.cause()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(w.life, func() { cancel(context.Cause(w.life)) })()
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		w.end(w.failure(ctx, context.Cause(ctx)))
		return w.cause()
	}
	defer func() { <-w.turn }()
	if err := op(ctx); err != nil {
		w.end(w.failure(ctx, err))
		return w.cause()
	}
	return nil
}

// cause is what ended the Appender's life, as an *Error.
func (w *remoteWriter) cause() error {
	err := context.Cause(w.life)
	if errors.As(err, new(*Error)) {
		return err
	}
	return &Error{Op: w.op, Path: w.path, Err: err}
}

// failure gives an error our form. Where a pipeline broke, the NameNode is
// asked whether that was because somebody took over the file.
func (w *remoteWriter) failure(ctx context.Context, err error) error {
	if errors.As(err, new(*Error)) {
		return err
	}
	if ctx.Err() != nil {
		return &Error{Op: w.op, Path: w.path, Err: context.Cause(ctx)}
	}
	ctx, cancel := context.WithTimeout(ctx, fencedTime)
	defer cancel()
	if why := w.note(ctx, -1); errors.Is(why, ErrFenced) {
		return why
	}
	return &Error{Op: w.op, Path: w.path, Err: err, Hint: w.cure + ": a pipeline of DataNodes that broke is not repaired"}
}

// push sends what was taken.
func (w *remoteWriter) push(ctx context.Context) error {
	rest := w.buf
	for len(rest) > 0 {
		if w.pipe == nil {
			if err := w.begin(ctx); err != nil {
				return err
			}
		}
		err := w.pipe.within(ctx, func() error {
			for len(rest) > 0 && w.pipe.offset < w.blockSize {
				n := min(int64(len(rest)), packetSize, w.blockSize-w.pipe.offset)
				if over := w.pipe.offset % chunkSize; over > 0 {
					n = min(n, chunkSize-over)
				}
				if err := w.pipe.send(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		})
		if err != nil {
			return err
		}
		if w.pipe.offset == w.blockSize {
			if err := w.finish(ctx); err != nil {
				return err
			}
		}
	}
	w.buf = w.buf[:0]
	return nil
}

func (w *remoteWriter) flush(ctx context.Context) error {
	if err := w.push(ctx); err != nil || w.pipe == nil {
		return err
	}
	if err := w.pipe.within(ctx, w.pipe.sync); err != nil {
		return err
	}
	return w.noteOnce(ctx)
}

// noteOnce tells the NameNode that the block has bytes. Otherwise one that
// restarts, and has not heard from the DataNodes yet when the lease is
// recovered, drops a last block that it takes for empty.
// Source: FSNamesystem.internalReleaseLease.
func (w *remoteWriter) noteOnce(ctx context.Context) error {
	if w.noted || !w.flushed {
		return nil
	}
	w.noted = true
	return w.note(ctx, w.pipe.offset)
}

func (w *remoteWriter) note(ctx context.Context, length int64) error {
	return w.fs.rpc(ctx, w.op, w.path, "fsync", &nnpb.FsyncRequest{
		Src: &w.path, Client: &w.lease, LastBlockLength: &length, FileId: &w.fileID}, &nnpb.FsyncResponse{})
}

// begin gets a block and DataNodes that take it. Those that do not answer are
// named to the NameNode, which may not know yet that they are gone.
func (w *remoteWriter) begin(ctx context.Context) error {
	var avoid []*nnpb.DatanodeInfo
	for attempt := 1; ; attempt++ {
		b, err := w.addBlock(ctx, avoid)
		if err != nil {
			return err
		}
		w.pipe, err = w.fs.openPipeline(ctx, b, w.lease)
		if err == nil {
			w.noted = false
			return nil
		}
		if e := (*Error)(nil); errors.As(err, &e) { // the NameNode's, or our own refusal: the same with every DataNode
			return e
		}
		bad := (*pipelineError)(nil)
		if !errors.As(err, &bad) || attempt == setUpAttempts || ctx.Err() != nil {
			return err
		}
		if refusal := (*saslRefusal)(nil); errors.As(err, &refusal) && refusal.status == saslUnknownKey {
			w.fs.forgetKey() // no fault of the DataNode's
		} else {
			avoid = append(avoid, bad.node)
		}
		w.fs.log.Debug("hdfs: a pipeline could not be set up", "path", w.path, "attempt", attempt, "err", err)
		if err := w.fs.rpc(ctx, w.op, w.path, "abandonBlock", &nnpb.AbandonBlockRequest{
			Block: b.Block, Src: &w.path, Holder: &w.lease, FileId: &w.fileID}, &nnpb.AbandonBlockResponse{}); err != nil {
			return err
		}
	}
}

// addBlock asks for the next block, until DataNodes have reported the one before.
func (w *remoteWriter) addBlock(ctx context.Context, avoid []*nnpb.DatanodeInfo) (*nnpb.LocatedBlock, error) {
	ctx, cancel := context.WithTimeout(ctx, w.fs.timeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		var added nnpb.AddBlockResponse
		err := w.fs.rpc(ctx, w.op, w.path, "addBlock", &nnpb.AddBlockRequest{
			Src: &w.path, ClientName: &w.lease, Previous: w.last, ExcludeNodes: avoid, FileId: &w.fileID}, &added)
		if err == nil {
			return added.Block, nil
		}
		var e *Error
		if !errors.As(err, &e) || !strings.HasSuffix(e.Exception, ".NotReplicatedYetException") || !pause(ctx, attempt) {
			return nil, err
		}
	}
}

// finish ends the block being written.
func (w *remoteWriter) finish(ctx context.Context) error {
	if err := w.pipe.within(ctx, w.pipe.finish); err != nil {
		return err
	}
	if err := w.noteOnce(ctx); err != nil {
		return err
	}
	w.last = w.pipe.block
	w.last.NumBytes = proto.Uint64(uint64(w.pipe.offset))
	w.pipe.conn.Close()
	w.pipe = nil
	return nil
}

func (w *remoteWriter) complete(ctx context.Context) error {
	if err := w.push(ctx); err != nil {
		return err
	}
	if w.pipe != nil {
		if err := w.finish(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, w.fs.timeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		var done nnpb.CompleteResponse
		err := w.fs.rpc(ctx, w.op, w.path, "complete", &nnpb.CompleteRequest{
			Src: &w.path, ClientName: &w.lease, Last: w.last, FileId: &w.fileID}, &done)
		if err != nil || done.GetResult() {
			return err
		}
		if !pause(ctx, attempt) {
			return errors.New("the DataNodes have not reported the last block in time")
		}
	}
}

// keep shows the NameNode and the DataNodes that the writer lives, and
// closes its connection in the end.
func (w *remoteWriter) keep() {
	defer close(w.kept)
	t := time.NewTicker(keepInterval)
	defer t.Stop()
	for {
		select {
		case <-w.life.Done():
			w.turn <- struct{}{} // operations end with life
			if w.pipe != nil {
				w.pipe.conn.Close()
				w.pipe = nil
			}
			<-w.turn
			return
		case <-t.C:
			select {
			case w.turn <- struct{}{}:
				w.beat()
				<-w.turn
			default: // it is busy: no need to show that it lives
			}
			// A lease that is lost shows when it matters, and a NameNode that is away may come back: the DataNodes do not wait for it.
			ctx, cancel := context.WithTimeout(w.life, keepInterval)
			_ = w.fs.rpc(ctx, w.op, w.path, "renewLease", &nnpb.RenewLeaseRequest{ClientName: &w.lease}, &nnpb.RenewLeaseResponse{})
			cancel()
		}
	}
}

// beat, by who has the turn, keeps a pipeline that rests.
func (w *remoteWriter) beat() {
	if w.pipe == nil || time.Since(w.pipe.idle) < keepInterval || w.life.Err() != nil {
		return
	}
	if err := w.pipe.within(w.life, w.pipe.beat); err != nil {
		w.end(w.failure(w.life, err))
	}
}
