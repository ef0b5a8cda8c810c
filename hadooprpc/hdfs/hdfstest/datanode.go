package hdfstest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// Source: org.apache.hadoop.hdfs.protocol.datatransfer (3.4.2).
const (
	transferVersion = 28
	opWriteBlock    = 80
	opReadBlock     = 81
	statusSuccess   = 0
	statusError     = 1
	checksumCRC32C  = 2
	heartbeatSeqno  = -1
	maxMessage      = 64 << 10
	// sendSize and sendSizeSecured are the data of a packet: as much as is sent from the file to the socket without
	// being looked at, and where it has to be, a buffer full. Source: BlockSender.
	sendSize        = 64 << 10
	sendSizeSecured = 4 << 10
)

// dataNode takes and gives blocks.
type dataNode struct {
	c        *Cluster
	index    int
	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newDataNode(c *Cluster, index int, host string) (*dataNode, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	d := &dataNode{c: c, index: index, listener: l, conns: map[net.Conn]bool{}}
	d.ctx, d.stop = context.WithCancel(context.Background())
	d.wg.Go(d.accept)
	return d, nil
}

// id is how the NameNode tells clients of it.
func (d *dataNode) id() *nnpb.DatanodeID {
	addr := d.listener.Addr().(*net.TCPAddr)
	port := uint32(addr.Port)
	return &nnpb.DatanodeID{IpAddress: proto.String(addr.IP.String()), HostName: proto.String(addr.IP.String()), DatanodeUuid: proto.String(fmt.Sprint("hdfstest-", d.index)),
		TransferPort: &port, InfoPort: proto.Uint32(0), IpcPort: proto.Uint32(0)}
}

func (d *dataNode) accept() {
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		if d.ctx.Err() != nil || d.c.Trouble().DataNode == Refuses {
			conn.Close()
			d.c.meet(hostOf(conn))
		} else {
			d.conns[conn] = true
			d.wg.Go(func() { d.serve(conn) })
		}
		d.mu.Unlock()
	}
}

// closeConns breaks all connections, and returns from which addresses there were some.
func (d *dataNode) closeConns() (hosts []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for conn := range d.conns {
		conn.Close()
		hosts = append(hosts, hostOf(conn))
	}
	return hosts
}

// hostOf is the address, without the port, of the other end of a connection.
func hostOf(conn net.Conn) string {
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	return host
}

func (d *dataNode) close() {
	d.stop()
	d.listener.Close()
	d.closeConns()
	d.wg.Wait()
}

// session is what a DataNode has to do with a client, who comes from an address.
type session struct {
	*dataNode
	host string
}

// working returns when the DataNode does not hang.
func (d session) working() error {
	return d.c.wait(d.ctx, d.host, func(t Trouble) bool { return t.DataNode == Hangs })
}

// serve answers the requests of a connection, one after the other:
//
//	+-----------------+---------+------------------------------+
//	| version, uint16 | op, u8  | varint length + message      |
//	+-----------------+---------+------------------------------+
//
// A block being written is the last of them.
func (d *dataNode) serve(conn net.Conn) {
	defer func() {
		conn.Close()
		d.mu.Lock()
		delete(d.conns, conn)
		d.mu.Unlock()
	}()
	d.c.count(func(t *Traffic) { t.Conns++ })
	s := session{d, hostOf(conn)}
	if s.working() != nil {
		return
	}
	r, w, err := d.secure(bufio.NewReader(conn), conn)
	if err != nil {
		return
	}
	for again := true; again; {
		if again, err = s.request(r, w); err != nil {
			// Where the answer has begun already this is one more break of it.
			protodelim.MarshalTo(w, &nnpb.BlockOpResponse{Status: proto.Uint32(statusOf(err)), Message: proto.String(err.Error())})
		}
	}
}

// refusal is an error with a status of its own.
type refusal struct {
	status  uint32
	message string
}

func (e *refusal) Error() string { return e.message }

func statusOf(err error) uint32 {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r.status
	}
	return statusError
}

// request answers one request, and reports whether there may be another one.
func (d session) request(r *bufio.Reader, w io.Writer) (again bool, err error) {
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || int(head[0])<<8|int(head[1]) != transferVersion || d.working() != nil {
		return false, nil
	}
	switch head[2] {
	case opWriteBlock:
		var op nnpb.OpWriteBlock
		if err := read(r, &op); err != nil {
			return false, err
		}
		return false, d.write(w, r, &op)
	case opReadBlock:
		var op nnpb.OpReadBlock
		if err := read(r, &op); err != nil {
			return false, err
		}
		return d.read(w, r, &op)
	}
	return false, fmt.Errorf("unknown op %d", head[2])
}

// admit refuses requests whose token is not good.
func (d *dataNode) admit(h *nnpb.BaseHeader) error {
	if !d.c.admits(h.GetToken(), h.GetBlock().GetBlockId()) {
		return &refusal{statusNoAccess, "for the block token is not good"}
	}
	return nil
}

func read(r *bufio.Reader, m proto.Message) error {
	return protodelim.UnmarshalOptions{MaxSize: maxMessage}.UnmarshalFrom(r, m)
}

// write takes a block from its writer, packet by packet, until that loses its lease.
func (d session) write(conn io.Writer, r *bufio.Reader, op *nnpb.OpWriteBlock) error {
	if err := d.admit(op.GetHeader().GetBaseHeader()); err != nil {
		return err
	}
	id, client := op.GetHeader().GetBaseHeader().GetBlock().GetBlockId(), op.GetHeader().GetClientName()
	if err := d.put(id, client, packet{}); err != nil {
		return err
	}
	if _, err := protodelim.MarshalTo(conn, &nnpb.BlockOpResponse{Status: proto.Uint32(statusSuccess), FirstBadLink: proto.String("")}); err != nil {
		return nil
	}
	for {
		p, err := readPacket(r)
		if err != nil || d.working() != nil {
			return nil // the writer has gone, or we have
		}
		status := uint32(statusSuccess)
		if p.seqno != heartbeatSeqno {
			if err := d.put(id, client, p); err != nil {
				status = statusError
			}
		}
		if _, err := protodelim.MarshalTo(conn, &nnpb.PipelineAck{Seqno: &p.seqno, Reply: []uint32{status}}); err != nil || p.last || status != statusSuccess {
			return nil
		}
	}
}

// put writes a packet, if the client has the block's file still.
func (d session) put(id uint64, client string, p packet) error {
	t := d.c.tree
	full := d.c.Trouble().Full
	t.mu.Lock()
	defer t.mu.Unlock()
	n, b := t.of(id)
	switch {
	case n == nil || n.lease != client || b.id != n.blocks[len(n.blocks)-1].id:
		return fmt.Errorf("block %d is not being written by %s", id, client)
	case full:
		d.c.meet(d.host)
		return errors.New("org.apache.hadoop.util.DiskChecker$DiskOutOfSpaceException: Out of space")
	case len(p.data) == 0:
		return nil
	}
	_, err := n.file.WriteAt(p.data, b.offset+p.offset)
	return err
}
