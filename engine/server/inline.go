package server

import (
	"encoding/binary"

	"github.com/yarnd/yarnd/engine/graph"
)

// inlineStore keeps the small results of one job: those of at most eight bytes in the
// task's row, larger ones in slabs, to which the row refers. The garbage collector sees
// only pages and slabs.
//
//	slab   +-------+-----+-------+-------+-----+----
//	       | index | len | bytes | index | len | ...
//	       +-------+-----+-------+-------+-----+----
//	         u32     u16
//
// A slab that is mostly dead is compacted, so memory stays within a small factor
// of what lives.
type inlineStore struct {
	rows  *rows
	slabs []slab   // slabs[0] is not used
	free  []uint32 // numbers of slabs without memory
	open  uint32   // the slab that grows; 0 is none
}

type slab struct {
	data []byte
	live int // bytes of entries that rows refer to
}

const (
	slabSize    = 64 << 10
	entryHeader = 6
)

func newInlineStore(r *rows) *inlineStore { return &inlineStore{rows: r, slabs: make([]slab, 1)} }

// put keeps a copy of a result of less than 64 KiB, in place of an earlier attempt's.
func (s *inlineStore) put(index uint32, a graph.Attempt, result []byte) {
	r := s.rows.make(index)
	if r == nil {
		return
	}
	s.remove(r)
	r.kept = a
	if len(result) <= len(r.value) {
		r.keeps = keepsTiny + uint8(len(result))
		r.put(0)
		copy(r.value[:], result)
		return
	}
	s.add(r, index, result)
}

func (s *inlineStore) add(r *row, index uint32, result []byte) {
	size := entryHeader + len(result)
	if s.open == 0 || len(s.slabs[s.open].data)+size > cap(s.slabs[s.open].data) {
		s.seal()
		s.open = s.newSlab(max(slabSize, size))
	}
	b := &s.slabs[s.open]
	r.keeps = keepsSlab
	r.put(uint64(s.open)<<32 | uint64(len(b.data)))
	b.data = binary.LittleEndian.AppendUint32(b.data, index)
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
	r := s.rows.at(index)
	if r == nil || r.keeps == keepsSize || r.kept != a {
		return nil, false
	}
	return s.result(r), true
}

// result returns a view of the result that a row keeps or refers to.
func (s *inlineStore) result(r *row) []byte {
	if r.keeps != keepsSlab {
		n := r.keeps - keepsTiny
		return r.value[:n:n]
	}
	ref := r.number()
	return s.slabs[ref>>32].entry(uint32(ref))
}

func (b *slab) entry(off uint32) []byte {
	n := uint32(binary.LittleEndian.Uint16(b.data[off+4:]))
	from := off + entryHeader
	return b.data[from : from+n : from+n]
}

// drop forgets an attempt's result.
func (s *inlineStore) drop(index uint32, a graph.Attempt) {
	if r := s.rows.at(index); r != nil && r.keeps != keepsSize && r.kept == a {
		s.remove(r)
	}
}

// remove leaves the size of what the row kept.
func (s *inlineStore) remove(r *row) {
	if r.keeps == keepsSize {
		return
	}
	size, ref, slabbed := len(s.result(r)), r.number(), r.keeps == keepsSlab
	r.keeps = keepsSize
	r.put(uint64(size))
	if !slabbed {
		return
	}
	n := uint32(ref >> 32)
	s.slabs[n].live -= entryHeader + size
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
		result := b.entry(off)
		if r := s.rows.at(index); r != nil && r.keeps == keepsSlab && r.number() == uint64(n)<<32|uint64(off) {
			b.live -= entryHeader + len(result)
			s.add(r, index, result)
		}
		off += uint32(entryHeader + len(result))
	}
	// Only now may the number be used again: rows refer to it until the end.
	s.free = append(s.free, n)
}
