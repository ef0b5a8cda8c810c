package hdfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

// builtIn names the policies that every NameNode has; of these it sends the id alone.
// Source: org.apache.hadoop.hdfs.protocol.SystemErasureCodingPolicies, and
// PBHelperClient.convertErasureCodingPolicy for what is left out. Seen on 3.4.2.
var builtIn = map[uint32]string{
	1: "RS-6-3-1024k", 2: "RS-3-2-1024k", 3: "RS-LEGACY-6-3-1024k", 4: "XOR-2-1-1024k", 5: "RS-10-4-1024k",
}

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
		s.ErasureCoding = policyName(ec.Policy)
	}
	var ez nnpb.GetEZForPathResponse
	err = r.rpc(ctx, "look at", p, "getEZForPath", &nnpb.GetEZForPathRequest{Src: proto.String(p)}, &ez)
	if err != nil && !unknownMethod(err) {
		return s, err
	}
	s.EncryptionZone, s.Key = ez.GetZone().GetPath(), ez.GetZone().GetKeyName()
	return s, nil
}

func policyName(p *nnpb.ErasureCodingPolicy) string {
	return cmp.Or(p.GetName(), builtIn[p.GetId()], fmt.Sprintf("policy %d", p.GetId()))
}

// unknownMethod is the answer of a NameNode that is too old for such things.
func unknownMethod(err error) bool {
	var e *Error
	return errors.As(err, &e) && strings.HasSuffix(e.Exception, ".RpcNoSuchMethodException")
}
