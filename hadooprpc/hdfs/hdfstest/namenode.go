package hdfstest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	osuser "os/user"
	"path"
	"slices"
	"strconv"
	"syscall"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// protocol is what clients speak with a NameNode. Source: ClientNamenodeProtocol.proto (3.4.2).
const protocol = "org.apache.hadoop.hdfs.protocol.ClientProtocol"

// blockSize is dfs.blocksize's default in bytes.
const blockSize = 128 << 20

// handle answers a method, when the NameNode does not hang. One that changes something is refused in safe
// mode.
func handle[Req any, PReq interface {
	*Req
	proto.Message
}, Resp proto.Message](c *Cluster, method string, changes bool, h func(*hadooptest.Call, PReq) (Resp, error)) {
	hadooptest.Handle(c.rpc, protocol, method, func(ctx context.Context, call *hadooptest.Call, req PReq) (resp Resp, err error) {
		if err := c.wait(ctx, call.Peer, func(t Trouble) bool { return t.NameNode == Hangs }); err != nil {
			return resp, err
		}
		if changes && c.Trouble().SafeMode {
			c.meet(call.Peer)
			return resp, &hadooptest.Exception{Class: "org.apache.hadoop.hdfs.server.namenode.SafeModeException",
				Message: "Cannot " + method + ". Name node is in safe mode."}
		}
		return h(call, req)
	})
}

func (c *Cluster) handleNames() {
	handle(c, "getFileInfo", false, c.fileInfo)
	handle(c, "getListing", false, c.listing)
	handle(c, "getServerDefaults", false, c.defaults)
	handle(c, "mkdirs", true, c.mkdirs)
	handle(c, "setPermission", true, c.chmod)
	handle(c, "delete", true, once(c, c.remove))
	handle(c, "rename2", true, once(c, c.rename))
}

// exceptions by what the disk says.
func exception(name string, err error) error {
	x := func(class, text string) error { return &hadooptest.Exception{Class: class, Message: text} }
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return x("java.io.FileNotFoundException", "File does not exist: "+name)
	case errors.Is(err, syscall.ENOTEMPTY): // is ErrExist as well
		return x("org.apache.hadoop.fs.PathIsNotEmptyDirectoryException", name+" is non empty")
	case errors.Is(err, fs.ErrExist):
		return x("org.apache.hadoop.fs.FileAlreadyExistsException", name+" already exists")
	case errors.Is(err, syscall.ENOTDIR):
		return x("org.apache.hadoop.fs.ParentNotDirectoryException", name+" (is not a directory)")
	}
	return err
}

// status describes what is at a path, under the tree's mu.
func (c *Cluster) status(name string, st fs.FileInfo) *nnpb.HdfsFileStatus {
	ms := uint64(st.ModTime().UnixMilli())
	s := &nnpb.HdfsFileStatus{
		FileType: proto.Uint32(1), Path: []byte{}, Length: proto.Uint64(0), Permission: &nnpb.FsPermission{Perm: proto.Uint32(toHadoop(st.Mode()))},
		Owner: proto.String(ownerOf(st)), Group: proto.String("supergroup"), ModificationTime: &ms, AccessTime: &ms,
	}
	if st.IsDir() {
		return s
	}
	length := st.Size()
	if n := c.tree.inodes[name]; n != nil && n.lease != "" {
		length = n.length()
	}
	s.FileType, s.Length = proto.Uint32(2), proto.Uint64(uint64(length))
	s.BlockReplication, s.BlockSize = proto.Uint32(1), proto.Uint64(blockSize)
	special := c.tree.special[name]
	if special.Key != "" {
		s.FileEncryptionInfo = &nnpb.FileEncryptionInfo{Suite: proto.Uint32(2), CryptoProtocolVersion: proto.Uint32(2), Key: []byte{1}, Iv: []byte{2},
			KeyName: &special.Key, EzKeyVersionName: proto.String(special.Key + "@0")}
	}
	if special.ErasureCoding != 0 {
		s.EcPolicy = &nnpb.ErasureCodingPolicy{Id: &special.ErasureCoding}
	}
	return s
}

// Special is what is special about a file. Its bytes are what they are; only what the NameNode says of it is another.
type Special struct {
	// Key is that of the encryption zone in which it lies, ErasureCoding the id of its policy.
	Key           string
	ErasureCoding uint32
}

// SetSpecial says what is special about a file from now on.
func (c *Cluster) SetSpecial(name string, s Special) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	c.tree.special[path.Clean(name)] = s
}

// ownerOf is who owns a file on the disk, as a name.
func ownerOf(st fs.FileInfo) string {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		id := strconv.Itoa(int(sys.Uid))
		if u, err := osuser.LookupId(id); err == nil {
			return u.Username
		}
		return id
	}
	return ""
}

// notFound is true where the answer to a question about a name is that there is nothing.
func notFound(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func (c *Cluster) fileInfo(_ *hadooptest.Call, req *nnpb.GetFileInfoRequest) (*nnpb.GetFileInfoResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	st, err := os.Stat(c.tree.local(req.GetSrc()))
	if err != nil {
		if notFound(err) {
			return &nnpb.GetFileInfoResponse{}, nil
		}
		return nil, exception(req.GetSrc(), err)
	}
	s := c.status(req.GetSrc(), st)
	if !st.IsDir() {
		if n, err := c.tree.find(path.Clean(req.GetSrc())); err == nil {
			s.FileId = &n.id
		}
	}
	return &nnpb.GetFileInfoResponse{Fs: s}, nil
}

// listing gives up to as many names as a NameNode does at once (dfs.ls.limit).
func (c *Cluster) listing(_ *hadooptest.Call, req *nnpb.GetListingRequest) (*nnpb.GetListingResponse, error) {
	const limit = 1000
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	src := req.GetSrc()
	st, err := os.Stat(c.tree.local(src))
	if err != nil {
		if notFound(err) {
			return &nnpb.GetListingResponse{}, nil
		}
		return nil, exception(src, err)
	}
	list := &nnpb.DirectoryListing{RemainingEntries: proto.Uint32(0)}
	if !st.IsDir() {
		list.PartialListing = append(list.PartialListing, c.status(src, st))
		return &nnpb.GetListingResponse{DirList: list}, nil
	}
	entries, err := os.ReadDir(c.tree.local(src))
	if err != nil {
		return nil, exception(src, err)
	}
	after := string(req.GetStartAfter())
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return e.Name() <= after })
	for i, e := range entries {
		if i == limit {
			list.RemainingEntries = proto.Uint32(uint32(len(entries) - limit))
			break
		}
		info, err := e.Info()
		if err != nil {
			continue // it went away
		}
		s := c.status(path.Join(src, e.Name()), info)
		s.Path = []byte(e.Name())
		list.PartialListing = append(list.PartialListing, s)
	}
	return &nnpb.GetListingResponse{DirList: list}, nil
}

func (c *Cluster) defaults(*hadooptest.Call, *nnpb.GetServerDefaultsRequest) (*nnpb.GetServerDefaultsResponse, error) {
	return &nnpb.GetServerDefaultsResponse{ServerDefaults: &nnpb.FsServerDefaults{
		BlockSize: proto.Uint64(blockSize), BytesPerChecksum: proto.Uint32(chunkSize), WritePacketSize: proto.Uint32(64 << 10),
		Replication: proto.Uint32(1), FileBufferSize: proto.Uint32(4096), EncryptDataTransfer: &c.transfer.Encrypt,
		KeyProviderUri: c.keys,
	}}, nil
}

func (c *Cluster) mkdirs(_ *hadooptest.Call, req *nnpb.MkdirsRequest) (*nnpb.MkdirsResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	dir, mode := c.tree.local(req.GetSrc()), fromHadoop(req.GetMasked().GetPerm())
	var missing []string
	for d := dir; ; d = path.Dir(d) {
		st, err := os.Stat(d)
		if err == nil {
			switch {
			case st.IsDir():
			case d == dir:
				return nil, exception(req.GetSrc(), fs.ErrExist)
			default:
				return nil, exception(d, syscall.ENOTDIR)
			}
			break
		}
		if !notFound(err) {
			return nil, exception(req.GetSrc(), err)
		}
		missing = append(missing, d)
	}
	if len(missing) > 1 && !req.GetCreateParent() {
		return nil, exception(path.Dir(req.GetSrc()), fs.ErrNotExist)
	}
	slices.Reverse(missing)
	for _, d := range missing {
		if err := errors.Join(os.Mkdir(d, 0o700), os.Chmod(d, mode)); err != nil {
			return nil, exception(req.GetSrc(), err)
		}
	}
	return &nnpb.MkdirsResponse{Result: proto.Bool(true)}, nil
}

func (c *Cluster) chmod(_ *hadooptest.Call, req *nnpb.SetPermissionRequest) (*nnpb.SetPermissionResponse, error) {
	err := os.Chmod(c.tree.local(req.GetSrc()), fromHadoop(req.GetPermission().GetPerm()))
	return &nnpb.SetPermissionResponse{}, exception(req.GetSrc(), err)
}

func (c *Cluster) remove(_ *hadooptest.Call, req *nnpb.DeleteRequest) (*nnpb.DeleteResponse, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	name := c.tree.local(req.GetSrc())
	if _, err := os.Lstat(name); err != nil || name == c.dir {
		return &nnpb.DeleteResponse{Result: proto.Bool(false)}, nil
	}
	remove := os.Remove
	if req.GetRecursive() {
		remove = os.RemoveAll
	}
	if err := remove(name); err != nil {
		return nil, exception(req.GetSrc(), err)
	}
	c.tree.drop(path.Clean(req.GetSrc()))
	return &nnpb.DeleteResponse{Result: proto.Bool(true)}, nil
}

// rename moves a file or directory. Source: FSDirRenameOp.validateRenameOverwrite and others (3.4.2).
func (c *Cluster) rename(_ *hadooptest.Call, req *nnpb.Rename2Request) (*nnpb.Rename2Response, error) {
	c.tree.mu.Lock()
	defer c.tree.mu.Unlock()
	src, dst := path.Clean(req.GetSrc()), path.Clean(req.GetDst())
	from, to := c.tree.local(src), c.tree.local(dst)
	st, err := os.Stat(from)
	if err != nil {
		return nil, exception(src, err)
	}
	if src == dst {
		return nil, exception(dst, fs.ErrExist)
	}
	if parent, err := os.Stat(path.Dir(to)); err != nil {
		return nil, exception(path.Dir(dst), err)
	} else if !parent.IsDir() {
		return nil, exception(path.Dir(dst), syscall.ENOTDIR)
	}
	if there, err := os.Stat(to); err == nil {
		switch {
		case there.IsDir() != st.IsDir():
			return nil, errors.New("Source " + src + " and destination " + dst + " must both be directories or files")
		case !req.GetOverwrite():
			return nil, exception(dst, fs.ErrExist)
		}
	}
	if err := syscall.Rename(from, to); err != nil { // os.Rename takes no empty directory's place
		if errors.Is(err, syscall.ENOTEMPTY) {
			return nil, errors.New("rename destination directory is not empty: " + dst)
		}
		return nil, exception(src, err)
	}
	c.tree.move(src, dst)
	return &nnpb.Rename2Response{}, nil
}
