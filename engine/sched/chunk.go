//go:build !smallchunks

package sched

// chunkBits is the logarithm of the rows of a table's chunk.
const chunkBits = 12
