package server

import (
	"encoding/binary"
	"slices"
	"sort"

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

// rows is a growing list of rows, by task index. It holds no pointer. A page is made
// when something is to be kept of one of its tasks, and dropped when all of them are
// forgotten: what a job takes follows what it has to do.
type rows struct {
	pages [][]row  // those that were not made are bare, those that were dropped nil
	lost  []uint16 // by page: forgotten tasks
	n     uint32
	ended []endedRun // in order
	none  row        // what at gives of a page that was not made
}

// endedRun is tasks that were cancelled; those whose page was not made are said to be
// nowhere else.
type endedRun struct {
	first, end uint32
	when       uint32 // as of moment
}

var bare = []row{}

const (
	pageBits = 12
	pageLen  = 1 << pageBits
)

// at returns a task's row for reading; nil when there is none, or its page was dropped.
// It may be gone with the next call.
func (r *rows) at(index uint32) *row {
	if index >= r.n {
		return nil
	}
	page := r.pages[index>>pageBits]
	if i := int(index & (pageLen - 1)); i < len(page) {
		return &page[i]
	}
	if page == nil {
		return nil
	}
	r.none = r.rowOf(index)
	return &r.none
}

// make returns a task's row for writing; nil as at.
func (r *rows) make(index uint32) *row {
	if row := r.at(index); row != &r.none {
		return row
	}
	k := index >> pageBits
	first := k << pageBits
	n := min(r.n-first, pageLen)
	page := make([]row, n, max(n, pageLen*min(k, 1))) // only the first page grows by copying: small jobs are small
	for i := range page {
		page[i] = r.rowOf(first + uint32(i))
	}
	r.pages[k] = page
	return &page[index&(pageLen-1)]
}

// rowOf returns the row that a task has whose page was not made.
func (r *rows) rowOf(index uint32) row {
	k := sort.Search(len(r.ended), func(k int) bool { return r.ended[k].end > index })
	if k < len(r.ended) && r.ended[k].first <= index {
		return row{kind: graph.FailCancelled, when: moment{end: r.ended[k].when}}
	}
	return row{kind: notEnded}
}

// grow adds rows of tasks that have not ended, until there are n.
func (r *rows) grow(n uint32) {
	if last := len(r.pages) - 1; last >= 0 && len(r.pages[last]) > 0 {
		for end := int(min(n-uint32(last)<<pageBits, pageLen)); len(r.pages[last]) < end; {
			r.pages[last] = append(r.pages[last], row{kind: notEnded})
		}
	}
	for uint64(len(r.pages))<<pageBits < uint64(n) {
		r.pages, r.lost = append(r.pages, bare), append(r.lost, 0)
	}
	r.n = n
}

// cancel notes that tasks of which nothing else is known were cancelled. What is known to be so
// stays as it is.
func (r *rows) cancel(first, end, when uint32) {
	for first < end {
		k := sort.Search(len(r.ended), func(k int) bool { return r.ended[k].end > first })
		stop := end
		if k < len(r.ended) {
			if r.ended[k].first <= first {
				first = r.ended[k].end
				continue
			}
			stop = min(end, r.ended[k].first)
		}
		r.ended = slices.Insert(r.ended, k, endedRun{first, stop, when})
		r.cancelPages(first, stop)
		first = stop
	}
}

// cancelPages notes it on pages that were made because of others.
func (r *rows) cancelPages(first, end uint32) {
	for i := first; i < end; i++ {
		if page := r.pages[i>>pageBits]; len(page) > 0 {
			page[i&(pageLen-1)] = r.rowOf(i)
		} else if i |= pageLen - 1; i == 1<<32-1 {
			return
		}
	}
}

// lose notes that tasks are forgotten.
func (r *rows) lose(first, end uint32) {
	for first < end {
		k := first >> pageBits
		next := uint32(min(uint64(k+1)<<pageBits, uint64(end)))
		if r.lost[k] += uint16(next - first); r.lost[k] == pageLen {
			r.pages[k] = nil
		}
		first = next
	}
}
