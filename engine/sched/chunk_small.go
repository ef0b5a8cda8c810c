//go:build smallchunks

package sched

// chunkBits is small here so that the small jobs of a simulation drop chunks:
//
//	go test -tags smallchunks ./engine/sched ./engine/schedtest
const chunkBits = 2
