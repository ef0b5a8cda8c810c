package hdfs

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// What to make a file with: org.apache.hadoop.fs.CreateFlag. Files are replicated also in a directory whose files are
// erasure-coded: those are written in stripes, and cannot be flushed.
const (
	createNew       = 0x01
	createOverwrite = 0x02
	createReplicate = 0x80
)

// Create implements FS.
func (r *remote) Create(ctx context.Context, name string, opts CreateOptions) (Writer, error) {
	flags := uint32(createNew | createReplicate)
	if opts.Overwrite {
		flags |= createOverwrite
	}
	w, err := r.create(ctx, name, flags, opts)
	if err != nil {
		return nil, err
	}
	w.op, w.cure = "write", "write the file again"
	go w.keep()
	return w, nil
}

// Append implements FS.
func (r *remote) Append(ctx context.Context, name string, opts CreateOptions) (Appender, error) {
	w, err := r.create(ctx, name, createNew|createReplicate, opts)
	if err != nil {
		return nil, err
	}
	w.op, w.cure, w.flushed = "append", "go on in another file", true
	go w.keep()
	return w, nil
}

// create makes a file and its writer. A repeated attempt is known to the NameNode by its call id.
func (r *remote) create(ctx context.Context, name string, flags uint32, opts CreateOptions) (*remoteWriter, error) {
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
	w := &remoteWriter{fs: r, path: p, lease: "yarnd-" + rand.Text(), blockSize: blockSize,
		turn: make(chan struct{}, 1), kept: make(chan struct{})}
	var made nnpb.CreateResponse
	err = r.rpc(ctx, "create", p, "create", &nnpb.CreateRequest{
		Src: &p, ClientName: &w.lease, CreateFlag: &flags, CreateParent: proto.Bool(false),
		Masked:      &nnpb.FsPermission{Perm: proto.Uint32(uint32(toHadoop(opts.perm())))},
		Replication: proto.Uint32(uint32(replication)), BlockSize: proto.Uint64(uint64(blockSize)),
	}, &made)
	if err != nil {
		return nil, err
	}
	w.fileID = made.GetFs().GetFileId()
	if got := fs.FileMode(made.GetFs().GetPermission().GetPerm()); fromHadoop(got) != opts.perm() { // a default ACL made others of them
		if err := r.Chmod(ctx, p, opts.perm()); err != nil {
			return nil, errors.Join(err, r.RemoveAll(ctx, p))
		}
	}
	w.life, w.end = context.WithCancelCause(ctx)
	return w, nil
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
