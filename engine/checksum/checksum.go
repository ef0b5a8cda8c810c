// Package checksum guards results from end to end: a sum for each block, taken once
// where a result comes to be, kept beside it, sent with it, and compared by whoever
// reads it from a peer or from disk.
//
// The sum is CRC-32C (Castagnoli). Processors compute it in hardware on amd64 and
// arm64, and the standard library uses that (some 15 GB/s a core); HDFS, iSCSI and ext4
// trust it with their data. It finds every burst of up to 32 bits, and of other damage
// all but one in four thousand million. It is against failing memory,
// disks and software; on the wire, TLS is what stands against an adversary.
//
// Sums are over blocks and not over the whole so that parts can be fetched over several
// connections and judged as they come, and only a damaged or missing block is fetched
// again.
package checksum

import "hash/crc32"

// Block is how many bytes a sum is over; a result's last block may be shorter. It is a
// huge page of amd64, for package store.
const Block = 2 << 20

var table = crc32.MakeTable(crc32.Castagnoli)

// Of returns the sum of one block.
func Of(block []byte) uint32 { return crc32.Checksum(block, table) }

// Update returns the sum of what had the sum so far, followed by p.
func Update(sum uint32, p []byte) uint32 { return crc32.Update(sum, table, p) }

// All returns the sums of data's blocks.
func All(data []byte) []uint32 {
	sums := make([]uint32, 0, Blocks(int64(len(data))))
	for len(data) > 0 {
		n := min(len(data), Block)
		sums = append(sums, Of(data[:n]))
		data = data[n:]
	}
	return sums
}

// Blocks returns how many blocks size bytes have.
func Blocks(size int64) int { return int((size + Block - 1) / Block) }

// Len returns the length of block i of size bytes.
func Len(size int64, i int) int { return int(min(Block, size-int64(i)*Block)) }
