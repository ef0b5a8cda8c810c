package machine

import (
	"os"
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"unsafe"
)

func TestHeapFloor(t *testing.T) {
	defer func() { floor = nil }()
	goal := func() uint64 {
		runtime.GC()
		s := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	const bytes = 32 << 20
	before := goal()
	HeapFloor(bytes)
	if after := goal(); after < before+bytes {
		t.Errorf("the next collection is at %d bytes, it was at %d: the floor is %d", after, before, bytes)
	}
}

// The floor takes no memory, also where a collection has freed some before: the runtime writes zeros to what it gives again.
func TestHeapFloorIsNotThere(t *testing.T) {
	defer func() { floor = nil }()
	for range 3 {
		used := make([]byte, 40<<20)
		for i := range used {
			used[i] = 1
		}
		runtime.KeepAlive(used)
		runtime.GC()
	}
	HeapFloor(32 << 20)
	pages := make([]byte, len(floor)/os.Getpagesize())
	_, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&floor[0])), uintptr(len(floor)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		t.Fatal(errno)
	}
	there := 0
	for _, p := range pages {
		there += int(p & 1)
	}
	if there > len(pages)/10 {
		t.Errorf("%d of %d pages are there", there, len(pages))
	}
}
