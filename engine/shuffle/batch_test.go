package shuffle

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Records of any length are found where they were put, and blocks are used again.
func TestBatch(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var b batch
	defer b.empty()
	for round := range 3 {
		var ats []uint32
		var values [][]byte
		for i := range 400 {
			n := r.IntN(2000)
			switch i % 40 {
			case 7:
				n = blockSize/2 - maxHead - 4 + r.IntN(8)
			case 17:
				n = blockSize - maxHead - 4 + r.IntN(8)
			case 27:
				n = 3*blockSize + r.IntN(8)
			}
			value := bytes.Repeat([]byte{byte(i)}, n)
			before := b.size()
			ats, values = append(ats, b.add([]byte("key"), value)), append(values, value)
			if b.size() <= before || int(ats[i]) < before {
				t.Fatalf("%d bytes are put at %d of %d, and then there are %d", n, ats[i], before, b.size())
			}
		}
		for i, at := range ats {
			key, value, n, _, err := cutRecord(b.from(at))
			if err != nil || n == 0 || string(key) != "key" || !bytes.Equal(value, values[i]) {
				t.Fatalf("round %d: record %d of %d bytes: %d bytes, %v", round, i, len(values[i]), len(value), err)
			}
		}
		if b.empty(); b.size() != 0 {
			t.Errorf("%d bytes are left", b.size())
		}
	}
}
