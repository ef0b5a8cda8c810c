package hdfs

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// A DataNode that is told to recover a block asks the others, agrees with them
// on the length and reports it to the NameNode, all within its heartbeats of
// 3 s. Asking again sooner can make Hadoop 2 start anew; one that was asked
// may be dead.
const (
	recoverAgain = 5 * time.Second
	recoverLimit = time.Minute
)

// recoverer is the name under which leases are asked for. It holds none.
const recoverer = "yarnd-recover"

// Recover implements FS by ClientProtocol.recoverLease, which makes the
// NameNode take the lease from its holder at once and have the last block
// recovered: its DataNodes refuse the old writer from then on.
func (r *remote) Recover(ctx context.Context, name string) error {
	p, err := r.Resolve(name)
	if err != nil {
		return err
	}
	r.settle(ctx, p)
	patience := recoverAgain
	for attempt := 0; ; patience = min(2*patience, recoverLimit) {
		var asked nnpb.RecoverLeaseResponse
		err := r.rpc(ctx, "recover", p, "recoverLease",
			&nnpb.RecoverLeaseRequest{Src: &p, ClientName: proto.String(recoverer)}, &asked)
		if asked.GetResult() || (err != nil && !away(err)) {
			return err
		}
		for again := time.Now().Add(patience); time.Now().Before(again); attempt++ {
			if !pause(ctx, min(attempt, 3)) {
				return &Error{Op: "recover", Path: p, Err: context.Cause(ctx), Detail: "its last writer's block is not recovered yet: " + context.Cause(ctx).Error(),
					Hint: "look whether a DataNode that has it is alive (hdfs fsck " + p + " -openforwrite -files -blocks -locations)"}
			}
			var closed nnpb.IsFileClosedResponse
			err := r.rpc(ctx, "recover", p, "isFileClosed", &nnpb.IsFileClosedRequest{Src: &p}, &closed)
			if closed.GetResult() || (err != nil && !away(err)) {
				return err
			}
		}
	}
}

// away is true of failures that time may cure.
func away(err error) bool {
	return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrSafeMode) || errors.Is(err, errRetriable)
}
