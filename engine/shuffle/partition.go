package shuffle

import (
	"bytes"
	"hash/crc32"
	"slices"
	"sort"
)

// Partition says how keys are spread over reduce tasks: see Hash and Range.
type Partition struct {
	parts  int
	ranges bool
}

// Hash spreads keys over n partitions by a hash of their bytes.
func Hash(n int) Partition { return Partition{parts: n} }

// Range gives each of n partitions a range of keys, all smaller than those of the next.
// The ranges are cut so that they hold about as many records each, as far as a sample of
// the inputs tells.
func Range(n int) Partition { return Partition{parts: n, ranges: true} }

// partitioner finds a key's partition.
type partitioner struct {
	parts  int
	ranges bool
	cuts   [][]byte // sorted; where the second partition begins, and so on
}

func (p *partitioner) of(key []byte) uint32 {
	if !p.ranges {
		h := uint64(crc32.Checksum(key, castagnoli)) * 0x9e3779b97f4a7c15
		return uint32((h >> 32) * uint64(p.parts) >> 32)
	}
	return uint32(sort.Search(len(p.cuts), func(i int) bool { return bytes.Compare(p.cuts[i], key) > 0 }))
}

// cut returns parts-1 keys at equal distances in a sample, or none of an empty one.
func cut(sample [][]byte, parts int) [][]byte {
	if len(sample) == 0 {
		return nil
	}
	slices.SortFunc(sample, bytes.Compare)
	cuts := make([][]byte, 0, parts-1)
	for i := 1; i < parts; i++ {
		cuts = append(cuts, sample[i*len(sample)/parts])
	}
	return cuts
}
