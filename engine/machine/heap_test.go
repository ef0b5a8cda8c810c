package machine

import (
	"runtime"
	"runtime/metrics"
	"testing"
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
