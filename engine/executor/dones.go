package executor

import (
	"encoding/binary"
	"time"
)

// dones are calls that gave results: the body of a Done frame.
type dones struct {
	calls []uint64
	took  []uint32 // microseconds
	sizes []uint64 // of the whole results
	here  []uint32 // bytes that are in data: the rest came in Chunks before
	data  []byte
}

const doneLen = 8 + 4 + 8 + 4

func (d *dones) add(call uint64, took time.Duration, size uint64, last []byte) {
	d.calls = append(d.calls, call)
	d.took = append(d.took, uint32(min(max(took, 0).Microseconds(), 1<<32-1)))
	d.sizes = append(d.sizes, size)
	d.here = append(d.here, uint32(len(last)))
	d.data = append(d.data, last...)
}

func (d *dones) reset() {
	data := d.data[:0]
	if cap(data) > 4*chunkSize {
		data = nil
	}
	*d = dones{calls: d.calls[:0], took: d.took[:0], sizes: d.sizes[:0], here: d.here[:0], data: data}
}

func appendDones(dst []byte, d *dones) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(d.calls)))
	for _, v := range d.calls {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	for _, v := range d.took {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	for _, v := range d.sizes {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	for _, v := range d.here {
		dst = binary.LittleEndian.AppendUint32(dst, v)
	}
	return append(dst, d.data...)
}

// doneRow is one row of a Done frame; last is a view.
type doneRow struct {
	call uint64
	took time.Duration
	size uint64
	last []byte
}

// parseDones calls row for each row of what appendDones wrote, as soon as the whole
// is known to be well formed.
func parseDones(b []byte, row func(doneRow)) error {
	p := parser{b: b}
	n := p.count(doneLen)
	calls, took, sizes, here := p.column(n, 8), p.column(n, 4), p.column(n, 8), p.column(n, 4)
	var total uint64
	for i := range n {
		total += uint64(here.u32(i))
	}
	if p.err == nil && total != uint64(len(p.b)) {
		p.fail("length")
	}
	if p.err != nil {
		return p.err
	}
	for i := range n {
		row(doneRow{calls.u64(i), time.Duration(took.u32(i)) * time.Microsecond, sizes.u64(i), p.take(uint64(here.u32(i)))})
	}
	return nil
}

// appendCalls is the body of a Recall frame.
func appendCalls(dst []byte, calls []uint64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(calls)))
	for _, id := range calls {
		dst = binary.LittleEndian.AppendUint64(dst, id)
	}
	return dst
}

func parseCalls(b []byte) ([]uint64, error) {
	p := parser{b: b}
	n := p.count(8)
	ids := p.column(n, 8)
	if err := p.end(); err != nil {
		return nil, err
	}
	calls := make([]uint64, n)
	for i := range calls {
		calls[i] = ids.u64(i)
	}
	return calls, nil
}

// appendRecalled is the body of a Recalled frame: for each call of a Recall, whether it
// had not begun and never will.
func appendRecalled(dst []byte, calls []uint64, ok []bool) []byte {
	dst = appendCalls(dst, calls)
	for _, v := range ok {
		dst = append(dst, flag(v))
	}
	return dst
}

func parseRecalled(b []byte) (calls []uint64, ok []bool, err error) {
	p := parser{b: b}
	n := p.count(8 + 1)
	ids, flags := p.column(n, 8), p.column(n, 1)
	if err := p.end(); err != nil {
		return nil, nil, err
	}
	calls, ok = make([]uint64, n), make([]bool, n)
	for i := range calls {
		calls[i], ok[i] = ids.u64(i), flags[i] == 1
	}
	return calls, ok, nil
}
