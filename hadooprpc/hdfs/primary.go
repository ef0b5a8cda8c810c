package hdfs

import (
	"context"
	"math"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

const (
	// settleTime bounds settle: a DataNode's heartbeat (3 s), and half of one for it to arrive.
	settleTime = 4500 * time.Millisecond
	// knockTime is how long a DataNode may take to accept a connection before it counts as gone.
	knockTime = time.Second
)

// settle waits until the NameNode has heard of a DataNode that lives later than of those that have ended, if the last
// block has any of them. The NameNode has a block recovered by the one that it heard of last, and believes for minutes
// that a dead one lives; it gives the work to another no sooner than 30 heartbeats later, however often it is asked. So
// a file whose writer died together with the DataNode beside it would take 90 s longer than one heartbeat's wait.
// Errors do not matter here: who asks for the recovery meets them again.
// Source: BlockUnderConstructionFeature.initializeBlockRecovery, PendingRecoveryBlocks (Hadoop 3).
func (r *remote) settle(ctx context.Context, p string) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for attempt := 0; ; attempt++ {
		var resp nnpb.GetBlockLocationsResponse
		err := r.rpc(ctx, "recover", p, "getBlockLocations", &nnpb.GetBlockLocationsRequest{
			Src: &p, Offset: proto.Uint64(0), Length: proto.Uint64(math.MaxInt64)}, &resp)
		if err != nil || !resp.GetLocations().GetUnderConstruction() {
			return
		}
		nodes := resp.GetLocations().GetLastBlock().GetLocations()
		if primaryLives(nodes, r.knock(ctx, nodes)) || !pause(ctx, min(attempt, 2)) {
			return
		}
	}
}

// primaryLives says whether the NameNode would choose a node that lives, or has none to choose.
func primaryLives(nodes []*nnpb.DatanodeInfo, lives []bool) bool {
	var live, dead uint64
	for i, n := range nodes {
		if lives[i] {
			live = max(live, n.GetLastUpdate())
		} else {
			dead = max(dead, n.GetLastUpdate())
		}
	}
	return live == 0 || live > dead
}

// knock reports which of the DataNodes accept a connection.
func (r *remote) knock(ctx context.Context, nodes []*nnpb.DatanodeInfo) []bool {
	ctx, cancel := context.WithTimeout(ctx, knockTime)
	defer cancel()
	lives := make([]bool, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() {
			if conn, err := r.pool.dial.dial(ctx, "tcp", r.transferAddress(n)); err == nil {
				lives[i] = true
				conn.Close()
			}
		})
	}
	all.Wait()
	return lives
}
