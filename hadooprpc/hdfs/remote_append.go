package hdfs

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

const (
	// A file made by Append is replicated also in a directory whose files are erasure-coded, which cannot be flushed.
	// Source: org.apache.hadoop.fs.CreateFlag.
	createFlag = 0x01 | 0x80
	// maxBuffered bytes wait in memory for a Flush.
	maxBuffered = 1 << 20
	// setUpAttempts is how many pipelines are tried for one block.
	setUpAttempts = 4
	// keepInterval is how often an Appender that rests shows that it lives.
	// The NameNode may give the lease to others after 60 s of silence, and a
	// DataNode drops a connection after as many.
	keepInterval = 15 * time.Second
	// fencedTime bounds the question to the NameNode why a pipeline broke.
	fencedTime = 2 * time.Second
)

// remoteAppender is an Appender on HDFS. The library behind Create sends
// packets and does not wait for their acknowledgement when it flushes, so this
// speaks to the DataNodes itself.
type remoteAppender struct {
	fs        *remote
	path      string
	lease     string // name of its holder, of this file alone
	fileID    uint64
	blockSize int64

	// life ends with the context of Append, the first failure or Close; its
	// cause is what every later call returns.
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

// Append implements FS. A repeated attempt is known to the NameNode by its
// call id.
func (r *remote) Append(ctx context.Context, name string, opts CreateOptions) (Appender, error) {
	p, err := r.Resolve(name)
	if err != nil {
		return nil, err
	}
	var replication int
	var blockSize int64
	err = r.call(ctx, "create", p, func(c *client, _ int) error {
		replication, blockSize, err = r.sizes(c, opts)
		return err
	})
	if err != nil {
		return nil, err
	}
	a := &remoteAppender{fs: r, path: p, lease: "yarnd-" + rand.Text(), blockSize: blockSize,
		turn: make(chan struct{}, 1), kept: make(chan struct{})}
	var made nnpb.CreateResponse
	err = r.rpc(ctx, "create", p, "create", &nnpb.CreateRequest{
		Src: &p, ClientName: &a.lease, CreateFlag: proto.Uint32(createFlag), CreateParent: proto.Bool(false),
		Masked:      &nnpb.FsPermission{Perm: proto.Uint32(uint32(toHadoop(opts.perm())))},
		Replication: proto.Uint32(uint32(replication)), BlockSize: proto.Uint64(uint64(blockSize)),
	}, &made)
	if err != nil {
		return nil, err
	}
	a.fileID = made.GetFs().GetFileId()
	if got := fs.FileMode(made.GetFs().GetPermission().GetPerm()); fromHadoop(got) != opts.perm() { // a default ACL made others of them
		if err := r.Chmod(ctx, p, opts.perm()); err != nil {
			return nil, errors.Join(err, r.RemoveAll(ctx, p))
		}
	}
	a.life, a.end = context.WithCancelCause(ctx)
	go a.keep()
	return a, nil
}

func (a *remoteAppender) Write(b []byte) (int, error) {
	total := len(b)
	err := a.do(a.life, func(ctx context.Context) error {
		for len(b) > 0 {
			n := min(len(b), maxBuffered-len(a.buf))
			a.buf, b = append(a.buf, b[:n]...), b[n:]
			if len(a.buf) == maxBuffered {
				if err := a.push(ctx); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return total - len(b), err
}

func (a *remoteAppender) Flush(ctx context.Context) error { return a.do(ctx, a.flush) }

func (a *remoteAppender) Close() error {
	err := a.do(a.life, a.complete)
	a.end(&Error{Op: "append", Path: a.path, Kind: fs.ErrClosed})
	<-a.kept
	if errors.Is(err, fs.ErrClosed) { // a second time
		return nil
	}
	return err
}

// do runs an operation, whose failure is the last. The operation ends when ctx
// or the Appender's life does.
func (a *remoteAppender) do(ctx context.Context, op func(context.Context) error) error {
	if a.life.Err() != nil {
		return a.cause()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(a.life, func() { cancel(context.Cause(a.life)) })()
	select {
	case a.turn <- struct{}{}:
	case <-ctx.Done():
		a.end(a.failure(ctx, context.Cause(ctx)))
		return a.cause()
	}
	defer func() { <-a.turn }()
	if err := op(ctx); err != nil {
		a.end(a.failure(ctx, err))
		return a.cause()
	}
	return nil
}

// cause is what ended the Appender's life, as an *Error.
func (a *remoteAppender) cause() error {
	err := context.Cause(a.life)
	if errors.As(err, new(*Error)) {
		return err
	}
	return &Error{Op: "append", Path: a.path, Err: err}
}

// failure gives an error our form. Where a pipeline broke, the NameNode is
// asked whether that was because somebody took over the file.
func (a *remoteAppender) failure(ctx context.Context, err error) error {
	if errors.As(err, new(*Error)) {
		return err
	}
	if ctx.Err() != nil {
		return &Error{Op: "append", Path: a.path, Err: context.Cause(ctx)}
	}
	ctx, cancel := context.WithTimeout(ctx, fencedTime)
	defer cancel()
	if why := a.note(ctx, -1); errors.Is(why, ErrFenced) {
		return why
	}
	return &Error{Op: "append", Path: a.path, Err: err, Hint: "go on in another file: a pipeline of DataNodes that broke is not repaired"}
}

// push sends what was taken.
func (a *remoteAppender) push(ctx context.Context) error {
	rest := a.buf
	for len(rest) > 0 {
		if a.pipe == nil {
			if err := a.begin(ctx); err != nil {
				return err
			}
		}
		err := a.pipe.within(ctx, func() error {
			for len(rest) > 0 && a.pipe.offset < a.blockSize {
				n := min(int64(len(rest)), packetSize, a.blockSize-a.pipe.offset)
				if over := a.pipe.offset % chunkSize; over > 0 {
					n = min(n, chunkSize-over)
				}
				if err := a.pipe.send(rest[:n]); err != nil {
					return err
				}
				rest = rest[n:]
			}
			return nil
		})
		if err != nil {
			return err
		}
		if a.pipe.offset == a.blockSize {
			if err := a.finish(ctx); err != nil {
				return err
			}
		}
	}
	a.buf = a.buf[:0]
	return nil
}

func (a *remoteAppender) flush(ctx context.Context) error {
	if err := a.push(ctx); err != nil || a.pipe == nil {
		return err
	}
	if err := a.pipe.within(ctx, a.pipe.sync); err != nil {
		return err
	}
	return a.noteOnce(ctx)
}

// noteOnce tells the NameNode that the block has bytes. Otherwise one that
// restarts, and has not heard from the DataNodes yet when the lease is
// recovered, drops a last block that it takes for empty.
// Source: FSNamesystem.internalReleaseLease.
func (a *remoteAppender) noteOnce(ctx context.Context) error {
	if a.noted {
		return nil
	}
	a.noted = true
	return a.note(ctx, a.pipe.offset)
}

func (a *remoteAppender) note(ctx context.Context, length int64) error {
	return a.fs.rpc(ctx, "append", a.path, "fsync", &nnpb.FsyncRequest{
		Src: &a.path, Client: &a.lease, LastBlockLength: &length, FileId: &a.fileID}, &nnpb.FsyncResponse{})
}

// begin gets a block and DataNodes that take it. Those that do not answer are
// named to the NameNode, which may not know yet that they are gone.
func (a *remoteAppender) begin(ctx context.Context) error {
	var avoid []*nnpb.DatanodeInfo
	for attempt := 1; ; attempt++ {
		b, err := a.addBlock(ctx, avoid)
		if err != nil {
			return err
		}
		a.pipe, err = a.fs.openPipeline(ctx, b, a.lease)
		if err == nil {
			a.noted = false
			return nil
		}
		bad := (*pipelineError)(nil)
		if !errors.As(err, &bad) || attempt == setUpAttempts || ctx.Err() != nil {
			return err
		}
		avoid = append(avoid, bad.node)
		a.fs.log.Debug("hdfs: a pipeline could not be set up", "path", a.path, "attempt", attempt, "err", err)
		if err := a.fs.rpc(ctx, "append", a.path, "abandonBlock", &nnpb.AbandonBlockRequest{
			Block: b.Block, Src: &a.path, Holder: &a.lease, FileId: &a.fileID}, &nnpb.AbandonBlockResponse{}); err != nil {
			return err
		}
	}
}

// addBlock asks for the next block, until DataNodes have reported the one before.
func (a *remoteAppender) addBlock(ctx context.Context, avoid []*nnpb.DatanodeInfo) (*nnpb.LocatedBlock, error) {
	ctx, cancel := context.WithTimeout(ctx, a.fs.timeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		var added nnpb.AddBlockResponse
		err := a.fs.rpc(ctx, "append", a.path, "addBlock", &nnpb.AddBlockRequest{
			Src: &a.path, ClientName: &a.lease, Previous: a.last, ExcludeNodes: avoid, FileId: &a.fileID}, &added)
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
func (a *remoteAppender) finish(ctx context.Context) error {
	if err := a.pipe.within(ctx, a.pipe.finish); err != nil {
		return err
	}
	if err := a.noteOnce(ctx); err != nil {
		return err
	}
	a.last = a.pipe.block
	a.last.NumBytes = proto.Uint64(uint64(a.pipe.offset))
	a.pipe.conn.Close()
	a.pipe = nil
	return nil
}

func (a *remoteAppender) complete(ctx context.Context) error {
	if err := a.push(ctx); err != nil {
		return err
	}
	if a.pipe != nil {
		if err := a.finish(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.fs.timeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		var done nnpb.CompleteResponse
		err := a.fs.rpc(ctx, "append", a.path, "complete", &nnpb.CompleteRequest{
			Src: &a.path, ClientName: &a.lease, Last: a.last, FileId: &a.fileID}, &done)
		if err != nil || done.GetResult() {
			return err
		}
		if !pause(ctx, attempt) {
			return errors.New("the DataNodes have not reported the last block in time")
		}
	}
}

// keep shows the NameNode and the DataNodes that the Appender lives, and
// closes its connection in the end.
func (a *remoteAppender) keep() {
	defer close(a.kept)
	t := time.NewTicker(keepInterval)
	defer t.Stop()
	for {
		select {
		case <-a.life.Done():
			a.turn <- struct{}{} // operations end with life
			if a.pipe != nil {
				a.pipe.conn.Close()
				a.pipe = nil
			}
			<-a.turn
			return
		case <-t.C:
			select {
			case a.turn <- struct{}{}:
				a.beat()
				<-a.turn
			default: // it is busy: no need to show that it lives
			}
			// A lease that is lost shows when it matters, and a NameNode that is away may come back: the DataNodes do not wait for it.
			ctx, cancel := context.WithTimeout(a.life, keepInterval)
			_ = a.fs.rpc(ctx, "append", a.path, "renewLease", &nnpb.RenewLeaseRequest{ClientName: &a.lease}, &nnpb.RenewLeaseResponse{})
			cancel()
		}
	}
}

// beat, by who has the turn, keeps a pipeline that rests.
func (a *remoteAppender) beat() {
	if a.pipe == nil || time.Since(a.pipe.idle) < keepInterval || a.life.Err() != nil {
		return
	}
	if err := a.pipe.within(a.life, a.pipe.beat); err != nil {
		a.end(a.failure(a.life, err))
	}
}
