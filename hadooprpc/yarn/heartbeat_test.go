package yarn

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// scheduler is a model of ApplicationMasterService.allocate: it numbers responses, replays the last one when the last
// request is repeated, and refuses all others. It allocates one container, with the next number, per request executed.
type scheduler struct {
	last     *pb.AllocateResponse
	next     int64
	progress float32 // of the last request that was executed
	executed int
}

func newScheduler() *scheduler {
	return &scheduler{last: &pb.AllocateResponse{ResponseId: proto.Int32(0)}}
}

func (s *scheduler) allocate(t *testing.T, req *pb.AllocateRequest) *pb.AllocateResponse {
	switch id := req.GetResponseId(); {
	case id+1 == s.last.GetResponseId():
		return proto.CloneOf(s.last)
	case id != s.last.GetResponseId():
		t.Fatalf("heartbeat with id %d after response %d: the application master would be thrown out", id, s.last.GetResponseId())
	}
	s.executed++
	s.next++
	s.progress = req.GetProgress()
	s.last = &pb.AllocateResponse{
		ResponseId:          proto.Int32(req.GetResponseId() + 1),
		AllocatedContainers: []*pb.Container{{Id: ContainerID{ID: s.next}.PB()}},
		Limit:               NewResource(s.next, 0, nil),
	}
	return proto.CloneOf(s.last)
}

// A network that loses requests and replies at random: whatever it does, every container reaches the caller exactly
// once, in order, and the last request whose call succeeded is the last one that was executed.
func TestHeartbeatLosesNothing(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s, h := newScheduler(), &heartbeat{}
		var got []int64
		// send plays AMClient.send: false is an unknown outcome.
		send := func(req *pb.AllocateRequest) bool {
			switch rnd.IntN(4) {
			case 0: // the request is lost
				h.unknown(req)
				return false
			case 1: // the reply is lost
				s.allocate(t, req)
				h.unknown(req)
				return false
			}
			h.answered(s.allocate(t, req))
			return true
		}
		for i := range 200 {
			req := &pb.AllocateRequest{Progress: proto.Float32(float32(i))}
			if h.lost != nil && !send(h.lost) {
				continue
			}
			if !send(h.stamp(req)) {
				continue
			}
			resp := h.deliver()
			for _, c := range resp.GetAllocatedContainers() {
				got = append(got, c.GetId().GetId())
			}
			if s.progress != float32(i) {
				t.Fatalf("seed %d: request %d succeeded, but request %v was the last to be executed", seed, i, s.progress)
			}
			if resp.GetLimit().GetMemory() != s.next {
				t.Fatalf("seed %d: headroom %d is not the latest, %d", seed, resp.GetLimit().GetMemory(), s.next)
			}
			if len(got) != s.executed {
				t.Fatalf("seed %d: %d containers delivered, %d allocated", seed, len(got), s.executed)
			}
		}
		for i, id := range got {
			if id != int64(i+1) {
				t.Fatalf("seed %d: delivered %v", seed, got[:i+1])
			}
		}
		if len(got) < 20 {
			t.Fatalf("seed %d: only %d deliveries, the test tested little", seed, len(got))
		}
	}
}

// After a restart of the ResourceManager the count begins anew; what was fetched but not delivered is not lost.
func TestHeartbeatAfterRegistering(t *testing.T) {
	h := &heartbeat{responseID: 7}
	h.unknown(h.stamp(&pb.AllocateRequest{}))
	h.answered(&pb.AllocateResponse{ResponseId: proto.Int32(8), AllocatedContainers: []*pb.Container{{}}})
	h.unknown(h.stamp(&pb.AllocateRequest{}))
	h.registered()
	if h.lost != nil || h.stamp(&pb.AllocateRequest{}).GetResponseId() != 0 {
		t.Error("the count did not begin anew")
	}
	h.answered(&pb.AllocateResponse{ResponseId: proto.Int32(1)})
	if got := h.deliver(); len(got.GetAllocatedContainers()) != 1 || got.GetResponseId() != 1 {
		t.Errorf("%v", got)
	}
	if h.deliver() != nil {
		t.Error("delivered twice")
	}
}

func TestStampLeavesTheCallersRequestAlone(t *testing.T) {
	req := &pb.AllocateRequest{}
	h := &heartbeat{responseID: 3}
	if got := h.stamp(req); got.GetResponseId() != 3 || req.ResponseId != nil {
		t.Error(got, req)
	}
}
