package executor

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// BenchmarkCall runs functions of a process and of this one: one at a time (the latency
// of a link of a chain), with so many handed ahead (what a no-op costs), and with inputs.
// cpu-ns/op is user and system time of both processes.
func BenchmarkCall(b *testing.B) {
	for _, inside := range []bool{false, true} {
		o := Options{}
		name := "process"
		if inside {
			o.Funcs, name = testFuncs, "inside"
		}
		b.Run(name+"/chain", func(b *testing.B) { stream(b, o, 1, 1) })
		for _, window := range []int{16, 256, 1024} {
			for _, slots := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/window=%d/slots=%d", name, window, slots), func(b *testing.B) { stream(b, o, window, slots) })
			}
		}
		b.Run(name+"/1MiB", func(b *testing.B) {
			b.SetBytes(2 << 20)
			stream(b, o, 1, 1, make([]byte, 1<<20))
		})
		b.Run(name+"/merge100k", func(b *testing.B) {
			inputs := make([][]byte, 100_000)
			for i := range inputs {
				inputs[i] = make([]byte, 8)
			}
			stream(b, o, 1, 1, inputs...)
		})
	}
}

// BenchmarkTrue runs the command true: one at a time, and with as many handed ahead as a
// worker does. cpu-ns/op counts the commands with it; a bare start and wait is beside it.
func BenchmarkTrue(b *testing.B) {
	like := commandTask(&CommandSpec{Argv: []string{"true"}}, "")
	b.Run("chain", func(b *testing.B) { streamOf(b, Options{}, 1, 1, like) })
	for _, slots := range []int{1, 2} {
		b.Run(fmt.Sprintf("window=%d/slots=%d", 12*slots, slots), func(b *testing.B) { streamOf(b, Options{}, 12*slots, slots, like) })
	}
	b.Run("bare", func(b *testing.B) {
		path, err := exec.LookPath("true")
		if err != nil {
			b.Fatal(err)
		}
		before := ownCPU(b)
		for b.Loop() {
			p, err := os.StartProcess(path, []string{"true"}, &os.ProcAttr{})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := p.Wait(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64((ownCPU(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	})
}

// ownCPU returns the user and system time of this process and of those it waited for.
func ownCPU(b *testing.B) (d time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		d += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return d
}

// stream keeps window calls of a function in an executor of so many slots until b.N have
// ended.
func stream(b *testing.B, o Options, window, slots int, inputs ...[]byte) {
	name := "echo"
	if len(inputs) > 0 {
		name = "join"
	}
	like := goTask(name, "hello", inputs...)
	for i := range like.Inputs {
		like.Inputs[i].Data, like.Inputs[i].At = inputs[i], nil
	}
	streamOf(b, o, window, slots, like)
}

// streamOf does so with tasks that are like one.
func streamOf(b *testing.B, o Options, window, slots int, like *Task) {
	ends := make(chan int, window+1)
	o.Slots = slots
	o.Report = func(reports []Report) {
		for _, r := range reports {
			if r.Failure != nil {
				b.Error(r.Failure)
			}
		}
		ends <- len(reports)
	}
	m, err := NewManager(o)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	like.Place = m.Place(like.Class)
	batch := func(n int) []*Task {
		tasks, rows := make([]*Task, n), make([]Task, n)
		for i := range rows {
			rows[i] = *like
			rows[i].ID = graph.TaskID{Job: 1, Index: uint32(i)}
			tasks[i] = &rows[i]
		}
		return tasks
	}
	m.Run(batch(1))
	<-ends // it has started
	b.ReportAllocs()
	b.ResetTimer()
	before, given, done, turns := cpu(m), 0, 0, 0
	for free := window; done < b.N; {
		if n := min(free, b.N-given); n > 0 {
			m.Run(batch(n))
			given += n
		}
		free = <-ends
		turns++
		for n := len(ends); n > 0; n-- {
			free += <-ends
		}
		done += free
	}
	b.ReportMetric(float64((cpu(m)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/float64(turns), "op/turn")
}

// cpu returns the user and system time of this process and of the executors.
func cpu(m *Manager) time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	d := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	for _, pid := range m.Executors() {
		p, _ := readStat(pid, make([]byte, 1024))
		d += time.Duration(p.cpu) * 10 * time.Millisecond
	}
	return d
}
