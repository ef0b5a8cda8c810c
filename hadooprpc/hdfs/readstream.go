package hdfs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

const (
	opReadBlock = 81
	// DataTransferStatus, beside statusSuccess.
	statusNoAccess   = 5 // the block's token is not good, or not any more
	statusChecksumOK = 6
	// readerName is how we call ourselves to DataNodes.
	readerName = "yarnd-read"
	// maxDiscard bytes of a stream are read and thrown away rather than that another is begun.
	maxDiscard = 128 << 10
	// endTime bounds the wait for the end of a stream of which all bytes are there.
	endTime = time.Second
	// keptTime is how long a connection is kept for the next request: DataNodes close it after 4 s.
	keptTime = 2 * time.Second
	// streamBuffer is read from a connection at once.
	streamBuffer = 128 << 10
)

// nodeConn is a connection to a DataNode, for one request after the other. It closes when its context ends.
type nodeConn struct {
	net.Conn
	r       *bufio.Reader
	addr    string
	since   time.Time // when it fell idle
	unwatch func() bool
}

func (r *remote) openNode(ctx context.Context, addr string, b *nnpb.LocatedBlock, patience time.Duration) (*nodeConn, error) {
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := r.dialBlock(dialing, addr, b.Token)
	if err != nil {
		return nil, err
	}
	return &nodeConn{Conn: conn, r: bufio.NewReaderSize(conn, streamBuffer), addr: addr,
		unwatch: context.AfterFunc(ctx, func() { conn.Close() })}, nil
}

func (c *nodeConn) close() {
	c.unwatch()
	c.Conn.Close()
}

// answerError is a DataNode's refusal to give a block.
type answerError struct {
	status  uint32
	message string
}

func (e *answerError) Error() string { return "it refuses: " + statusName(e.status) + " " + e.message }

// damagedError is a replica that is not what was written.
type damagedError struct{ at int64 }

func (e *damagedError) Error() string {
	return fmt.Sprintf("the checksum of its bytes from %d on is wrong", e.at)
}

// blockStream is a part of a block on its way from one DataNode:
//
//	client                                     DataNode
//	  OpReadBlock  offset, length         →
//	                                      ←    BlockOpResponse  checksums, where the first packet begins
//	                                      ←    packets: from the beginning of the piece that has the first byte on,
//	                                           to the end of the one that has the last
//	                                      ←    a packet without data
//	  ClientReadStatus                    →    and the connection takes the next request
//
// What is given out has been compared with its checksums. Source: Sender.readBlock, BlockSender, BlockReaderRemote.
type blockStream struct {
	step     readStep  // that led here
	conn     *nodeConn // nil: all is there, and it was given back
	patience time.Duration
	sums     checksums

	at, end int64 // in the block: of the next byte to be given out, and behind the last one
	seqno   int64 // of the next packet

	// Of the packet at hand, what has not been read yet; next is where that begins, or the next packet.
	next int64
	left int
	pend []byte // its checksums

	kept   []byte // what was read last, and not in place
	keptAt int64  // in the block
	head   []byte // reused
}

// openStream asks for the bytes [at, end) of a block.
func openStream(conn *nodeConn, b *nnpb.LocatedBlock, at, end int64, patience time.Duration) (*blockStream, error) {
	op, err := appendOp(nil, opReadBlock, &nnpb.OpReadBlock{
		Header: &nnpb.ClientOperationHeader{BaseHeader: &nnpb.BaseHeader{Block: b.Block, Token: b.Token}, ClientName: proto.String(readerName)},
		Offset: proto.Uint64(uint64(at)), Len: proto.Uint64(uint64(end - at)), SendChecksums: proto.Bool(true),
	})
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(op); err != nil {
		return nil, err
	}
	var answer nnpb.BlockOpResponse
	if err := readMessage(conn.r, &answer); err != nil {
		return nil, err
	}
	if answer.GetStatus() != statusSuccess {
		return nil, &answerError{answer.GetStatus(), answer.GetMessage()}
	}
	info := answer.GetReadOpChecksumInfo()
	s := &blockStream{conn: conn, patience: patience, at: at, end: end, next: int64(info.GetChunkOffset())}
	if s.sums, err = checksumsOf(info.GetChecksum()); err != nil {
		return nil, err
	}
	if s.next < 0 || s.next > at || s.next%int64(s.sums.piece) != 0 {
		return nil, fmt.Errorf("its answer for byte %d begins at %d", at, s.next)
	}
	return s, nil
}

// read gives out the next bytes, at least one. Memory of b beyond them may change.
func (s *blockStream) read(b []byte) (int, error) {
	for {
		if from := s.at - s.keptAt; from >= 0 && from < int64(len(s.kept)) {
			n := copy(b, s.kept[from:])
			s.at += int64(n)
			return n, nil
		}
		if s.conn == nil {
			return 0, errors.New("nothing is left")
		}
		if n, err := s.pieces(b); n > 0 || err != nil {
			return n, err
		}
	}
}

// pieces reads of the next packet what belongs into b, as far as that is whole pieces with their checksums; and where
// that is nothing, all of the packet, to be kept.
func (s *blockStream) pieces(b []byte) (int, error) {
	if s.left == 0 {
		if err := s.packet(); err != nil {
			return 0, err
		}
	}
	into := b[:min(int64(len(b)), s.end-s.at)]
	if len(into) >= s.left {
		into = into[:s.left]
	} else {
		into = into[:len(into)/s.sums.piece*s.sums.piece]
	}
	if inPlace := s.next == s.at && len(into) > 0; !inPlace {
		s.kept = grown(s.kept, s.left)
		if err := s.fill(s.kept); err != nil {
			s.kept = s.kept[:0]
			return 0, err
		}
		s.keptAt = s.next - int64(len(s.kept))
		s.kept = s.kept[:min(int64(len(s.kept)), s.end-s.keptAt)]
		return 0, nil
	}
	s.kept = s.kept[:0]
	if err := s.fill(into); err != nil {
		return 0, err
	}
	s.at = s.next
	return len(into), nil
}

// fill reads so many bytes of the packet at hand, whole pieces, and compares them with their checksums.
func (s *blockStream) fill(b []byte) error {
	if s.conn.r.Buffered() < len(b) { // whoever reads may have rested since the packet began
		if err := s.conn.SetReadDeadline(time.Now().Add(s.patience)); err != nil {
			return err
		}
	}
	if _, err := io.ReadFull(s.conn.r, b); err != nil {
		return whole(err)
	}
	if wrong := s.sums.verify(b, s.pend); wrong >= 0 {
		return &damagedError{s.next + int64(wrong)}
	}
	s.pend = s.pend[s.sums.size(len(b)):]
	s.next += int64(len(b))
	s.left -= len(b)
	return nil
}

// packet begins with the next packet.
func (s *blockStream) packet() error {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.patience)); err != nil {
		return err
	}
	h, err := s.header()
	if err != nil {
		return err
	}
	if h.last || h.data == 0 {
		return fmt.Errorf("it ends at byte %d of the block, not at %d", s.next, s.end)
	}
	s.left, s.pend = h.data, h.sums
	return nil
}

// header reads what is before the next packet's data, which has to be where the last one's ended.
func (s *blockStream) header() (packetHead, error) {
	h, head, err := readPacketHead(s.conn.r, s.sums, s.head)
	s.head = head
	switch {
	case err != nil:
		return h, whole(err)
	case h.seqno != s.seqno || h.offset != s.next:
		return h, fmt.Errorf("packet %d of it begins at byte %d, and it was to be packet %d at byte %d", h.seqno, h.offset, s.seqno, s.next)
	case h.last && h.data != 0:
		return h, errors.New("its last packet has data")
	case h.offset+int64(h.data) < s.end && h.data%s.sums.piece != 0:
		return h, fmt.Errorf("packet %d of it ends within a piece that has one checksum", h.seqno)
	}
	s.seqno++
	return h, nil
}

// arrived is whether all bytes are there.
func (s *blockStream) arrived() bool { return s.next >= s.end && s.left == 0 }

// finish takes the connection from a stream of which all has arrived, for the next request. nil: it is of no more use.
func (s *blockStream) finish() *nodeConn {
	c := s.conn
	s.conn = nil
	if c == nil {
		return nil
	}
	if err := s.acknowledge(c); err != nil {
		c.close()
		return nil
	}
	c.since = time.Now()
	return c
}

func (s *blockStream) acknowledge(c *nodeConn) error {
	if err := c.SetDeadline(time.Now().Add(min(s.patience, endTime))); err != nil {
		return err
	}
	s.conn = c
	h, err := s.header()
	s.conn = nil
	if err != nil {
		return err
	}
	if !h.last {
		return errors.New("it sends more than was asked for")
	}
	status := uint32(statusChecksumOK)
	if s.sums.table == nil {
		status = statusSuccess
	}
	m, err := proto.Marshal(&nnpb.ClientReadStatus{Status: &status})
	if err != nil {
		return err
	}
	_, err = c.Write(append([]byte{byte(len(m))}, m...))
	return err
}

// drain reads what is still to come, where that costs less than another connection, and reports whether all has. Bytes
// cannot be had of the stream afterwards.
func (s *blockStream) drain() bool {
	if s.conn == nil || s.end-s.next > maxDiscard {
		return false
	}
	s.patience = min(s.patience, endTime)
	for until := time.Now().Add(endTime); !s.arrived(); {
		if time.Now().After(until) || s.left == 0 && s.packet() != nil {
			return false
		}
		s.kept = grown(s.kept, s.left)
		if s.fill(s.kept) != nil {
			return false
		}
	}
	return true
}

// seek moves to another byte of the block, where that costs less than another stream.
func (s *blockStream) seek(to int64) bool {
	switch {
	case to == s.at:
		return true
	case to >= s.keptAt && to < s.keptAt+int64(len(s.kept)):
		s.at = to
		return true
	case to < s.at || to >= s.end || s.conn == nil || to-s.next > maxDiscard:
		return false
	}
	s.at = to // the packets before are read, and found not to have it
	return true
}

func (s *blockStream) close() {
	if s.conn != nil {
		s.conn.close()
		s.conn = nil
	}
}
