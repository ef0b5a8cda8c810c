package hdfs

import (
	"cmp"
	"context"
	"errors"
	"io/fs"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
)

// Calls that the library does not offer, and those that reading and appending make, go over our own RPC client.

const clientProtocol = "org.apache.hadoop.hdfs.protocol.ClientProtocol"

// rpc makes one call, about p or, where that is "", all of the file system, and maps its failure. All attempts together are bounded by
// the file system's timeout; the proxy repeats them under one call id, so that
// the NameNode's retry cache answers for an attempt whose outcome got lost.
func (r *remote) rpc(ctx context.Context, op, p, method string, req, resp proto.Message) error {
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	err := r.proxy.Call(bounded, ipc.Method{Name: method, Idempotent: true}, req, resp)
	if err == nil {
		return nil
	}
	if e := (*ipc.RemoteError)(nil); errors.As(err, &e) && ctx.Err() == nil && !ipc.IsStandby(err) {
		return fromException(op, cmp.Or(p, r.root()), e.Class, e.Message, err)
	}
	return r.ended(ctx, op, p, err)
}

// Locations implements FS.
func (r *remote) Locations(ctx context.Context, name string) ([]Block, error) {
	info, err := r.Stat(ctx, name)
	if err != nil {
		return nil, err
	}
	if info.IsDir {
		return nil, newError("locate", info.Path, ErrIsDir)
	}
	if info.Length == 0 {
		return nil, nil
	}
	var resp nnpb.GetBlockLocationsResponse
	err = r.rpc(ctx, "locate", info.Path, "getBlockLocations", &nnpb.GetBlockLocationsRequest{
		Src: &info.Path, Offset: proto.Uint64(0), Length: proto.Uint64(uint64(info.Length)),
	}, &resp)
	if err != nil {
		return nil, err
	}
	if resp.Locations == nil {
		return nil, newError("locate", info.Path, fs.ErrNotExist)
	}
	blocks := make([]Block, 0, len(resp.Locations.Blocks))
	for _, b := range resp.Locations.Blocks {
		block := Block{Offset: int64(b.GetOffset()), Length: int64(b.GetBlock().GetNumBytes())}
		for _, l := range b.Locations {
			block.Hosts = append(block.Hosts, l.GetId().GetHostName())
		}
		blocks = append(blocks, block)
	}
	return blocks, nil
}

// RenameNew implements FS.
func (r *remote) RenameNew(ctx context.Context, oldName, newName string) error {
	from, err := r.Resolve(oldName)
	if err != nil {
		return err
	}
	to, err := r.Resolve(newName)
	if err != nil {
		return err
	}
	return r.rpc(ctx, "rename", from+" to "+to, "rename2",
		&nnpb.Rename2Request{Src: &from, Dst: &to, Overwrite: proto.Bool(false)}, &nnpb.Rename2Response{})
}
