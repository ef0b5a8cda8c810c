package engine_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

// cpu returns what this process and its ended children have used of processors.
func cpu(b *testing.B) time.Duration {
	var own syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
		b.Fatal(err)
	}
	return time.Duration(own.Utime.Nano() + own.Stime.Nano())
}

// BenchmarkActorCall is one call after the other: what a caller waits for an answer.
// Scheduler, worker and client are this process, whose processor time a call takes is
// told as cpu-ns/op.
func BenchmarkActorCall(b *testing.B) {
	for name, o := range map[string][]engine.SubmitOption{"parks": nil, "resident": {engine.Resident()}} {
		b.Run(name, func(b *testing.B) {
			client := enginetest.New(b, 1)
			a := startCounter(b, client, tallyOf{}, o...)
			wantAdd(b, client, a, 1, 1)
			used := cpu(b)
			for b.Loop() {
				if _, err := tallyAdd(b, client, a); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu(b)-used)/float64(b.N), "cpu-ns/op")
		})
	}
}

func tallyAdd(b *testing.B, c *engine.Client, a engine.Actor[*tally]) (int, error) {
	return counterAdd.Call(b.Context(), c, a, 1)
}

// BenchmarkActorIdleCall is a call of an actor that has just given its slot up.
func BenchmarkActorIdleCall(b *testing.B) {
	client := enginetest.New(b, 1)
	a := startCounter(b, client, tallyOf{})
	wantAdd(b, client, a, 1, 1)
	used := time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		time.Sleep(4 * time.Millisecond) // longer than it lingers
		before := cpu(b)
		b.StartTimer()
		if _, err := tallyAdd(b, client, a); err != nil {
			b.Fatal(err)
		}
		used += cpu(b) - before
	}
	b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
}

// BenchmarkActorCalls is as many calls as a client can send: calls/s is what an actor
// answers.
func BenchmarkActorCalls(b *testing.B) {
	for _, processes := range []bool{false, true} {
		name := map[bool]string{false: "here", true: "processes"}[processes]
		b.Run(name, func(b *testing.B) {
			c := enginetest.Start(b, enginetest.Options{Workers: 1, Processes: processes})
			client := c.Client()
			a := startCounter(b, client, tallyOf{})
			wantAdd(b, client, a, 1, 1)
			const window = 1000
			sent := make(chan *engine.Answer[int], window)
			failed := make(chan error, 1)
			go func() {
				defer close(failed)
				for s := range sent {
					if _, err := s.Result(b.Context()); err != nil {
						failed <- err
						return
					}
				}
			}()
			used := cpu(b)
			for b.Loop() {
				select {
				case sent <- counterAdd.Send(b.Context(), client, a, 1):
				case err := <-failed:
					b.Fatal(err)
				}
			}
			close(sent)
			if err := <-failed; err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			if !processes {
				b.ReportMetric(float64(cpu(b)-used)/float64(b.N), "cpu-ns/op")
			}
		})
	}
}
