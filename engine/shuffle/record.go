package shuffle

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A record is uvarint length of the key, uvarint length of the value, key, value. They lie
// one after the other in a segment: a sorted list of one partition's records.

// MaxRecord bounds a record, in bytes of its key and value.
const MaxRecord = 1 << 30

const maxHead = 2 * binary.MaxVarintLen64

var errRecord = errors.New("damaged records")

func appendRecord(dst, key, value []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = binary.AppendUvarint(dst, uint64(len(value)))
	return append(append(dst, key...), value...)
}

// cutRecord returns the first record of b and its length. It is 0 when b ends before the
// record does; want is then how long b must be at least.
func cutRecord(b []byte) (key, value []byte, n, want int, err error) {
	k, a := binary.Uvarint(b)
	if a < 0 || k > MaxRecord {
		return nil, nil, 0, 0, errRecord
	}
	if a == 0 {
		return nil, nil, 0, len(b) + 1, nil
	}
	v, c := binary.Uvarint(b[a:])
	if c < 0 || v > MaxRecord {
		return nil, nil, 0, 0, errRecord
	}
	if c == 0 {
		return nil, nil, 0, len(b) + 1, nil
	}
	head := a + c
	n = head + int(k) + int(v)
	if n > len(b) {
		return nil, nil, 0, n, nil
	}
	return b[head : head+int(k)], b[head+int(k) : n], n, n, nil
}

// prefixOf returns a key's first bytes as a number: where two differ, the keys do, in the
// same order.
func prefixOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// compareKeys compares two keys of which the prefixes are known.
func compareKeys(p, q uint64, a, b []byte) int {
	switch {
	case p < q:
		return -1
	case p > q:
		return 1
	}
	return bytes.Compare(a, b)
}

// cursor goes through a segment.
type cursor struct {
	from     io.ReaderAt // nil: all that is left is in buf
	off, end int64       // what of it is not in buf yet
	buf      []byte
	pos      int // in buf, of the next record
	index    int // of the segment: among equal keys, smaller ones come first

	key, value []byte // of the present record, valid until next
	prefix     uint64
}

// next goes to the next record, if there is one.
func (c *cursor) next() (bool, error) {
	for {
		if c.pos == len(c.buf) && c.off == c.end {
			return false, nil
		}
		key, value, n, want, err := cutRecord(c.buf[c.pos:])
		if err != nil {
			return false, err
		}
		if n > 0 {
			c.key, c.value, c.prefix = key, value, prefixOf(key)
			c.pos += n
			return true, nil
		}
		if err := c.more(want); err != nil {
			return false, err
		}
	}
}

// more reads on, so that at least want bytes are in buf behind pos.
func (c *cursor) more(want int) error {
	left := copy(c.buf, c.buf[c.pos:])
	if int64(want-left) > c.end-c.off {
		return fmt.Errorf("%w: they end within one", errRecord)
	}
	if want > cap(c.buf) {
		grown := make([]byte, left, max(want, 2*cap(c.buf)))
		copy(grown, c.buf[:left])
		c.buf = grown
	}
	n := int(min(int64(cap(c.buf)-left), c.end-c.off))
	c.buf, c.pos = c.buf[:left+n], 0
	if _, err := c.from.ReadAt(c.buf[left:], c.off); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.off += int64(n)
	return nil
}

// merger goes through several segments at once, in the order of keys and then of the
// segments.
type merger struct {
	heap []*cursor
}

// newMerger begins with cursors, of which none has begun.
func newMerger(cursors []*cursor) (*merger, error) {
	m := &merger{}
	for _, c := range cursors {
		ok, err := c.next()
		if err != nil {
			return nil, err
		}
		if ok {
			m.heap = append(m.heap, c)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m, nil
}

// top returns the cursor with the present record, nil at the end.
func (m *merger) top() *cursor {
	if len(m.heap) == 0 {
		return nil
	}
	return m.heap[0]
}

// advance goes to the next record.
func (m *merger) advance() error {
	ok, err := m.heap[0].next()
	if err != nil {
		return err
	}
	if !ok {
		last := len(m.heap) - 1
		m.heap[0], m.heap[last] = m.heap[last], nil
		m.heap = m.heap[:last]
	}
	m.down(0)
	return nil
}

func (m *merger) less(i, j int) bool {
	a, b := m.heap[i], m.heap[j]
	if c := compareKeys(a.prefix, b.prefix, a.key, b.key); c != 0 {
		return c < 0
	}
	return a.index < b.index
}

func (m *merger) down(i int) {
	for {
		k := 2*i + 1
		if k >= len(m.heap) {
			return
		}
		if k+1 < len(m.heap) && m.less(k+1, k) {
			k++
		}
		if !m.less(k, i) {
			return
		}
		m.heap[i], m.heap[k] = m.heap[k], m.heap[i]
		i = k
	}
}
