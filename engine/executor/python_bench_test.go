package executor

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// BenchmarkPython calls a function that returns its argument, a number, one at a time
// and with so many handed ahead. cpu-us/op is of this process and the interpreters.
func BenchmarkPython(b *testing.B) {
	for _, window := range []int{1, 16, 256, 1024} {
		for _, slots := range []int{1, 2} {
			b.Run(fmt.Sprintf("window=%d/slots=%d", window, slots), func(b *testing.B) { pythonStream(b, window, slots) })
		}
	}
}

func pythonStream(b *testing.B, window, slots int) {
	ends := make(chan int, window+1)
	m, err := NewManager(Options{Slots: slots, Dir: pythonDir(b), Report: func(reports []Report) {
		for _, r := range reports {
			if r.Failure != nil {
				b.Error(r.Failure)
			}
		}
		ends <- len(reports)
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	like := pythonTask(b, "echo", 5)
	like.Place = m.Place(like.Class)
	run := func(n int) {
		given, done := 0, 0
		for free := window; done < n; {
			if k := min(free, n-given); k > 0 {
				m.Run(same(like, k))
				given += k
			}
			free = <-ends
			for k := len(ends); k > 0; k-- {
				free += <-ends
			}
			done += free
		}
	}
	run(max(2*window, 100)) // all interpreters are there
	b.ReportAllocs()
	before := treeCPU()
	b.ResetTimer()
	run(b.N)
	b.ReportMetric(float64((treeCPU()-before).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

// treeCPU returns the user and system time of this process and all below it, in steps
// of 10 ms.
func treeCPU() time.Duration {
	return time.Duration(processes().sum(os.Getpid()).CPU) * 10 * time.Millisecond
}
