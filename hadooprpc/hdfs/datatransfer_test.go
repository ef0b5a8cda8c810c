package hdfs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

func TestAppendPacket(t *testing.T) {
	for _, n := range []int{0, 1, chunkSize, chunkSize + 1, packetSize} {
		data := pattern(n, uint64(n))
		b, err := appendPacket([]byte("x"), packet{seqno: 7, offset: 512, last: n == 0, data: data})
		if err != nil {
			t.Fatal(err)
		}
		b = b[1:]
		chunks := (n + chunkSize - 1) / chunkSize
		if got := binary.BigEndian.Uint32(b); got != uint32(4+4*chunks+n) {
			t.Errorf("%d bytes: the length is %d", n, got)
		}
		size := int(binary.BigEndian.Uint16(b[4:]))
		var h nnpb.PacketHeader
		if err := proto.Unmarshal(b[6:6+size], &h); err != nil {
			t.Fatal(err)
		}
		if h.GetSeqno() != 7 || h.GetOffsetInBlock() != 512 || h.GetLastPacketInBlock() != (n == 0) || h.GetDataLen() != int32(n) {
			t.Errorf("header %v", &h)
		}
		sums, rest := b[6+size:6+size+4*chunks], b[6+size+4*chunks:]
		if !bytes.Equal(rest, data) {
			t.Errorf("%d bytes: others were sent", n)
		}
		for i := range chunks {
			want := crc32.Checksum(data[i*chunkSize:min(n, (i+1)*chunkSize)], crc32.MakeTable(crc32.Castagnoli))
			if got := binary.BigEndian.Uint32(sums[4*i:]); got != want {
				t.Errorf("checksum %d is %x, want %x", i, got, want)
			}
		}
	}
}

// FuzzPipelineAnswers lets a DataNode answer anything.
func FuzzPipelineAnswers(f *testing.F) {
	ack := func(seqno int64, status ...uint32) []byte {
		b, err := proto.Marshal(&nnpb.PipelineAck{Seqno: &seqno, Reply: status})
		if err != nil {
			f.Fatal(err)
		}
		return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
	}
	f.Add(ack(1, 0, 0))
	f.Add(append(ack(heartbeatSeqno), ack(1, 0, 0)...))
	f.Add(append(ack(1), ack(2)...))
	f.Add(ack(2, 0))
	f.Add(ack(1, 0, 8))
	f.Add(ack(1)[:2])
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, answers []byte) {
		p := pipeline{r: bufio.NewReader(bytes.NewReader(answers)), next: 3, beats: 1}
		if err := p.sync(); err == nil && p.acked != 2 {
			t.Errorf("in step with %d of 2 packets acknowledged", p.acked)
		}
		if p.acked > 2 || p.beats < 0 {
			t.Errorf("%d packets of 2 acknowledged, %d heartbeats open", p.acked, p.beats)
		}
	})
}
