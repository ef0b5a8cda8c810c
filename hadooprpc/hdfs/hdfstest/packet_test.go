package hdfstest

import (
	"bytes"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// FuzzPacket: a packet is refused, or is what it would be written as.
func FuzzPacket(f *testing.F) {
	for _, p := range []packet{{seqno: heartbeatSeqno}, {seqno: 1, data: []byte("x")}, {seqno: 2, offset: 512, data: make([]byte, 1025)}, {seqno: 3, offset: 7, last: true}} {
		b, err := appendPacket(nil, p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := readPacket(bytes.NewReader(b))
		if err != nil {
			return
		}
		again, err := appendPacket(nil, p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := readPacket(bytes.NewReader(again))
		if err != nil || p.seqno != q.seqno || p.offset != q.offset || p.last != q.last || !bytes.Equal(p.data, q.data) {
			t.Errorf("%+v became %+v, %v", p, q, err)
		}
	})
}
