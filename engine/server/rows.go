package server

import (
	"encoding/binary"

	"github.com/yarnd/yarnd/engine/graph"
)

// row is what is kept of one task besides what the core keeps: how it ended, as clients
// were told, when and where it ran, and its result when that is small.
type row struct {
	// value is the result itself if that has at most eight bytes, a reference into the
	// job's slabs if it is inline and larger, else the size of the result; as keeps says.
	value   [8]byte
	when    moment
	attempt graph.Attempt  // of the outcome
	kept    graph.Attempt  // of the inline result
	kind    graph.FailKind // of the outcome, notEnded until there is one
	keeps   uint8
}

// What row.value is.
const (
	keepsSize = 0
	keepsTiny = 1 // + its length
	keepsSlab = 255
)

func (r *row) number() uint64 { return binary.LittleEndian.Uint64(r.value[:]) }

func (r *row) put(v uint64) { binary.LittleEndian.PutUint64(r.value[:], v) }

// rows is a growing list of rows, by task index. It holds no pointer, and a page whose
// tasks are all forgotten is dropped: what a job takes follows what it has to do.
type rows struct {
	pages [][]row
	lost  []uint16 // by page: forgotten tasks
}

const (
	pageBits = 12
	pageLen  = 1 << pageBits
)

// at returns a task's row; nil when there is none, or its page was dropped.
func (r *rows) at(index uint32) *row {
	if int(index>>pageBits) >= len(r.pages) {
		return nil
	}
	page, i := r.pages[index>>pageBits], index&(pageLen-1)
	if int(i) >= len(page) {
		return nil
	}
	return &page[i]
}

// grow adds rows of tasks that have not ended, until there are n.
func (r *rows) grow(n uint32) {
	for from := r.len(); from < n; from = r.len() {
		k := from >> pageBits
		if int(k) == len(r.pages) {
			var page []row
			if k > 0 { // only the first page grows by copying: small jobs are small
				page = make([]row, 0, pageLen)
			}
			r.pages, r.lost = append(r.pages, page), append(r.lost, 0)
		}
		for end := min(n, (k+1)<<pageBits); from < end; from++ {
			r.pages[k] = append(r.pages[k], row{kind: notEnded})
		}
	}
}

func (r *rows) len() uint32 {
	last := len(r.pages) - 1
	switch {
	case last < 0:
		return 0
	case r.pages[last] == nil:
		return uint32(last+1) << pageBits
	}
	return uint32(last)<<pageBits + uint32(len(r.pages[last]))
}

// lose notes that a task is forgotten.
func (r *rows) lose(index uint32) {
	k := index >> pageBits
	if r.lost[k]++; r.lost[k] == pageLen {
		r.pages[k] = nil
	}
}

// log is a list of task indices that only grows, in pieces so that growing never needs
// it twice.
type log struct {
	pieces [][]uint32
	n      int
}

const pieceLen = 1 << 14

func (l *log) add(i uint32) {
	if l.n == len(l.pieces)*pieceLen {
		var piece []uint32
		if l.n > 0 {
			piece = make([]uint32, 0, pieceLen)
		}
		l.pieces = append(l.pieces, piece)
	}
	last := &l.pieces[len(l.pieces)-1]
	*last = append(*last, i)
	l.n++
}

func (l *log) at(i int) uint32 { return l.pieces[i/pieceLen][i%pieceLen] }
