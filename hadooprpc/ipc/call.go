package ipc

import (
	"crypto/rand"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/wire"
)

// clientID makes the calls of one Client or Proxy distinguishable from everybody else's.
type clientID [16]byte

func newClientID() (id clientID) {
	rand.Read(id[:]) // never fails
	return id
}

// ticket names one attempt of a call.
type ticket struct {
	client clientID
	id     int32
	retry  int32 // 0 for the first attempt
}

// tickets hands out call ids.
type tickets struct {
	client clientID
	last   atomic.Uint32
}

func newTickets() *tickets { return &tickets{client: newClientID()} }

func (t *tickets) next() ticket {
	return ticket{client: t.client, id: int32(t.last.Add(1) & 0x7fffffff)}
}

// progress is how far a call got towards the server.
type progress = int32

const (
	queued    progress = iota // waits for the writer
	sent                      // the writer took it: the server may see it
	abandoned                 // the caller left before the writer came: it will not be sent
)

// call is one attempt on one connection. Whoever takes it out of the connection's table completes it, once.
type call struct {
	ticket
	method string
	frame  []byte // the whole request
	state  atomic.Int32

	done chan struct{} // closed when body and err are set
	body []byte        // what follows the response's header
	err  error
}

func newCall(t ticket, protocol string, m Method, req proto.Message) (*call, error) {
	frame, err := wire.AppendFrame(nil, requestHeader(t.id, t.client[:], t.retry), &pb.RequestHeader{
		MethodName:                 proto.String(m.Name),
		DeclaringClassProtocolName: proto.String(protocol),
		ClientProtocolVersion:      proto.Uint64(1),
	}, req)
	if err != nil {
		return nil, err
	}
	return &call{ticket: t, method: m.Name, frame: frame, done: make(chan struct{})}, nil
}

func (c *call) complete(body []byte, err error) {
	c.body, c.err = body, err
	close(c.done)
}

func requestHeader(id int32, client []byte, retry int32) *pb.RpcRequestHeader {
	return &pb.RpcRequestHeader{
		RpcKind:    pb.RpcKind_RPC_PROTOCOL_BUFFER.Enum(),
		RpcOp:      pb.RpcRequestHeader_RPC_FINAL_PACKET.Enum(),
		CallId:     proto.Int32(id),
		ClientId:   client,
		RetryCount: proto.Int32(retry),
	}
}

// setupHeader heads frames that are no calls: they carry an empty client id and no retry count.
func setupHeader(id int32) *pb.RpcRequestHeader { return requestHeader(id, []byte{}, -1) }
