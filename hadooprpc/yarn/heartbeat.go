package yarn

import (
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// heartbeat is the bookkeeping of allocate calls, without I/O.
//
// The ResourceManager numbers its responses, and a request carries the number of the last response that arrived.
// A request that repeats an old number is taken for a repetition, whatever is in it: the last response comes again
// and the request's content is ignored. So, after a request whose outcome is unknown, the very same request must go
// out again before a new one. It is either executed now or answered from memory, and both give the response that the
// caller has missed. That response is kept and merged into the next one, so that no allocated or completed container
// is lost.
//
//	         send ok                        send, outcome unknown
//	clean ─────────────► clean      clean ─────────────────────► lost
//	                                 lost ── repeat ok ──► clean, response carried
//	                                 lost ── repeat, outcome unknown ──► lost
//
// Source: org.apache.hadoop.yarn.server.resourcemanager.ApplicationMasterService.allocate; seen so on 3.4.2, where any
// other number, older or newer, is an InvalidApplicationMasterRequestException.
type heartbeat struct {
	responseID int32
	lost       *pb.AllocateRequest  // what must be repeated, nil when nothing must
	carried    *pb.AllocateResponse // what the caller has not seen yet, nil for nothing
}

// registered starts the count anew. What is carried stays: the containers in it are allocated all the same.
func (h *heartbeat) registered() { h.responseID, h.lost = 0, nil }

// stamp returns a copy of req that carries the right number.
func (h *heartbeat) stamp(req *pb.AllocateRequest) *pb.AllocateRequest {
	out := proto.CloneOf(req)
	out.ResponseId = proto.Int32(h.responseID)
	return out
}

// unknown notes that the outcome of req, which was stamped, is unknown.
func (h *heartbeat) unknown(req *pb.AllocateRequest) { h.lost = req }

// answered notes the response to the last request sent.
func (h *heartbeat) answered(resp *pb.AllocateResponse) {
	h.responseID, h.lost = resp.GetResponseId(), nil
	if h.carried == nil {
		h.carried = resp
		return
	}
	proto.Merge(h.carried, resp) // appends lists, takes single values from the newer one
}

// deliver returns everything that the caller has not seen yet.
func (h *heartbeat) deliver() *pb.AllocateResponse {
	out := h.carried
	h.carried = nil
	return out
}
