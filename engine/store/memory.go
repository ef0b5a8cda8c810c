package store

import (
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/engine/checksum"
)

// memory gives out memory that the garbage collector does not see, so that the process
// takes what results take and no more: Go's heap would hold up to twice as much, and
// only a setting for the whole process, of which a worker may be a part, could lower
// that.
//
// A span is some pages long. Spans of about one length, its class, are cut from regions
// of one MiB or more, because a process may have only some 65,000 mappings:
//
//	region of class 12 KiB │ span │ free │ span │ idle │ …
//
// A free span has no memory. An idle one still has: it is given out first, for the first
// touch of memory is dear, in virtual machines more than copying it. Spans in use and
// idle ones together stay below the limit; idle ones that nobody took for a while go
// back to the system. A whole block is a huge page where the system has them, of which
// the first touch costs a tenth.
//
// It is safe for concurrent use.
type memory struct {
	mu      sync.Mutex
	classes [len(lengths)]class
	limit   int // bytes of spans in use and idle
	used    int // bytes of spans in use
	idle    int // bytes of idle spans
	least   int // bytes of idle spans, since the timer was set
	timer   *time.Timer
	mapped  int // bytes of address space
	closed  bool
}

// idleTime is how long a span stays idle at least; twice as long at most.
const idleTime = 5 * time.Second

// lengths are those of spans, in bytes; the last is one block. Where pages are larger
// than some of them, those are not used.
var lengths = [...]int{
	4 << 10, 8 << 10, 12 << 10, 16 << 10, 24 << 10, 32 << 10, 48 << 10, 64 << 10,
	96 << 10, 128 << 10, 192 << 10, 256 << 10,
	384 << 10, 512 << 10, 768 << 10, 1 << 20, 1536 << 10, checksum.Block,
}

var pageSize = os.Getpagesize()

// class has the regions of one length that have a span to give.
type class struct {
	free  []*region
	empty int // of those, how many have no span in use: one is kept
}

// region is a mapping.
type region struct {
	class int
	bytes []byte
	free  []int32 // slots of free spans
	idle  []int32 // slots of idle spans
	at    int     // position in class.free, -1: it is full
}

// count returns how many spans the region has.
func (r *region) count() int { return len(r.bytes) / lengths[r.class] }

// span is memory for a result's block.
type span struct {
	bytes  []byte // as long as was asked for
	region *region
	slot   int32
}

// footprint returns how many bytes of memory n bytes take: whole pages.
func footprint(n int64) uint64 {
	page := int64(pageSize)
	return uint64((n + page - 1) / page * page)
}

// unused reports whether no span of the region is given out.
func (r *region) unused() bool { return len(r.free)+len(r.idle) == r.count() }

// get returns a span of n bytes, at least 1 and at most a block, with anything in it.
// The error is the system's, which has no more address space.
func (m *memory) get(n int) (span, error) {
	ci := 0
	for lengths[ci] < n || lengths[ci]%pageSize != 0 {
		ci++
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &m.classes[ci]
	if len(c.free) == 0 {
		if err := m.grow(ci); err != nil {
			return span{}, err
		}
	}
	r := c.free[len(c.free)-1]
	if r.unused() {
		c.empty--
	}
	from := &r.free
	if len(r.idle) > 0 {
		from = &r.idle
		m.idle -= lengths[ci]
		m.least = min(m.least, m.idle)
	} else if over := m.used + lengths[ci] + m.idle - m.limit; over > 0 && m.idle > 0 {
		m.trim(max(over, trimBytes))
	}
	m.used += lengths[ci]
	slot := (*from)[len(*from)-1]
	*from = (*from)[:len(*from)-1]
	if len(r.free)+len(r.idle) == 0 {
		c.free = c.free[:len(c.free)-1]
		r.at = -1
	}
	start := int(slot) * lengths[ci]
	return span{r.bytes[start : start+n : start+lengths[ci]], r, slot}, nil
}

const (
	smallRegion = 1 << 20
	blockRegion = 8 << 20
)

// grow maps a region.
func (m *memory) grow(ci int) error {
	size, align, advice := max(4*lengths[ci], smallRegion/lengths[ci]*lengths[ci]), pageSize, unix.MADV_NOHUGEPAGE
	if lengths[ci] == checksum.Block {
		size, align, advice = blockRegion, checksum.Block, unix.MADV_HUGEPAGE
	}
	b, err := mapAligned(size, align)
	if err != nil {
		return fmt.Errorf("map %d bytes of memory for results: %w", size, err)
	}
	unix.Madvise(b, advice) //nolint:errcheck // a kernel without huge pages
	r := &region{class: ci, bytes: b}
	r.free = make([]int32, r.count())
	for i := range r.free {
		r.free[i] = int32(len(r.free) - 1 - i)
	}
	c := &m.classes[ci]
	r.at = len(c.free)
	c.free = append(c.free, r)
	c.empty++
	m.mapped += len(b)
	return nil
}

// mapAligned maps size bytes at a multiple of align.
func mapAligned(size, align int) ([]byte, error) {
	p, err := unix.MmapPtr(-1, 0, nil, uintptr(size+align), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	head := (align - int(uintptr(p)%uintptr(align))) % align
	if head > 0 {
		unix.MunmapPtr(p, uintptr(head)) //nolint:errcheck // it is mapped
	}
	b := unsafe.Slice((*byte)(unsafe.Add(p, head)), size)
	unix.MunmapPtr(unsafe.Add(p, head+size), uintptr(align-head)) //nolint:errcheck // it is mapped
	return b, nil
}

// put gives a span back. Nobody may touch its bytes any more.
func (m *memory) put(s span) {
	if s.region == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r := s.region
	c := &m.classes[r.class]
	if r.at < 0 {
		r.at = len(c.free)
		c.free = append(c.free, r)
	}
	n := cap(s.bytes)
	if m.used -= n; !m.closed && m.used+m.idle+n <= m.limit {
		r.idle = append(r.idle, s.slot)
		m.idle += n
		if m.timer == nil {
			m.least = m.idle
			m.timer = time.AfterFunc(idleTime, m.expire)
		}
	} else {
		unix.Madvise(s.bytes[:n], unix.MADV_DONTNEED) //nolint:errcheck // it is mapped
		r.free = append(r.free, s.slot)
	}
	if r.unused() {
		if c.empty++; len(r.idle) == 0 && (c.empty > 1 || m.closed) {
			m.unmap(c, r)
		}
	}
}

// trimBytes is how much is trimmed at once, if there is as much.
const trimBytes = 8 << 20

// trim gives n bytes of idle spans back to the system, or all there are. Called with the
// lock.
func (m *memory) trim(n int) {
	for ci := range m.classes {
		c := &m.classes[ci]
		for i := len(c.free) - 1; i >= 0; i-- {
			r := c.free[i]
			for len(r.idle) > 0 && n > 0 {
				slot := r.idle[len(r.idle)-1]
				r.idle = r.idle[:len(r.idle)-1]
				unix.Madvise(r.bytes[int(slot)*lengths[ci]:][:lengths[ci]], unix.MADV_DONTNEED) //nolint:errcheck // it is mapped
				r.free = append(r.free, slot)
				m.idle -= lengths[ci]
				n -= lengths[ci]
			}
			if len(r.idle) == 0 && r.unused() && c.empty > 1 {
				m.unmap(c, r)
			}
			if n <= 0 {
				return
			}
		}
	}
}

// expire trims what has been idle since the last time.
func (m *memory) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.timer = nil
	if m.closed {
		return
	}
	m.trim(m.least)
	if m.idle > 0 {
		m.least = m.idle
		m.timer = time.AfterFunc(idleTime, m.expire)
	}
}

// unmap gives a region of which nothing is used back to the system.
func (m *memory) unmap(c *class, r *region) {
	last := c.free[len(c.free)-1]
	c.free[r.at], last.at = last, r.at
	c.free = c.free[:len(c.free)-1]
	c.empty--
	m.idle -= len(r.idle) * lengths[r.class]
	m.mapped -= len(r.bytes)
	unix.MunmapPtr(unsafe.Pointer(&r.bytes[0]), uintptr(len(r.bytes))) //nolint:errcheck // it is mapped
}

// close gives back what is not used, and from now on all that becomes so.
func (m *memory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.timer != nil {
		m.timer.Stop()
		m.timer = nil
	}
	for ci := range m.classes {
		c := &m.classes[ci]
		for i := len(c.free) - 1; i >= 0; i-- {
			if r := c.free[i]; r.unused() {
				m.unmap(c, r)
			}
		}
	}
}
