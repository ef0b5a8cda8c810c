package hdfs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
)

// scriptedConn gives what a DataNode says, and takes everything.
type scriptedConn struct {
	net.Conn
	r io.Reader
}

func (c *scriptedConn) Read(b []byte) (int, error)      { return c.r.Read(b) }
func (c *scriptedConn) Write(b []byte) (int, error)     { return len(b), nil }
func (c *scriptedConn) Close() error                    { return nil }
func (c *scriptedConn) SetDeadline(time.Time) error     { return nil }
func (c *scriptedConn) SetReadDeadline(time.Time) error { return nil }

func scripted(said []byte) *nodeConn {
	c := &scriptedConn{r: bytes.NewReader(said)}
	return &nodeConn{Conn: c, r: bufio.NewReader(c), unwatch: func() bool { return true }}
}

// answered is a DataNode's answer to a request, as bytes.
func answered(t testing.TB, m *nnpb.BlockOpResponse) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

func goodAnswer(chunkOffset int64) *nnpb.BlockOpResponse {
	return &nnpb.BlockOpResponse{Status: proto.Uint32(0), ReadOpChecksumInfo: &nnpb.ReadOpChecksumInfo{
		Checksum: &nnpb.Checksum{Type: proto.Uint32(checksumCRC32C), BytesPerChecksum: proto.Uint32(chunkSize)}, ChunkOffset: proto.Uint64(uint64(chunkOffset))}}
}

func packets(t testing.TB, ps ...packet) (b []byte) {
	t.Helper()
	for _, p := range ps {
		var err error
		if b, err = appendPacket(b, p); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func TestBlockStreamRefuses(t *testing.T) {
	data := pattern(2048, 1)
	block := planBlock(1, 0, 2048, "a")
	block.Token = emptyToken()
	for name, x := range map[string]struct {
		answer  *nnpb.BlockOpResponse
		packets []packet
	}{
		"what is right":                {goodAnswer(512), []packet{{offset: 512, data: data[512:1024]}, {seqno: 1, offset: 1024, data: data[1024:]}}},
		"another offset than it says":  {goodAnswer(0), []packet{{offset: 512, data: data[512:]}}},
		"a beginning behind the byte":  {goodAnswer(1024), []packet{{offset: 1024, data: data[1024:]}}},
		"a beginning within a piece":   {goodAnswer(100), []packet{{offset: 100, data: data[100:]}}},
		"a packet that is another one": {goodAnswer(512), []packet{{offset: 0, data: data[512:]}}},
		"packets in another order":     {goodAnswer(512), []packet{{seqno: 1, offset: 512, data: data[512:]}}},
		"a hole":                       {goodAnswer(512), []packet{{offset: 512, data: data[512:1024]}, {seqno: 1, offset: 1536, data: data[1536:]}}},
		"an early end":                 {goodAnswer(512), []packet{{offset: 512, data: data[512:1024]}, {seqno: 1, offset: 1024, last: true}}},
		"a packet without data":        {goodAnswer(512), []packet{{offset: 512}}},
		"a piece that is cut":          {goodAnswer(512), []packet{{offset: 512, data: data[512:1000]}, {seqno: 1, offset: 1000, data: data[1000:]}}},
		"data in the last packet":      {goodAnswer(512), []packet{{offset: 512, data: data[512:], last: true}}},
		"an end in the middle":         {goodAnswer(512), nil},
		"a checksum of unknown kind":   {goodAnswer(512), []packet{{offset: 512, data: data[512:]}}},
		"a refusal":                    {&nnpb.BlockOpResponse{Status: proto.Uint32(1)}, nil},
		"no word about checksums":      {&nnpb.BlockOpResponse{Status: proto.Uint32(0)}, []packet{{offset: 512, data: data[512:]}}},
	} {
		if name == "a checksum of unknown kind" {
			x.answer.ReadOpChecksumInfo.Checksum.Type = proto.Uint32(9)
		}
		s, err := openStream(scripted(append(answered(t, x.answer), packets(t, x.packets...)...)), block, 600, 2048, time.Second)
		if err == nil {
			_, err = io.ReadFull(readerOf(s), make([]byte, 2048-600))
		}
		if (err == nil) != (name == "what is right") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What comes beyond the bytes that were asked for, to the end of a piece, is not given out.
func TestBlockStreamEnds(t *testing.T) {
	data := pattern(1024, 5)
	block := planBlock(1, 0, 1024, "a")
	block.Token = emptyToken()
	s, err := openStream(scripted(append(answered(t, goodAnswer(512)), packets(t, packet{offset: 512, data: data[512:]}, packet{seqno: 1, offset: 1024, last: true})...)),
		block, 600, 700, time.Second)
	must(t, err)
	b := make([]byte, 1000)
	if n, err := s.read(b); n != 100 || err != nil || !bytes.Equal(b[:100], data[600:700]) {
		t.Errorf("%d bytes, %v, or other ones", n, err)
	}
	if !s.arrived() || s.finish() == nil {
		t.Error("the connection is of no more use")
	}
}

// readerOf makes a stream an io.Reader.
func readerOf(s *blockStream) io.Reader { return streamReader{s} }

type streamReader struct{ *blockStream }

func (r streamReader) Read(b []byte) (int, error) { return r.read(b) }

// No bit of what a DataNode sends can be another without notice, whether bytes are read in place or by way of a buffer.
func TestBlockStreamNoticesDamage(t *testing.T) {
	data := pattern(1536, 2)
	block := planBlock(1, 0, 1536, "a")
	block.Token = emptyToken()
	head := answered(t, goodAnswer(0))
	sent := packets(t, packet{offset: 0, data: data[:1024]}, packet{seqno: 1, offset: 1024, data: data[1024:]}, packet{seqno: 2, offset: 1536, last: true})
	for _, size := range []int{1536, 700} {
		damaged := 0
		for bit := range len(sent) * 8 {
			wrong := bytes.Clone(sent)
			wrong[bit/8] ^= 1 << (bit % 8)
			s, err := openStream(scripted(append(bytes.Clone(head), wrong...)), block, 0, 1536, time.Second)
			must(t, err)
			got := make([]byte, 0, 1536)
			for err == nil && len(got) < 1536 {
				b := make([]byte, min(size, 1536-len(got)))
				var n int
				n, err = s.read(b)
				got = append(got, b[:n]...)
			}
			if !bytes.HasPrefix(data, got) {
				t.Fatalf("bit %d: other bytes were given out", bit)
			}
			if errors.As(err, new(*damagedError)) {
				damaged++
			}
		}
		if damaged < 1536*8 {
			t.Errorf("pieces of %d: a wrong checksum was noticed %d times", size, damaged)
		}
	}
}

// drip gives few bytes at a time, and none when its deadline is over.
type drip struct {
	scriptedConn
	deadline time.Time
}

func (c *drip) SetDeadline(t time.Time) error     { c.deadline = t; return nil }
func (c *drip) SetReadDeadline(t time.Time) error { c.deadline = t; return nil }

func (c *drip) Read(b []byte) (int, error) {
	if time.Now().After(c.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	return c.r.Read(b[:min(len(b), 1000)])
}

// The time for which a reader rests does not count as the DataNode's silence.
func TestBlockStreamRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := pattern(64<<10, 4)
		c := &drip{scriptedConn: scriptedConn{r: bytes.NewReader(append(answered(t, goodAnswer(0)),
			packets(t, packet{data: data}, packet{seqno: 1, offset: int64(len(data)), last: true})...))}}
		block := planBlock(1, 0, int64(len(data)), "a")
		block.Token = emptyToken()
		s, err := openStream(&nodeConn{Conn: c, r: bufio.NewReader(c), unwatch: func() bool { return true }}, block, 0, int64(len(data)), time.Second)
		must(t, err)
		var got []byte
		for b := make([]byte, 10_000); len(got) < len(data); time.Sleep(time.Minute) {
			n, err := s.read(b)
			must(t, err)
			got = append(got, b[:n]...)
		}
		if !bytes.Equal(got, data) {
			t.Error("other bytes")
		}
	})
}

// FuzzBlockStream lets a DataNode send anything. What is given out has the right length, and was compared with checksums
// where there are any.
func FuzzBlockStream(f *testing.F) {
	data := pattern(2048, 3)
	good := append(answered(f, goodAnswer(512)), packets(f, packet{offset: 512, data: data[512:1536]}, packet{seqno: 1, offset: 1536, data: data[1536:]}, packet{seqno: 2, offset: 2048, last: true})...)
	f.Add(good)
	f.Add(good[:len(good)-7])
	f.Add(answered(f, &nnpb.BlockOpResponse{Status: proto.Uint32(statusNoAccess), Message: proto.String("no")}))
	f.Add(append(answered(f, goodAnswer(512)), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1})
	null := goodAnswer(0)
	null.ReadOpChecksumInfo.Checksum = &nnpb.Checksum{Type: proto.Uint32(checksumNull), BytesPerChecksum: proto.Uint32(1)}
	f.Add(answered(f, null))
	block := planBlock(1, 0, 2048, "a")
	block.Token = emptyToken()
	f.Fuzz(func(t *testing.T, said []byte) {
		s, err := openStream(scripted(said), block, 600, 2048, time.Second)
		if err != nil {
			return
		}
		b, total := make([]byte, 100), 0
		for s.at < s.end {
			n, err := s.read(b[:min(int64(len(b)), s.end-s.at)])
			if err != nil {
				return
			}
			if n < 1 {
				t.Fatal("nothing, and no error")
			}
			total += n
		}
		if total != 2048-600 || !s.arrived() {
			t.Errorf("%d bytes of %d", total, 2048-600)
		}
		s.finish()
	})
}
