package shuffle

import "sync"

// batch holds encoded records, in blocks that shuffles of a process take from one another:
// it grows without copying.
//
//	blocks:  │ record record …  │ a record that takes │ (it goes on)  │ record …
//	                            │ more than half      │ nil           │
type batch struct {
	blocks [][]byte // all but the last full, as good as it goes
	taken  []*block // of these
}

const (
	blockBits = 18
	blockSize = 1 << blockBits
)

type block [blockSize]byte

var blocks = sync.Pool{New: func() any { return new(block) }}

// size returns where the next record would be, if it were small.
func (b *batch) size() int {
	if n := len(b.blocks); n > 0 {
		return (n-1)<<blockBits + len(b.blocks[n-1])
	}
	return 0
}

// add adds a record and returns where it is. There must not be more than fits into 32 bits.
func (b *batch) add(key, value []byte) uint32 {
	size := maxHead + len(key) + len(value)
	if size > blockSize/2 {
		at := len(b.blocks) << blockBits
		record := appendRecord(make([]byte, 0, size), key, value)
		b.blocks = append(b.blocks, record)
		for range (len(record) - 1) >> blockBits {
			b.blocks = append(b.blocks, nil)
		}
		b.blocks = append(b.blocks, b.take())
		return uint32(at)
	}
	last := len(b.blocks) - 1
	if last < 0 || len(b.blocks[last])+size > blockSize {
		b.blocks = append(b.blocks, b.take())
		last++
	}
	at := last<<blockBits + len(b.blocks[last])
	b.blocks[last] = appendRecord(b.blocks[last], key, value)
	return uint32(at)
}

func (b *batch) take() []byte {
	t := blocks.Get().(*block)
	b.taken = append(b.taken, t)
	return t[:0]
}

// from returns the bytes from a record on.
func (b *batch) from(at uint32) []byte { return b.blocks[at>>blockBits][at&(blockSize-1):] }

// empty gives all blocks back.
func (b *batch) empty() {
	for _, t := range b.taken {
		blocks.Put(t)
	}
	clear(b.blocks)
	clear(b.taken)
	b.blocks, b.taken = b.blocks[:0], b.taken[:0]
}
