package hdfstest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

func (c *Cluster) handleLeases() {
	handle(c, "create", true, once(c, c.create))
	handle(c, "addBlock", true, c.addBlock)
	handle(c, "abandonBlock", true, c.abandonBlock)
	handle(c, "updateBlockForPipeline", true, c.updateBlock)
	handle(c, "fsync", true, c.fsync)
	handle(c, "complete", true, c.complete)
	handle(c, "renewLease", false, func(*hadooptest.Call, *nnpb.RenewLeaseRequest) (*nnpb.RenewLeaseResponse, error) {
		return &nnpb.RenewLeaseResponse{}, nil
	})
	handle(c, "recoverLease", true, c.recoverLease)
	handle(c, "isFileClosed", false, c.isClosed)
	handle(c, "getBlockLocations", false, c.locations)
	handle(c, "reportBadBlocks", false, c.reportBad)
	handle(c, "getDataEncryptionKey", false, c.dataKey)
}

// retryCache answers a call that comes again under its id as it was answered first.
// Source: org.apache.hadoop.ipc.RetryCache.
type retryCache struct {
	mu      sync.Mutex
	answers map[string]*answer
	order   []string
}

type answer struct {
	once sync.Once
	resp proto.Message
	err  error
}

// maxRetries bounds the answers that are kept.
const maxRetries = 10_000

func (r *retryCache) get(key string) *answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.answers[key]; a != nil {
		return a
	}
	if r.answers == nil {
		r.answers = map[string]*answer{}
	}
	if len(r.order) == maxRetries {
		delete(r.answers, r.order[0])
		r.order = r.order[1:]
	}
	a := &answer{}
	r.answers[key], r.order = a, append(r.order, key)
	return a
}

// once runs a handler at most once for each call.
func once[PReq, Resp proto.Message](c *Cluster, h func(*hadooptest.Call, PReq) (Resp, error)) func(*hadooptest.Call, PReq) (Resp, error) {
	return func(call *hadooptest.Call, req PReq) (resp Resp, err error) {
		a := c.retries.get(fmt.Sprintf("%x/%d", call.ClientID, call.ID))
		a.once.Do(func() { a.resp, a.err = h(call, req) })
		if a.err != nil {
			return resp, a.err
		}
		return a.resp.(Resp), nil
	}
}

func (c *Cluster) create(_ *hadooptest.Call, req *nnpb.CreateRequest) (*nnpb.CreateResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	src := path.Clean(req.GetSrc())
	name := c.tree.local(src)
	if parent, err := os.Stat(path.Dir(name)); err != nil {
		return nil, exception(path.Dir(src), err)
	} else if !parent.IsDir() {
		return nil, exception(path.Dir(src), fs.ErrExist)
	}
	const overwrite = 0x02 // CreateFlag
	if st, err := os.Lstat(name); err == nil && !st.IsDir() && req.GetCreateFlag()&overwrite != 0 {
		if err := os.Remove(name); err != nil {
			return nil, exception(src, err)
		}
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, exception(src, err)
	}
	mode := fromHadoop(req.GetMasked().GetPerm())
	if err := os.Chmod(name, mode); err != nil {
		f.Close()
		return nil, errors.Join(err, os.Remove(name))
	}
	c.tree.drop(src) // what was removed behind our back
	n := c.tree.add(src)
	n.lease, n.file = req.GetClientName(), f
	st, err := f.Stat()
	if err != nil {
		return nil, exception(src, err)
	}
	status := c.status(src, st)
	status.FileId = &n.id
	return &nnpb.CreateResponse{Fs: status}, nil
}

// held returns a file whose lease a client has, under the tree's mu. Source: FSNamesystem.checkLease (3.4.2).
func (c *Cluster) held(src, holder string) (*inode, error) {
	n := c.tree.inodes[path.Clean(src)]
	if n == nil {
		return nil, &hadooptest.Exception{Class: "java.io.FileNotFoundException",
			Message: "File does not exist: " + src + " Holder " + holder + " does not have any open files."}
	}
	if n.lease == "" || n.lease != holder {
		return nil, &hadooptest.Exception{Class: "org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException",
			Message: fmt.Sprintf("%s (inode %d) lease is held by %q, not by %s", src, n.id, n.lease, holder)}
	}
	return n, nil
}

// commit notes what a client says of its last block.
func (n *inode) commit(b *nnpb.ExtendedBlock) error {
	if b == nil || len(n.blocks) == 0 {
		return nil
	}
	last := &n.blocks[len(n.blocks)-1]
	if b.GetBlockId() != last.id {
		return fmt.Errorf("block %d is not the last one of %s", b.GetBlockId(), n.path)
	}
	last.length = int64(b.GetNumBytes())
	return n.file.Truncate(n.length()) // what was written and not acknowledged
}

func (c *Cluster) addBlock(call *hadooptest.Call, req *nnpb.AddBlockRequest) (*nnpb.AddBlockResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	n, err := c.held(req.GetSrc(), req.GetClientName())
	if err != nil {
		return nil, err
	}
	if t := c.Trouble(); t.Full || len(req.GetExcludeNodes()) > 0 {
		c.meet(call.Peer)
		return nil, fmt.Errorf("File %s could only be written to 0 of the 1 minReplication nodes. There are 1 datanode(s) running and %d node(s) are excluded in this operation.",
			req.GetSrc(), len(req.GetExcludeNodes()))
	}
	// The last block may have been given already, and the answer lost. Source: FSDirWriteFileOp.analyzeFileState.
	if i := len(n.blocks) - 1; i >= 0 && n.blocks[i].length == 0 && req.GetPrevious().GetBlockId() == n.before(i) {
		return &nnpb.AddBlockResponse{Block: c.located(&n.blocks[i], c.data[:1])}, nil
	}
	if err := n.commit(req.GetPrevious()); err != nil {
		return nil, err
	}
	return &nnpb.AddBlockResponse{Block: c.located(n.addBlock(0), c.data[:1])}, nil
}

// before is the id of the block before the i-th, 0 for none.
func (n *inode) before(i int) uint64 {
	if i == 0 {
		return 0
	}
	return n.blocks[i-1].id
}

func (c *Cluster) abandonBlock(_ *hadooptest.Call, req *nnpb.AbandonBlockRequest) (*nnpb.AbandonBlockResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	n, err := c.held(req.GetSrc(), req.GetHolder())
	if err != nil {
		return nil, err
	}
	if i := len(n.blocks) - 1; i >= 0 && n.blocks[i].id == req.GetBlock().GetBlockId() {
		offset := n.blocks[i].offset
		n.blocks = n.blocks[:i]
		return &nnpb.AbandonBlockResponse{}, n.file.Truncate(offset)
	}
	return &nnpb.AbandonBlockResponse{}, nil
}

// updateBlock gives a block a new generation, of which there is but one here.
func (c *Cluster) updateBlock(_ *hadooptest.Call, req *nnpb.UpdateBlockForPipelineRequest) (*nnpb.UpdateBlockForPipelineResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	n, b := c.tree.of(req.GetBlock().GetBlockId())
	if n == nil || n.lease != req.GetClientName() {
		return nil, errors.New("block is not being written by " + req.GetClientName())
	}
	return &nnpb.UpdateBlockForPipelineResponse{Block: c.located(b, c.data[:1])}, nil
}

func (c *Cluster) fsync(_ *hadooptest.Call, req *nnpb.FsyncRequest) (*nnpb.FsyncResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	n, err := c.held(req.GetSrc(), req.GetClient())
	if err != nil {
		return nil, err
	}
	if last := len(n.blocks) - 1; last >= 0 && req.GetLastBlockLength() > 0 {
		n.blocks[last].length = max(n.blocks[last].length, req.GetLastBlockLength())
	}
	return &nnpb.FsyncResponse{}, nil
}

func (c *Cluster) complete(_ *hadooptest.Call, req *nnpb.CompleteRequest) (*nnpb.CompleteResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	done := &nnpb.CompleteResponse{Result: proto.Bool(true)}
	if n := c.tree.inodes[path.Clean(req.GetSrc())]; n != nil && n.lease == "" && n.wrote == req.GetClientName() {
		return done, nil // the answer got lost
	}
	n, err := c.held(req.GetSrc(), req.GetClientName())
	if err != nil {
		return nil, err
	}
	if err := n.commit(req.GetLast()); err != nil {
		return nil, err
	}
	n.wrote = n.lease
	n.settle()
	return done, nil
}

// recoverLease takes a file from its writer. Like a NameNode it says at first that the recovery has begun,
// where there is a block to recover.
func (c *Cluster) recoverLease(_ *hadooptest.Call, req *nnpb.RecoverLeaseRequest) (*nnpb.RecoverLeaseResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	n, err := c.tree.find(path.Clean(req.GetSrc()))
	if err != nil {
		return nil, exception(req.GetSrc(), err)
	}
	if n.lease == "" {
		return &nnpb.RecoverLeaseResponse{Result: proto.Bool(true)}, nil
	}
	if len(n.blocks) > 0 {
		st, err := n.file.Stat()
		if err != nil {
			return nil, err
		}
		last := &n.blocks[len(n.blocks)-1]
		last.length = st.Size() - last.offset
	}
	n.settle()
	return &nnpb.RecoverLeaseResponse{Result: proto.Bool(len(n.blocks) == 0)}, nil
}

func (c *Cluster) isClosed(_ *hadooptest.Call, req *nnpb.IsFileClosedRequest) (*nnpb.IsFileClosedResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	n, err := c.tree.find(path.Clean(req.GetSrc()))
	if err != nil {
		return nil, exception(req.GetSrc(), err)
	}
	return &nnpb.IsFileClosedResponse{Result: proto.Bool(n.lease == "")}, nil
}

func (c *Cluster) locations(_ *hadooptest.Call, req *nnpb.GetBlockLocationsRequest) (*nnpb.GetBlockLocationsResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	n, err := c.tree.find(path.Clean(req.GetSrc()))
	if err != nil {
		return nil, exception(req.GetSrc(), err)
	}
	out := &nnpb.LocatedBlocks{FileLength: proto.Uint64(uint64(n.length())), UnderConstruction: proto.Bool(n.lease != ""), IsLastBlockComplete: proto.Bool(n.lease == "")}
	from, to := int64(req.GetOffset()), int64(req.GetOffset()+req.GetLength())
	for i := range n.blocks {
		if b := &n.blocks[i]; b.length > 0 && b.offset < to && b.offset+b.length > from {
			out.Blocks = append(out.Blocks, c.located(b, c.data))
		}
	}
	return &nnpb.GetBlockLocationsResponse{Locations: out}, nil
}

// located says where a block is.
func (c *Cluster) located(b *block, nodes []*dataNode) *nnpb.LocatedBlock {
	l := &nnpb.LocatedBlock{
		Block:  &nnpb.ExtendedBlock{PoolId: proto.String(pool), BlockId: &b.id, GenerationStamp: proto.Uint64(1001), NumBytes: proto.Uint64(uint64(b.length))},
		Offset: proto.Uint64(uint64(b.offset)), Corrupt: proto.Bool(false), Token: c.token(b.id),
	}
	for _, d := range nodes {
		l.Locations = append(l.Locations, &nnpb.DatanodeInfo{Id: d.id()})
	}
	return l
}

// BadReplica is what a client has said of a DataNode's copy: it is not what was written.
type BadReplica struct {
	DataNode int
	Path     string
}

// BadReplicas are those that were reported, as often as they were.
func (c *Cluster) BadReplicas() []BadReplica {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.bad)
}

func (c *Cluster) reportBad(_ *hadooptest.Call, req *nnpb.ReportBadBlocksRequest) (*nnpb.ReportBadBlocksResponse, error) {
	for _, b := range req.GetBlocks() {
		c.tree.mu.Lock()
		n, _ := c.tree.of(b.GetBlock().GetBlockId())
		c.tree.mu.Unlock()
		for _, l := range b.GetLocations() {
			i := slices.IndexFunc(c.data, func(d *dataNode) bool { return d.id().GetDatanodeUuid() == l.GetId().GetDatanodeUuid() })
			if n == nil || i < 0 {
				return nil, errors.New("a bad replica of a block or DataNode that does not exist")
			}
			c.mu.Lock()
			c.bad = append(c.bad, BadReplica{i, n.path})
			c.mu.Unlock()
		}
	}
	return &nnpb.ReportBadBlocksResponse{}, nil
}

// pool is the block pool.
const pool = "BP-1-hdfstest"
