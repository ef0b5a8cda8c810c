package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

func request() []proto.Message {
	return []proto.Message{
		&pb.RpcRequestHeader{
			RpcKind: pb.RpcKind_RPC_PROTOCOL_BUFFER.Enum(), RpcOp: pb.RpcRequestHeader_RPC_FINAL_PACKET.Enum(),
			CallId: proto.Int32(7), ClientId: bytes.Repeat([]byte{1}, 16), RetryCount: proto.Int32(0),
		},
		&pb.RequestHeader{MethodName: proto.String("m"), DeclaringClassProtocolName: proto.String("P"), ClientProtocolVersion: proto.Uint64(1)},
		&pb.GetNewApplicationRequest{},
	}
}

func TestConnHeader(t *testing.T) {
	got := AppendConnHeader([]byte("x"), ConnHeader{ServiceClass: 3, Auth: AuthSASL})
	if string(got) != "xhrpc\x09\x03\xdf" {
		t.Fatalf("%q", got)
	}
	h, err := ParseConnHeader(got[1:])
	if err != nil || h != (ConnHeader{3, AuthSASL}) {
		t.Fatal(h, err)
	}
	if _, err := ParseConnHeader([]byte("GET / H")); !errors.Is(err, ErrNotHadoop) {
		t.Error(err)
	}
	var ve *VersionError
	if _, err := ParseConnHeader([]byte("hrpc\x04\x00\x50")); !errors.As(err, &ve) || ve.Got != 4 {
		t.Error(err)
	}
}

func TestFrameRoundTrip(t *testing.T) {
	want := request()
	b, err := AppendFrame([]byte("before"), want...)
	if err != nil {
		t.Fatal(err)
	}
	b = b[len("before"):]
	if int(binary.BigEndian.Uint32(b)) != len(b)-4 {
		t.Fatalf("length %d of %d bytes", binary.BigEndian.Uint32(b), len(b))
	}
	// One byte at a time, two frames in a row: ReadFrame must not read past its own frame.
	r := iotest.OneByteReader(bytes.NewReader(append(bytes.Clone(b), b...)))
	for range 2 {
		f, err := ReadFrame(r, nil, 1<<10)
		if err != nil {
			t.Fatal(err)
		}
		var rh pb.RpcRequestHeader
		var ch pb.RequestHeader
		f, err = ReadMessage(f, &rh)
		if err != nil {
			t.Fatal(err)
		}
		if f, err = ReadMessage(f, &ch); err != nil {
			t.Fatal(err)
		}
		if err := ReadLast(f, &pb.GetNewApplicationRequest{}); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(&rh, want[0]) || !proto.Equal(&ch, want[1]) {
			t.Errorf("got %v %v", &rh, &ch)
		}
	}
	if _, err := ReadFrame(r, nil, 1<<10); err != io.EOF {
		t.Errorf("at the end: %v, want io.EOF", err)
	}
}

// A message without its required fields must not reach the wire half written.
func TestAppendFrameRefusesIncompleteMessages(t *testing.T) {
	dst := []byte("kept")
	got, err := AppendFrame(dst, request()[0], &pb.RequestHeader{})
	if err == nil || string(got) != "kept" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestReadFrameReusesBuffer(t *testing.T) {
	b, _ := AppendFrame(nil, request()...)
	buf := make([]byte, 0, 1<<10)
	f, err := ReadFrame(bytes.NewReader(b), buf, 1<<10)
	if err != nil || &f[0] != &buf[:1][0] {
		t.Errorf("a large enough buffer was not reused (%v)", err)
	}
}

func TestReadFrameLimits(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"web server", "HTTP/1.1 404 Not Found\r\n", "web address"},
		{"TLS alert", "\x15\x03\x01\x00\x02\x02\x28", "TLS"},
		{"too long", "\x00\x10\x00\x01", "1048577 bytes"},
		{"negative in Java", "\xff\xff\xff\xff", "4294967295 bytes"},
	} {
		_, err := ReadFrame(strings.NewReader(tc.in), nil, 1<<20)
		var le *LimitError
		if !errors.As(err, &le) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	if _, err := ReadFrame(strings.NewReader("\x00\x00\x00\x05abc"), nil, 10); err != io.ErrUnexpectedEOF {
		t.Errorf("cut frame: %v", err)
	}
	if _, err := ReadFrame(strings.NewReader("\x00\x00\x00\x05"), nil, 10); err != io.ErrUnexpectedEOF {
		t.Errorf("frame cut after its length: %v", err)
	}
}

// A peer that announces the largest allowed frame and then sends little must not make us take the memory.
func TestReadFrameTakesMemoryAsBytesArrive(t *testing.T) {
	liar := append(binary.BigEndian.AppendUint32(nil, DefaultMax), make([]byte, 100<<10)...)
	res := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ReadFrame(bytes.NewReader(liar), nil, DefaultMax); err != io.ErrUnexpectedEOF {
				b.Fatal(err)
			}
		}
	})
	if res.AllocedBytesPerOp() > 1<<20 {
		t.Errorf("%d bytes allocated for a frame of which 100 KiB arrived", res.AllocedBytesPerOp())
	}
}

func FuzzParseConnHeader(f *testing.F) {
	f.Add([]byte("hrpc\x09\x00\xdf"))
	f.Add([]byte("hrpc\x08\x00\x00"))
	f.Add([]byte("GET / H"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ParseConnHeader(in)
		var ve *VersionError
		switch {
		case err == nil && string(AppendConnHeader(nil, h)) != string(in):
			t.Fatalf("% x reads as %+v", in, h)
		case err != nil && !errors.Is(err, ErrNotHadoop) && !errors.As(err, &ve):
			t.Fatalf("untyped error %v", err)
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	good, _ := AppendFrame(nil, request()...)
	f.Add(good)
	f.Add(append(good, good...))
	f.Add([]byte("HTTP/1.1 400"))
	f.Add([]byte{0, 0, 0, 3, 0xff, 0xff, 0xff})
	f.Add([]byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		for {
			frame, err := ReadFrame(r, nil, 1<<16)
			if err != nil {
				return
			}
			if len(frame) > len(in) {
				t.Fatalf("a frame of %d bytes out of %d", len(frame), len(in))
			}
			var hdr pb.RpcResponseHeader
			rest, err := ReadMessage(frame, &hdr)
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("untyped error %v", err)
				}
				continue
			}
			if len(rest) >= len(frame) {
				t.Fatal("a message took no bytes")
			}
			// What was understood must survive a round trip.
			again, err := AppendFrame(nil, &hdr)
			if err != nil {
				t.Fatal(err)
			}
			var hdr2 pb.RpcResponseHeader
			if err := ReadLast(again[4:], &hdr2); err != nil || !proto.Equal(&hdr, &hdr2) {
				t.Fatalf("%v != %v (%v)", &hdr, &hdr2, err)
			}
		}
	})
}
