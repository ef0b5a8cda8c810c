package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"

	"github.com/yarnd/yarnd/engine/graph"
)

// A client within a task has no certificate. It speaks over its executor's pipe, and its
// worker relays that, in pieces, over its own connection to the scheduler:
//
//	client ──frames──► executor ──pipe──► worker ──Nested──► scheduler
//
// Each side may be sent so many bytes before it says, by Nested.ack, that it has taken
// some. So nobody between holds more of a stream than that.
const (
	// NestedWindow is the most bytes of a stream that are under way one way.
	NestedWindow = 256 << 10
	// NestedPiece is the most bytes of data in one Nested.
	NestedPiece = 64 << 10
	// MaxNestedFrame is the most bytes of a frame of such a client.
	MaxNestedFrame = 8 << 20
)

// Check reports whether the message is one piece of a stream.
func (m *Nested) Check() error {
	switch {
	case len(m.Data) > NestedPiece:
		return fmt.Errorf("%d bytes in one piece: the limit is %d", len(m.Data), NestedPiece)
	case m.Ack > NestedWindow:
		return fmt.Errorf("%d bytes taken: no more than %d can be under way", m.Ack, NestedWindow)
	case m.Stream == 0:
		return fmt.Errorf("of no stream")
	case len(m.End) > MaxText:
		return fmt.Errorf("a reason of %d bytes: the limit is %d", len(m.End), MaxText)
	}
	return nil
}

// At returns the attempt that the client is part of.
func (m *Nested) At() (graph.TaskID, graph.Attempt) {
	return graph.TaskID{Job: graph.JobID(m.Job), Index: m.Index}, graph.Attempt(m.Attempt)
}

// Cut cuts the first frame off what has come of a stream, of at most max bytes: its kind
// and its body, a view of b, and what follows. ok is false when more must come before.
func Cut(b []byte, max int) (k Kind, body, rest []byte, ok bool, err error) {
	if len(b) < headerLen {
		return 0, nil, b, false, nil
	}
	length := binary.BigEndian.Uint32(b)
	k = Kind(b[4])
	if length == 0 || uint64(length) > uint64(max) {
		return 0, nil, nil, false, &ProtocolError{Kind: k, What: fmt.Sprintf("%d bytes: the limit is %d", length, max)}
	}
	end := headerLen - 1 + int(length)
	if len(b) < end {
		return 0, nil, b, false, nil
	}
	return k, b[headerLen:end], b[end:], true, nil
}

// Open says hello over nc, which needs no TLS as it does not leave this process. An error
// closes it.
func Open(ctx context.Context, nc net.Conn, hello *Hello, o ConnOptions) (*Conn, *Welcome, error) {
	ctx, cancel := context.WithTimeout(ctx, OpenTimeout)
	defer cancel()
	return open(ctx, nc, hello, o)
}
