package hdfs

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// maxUnacked bounds the packets that a pipeline has not acknowledged: Hadoop's
// dfs.client.write.max-packets-in-flight.
const maxUnacked = 80

// pipeline is one block being written: a connection to the first DataNode,
// which passes everything on to the others and collects their answers. It
// belongs to one goroutine at a time. After an error it is of no more use.
type pipeline struct {
	conn  net.Conn
	r     *bufio.Reader
	block *nnpb.ExtendedBlock
	stall time.Duration

	offset int64 // bytes sent
	next   int64 // seqno of the next packet
	acked  int64 // seqno of the last packet that all have
	beats  int   // heartbeats that were not answered yet
	idle   time.Time
	frame  []byte // reused
}

// pipelineError is a DataNode that could not be made part of a pipeline.
type pipelineError struct {
	node *nnpb.DatanodeInfo // the one to avoid; nil: not known
	err  error
}

func (e *pipelineError) Error() string { return e.err.Error() }
func (e *pipelineError) Unwrap() error { return e.err }

// address of a DataNode for data.
func (r *remote) transferAddress(d *nnpb.DatanodeInfo) string {
	host := d.GetId().GetIpAddress()
	if r.byName {
		host = d.GetId().GetHostName()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(d.GetId().GetTransferPort())))
}

// openPipeline begins to write a new block.
func (r *remote) openPipeline(ctx context.Context, b *nnpb.LocatedBlock, client string) (*pipeline, error) {
	if len(b.Locations) == 0 {
		return nil, fmt.Errorf("block %d has no DataNode", b.Block.GetBlockId())
	}
	dialing, cancel := context.WithTimeout(ctx, min(r.timeout, defaultTimeout)) // there are others
	defer cancel()
	first := b.Locations[0]
	conn, err := r.dialBlock(dialing, r.transferAddress(first), b.Token)
	if err != nil {
		return nil, &pipelineError{first, err}
	}
	p := &pipeline{conn: conn, r: bufio.NewReader(conn), block: b.Block, stall: r.pool.dial.stall, next: 1, idle: time.Now()}
	if err := p.within(ctx, func() error { return p.setUp(r, b, client) }); err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *pipeline) setUp(r *remote, b *nnpb.LocatedBlock, client string) error {
	op := &nnpb.OpWriteBlock{
		Header: &nnpb.ClientOperationHeader{
			BaseHeader: &nnpb.BaseHeader{Block: b.Block, Token: b.Token}, ClientName: &client,
		},
		Targets:               b.Locations[1:],
		Stage:                 proto.Uint32(stageCreate),
		PipelineSize:          proto.Uint32(uint32(len(b.Locations))),
		MinBytesReceived:      proto.Uint64(0),
		MaxBytesReceived:      proto.Uint64(0),
		LatestGenerationStamp: proto.Uint64(0),
		RequestedChecksum:     &nnpb.Checksum{Type: proto.Uint32(checksumCRC32C), BytesPerChecksum: proto.Uint32(chunkSize)},
	}
	if len(b.StorageTypes) == len(b.Locations) {
		op.StorageType, op.TargetStorageTypes = &b.StorageTypes[0], b.StorageTypes[1:]
	}
	if len(b.StorageIds) == len(b.Locations) {
		op.StorageId, op.TargetStorageIds = &b.StorageIds[0], b.StorageIds[1:]
	}
	frame, err := appendOp(nil, opWriteBlock, op)
	if err != nil {
		return err
	}
	first := b.Locations[0]
	if _, err := p.conn.Write(frame); err != nil {
		return &pipelineError{first, err}
	}
	var answer nnpb.BlockOpResponse
	if err := readMessage(p.r, &answer); err != nil {
		return &pipelineError{first, fmt.Errorf("DataNode %s does not answer: %w", r.transferAddress(first), err)}
	}
	if answer.GetStatus() == statusSuccess {
		return nil
	}
	bad := first
	for _, d := range b.Locations {
		// A DataNode names the one that it could not reach as it was told to reach it.
		id, port := d.GetId(), strconv.Itoa(int(d.GetId().GetTransferPort()))
		if link := answer.GetFirstBadLink(); link == net.JoinHostPort(id.GetIpAddress(), port) || link == net.JoinHostPort(id.GetHostName(), port) {
			bad = d
		}
	}
	return &pipelineError{bad, fmt.Errorf("DataNode %s: %s %s", r.transferAddress(bad), statusName(answer.GetStatus()), answer.GetMessage())}
}

// within runs do, whose reads and writes fail when ctx ends or when all
// together take longer than a DataNode may stall.
func (p *pipeline) within(ctx context.Context, do func() error) error {
	if err := p.conn.SetDeadline(time.Now().Add(p.stall)); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { p.conn.SetDeadline(time.Unix(1, 0)) })
	err := do()
	if !stop() && ctx.Err() != nil {
		return context.Cause(ctx) // the deadline may strike at any later moment
	}
	return err
}

// send sends data, at most packetSize bytes that keep to the rule of packet.
func (p *pipeline) send(data []byte) error {
	for p.next-1-p.acked >= maxUnacked {
		if err := p.readAck(); err != nil {
			return err
		}
	}
	if err := p.write(packet{seqno: p.next, offset: p.offset, data: data}); err != nil {
		return err
	}
	p.next++
	p.offset += int64(len(data))
	return nil
}

func (p *pipeline) write(k packet) error {
	var err error
	if p.frame, err = appendPacket(p.frame[:0], k); err != nil {
		return err
	}
	p.idle = time.Now()
	_, err = p.conn.Write(p.frame)
	return err
}

// sync returns when all DataNodes have all that was sent.
func (p *pipeline) sync() error {
	for p.acked < p.next-1 {
		if err := p.readAck(); err != nil {
			return err
		}
	}
	return nil
}

// beat tells the DataNodes that we are still there, and hears whether they are.
// Source: DataStreamer sends a packet without data after half of
// dfs.client.socket-timeout, 60 s by default.
func (p *pipeline) beat() error {
	p.beats++
	if err := p.write(packet{seqno: heartbeatSeqno}); err != nil {
		return err
	}
	for p.beats > 0 {
		if err := p.readAck(); err != nil {
			return err
		}
	}
	return nil
}

func (p *pipeline) readAck() error {
	var ack nnpb.PipelineAck
	if err := readMessage(p.r, &ack); err != nil {
		return fmt.Errorf("the DataNodes' acknowledgement: %w", err)
	}
	for i, status := range ack.Reply {
		if status != statusSuccess {
			return fmt.Errorf("DataNode %d of the pipeline: %s", i+1, statusName(status))
		}
	}
	switch seqno := ack.GetSeqno(); {
	case seqno == heartbeatSeqno && p.beats > 0:
		p.beats--
	case seqno == p.acked+1 && seqno < p.next:
		p.acked++
	default:
		return fmt.Errorf("acknowledgement of packet %d, not %d", seqno, p.acked+1)
	}
	return nil
}

// finish ends the block: its length is that of all that was sent.
func (p *pipeline) finish() error {
	if err := p.write(packet{seqno: p.next, offset: p.offset, last: true}); err != nil {
		return err
	}
	p.next++
	return p.sync()
}
