package executor

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/engine/graph"
)

// The shared page says which calls run, so that it can still be read when the executor
// is dead: u64 numbers, as many as the worker has slots and as may be parked, each the id
// of a call or 0. The executor writes a call's id just before user code begins and 0 just
// after it ends. Behind them, to the end of the file, stand ids of commands that have ended and of
// which the worker has not been told. It is a file in memory, which the executor maps and
// the worker reads: whatever user code does to it, the worker only ever sees numbers, and
// believes those that it has handed out.
type page []atomic.Uint64

// notesPerSlot is for how many ended commands there is room, twice: while some are being
// told of, others end.
const notesPerSlot = 16

// pageSlots is how many numbers say which calls run: of calls that take slots, and of those
// that are parked.
func (p *process) pageSlots() int { return p.m.opts.Slots + p.mayPark() }

// mayPark is how many calls may be parked: only functions can be.
func (p *process) mayPark() int {
	if p.key.kind != graph.KindGo {
		return 0
	}
	return maxParked
}

// newPageFile makes the file of a page.
func newPageFile(slots int) (*os.File, error) {
	fd, err := unix.MemfdCreate("yarnd-calls", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "calls")
	if err := f.Truncate(pageSize(slots)); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func pageSize(slots int) int64 {
	unit := os.Getpagesize()
	return int64((8*slots*(1+2*notesPerSlot) + unit - 1) / unit * unit)
}

// mapPage maps what newPageFile made, all of it, for as long as the process lives.
func mapPage(fd uintptr, slots int) (page, error) {
	mem, err := unix.Mmap(int(fd), 0, int(pageSize(slots)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map the page of calls: %w", err)
	}
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&mem[0])), len(mem)/8), nil
}

// set says that the call with number id runs in a slot; id 0: none does.
func (p page) set(slot int, id uint64) {
	if slot < len(p) {
		p[slot].Store(id)
	}
}

// readPage returns what the file says. One that was cut says less.
func readPage(f *os.File, slots int) []uint64 {
	buf := make([]byte, pageSize(slots))
	n, _ := f.ReadAt(buf, 0)
	var ids []uint64
	for buf = buf[:n]; len(buf) >= 8; buf = buf[8:] {
		if id := binary.NativeEndian.Uint64(buf); id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// ids returns what the page says, inside one process.
func (p page) ids() (ids []uint64) {
	for i := range p {
		if id := p[i].Load(); id != 0 {
			ids = append(ids, id)
		}
	}
	return ids
}
