package hdfstest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

const (
	// chunkSize bytes have one checksum.
	chunkSize = 512
	// maxPacket bounds a packet: a DataNode takes 16 MiB, and clients send 64 KiB.
	maxPacket = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packet is a piece of a block.
type packet struct {
	seqno  int64
	offset int64 // in the block
	last   bool
	data   []byte
}

// readPacket reads a packet and checks its checksums:
//
//	+---------------------------+--------------------+--------------+------------------+------+
//	| 4 + checksums + data, u32 | header length, u16 | PacketHeader | checksums, 4 B   | data |
//	|                           |                    |              | for each 512 B   |      |
//	+---------------------------+--------------------+--------------+------------------+------+
//
// Source: org.apache.hadoop.hdfs.protocol.datatransfer.PacketReceiver (3.4.2).
func readPacket(r io.Reader) (packet, error) {
	var lengths [6]byte
	if _, err := io.ReadFull(r, lengths[:]); err != nil {
		return packet{}, err
	}
	payload, header := binary.BigEndian.Uint32(lengths[:]), binary.BigEndian.Uint16(lengths[4:])
	if payload < 4 || payload > maxPacket {
		return packet{}, fmt.Errorf("a packet of %d bytes", payload)
	}
	body := make([]byte, int(header)+int(payload)-4)
	if _, err := io.ReadFull(r, body); err != nil {
		return packet{}, err
	}
	var h nnpb.PacketHeader
	if err := proto.Unmarshal(body[:header], &h); err != nil {
		return packet{}, err
	}
	p := packet{seqno: h.GetSeqno(), offset: h.GetOffsetInBlock(), last: h.GetLastPacketInBlock()}
	rest, n := body[header:], int(h.GetDataLen())
	chunks := (n + chunkSize - 1) / chunkSize
	if n < 0 || p.offset < 0 || len(rest) != n+4*chunks {
		return packet{}, fmt.Errorf("a packet of %d bytes at %d has %d bytes with checksums", n, p.offset, len(rest))
	}
	p.data = rest[4*chunks:]
	for i := range chunks {
		chunk := p.data[i*chunkSize : min((i+1)*chunkSize, n)]
		if crc32.Checksum(chunk, castagnoli) != binary.BigEndian.Uint32(rest[4*i:]) {
			return packet{}, fmt.Errorf("the bytes from %d on are damaged", p.offset+int64(i*chunkSize))
		}
	}
	return p, nil
}

// appendPacket appends a packet, with as many checksums as its data has chunks.
func appendPacket(dst []byte, p packet) ([]byte, error) {
	return appendPacketSummed(dst, p, checksumCRC32C)
}

// appendPacketSummed is appendPacket with checksums of another type.
func appendPacketSummed(dst []byte, p packet, checksum uint32) ([]byte, error) {
	header, err := proto.Marshal(&nnpb.PacketHeader{
		OffsetInBlock: proto.Int64(p.offset), Seqno: proto.Int64(p.seqno),
		LastPacketInBlock: proto.Bool(p.last), DataLen: proto.Int32(int32(len(p.data))),
	})
	if err != nil {
		return dst, err
	}
	chunks, table := (len(p.data)+chunkSize-1)/chunkSize, castagnoli
	switch checksum {
	case checksumTypes["NULL"]:
		chunks = 0
	case checksumTypes["CRC32"]:
		table = crc32.IEEETable
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+4*chunks+len(p.data)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(header)))
	dst = append(dst, header...)
	for i := range chunks {
		chunk := p.data[i*chunkSize : min((i+1)*chunkSize, len(p.data))]
		dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(chunk, table))
	}
	return append(dst, p.data...), nil
}
