package hdfstest

import (
	"bufio"
	"errors"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// Reading is a request for a part of a block.
type Reading struct {
	DataNode       int // from 0 on
	Path           string
	Offset, Length int64 // bytes of the block
}

// ReadFault is what a DataNode does wrong with a request. The zero value is nothing.
type ReadFault struct {
	// Refused: there is no such block here.
	Refused bool
	// After so many bytes, which may be none, the others happen.
	After int64
	// Cut: the connection breaks. Silent: nothing comes any more. Damaged: a byte is not what was written.
	Cut, Silent, Damaged bool
	// Last: the connection takes no other request afterwards (dfs.datanode.socket.reuse.keepalive is 0).
	Last bool
}

// OnRead has f say what is wrong with each request for a part of a block. nil: nothing is. f may be called by many
// goroutines.
func (c *Cluster) OnRead(f func(Reading) ReadFault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onRead = f
}

// Traffic is what DataNodes have done so far.
type Traffic struct {
	Conns    int   // connections
	Reads    int   // requests for a part of a block
	Sent     int64 // bytes of blocks
	Verified int   // requests whose client said that all is what was written
}

// Traffic returns what DataNodes have done so far.
func (c *Cluster) Traffic() Traffic {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.traffic
}

func (c *Cluster) count(f func(*Traffic)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.traffic)
}

// part is what a request is about.
type part struct {
	file          *os.File
	begin, length int64 // of the block, in the file
	path          string
}

func (d *dataNode) part(op *nnpb.OpReadBlock) (part, error) {
	t := d.c.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	n, b := t.of(op.GetHeader().GetBaseHeader().GetBlock().GetBlockId())
	if n == nil || op.GetOffset() > uint64(b.length) || op.GetLen() > uint64(b.length)-op.GetOffset() {
		return part{}, errors.New("Replica not found")
	}
	f, err := os.Open(t.local(n.path))
	return part{f, b.offset, b.length, n.path}, err
}

// read gives a part of a block: from the chunk on in which it begins to the end of the one in which it ends. again: all
// was sent, the client has said that it has it, and may ask for more.
func (d session) read(w io.Writer, r *bufio.Reader, op *nnpb.OpReadBlock) (again bool, err error) {
	if err := d.admit(op.GetHeader().GetBaseHeader()); err != nil {
		return false, err
	}
	p, err := d.part(op)
	if err != nil {
		return false, err
	}
	defer p.file.Close()
	d.c.mu.Lock()
	f, fault := d.c.onRead, ReadFault{}
	d.c.mu.Unlock()
	if f != nil {
		fault = f(Reading{d.index, p.path, int64(op.GetOffset()), int64(op.GetLen())})
	}
	if fault.Refused {
		return false, errors.New("Replica not found")
	}
	d.c.count(func(t *Traffic) { t.Reads++ })
	at := int64(op.GetOffset()) / chunkSize * chunkSize
	end := min(p.length, (int64(op.GetOffset()+op.GetLen())+chunkSize-1)/chunkSize*chunkSize)
	_, err = protodelim.MarshalTo(w, &nnpb.BlockOpResponse{Status: proto.Uint32(statusSuccess), ReadOpChecksumInfo: &nnpb.ReadOpChecksumInfo{
		Checksum:    &nnpb.Checksum{Type: &d.c.checksum, BytesPerChecksum: proto.Uint32(chunkSize)},
		ChunkOffset: proto.Uint64(uint64(at)),
	}})
	if err != nil || !d.send(w, r, p, at, end, fault) {
		return false, nil
	}
	var status nnpb.ClientReadStatus
	if err := read(r, &status); err != nil {
		return false, nil // it has gone
	}
	if status.GetStatus() == statusChecksumOK {
		d.c.count(func(t *Traffic) { t.Verified++ })
	}
	return !fault.Last, nil
}

// send sends the packets, and reports whether all have been.
func (d session) send(w io.Writer, r *bufio.Reader, p part, at, end int64, fault ReadFault) bool {
	size := int64(sendSize)
	if d.c.transfer.secured() {
		size = sendSizeSecured
	}
	buf, frame, fails := make([]byte, size), []byte(nil), at+fault.After
	for seqno := int64(0); ; seqno++ {
		data := buf[:max(0, min(size, end-at))]
		if _, err := p.file.ReadAt(data, p.begin+at); err != nil || d.working() != nil {
			return false
		}
		var err error
		if frame, err = appendPacketSummed(frame[:0], packet{seqno: seqno, offset: at, last: len(data) == 0, data: data}, d.c.checksum); err != nil {
			return false
		}
		if at+int64(len(data)) > fails {
			switch {
			case fault.Cut:
				w.Write(frame[:len(frame)/2])
				return false
			case fault.Silent:
				io.Copy(io.Discard, r) // until the client has had enough
				return false
			case fault.Damaged:
				frame[len(frame)-1] ^= 1
				fails = end
			}
		}
		if _, err := w.Write(frame); err != nil {
			return false
		}
		if len(data) == 0 {
			return true
		}
		d.c.count(func(t *Traffic) { t.Sent += int64(len(data)) })
		at += int64(len(data))
	}
}
