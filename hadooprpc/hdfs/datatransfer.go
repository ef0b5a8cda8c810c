package hdfs

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// The data transfer protocol, as far as an Appender speaks it, and a reader too (readstream.go). Source:
// org.apache.hadoop.hdfs.protocol.datatransfer.{Sender,PacketHeader,PipelineAck}.
const (
	transferVersion = 28
	opWriteBlock    = 80
	// stageCreate begins a new block: BlockConstructionStage.PIPELINE_SETUP_CREATE.
	stageCreate = 6
	// checksumCRC32C is a ChecksumTypeProto.
	checksumCRC32C = 2
	// statusSuccess is a DataTransferStatus.
	statusSuccess = 0
	// heartbeatSeqno is that of packets without data.
	heartbeatSeqno = -1

	// chunkSize bytes have one checksum.
	chunkSize = 512
	// packetSize bytes of data are the most in one packet: Hadoop's dfs.client-write-packet-size.
	packetSize = 64 << 10
	// maxMessage bounds what a DataNode may make us decode.
	maxMessage = 64 << 10
)

// statusNames are DataTransferStatus.
var statusNames = []string{"SUCCESS", "ERROR", "ERROR_CHECKSUM", "ERROR_INVALID", "ERROR_EXISTS", "ERROR_ACCESS_TOKEN",
	"CHECKSUM_OK", "ERROR_UNSUPPORTED", "OOB_RESTART", "OOB_RESERVED1", "OOB_RESERVED2", "OOB_RESERVED3", "IN_PROGRESS",
	"ERROR_BLOCK_PINNED"}

func statusName(s uint32) string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return fmt.Sprintf("status %d", s)
}

// appendOp appends a request to a DataNode:
//
//	+-----------------+---------+------------------------------+
//	| version, uint16 | op, u8  | varint length + message      |
//	+-----------------+---------+------------------------------+
func appendOp(dst []byte, op byte, m proto.Message) ([]byte, error) {
	dst = append(binary.BigEndian.AppendUint16(dst, transferVersion), op)
	body, err := proto.Marshal(m)
	if err != nil {
		return dst, err
	}
	return append(binary.AppendUvarint(dst, uint64(len(body))), body...), nil
}

// packet is a piece of a block, of at most packetSize bytes. One that does not
// begin at a multiple of chunkSize must end at or before the next.
type packet struct {
	seqno  int64
	offset int64 // in the block
	last   bool  // ends the block, and has no data
	data   []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendPacket appends a packet:
//
//	+---------------------------+--------------------+--------------+------------------+------+
//	| 4 + checksums + data, u32 | header length, u16 | PacketHeader | checksums, 4 B   | data |
//	|                           |                    |              | for each 512 B   |      |
//	+---------------------------+--------------------+--------------+------------------+------+
func appendPacket(dst []byte, p packet) ([]byte, error) {
	header, err := proto.Marshal(&nnpb.PacketHeader{
		OffsetInBlock: proto.Int64(p.offset), Seqno: proto.Int64(p.seqno),
		LastPacketInBlock: proto.Bool(p.last), DataLen: proto.Int32(int32(len(p.data))),
	})
	if err != nil {
		return dst, err
	}
	chunks := (len(p.data) + chunkSize - 1) / chunkSize
	dst = binary.BigEndian.AppendUint32(dst, uint32(4+4*chunks+len(p.data)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(header)))
	dst = append(dst, header...)
	for i := range chunks {
		chunk := p.data[i*chunkSize : min((i+1)*chunkSize, len(p.data))]
		dst = binary.BigEndian.AppendUint32(dst, crc32.Checksum(chunk, castagnoli))
	}
	return append(dst, p.data...), nil
}

// readMessage reads a message with its length, a varint, before it.
func readMessage(r *bufio.Reader, m proto.Message) error {
	err := protodelim.UnmarshalOptions{MaxSize: maxMessage}.UnmarshalFrom(r, m)
	if err == io.EOF { // an end where an answer was due
		return io.ErrUnexpectedEOF
	}
	return err
}
