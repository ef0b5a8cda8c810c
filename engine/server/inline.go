package server

import (
	"encoding/binary"

	"github.com/yarnd/yarnd/engine/graph"
)

// inlineStore keeps the small results of one job, by task index and attempt,
// without a pointer a result: the garbage collector sees only slabs.
//
//	slab   +-------+---------+-----+-------+-------+----
//	       | index | attempt | len | bytes | index | ...
//	       +-------+---------+-----+-------+-------+----
//	         u32     u32       u16
//
// A slab that is mostly dead is compacted, so memory stays within a small factor
// of what lives.
type inlineStore struct {
	slabs []slab   // slabs[0] is not used: a reference of 0 is none
	free  []uint32 // numbers of slabs without memory
	at    []uint64 // by task index: slab<<32 | offset of the entry; 0 is none
	open  uint32   // the slab that grows; 0 is none
}

type slab struct {
	data []byte
	live int // bytes of entries that are in at
}

const (
	slabSize    = 64 << 10
	entryHeader = 10
)

func newInlineStore() *inlineStore { return &inlineStore{slabs: make([]slab, 1)} }

// put keeps a copy of result, of less than 64 KiB, in place of an earlier
// attempt's.
func (s *inlineStore) put(index uint32, a graph.Attempt, result []byte) {
	s.remove(index)
	for int(index) >= len(s.at) {
		s.at = append(s.at, 0)
	}
	s.add(index, a, result)
}

func (s *inlineStore) add(index uint32, a graph.Attempt, result []byte) {
	size := entryHeader + len(result)
	if s.open == 0 || len(s.slabs[s.open].data)+size > cap(s.slabs[s.open].data) {
		s.seal()
		s.open = s.newSlab(max(slabSize, size))
	}
	b := &s.slabs[s.open]
	s.at[index] = uint64(s.open)<<32 | uint64(len(b.data))
	b.data = binary.LittleEndian.AppendUint32(b.data, index)
	b.data = binary.LittleEndian.AppendUint32(b.data, uint32(a))
	b.data = binary.LittleEndian.AppendUint16(b.data, uint16(len(result)))
	b.data = append(b.data, result...)
	b.live += size
}

// seal gives up the growing slab; what died in it while it grew counts now.
func (s *inlineStore) seal() {
	n := s.open
	s.open = 0
	if n != 0 {
		s.shrink(n)
	}
}

func (s *inlineStore) newSlab(size int) uint32 {
	b := slab{data: make([]byte, 0, size)}
	if last := len(s.free) - 1; last >= 0 {
		n := s.free[last]
		s.free = s.free[:last]
		s.slabs[n] = b
		return n
	}
	s.slabs = append(s.slabs, b)
	return uint32(len(s.slabs) - 1)
}

// get returns a view of an attempt's result, valid until the store changes.
func (s *inlineStore) get(index uint32, a graph.Attempt) ([]byte, bool) {
	ref := s.ref(index)
	if ref == 0 {
		return nil, false
	}
	got, result := s.slabs[ref>>32].entry(uint32(ref))
	return result, got == a
}

func (b *slab) entry(off uint32) (graph.Attempt, []byte) {
	a := binary.LittleEndian.Uint32(b.data[off+4:])
	n := uint32(binary.LittleEndian.Uint16(b.data[off+8:]))
	from := off + entryHeader
	return graph.Attempt(a), b.data[from : from+n : from+n]
}

// drop forgets an attempt's result.
func (s *inlineStore) drop(index uint32, a graph.Attempt) {
	if _, ok := s.get(index, a); ok {
		s.remove(index)
	}
}

func (s *inlineStore) remove(index uint32) {
	ref := s.ref(index)
	if ref == 0 {
		return
	}
	s.at[index] = 0
	n := uint32(ref >> 32)
	b := &s.slabs[n]
	_, result := b.entry(uint32(ref))
	b.live -= entryHeader + len(result)
	if n != s.open {
		s.shrink(n)
	}
}

// shrink frees a sealed slab that is empty, and moves what is left of one that is
// less than a quarter alive.
func (s *inlineStore) shrink(n uint32) {
	b := s.slabs[n]
	if b.live*4 >= len(b.data) && b.live > 0 {
		return
	}
	s.slabs[n] = slab{}
	for off := uint32(0); b.live > 0; {
		index := binary.LittleEndian.Uint32(b.data[off:])
		a, result := b.entry(off)
		if s.at[index] == uint64(n)<<32|uint64(off) {
			b.live -= entryHeader + len(result)
			s.add(index, a, result)
		}
		off += uint32(entryHeader + len(result))
	}
	// Only now may the number be used again: at refers to it until the end.
	s.free = append(s.free, n)
}

func (s *inlineStore) ref(index uint32) uint64 {
	if int(index) >= len(s.at) {
		return 0
	}
	return s.at[index]
}
