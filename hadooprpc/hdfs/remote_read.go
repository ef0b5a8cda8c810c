package hdfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
	"github.com/yarnd/yarnd/hadooprpc/pb"
)

const (
	// locatedBlocks is how many blocks the NameNode is asked about at once: Java's dfs.client.read.prefetch.size.
	locatedBlocks = 10
	// firstWindow is how much more than was asked for a read after a jump has sent. It grows fourfold with each that
	// goes on where the last one ended, up to the block's end.
	// What it brings is one packet, so that the connection is free again.
	firstWindow = 64<<10 - 2*chunkSize
	// reportTime bounds the report of a replica that is not what was written.
	reportTime = 2 * time.Second
)

// Open implements FS.
func (r *remote) Open(ctx context.Context, name string) (File, error) {
	p, err := r.Resolve(name)
	if err != nil {
		return nil, err
	}
	st, err := r.status(ctx, "open", p)
	if err != nil {
		return nil, err
	}
	info := statusInfo(p, st)
	if info.IsDir {
		return nil, newError("open", p, ErrIsDir)
	}
	if err := readable(p, st); err != nil {
		return nil, err
	}
	f := &remoteFile{fs: r, info: info, id: st.GetFileId(), plan: newReadPlan(cmp.Or(r.patience, firstPatience))}
	f.life, f.end = context.WithCancelCause(ctx)
	f.seq.window, f.jump.window = info.Length, firstWindow
	return f, nil
}

// readable refuses files whose bytes a DataNode does not give as they were written.
func readable(p string, st *nnpb.HdfsFileStatus) error {
	e := &Error{Op: "open", Path: p, Kind: ErrUnsupported, Hint: "read it with: hdfs dfs -cat " + p}
	switch {
	case st.FileEncryptionInfo != nil:
		e.Detail = "the file lies in an encryption zone (key " + st.FileEncryptionInfo.GetKeyName() + "), and what encrypts there is not decrypted here"
	case st.EcPolicy != nil && st.EcPolicy.GetId() != replicationPolicy:
		e.Detail = "the file is erasure-coded (" + policyName(st.EcPolicy) + "), and only replicated files are read here"
	default:
		return nil
	}
	return e
}

// status describes a file or directory.
func (r *remote) status(ctx context.Context, op, p string) (*nnpb.HdfsFileStatus, error) {
	var resp nnpb.GetFileInfoResponse
	if err := r.rpc(ctx, op, p, "getFileInfo", &nnpb.GetFileInfoRequest{Src: &p}, &resp); err != nil {
		return nil, err
	}
	if resp.Fs == nil {
		return nil, newError(op, p, fs.ErrNotExist)
	}
	return resp.Fs, nil
}

// statusInfo is remoteInfo of an answer to our own call.
func statusInfo(p string, st *nnpb.HdfsFileStatus) FileInfo {
	const directory = 1
	i := FileInfo{Path: p, ModTimeMs: int64(st.GetModificationTime()), Perm: fromHadoop(fs.FileMode(st.GetPermission().GetPerm())),
		Owner: st.GetOwner(), Group: st.GetGroup(), IsDir: st.GetFileType() == directory}
	if !i.IsDir {
		i.Length, i.Replication, i.BlockSize = int64(st.GetLength()), int(st.GetBlockReplication()), int64(st.GetBlockSize())
	}
	return i
}

// remoteFile reads a file from the DataNodes that have it. Its length is what the NameNode said when it was opened: of a
// file that is being written, what was flushed first into each block.
type remoteFile struct {
	fs   *remote
	info FileInfo
	id   uint64 // of the inode; 0: the NameNode does not say

	// life ends with the context of Open, or Close; its cause is what reads return then.
	life context.Context
	end  context.CancelCauseFunc

	mu   sync.Mutex
	plan *readPlan
	off  int64  // where Read continues
	seq  cursor // of Read
	jump cursor // of ReadAt
	// damaged are replicas of the block that is being read whose checksums are wrong.
	damaged []readStep
}

// cursor is a place in the file, and the stream that leads on from there.
type cursor struct {
	stream *blockStream
	base   int64     // where in the file the stream's block begins
	pos    int64     // in the file: behind the last byte given out
	window int64     // bytes that the next stream brings at least
	idle   *nodeConn // of the last stream, for the next one
}

func (f *remoteFile) Info() FileInfo { return f.info }

func (f *remoteFile) Read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.readAt(&f.seq, b, f.off)
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
		n, err := f.readAt(&f.jump, b[total:], off+int64(total))
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// readAt reads some bytes at an offset.
func (f *remoteFile) readAt(c *cursor, b []byte, off int64) (int, error) {
	if f.life.Err() != nil {
		return 0, f.failure(context.Cause(f.life))
	}
	if off >= f.info.Length {
		return 0, io.EOF
	}
	if len(b) == 0 {
		return 0, nil
	}
	b = b[:min(int64(len(b)), f.info.Length-off)]
	f.moveTo(c, off, int64(len(b)))
	for {
		if c.stream == nil {
			if err := f.connect(c, off, int64(len(b))); err != nil {
				return 0, f.failure(err)
			}
		}
		n, err := c.stream.read(b[:min(int64(len(b)), c.base+c.stream.end-off)])
		if err == nil {
			if c.stream.arrived() && c.stream.conn != nil {
				c.idle = c.stream.finish()
			}
			c.pos = off + int64(n)
			f.plan.advanced()
			f.report(c.stream.step.node)
			return n, nil
		}
		f.blame(c.stream.step, err, true)
		c.drop()
	}
}

// moveTo keeps the cursor's stream when it leads to off, and says how much the next one brings.
func (f *remoteFile) moveTo(c *cursor, off, want int64) {
	s := c.stream
	if s != nil && off < c.base+s.end && s.seek(off-c.base) {
		return
	}
	switch {
	case off != c.pos:
		c.window = firstWindow
	case s != nil:
		c.window = min(4*max(c.window, want), f.info.Length)
	}
	c.leave()
}

// connect begins a stream at off, with the first DataNode that gives one.
func (f *remoteFile) connect(c *cursor, off, want int64) error {
	for {
		if f.life.Err() != nil {
			return context.Cause(f.life)
		}
		step := f.plan.next(off)
		switch step.do {
		case stepGiveUp:
			err := &Error{Op: "read", Path: f.info.Path, Detail: f.plan.reason(step.block),
				Hint: "look at the DataNodes that hold it (hdfs fsck " + f.info.Path + " -files -blocks -locations)"}
			f.report(nil)
			f.plan.advanced() // whoever reads again begins anew
			return err
		case stepLocate:
			if err := f.locate(off, step.pause); err != nil {
				return err
			}
		case stepConnect:
			if f.fs.transfer.Encrypt { // the NameNode's silence is not the DataNode's
				if _, err := f.fs.encryptionKey(f.life); err != nil {
					return err
				}
			}
			err := f.stream(c, step, off, want)
			if err == nil {
				return nil
			}
			f.blame(step, err, false)
		}
	}
}

// stream begins a stream, by the cursor's last connection where that is to the same DataNode and still good.
func (f *remoteFile) stream(c *cursor, step readStep, off, want int64) error {
	addr := f.fs.transferAddress(step.node)
	if conn := c.take(addr); conn != nil {
		if err := f.begin(c, conn, step, off, want); err == nil || !worn(err) {
			return err
		}
	}
	conn, err := f.fs.openNode(f.life, addr, step.block, step.patience)
	if err != nil {
		return err
	}
	return f.begin(c, conn, step, off, want)
}

func (f *remoteFile) begin(c *cursor, conn *nodeConn, step readStep, off, want int64) error {
	begin, end := extent(step.block)
	end = min(end, f.info.Length, off+max(want, c.window))
	s, err := openStream(conn, step.block, off-begin, end-begin, step.patience)
	if err != nil {
		conn.close()
		return err
	}
	s.step = step
	c.stream, c.base = s, begin
	return nil
}

// worn is whether a request failed because its connection, which had worked before, was closed by the other side.
func worn(err error) bool {
	return !errors.As(err, new(*answerError)) && !errors.Is(err, os.ErrDeadlineExceeded)
}

// blame tells the plan of a failure. began says that the DataNode had begun to give the block.
func (f *remoteFile) blame(step readStep, err error, began bool) {
	if f.life.Err() != nil {
		return
	}
	how := failedNode
	answer, refusal := (*answerError)(nil), (*saslRefusal)(nil)
	switch {
	case errors.As(err, new(*damagedError)):
		how = failedReplica
		f.damaged = append(f.damaged, step)
	case errors.As(err, &refusal):
		how = failedToken
		if refusal.status == saslUnknownKey {
			f.fs.forgetKey()
		}
	case errors.As(err, &answer):
		if answer.status == statusNoAccess {
			how = failedToken
		}
	case began && worn(err):
		how = failedConn
	}
	f.fs.log.Debug("hdfs: a DataNode failed a reader", "path", f.info.Path, "block", step.block.Block.GetBlockId(),
		"node", f.fs.transferAddress(step.node), "err", err)
	f.plan.failed(step, how, err)
}

// locate asks the NameNode where the bytes from off on are.
func (f *remoteFile) locate(off int64, wait time.Duration) error {
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-f.life.Done():
			return context.Cause(f.life)
		}
	}
	p := f.info.Path
	var resp nnpb.GetBlockLocationsResponse
	err := f.fs.rpc(f.life, "read", p, "getBlockLocations", &nnpb.GetBlockLocationsRequest{
		Src: &p, Offset: proto.Uint64(uint64(off)), Length: proto.Uint64(uint64(locatedBlocks * max(f.info.BlockSize, 1)))}, &resp)
	if err != nil {
		return err
	}
	st, err := f.fs.status(f.life, "read", p) // afterwards: the blocks are of this file or of one before it
	if err != nil {
		return err
	}
	if !f.plan.located(resp.GetLocations().GetBlocks()) || st.GetFileId() != f.id {
		return &Error{Op: "read", Path: p, Kind: fs.ErrNotExist, Detail: "another file has taken its place since it was opened", Hint: "open it again"}
	}
	if f.plan.find(off) == nil {
		return &Error{Op: "read", Path: p, Kind: ErrLength, Err: io.ErrUnexpectedEOF,
			Detail: fmt.Sprintf("it had %d bytes when it was opened, and has none at %d now", f.info.Length, off)}
	}
	return nil
}

// report tells the NameNode of replicas that are not what was written, once another one could be read, good, or when there
// is no other. Where all are wrong it is more likely this machine that errs. Source: DFSClient.reportCheckSumFailure.
func (f *remoteFile) report(good *nnpb.DatanodeInfo) {
	damaged := f.damaged
	f.damaged = nil
	var req nnpb.ReportBadBlocksRequest
	for _, d := range damaged {
		if good != nil && nodeKey(good) == nodeKey(d.node) || good == nil && len(d.block.Locations) > 1 {
			continue
		}
		b := &nnpb.LocatedBlock{Block: d.block.Block, Offset: d.block.Offset, Corrupt: proto.Bool(true), Locations: []*nnpb.DatanodeInfo{d.node},
			Token: emptyToken()}
		i, n := slices.Index(d.block.Locations, d.node), len(d.block.Locations)
		if len(d.block.StorageIds) == n && len(d.block.StorageTypes) == n {
			b.StorageIds, b.StorageTypes = d.block.StorageIds[i:i+1], d.block.StorageTypes[i:i+1]
		}
		req.Blocks = append(req.Blocks, b)
	}
	if len(req.Blocks) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(f.life, reportTime)
	defer cancel()
	if err := f.fs.rpc(ctx, "report", f.info.Path, "reportBadBlocks", &req, &nnpb.ReportBadBlocksResponse{}); err != nil {
		f.fs.log.Debug("hdfs: a bad replica could not be reported", "path", f.info.Path, "err", err)
	}
}

// emptyToken stands where a token is required by the form of a message alone.
func emptyToken() *pb.Token {
	return &pb.Token{Identifier: []byte{}, Password: []byte{}, Kind: proto.String(""), Service: proto.String("")}
}

// failure gives an error our form.
func (f *remoteFile) failure(err error) error {
	if f.life.Err() != nil {
		err = context.Cause(f.life)
	}
	if errors.As(err, new(*Error)) {
		return err
	}
	return &Error{Op: "read", Path: f.info.Path, Err: err}
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

// Close ends reads under way, too.
func (f *remoteFile) Close() error {
	f.end(&Error{Op: "read", Path: f.info.Path, Kind: fs.ErrClosed})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seq.close()
	f.jump.close()
	return nil
}

// take is the connection that the cursor's last stream left, where that was to addr and not long ago.
func (c *cursor) take(addr string) *nodeConn {
	conn := c.idle
	c.idle = nil
	if conn != nil && (conn.addr != addr || time.Since(conn.since) > keptTime) {
		conn.close()
		return nil
	}
	return conn
}

// leave ends the cursor's stream, and keeps its connection where the rest of the stream is short.
func (c *cursor) leave() {
	if c.stream != nil && c.stream.drain() {
		c.idle = c.stream.finish()
	}
	c.drop()
}

// drop ends the cursor's stream.
func (c *cursor) drop() {
	if c.stream != nil {
		c.stream.close()
		c.stream = nil
	}
}

func (c *cursor) close() {
	c.drop()
	if c.idle != nil {
		c.idle.close()
		c.idle = nil
	}
}
