package checksum

import (
	"bytes"
	"slices"
	"testing"
)

// The check value of CRC-32C in the catalogue of parametrised CRC algorithms.
func TestCheckValue(t *testing.T) {
	if got := Of([]byte("123456789")); got != 0xe3069283 {
		t.Errorf("%#x", got)
	}
}

func TestBlocks(t *testing.T) {
	for _, size := range []int{0, 1, Block - 1, Block, Block + 1, 3*Block + 5} {
		data := bytes.Repeat([]byte{7}, size)
		sums := All(data)
		total := 0
		for i := range Blocks(int64(size)) {
			n := Len(int64(size), i)
			b := data[i*Block : i*Block+n]
			if got := Update(Of(b[:n/2]), b[n/2:]); got != sums[i] || got != Of(b) {
				t.Errorf("%d bytes, block %d: %#x, %#x", size, i, got, sums[i])
			}
			total += n
		}
		if total != size || len(sums) != Blocks(int64(size)) {
			t.Errorf("%d bytes: %d in %d blocks", size, total, len(sums))
		}
	}
	data := bytes.Repeat([]byte{7}, 2*Block)
	sums := All(data)
	data[Block+9] ^= 1
	if after := All(data); slices.Equal(sums, after) || sums[0] != after[0] {
		t.Error("a flipped bit changes the sum of its block, and of no other")
	}
}

func BenchmarkOf(b *testing.B) {
	block := make([]byte, Block)
	b.SetBytes(Block)
	for b.Loop() {
		Of(block)
	}
}
