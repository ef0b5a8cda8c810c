package hdfs

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// Storage says what a directory does to files that are made in it, beyond plain
// replication. The zero value is nothing special.
type Storage struct {
	// ErasureCoding is the name of the policy, such as RS-6-3-1024k.
	ErasureCoding string
	// EncryptionZone is the root of the zone, and Key the name of its key.
	EncryptionZone, Key string
}

// replicationPolicy is the id of the policy that makes a directory below an
// erasure-coded one hold replicated files again.
// Source: org.apache.hadoop.io.erasurecode.ErasureCodeConstants.REPLICATION_POLICY_ID.
const replicationPolicy = 63

// StorageOf looks at a path, or, as long as it does not exist, at the one above it:
// what is made there inherits. File systems without such things say nothing.
func StorageOf(ctx context.Context, f FS, name string) (Storage, error) {
	r, ok := f.(*remote)
	if !ok {
		return Storage{}, nil
	}
	p, err := r.Resolve(name)
	if err != nil {
		return Storage{}, err
	}
	for {
		s, err := r.storage(ctx, p)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || p == "/" {
			return s, err
		}
		p = path.Dir(p)
	}
}

func (r *remote) storage(ctx context.Context, p string) (Storage, error) {
	var s Storage
	var ec nnpb.GetErasureCodingPolicyResponse
	err := r.rpc(ctx, "look at", p, "getErasureCodingPolicy", &nnpb.GetErasureCodingPolicyRequest{Src: proto.String(p)}, &ec)
	if err != nil && !unknownMethod(err) {
		return s, err
	}
	if ec.Policy != nil && ec.Policy.GetId() != replicationPolicy {
		s.ErasureCoding = ec.Policy.GetName()
		if s.ErasureCoding == "" {
			s.ErasureCoding = "a policy without a name"
		}
	}
	var ez nnpb.GetEZForPathResponse
	err = r.rpc(ctx, "look at", p, "getEZForPath", &nnpb.GetEZForPathRequest{Src: proto.String(p)}, &ez)
	if err != nil && !unknownMethod(err) {
		return s, err
	}
	s.EncryptionZone, s.Key = ez.GetZone().GetPath(), ez.GetZone().GetKeyName()
	return s, nil
}

// unknownMethod is the answer of a NameNode that is too old for such things.
func unknownMethod(err error) bool {
	var e *Error
	return errors.As(err, &e) && strings.HasSuffix(e.Exception, ".RpcNoSuchMethodException")
}
