package hdfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// planBlock is a block with DataNodes of these names.
func planBlock(id uint64, offset, length int64, nodes ...string) *nnpb.LocatedBlock {
	b := &nnpb.LocatedBlock{Offset: proto.Uint64(uint64(offset)),
		Block: &nnpb.ExtendedBlock{PoolId: proto.String("p"), BlockId: &id, GenerationStamp: proto.Uint64(1), NumBytes: proto.Uint64(uint64(length))}}
	for _, n := range nodes {
		b.Locations = append(b.Locations, &nnpb.DatanodeInfo{Id: &nnpb.DatanodeID{DatanodeUuid: proto.String(n), HostName: proto.String(n)}})
	}
	return b
}

// said is a step in words.
func said(s readStep) string {
	switch s.do {
	case stepLocate:
		return fmt.Sprint("locate after ", s.pause)
	case stepConnect:
		return fmt.Sprintf("%d at %s for %v", s.block.Block.GetBlockId(), s.node.GetId().GetHostName(), s.patience)
	}
	return "give up"
}

func TestReadPlan(t *testing.T) {
	boom := errors.New("boom")
	newPlan := func() *readPlan {
		p := newReadPlan(time.Second)
		p.located([]*nnpb.LocatedBlock{planBlock(1, 0, 100, "a", "b"), planBlock(2, 100, 50, "a", "c")})
		return p
	}
	expect := func(t *testing.T, p *readPlan, off int64, want string) readStep {
		t.Helper()
		s := p.next(off)
		if got := said(s); got != want {
			t.Fatalf("at %d: %s, want %s", off, got, want)
		}
		return s
	}
	t.Run("a DataNode that failed is not asked for another block", func(t *testing.T) {
		p := newPlan()
		p.failed(expect(t, p, 0, "1 at a for 1s"), failedNode, boom)
		expect(t, p, 0, "1 at b for 1s")
		p.advanced()
		expect(t, p, 149, "2 at c for 1s")
		expect(t, p, 150, "locate after 0s")
	})
	t.Run("with more patience, to the end", func(t *testing.T) {
		p := newPlan()
		for round := range readRounds {
			patience := time.Second * time.Duration(min(1<<round, patienceGrowth))
			p.failed(expect(t, p, 7, fmt.Sprintf("1 at a for %v", patience)), failedNode, boom)
			p.failed(expect(t, p, 7, fmt.Sprintf("1 at b for %v", patience)), failedNode, boom)
			if round == readRounds-1 {
				break
			}
			expect(t, p, 7, fmt.Sprint("locate after ", time.Second/pauseShare<<round))
			p.located([]*nnpb.LocatedBlock{planBlock(1, 0, 100, "a", "b")})
		}
		s := expect(t, p, 7, "give up")
		if why := p.reason(s.block); !strings.Contains(why, "any of its 2 DataNodes") || !strings.Contains(why, "a: boom; b: boom") {
			t.Errorf("reason: %s", why)
		}
		p.advanced() // somebody tries again
		expect(t, p, 7, "locate after 200ms")
	})
	t.Run("a connection that had worked is tried once more", func(t *testing.T) {
		p := newPlan()
		p.failed(expect(t, p, 0, "1 at a for 1s"), failedConn, boom)
		p.failed(expect(t, p, 0, "1 at a for 1s"), failedConn, boom)
		expect(t, p, 0, "1 at b for 1s")
	})
	t.Run("but not for ever", func(t *testing.T) {
		p := newPlan()
		for range maxBreaks {
			p.failed(expect(t, p, 0, "1 at a for 1s"), failedConn, boom)
			p.advanced() // some bytes came
		}
		p.failed(expect(t, p, 0, "1 at a for 1s"), failedConn, boom)
		expect(t, p, 0, "1 at b for 1s")
	})
	t.Run("tokens are fetched anew, but not for ever", func(t *testing.T) {
		p := newPlan()
		for range renewals {
			p.failed(expect(t, p, 0, "1 at a for 1s"), failedToken, boom)
			expect(t, p, 0, "locate after 0s")
			p.located([]*nnpb.LocatedBlock{planBlock(1, 0, 100, "a", "b")})
		}
		p.failed(expect(t, p, 0, "1 at a for 1s"), failedToken, boom)
		expect(t, p, 0, "1 at b for 1s")
	})
	t.Run("a bad replica does not make its DataNode bad", func(t *testing.T) {
		p := newPlan()
		p.failed(expect(t, p, 0, "1 at a for 1s"), failedReplica, boom)
		expect(t, p, 0, "1 at b for 1s")
		expect(t, p, 100, "2 at a for 1s")
	})
	t.Run("a missing block", func(t *testing.T) {
		p := newReadPlan(time.Second)
		for range readRounds - 1 {
			p.located([]*nnpb.LocatedBlock{planBlock(1, 0, 100)})
			if s := p.next(0); s.do != stepLocate || s.pause == 0 {
				t.Fatal(said(s))
			}
		}
		p.located([]*nnpb.LocatedBlock{planBlock(1, 0, 100)})
		if s := expect(t, p, 0, "give up"); !strings.Contains(p.reason(s.block), "missing") {
			t.Error(p.reason(s.block))
		}
	})
	t.Run("what the NameNode says later", func(t *testing.T) {
		p := newPlan()
		for name, x := range map[string]struct {
			block *nnpb.LocatedBlock
			want  bool
		}{
			"the same":               {planBlock(1, 0, 100, "d"), true},
			"the last one has grown": {planBlock(2, 100, 70, "c"), true},
			"a next one":             {planBlock(3, 170, 10, "c"), true},
			"one without bytes":      {planBlock(4, 20, 0), true},
			"another one there":      {planBlock(5, 0, 100, "a"), false},
			"one between two":        {planBlock(1, 50, 100, "a"), false},
			"another one of that pool": {func() *nnpb.LocatedBlock {
				b := planBlock(1, 0, 100, "a")
				b.Block.PoolId = proto.String("q")
				return b
			}(), false},
		} {
			q := newPlan()
			if got := q.located([]*nnpb.LocatedBlock{x.block}); got != x.want {
				t.Errorf("%s: %v", name, got)
			}
		}
		p.located([]*nnpb.LocatedBlock{planBlock(2, 100, 70, "e"), planBlock(1, 0, 100, "d")})
		expect(t, p, 169, "2 at e for 1s")
		expect(t, p, 99, "1 at d for 1s")
	})
}

// However DataNodes fail, a reader comes to an end: each failure brings the plan nearer to giving up.
func TestReadPlanEnds(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		p := newReadPlan(time.Second)
		where := func() []*nnpb.LocatedBlock {
			var nodes []string
			for i := range rnd.IntN(4) {
				nodes = append(nodes, fmt.Sprint("n", i))
			}
			return []*nnpb.LocatedBlock{planBlock(1, 0, 100, nodes...)}
		}
		steps := 0
		for ; ; steps++ {
			s := p.next(5)
			if s.do == stepGiveUp {
				break
			}
			if s.do == stepLocate {
				if !p.located(where()) {
					t.Fatal("the same block is another one")
				}
			} else {
				p.failed(s, readFailure(rnd.IntN(4)), errors.New("x"))
			}
			if steps > 200 {
				t.Fatalf("seed %d: no end", seed)
			}
		}
		if steps < readRounds {
			t.Fatalf("seed %d: it gave up after %d steps", seed, steps)
		}
	}
}
