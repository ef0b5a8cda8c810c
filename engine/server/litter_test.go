package server

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// What lies about uncollected, as after a large journal was read, is no reason to take no tasks; what is in use is.
func TestLitterIsNoLoad(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	var g heapGauge
	_, used := g.read()
	const more = 200 << 20
	l := &loop{opts: Options{Memory: int64(2 * (used + more))}}
	hold := func(n int) (all [][]byte) {
		for range n {
			all = append(all, make([]byte, more/4))
		}
		return all
	}
	runtime.KeepAlive(hold(16))
	if all, _ := g.read(); all < l.full() {
		t.Fatalf("%d MiB on the heap are not too many", all>>20)
	}
	l.weigh()
	if err := l.mayTake(1); err != nil {
		t.Errorf("what nobody uses: %v", err)
	}
	func() {
		held := hold(16)
		l.weigh()
		if err := l.mayTake(1); err == nil {
			t.Error("a heap that is in use, and too large, takes more")
		}
		runtime.KeepAlive(held)
	}()
	// All of it is released, and nothing was collected since.
	l.weigh()
	if err := l.mayTake(1); err == nil {
		t.Error("it is looked at again at once")
	}
	l.swept = l.swept.Add(-2 * sweepPause)
	l.weigh()
	if err := l.mayTake(1); err != nil {
		t.Errorf("what was released: %v", err)
	}
}
