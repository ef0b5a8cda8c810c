package hdfs

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

const (
	// readRounds is how often the DataNodes of a block are tried, all of them each time.
	readRounds = 5
	// firstPatience is how long a DataNode may be silent in the first round. In the second it is twice as long, and from
	// then on patienceGrowth times: a DataNode that is only slow is waited for when there is no other.
	firstPatience  = 5 * time.Second
	patienceGrowth = 4
	// pauseShare of the patience is the pause before the second round. Before each later one it is twice as long.
	pauseShare = 5
	// maxBreaks is how often a DataNode's connection may break after it had worked before the DataNode counts as dead.
	maxBreaks = 3
	// renewals is how often the NameNode is asked anew because of tokens, between one byte and the next.
	renewals = 2
	// maxReasons bounds what is remembered of failures, for the error in the end.
	maxReasons = 8
)

// readPlan decides where the bytes of an open file are read from: a pure core.
//
//	next ──► locate   ask the NameNode about the byte, after a pause   ──► located
//	     ──► connect  read from that DataNode                          ──► advanced, failed
//	     ──► give up
//
// A DataNode that failed is not asked again, also for other blocks of the file, before all others of a block have failed
// too; then the NameNode is asked where the block is, and all are tried again with more patience.
type readPlan struct {
	patience time.Duration // of the first round

	blocks []*nnpb.LocatedBlock // what is known, sorted by offset, without overlaps
	stale  bool                 // the NameNode is to be asked again
	dead   map[string]bool      // DataNodes that failed, by nodeKey
	bad    map[replica]bool     // replicas that are not what was written
	breaks map[string]int       // of connections that had worked, by nodeKey

	// Since the last byte:
	round   int
	renewed int
	again   string // the DataNode that gets one more connection
	reasons []string
}

// replica is a copy of a block.
type replica struct {
	block uint64
	node  string
}

func newReadPlan(patience time.Duration) *readPlan {
	return &readPlan{patience: patience, dead: map[string]bool{}, bad: map[replica]bool{}, breaks: map[string]int{}}
}

type stepKind int

const (
	stepLocate stepKind = iota
	stepConnect
	stepGiveUp
)

// readStep is what to do next.
type readStep struct {
	do       stepKind
	pause    time.Duration // before a stepLocate
	block    *nnpb.LocatedBlock
	node     *nnpb.DatanodeInfo
	patience time.Duration
}

// readFailure is what kind of failure a DataNode's is.
type readFailure int

const (
	failedNode    readFailure = iota // it is down, silent, or has not the block
	failedConn                       // a connection that had worked broke
	failedToken                      // the block's token or the key for data is not good any more
	failedReplica                    // the bytes are not what was written
)

func nodeKey(d *nnpb.DatanodeInfo) string {
	id := d.GetId()
	return fmt.Sprintf("%s/%s:%d", id.GetDatanodeUuid(), id.GetIpAddress(), id.GetTransferPort())
}

// find returns the block that has the byte at an offset of the file, nil where none is known.
func (p *readPlan) find(off int64) *nnpb.LocatedBlock {
	i, _ := slices.BinarySearchFunc(p.blocks, off, func(b *nnpb.LocatedBlock, off int64) int {
		switch begin, end := extent(b); {
		case off < begin:
			return 1
		case off >= end:
			return -1
		}
		return 0
	})
	if i < len(p.blocks) {
		if begin, end := extent(p.blocks[i]); begin <= off && off < end {
			return p.blocks[i]
		}
	}
	return nil
}

// extent is where in the file a block begins and ends.
func extent(b *nnpb.LocatedBlock) (begin, end int64) {
	begin = int64(b.GetOffset())
	return begin, begin + int64(b.GetBlock().GetNumBytes())
}

// next says how to come to the byte at an offset.
func (p *readPlan) next(off int64) readStep {
	b := p.find(off)
	if b != nil && !p.stale {
		for _, d := range b.Locations {
			if key := nodeKey(d); !p.dead[key] && !p.bad[replica{b.Block.GetBlockId(), key}] {
				return readStep{do: stepConnect, block: b, node: d, patience: p.patience * time.Duration(min(1<<p.round, patienceGrowth))}
			}
		}
		if p.round == readRounds-1 {
			return readStep{do: stepGiveUp, block: b}
		}
		p.round++
		p.stale = true
		for _, d := range b.Locations {
			delete(p.dead, nodeKey(d))
			delete(p.breaks, nodeKey(d))
			delete(p.bad, replica{b.Block.GetBlockId(), nodeKey(d)})
		}
		return readStep{do: stepLocate, pause: p.patience / pauseShare << (p.round - 1)}
	}
	return readStep{do: stepLocate}
}

// located takes what the NameNode said. Blocks that it describes replace those that were known. false: where a block was
// there is another one now, so the file is not the one that was opened.
func (p *readPlan) located(blocks []*nnpb.LocatedBlock) bool {
	for _, b := range blocks {
		begin, end := extent(b)
		if begin < 0 || end <= begin {
			continue // it has no bytes yet
		}
		from, _ := slices.BinarySearchFunc(p.blocks, begin, func(k *nnpb.LocatedBlock, off int64) int {
			if _, e := extent(k); e <= off {
				return -1
			}
			return 1
		})
		to := from
		for ; to < len(p.blocks); to++ {
			if at, _ := extent(p.blocks[to]); at >= end {
				break
			}
			if k := p.blocks[to]; k.GetOffset() != b.GetOffset() || k.Block.GetBlockId() != b.Block.GetBlockId() || k.Block.GetPoolId() != b.Block.GetPoolId() {
				return false
			}
		}
		p.blocks = slices.Replace(p.blocks, from, to, b)
	}
	p.stale = false
	return true
}

// advanced notes that there were bytes.
func (p *readPlan) advanced() {
	p.round, p.renewed, p.again, p.reasons = 0, 0, "", p.reasons[:0]
}

// failed notes how a step to a DataNode failed.
func (p *readPlan) failed(s readStep, how readFailure, err error) {
	key := nodeKey(s.node)
	if len(p.reasons) < maxReasons {
		p.reasons = append(p.reasons, fmt.Sprintf("%s: %v", s.node.GetId().GetHostName(), err))
	}
	switch {
	case how == failedReplica:
		p.bad[replica{s.block.Block.GetBlockId(), key}] = true
		return
	case how == failedConn && p.again != key && p.breaks[key] < maxBreaks:
		p.again = key
		p.breaks[key]++
		return
	case how == failedToken && p.renewed < renewals:
		p.renewed++
		p.stale = true
		return
	}
	p.dead[key] = true
}

// reason is why there are no bytes, in the end.
func (p *readPlan) reason(b *nnpb.LocatedBlock) string {
	if len(b.Locations) == 0 {
		return fmt.Sprintf("block %d of it is missing: no DataNode that lives has it", b.Block.GetBlockId())
	}
	return fmt.Sprintf("block %d of it could not be read from any of its %d DataNodes, in %d rounds (%s)",
		b.Block.GetBlockId(), len(b.Locations), readRounds, strings.Join(slices.Compact(slices.Clone(p.reasons)), "; "))
}
