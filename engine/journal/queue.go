package journal

import "hash/crc32"

// block is a run of records, framed: its header's room, then the body.
type block struct {
	first uint64
	count int
	buf   []byte
}

// end is the position after the last record.
func (b *block) end() uint64 { return b.first + uint64(b.count) }

// seal fills in the header, and returns the block's bytes.
func (b *block) seal(safe uint64, seed uint32) []byte {
	body := b.buf[frameLen:]
	frame{length: uint32(len(body)), count: uint32(b.count), first: b.first, safe: safe, sum: crc32.Update(seed, castagnoli, body)}.put(b.buf, seed)
	return b.buf
}

// queue holds the records that are not safe yet, in blocks. It is guarded by its owner.
//
//	     safe                                    next
//	──────┼─────────┬─────────┬─────────┬─────────┤
//	      │ written │ written │ closed  │  open   │   blocks
type queue struct {
	size    int      // bytes at which a block is closed
	blocks  []*block // those of positions safe to next; no gap
	written int      // how many of them are in the present file; all are closed
	closed  int      // how many take no more records
	safe    uint64
	next    uint64
	bytes   int      // of the blocks
	free    [][]byte // a few buffers to use again
}

// freeBuffers is how many buffers are kept: two commits' worth where little happens.
const freeBuffers = 4

func newQueue(first uint64, size int) queue { return queue{size: size, safe: first, next: first} }

// append copies a record.
func (q *queue) append(rec []byte) {
	if len(rec) > MaxRecord {
		panic("journal: a record is larger than MaxRecord")
	}
	if q.closed == len(q.blocks) {
		q.grow()
	} else if b := q.blocks[len(q.blocks)-1]; len(b.buf)+len(rec) > q.size {
		q.closed = len(q.blocks)
		q.grow()
	}
	b := q.blocks[len(q.blocks)-1]
	before := len(b.buf)
	b.buf = appendRecord(b.buf, rec)
	b.count++
	q.next++
	q.bytes += len(b.buf) - before
}

func (q *queue) grow() {
	var buf []byte
	if n := len(q.free); n > 0 {
		buf, q.free = q.free[n-1], q.free[:n-1]
	}
	b := &block{first: q.next, buf: append(buf[:0], make([]byte, frameLen)...)}
	q.blocks = append(q.blocks, b)
	q.bytes += frameLen
}

// cut lets the next record begin a block.
func (q *queue) cut() { q.closed = len(q.blocks) }

// take gives the blocks that are not in the present file, closed, as far as they begin
// before a position.
func (q *queue) take(before uint64) []*block {
	from := q.written
	for q.written < len(q.blocks) && q.blocks[q.written].first < before {
		q.written++
	}
	q.closed = max(q.closed, q.written)
	return append([]*block(nil), q.blocks[from:q.written]...)
}

// full gives the blocks that take no more records.
func (q *queue) full() []*block { return append([]*block(nil), q.blocks[:q.closed]...) }

// again says that the present file is lost: what is not safe has to be written once more.
func (q *queue) again() { q.written = 0 }

// flushed says that all before pos is safe. No block lies across pos.
func (q *queue) flushed(pos uint64) {
	n := 0
	for n < len(q.blocks) && q.blocks[n].end() <= pos {
		b := q.blocks[n]
		q.bytes -= len(b.buf)
		if len(q.free) < freeBuffers && cap(b.buf) <= 2*q.size {
			q.free = append(q.free, b.buf)
		}
		n++
	}
	q.blocks = append(q.blocks[:0], q.blocks[n:]...)
	q.written, q.closed = max(0, q.written-n), max(0, q.closed-n)
	q.safe = max(q.safe, pos)
}
