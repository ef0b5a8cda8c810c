package hdfs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

const (
	// maxPacket bounds what one packet may make us keep in memory.
	// Source: PacketReceiver.MAX_PACKET_SIZE.
	maxPacket = 16 << 20
	// ChecksumTypeProto, beside checksumCRC32C.
	checksumNull  = 0
	checksumCRC32 = 1
)

// checksums is how a DataNode proves that bytes are what was written: each piece of so many bytes has a checksum.
type checksums struct {
	table *crc32.Table // nil: there are none
	piece int          // bytes
}

func checksumsOf(c *nnpb.Checksum) (checksums, error) {
	piece := c.GetBytesPerChecksum()
	if piece < 1 || piece > maxPacket {
		return checksums{}, fmt.Errorf("it has a checksum for every %d bytes", piece)
	}
	switch c.GetType() {
	case checksumNull:
		return checksums{piece: int(piece)}, nil
	case checksumCRC32:
		return checksums{crc32.IEEETable, int(piece)}, nil
	case checksumCRC32C:
		return checksums{castagnoli, int(piece)}, nil
	}
	return checksums{}, fmt.Errorf("its checksums are of type %d, which is not known here", c.GetType())
}

// size is how many bytes of checksums go with so many bytes of data.
func (c checksums) size(data int) int {
	if c.table == nil {
		return 0
	}
	return 4 * ((data + c.piece - 1) / c.piece)
}

// verify returns the index in data of the first piece that is not what was written, or -1.
func (c checksums) verify(data, sums []byte) int {
	if c.table == nil {
		return -1
	}
	for at := 0; at < len(data); at += c.piece {
		if crc32.Checksum(data[at:min(at+c.piece, len(data))], c.table) != binary.BigEndian.Uint32(sums) {
			return at
		}
		sums = sums[4:]
	}
	return -1
}

// packetHead is what goes before a packet's data.
type packetHead struct {
	seqno  int64
	offset int64 // of the data in the block
	data   int   // bytes that follow
	last   bool  // ends what was asked for, and has no data
	sums   []byte
}

// readPacketHead reads all of a packet but its data (see appendPacket for its form). buf is reused where it is large
// enough, and the result shares memory with it.
func readPacketHead(r io.Reader, c checksums, buf []byte) (packetHead, []byte, error) {
	buf = grown(buf, 6)
	if _, err := io.ReadFull(r, buf); err != nil {
		return packetHead{}, buf, err
	}
	payload, header := binary.BigEndian.Uint32(buf), int(binary.BigEndian.Uint16(buf[4:]))
	if payload < 4 || payload > maxPacket {
		return packetHead{}, buf, fmt.Errorf("a packet of %d bytes", payload)
	}
	buf = grown(buf, header)
	if _, err := io.ReadFull(r, buf); err != nil {
		return packetHead{}, buf, whole(err)
	}
	var h nnpb.PacketHeader
	if err := proto.Unmarshal(buf, &h); err != nil {
		return packetHead{}, buf, fmt.Errorf("a packet's header: %w", err)
	}
	p := packetHead{seqno: h.GetSeqno(), offset: h.GetOffsetInBlock(), data: int(h.GetDataLen()), last: h.GetLastPacketInBlock()}
	if rest := int(payload) - 4; p.data < 0 || p.offset < 0 || p.data > rest || rest != p.data+c.size(p.data) {
		return packetHead{}, buf, fmt.Errorf("a packet of %d bytes at %d has %d bytes with checksums", p.data, p.offset, rest)
	}
	buf = grown(buf, c.size(p.data))
	if _, err := io.ReadFull(r, buf); err != nil {
		return packetHead{}, buf, whole(err)
	}
	p.sums = buf
	return p, buf, nil
}

// grown is n bytes of memory: b's where that is enough.
func grown(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

// whole makes an end where more was due an error.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
