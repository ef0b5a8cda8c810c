package server

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// does is an input of a test's.
type does func(*loop)

func (f does) handle(l *loop)   { f(l) }
func (does) origin() *wire.Conn { return nil }

// TestTimePasses: the loop notices it, as well where it has now something to do and now
// nothing, as with a client that gives one task after the other.
func TestTimePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &counter{}
		l := newLoop(Options{Log: slog.New(slog.DiscardHandler), Fleet: f}, nil)
		go l.run()
		const job = 1
		l.send(does(func(l *loop) { l.step(sched.OpenJob{Job: job}) }))
		l.send(does(func(l *loop) {
			l.step(sched.DeclareClass{Job: job, Spec: graph.Class{Name: "f", Kind: graph.KindGo}})
		}))
		const seconds = 10
		start := time.Now()
		for i := uint32(0); time.Since(start) < seconds*time.Second; i++ {
			l.send(does(func(l *loop) {
				l.step(sched.Submit{Batch: &graph.Batch{Job: job, First: i, Class: []graph.ClassID{0}, DepEnd: []uint32{0}}})
			}))
			time.Sleep(tickEvery / 5)
			l.send(does(func(l *loop) { l.step(sched.Cancel{Tasks: []graph.TaskID{task(job, i)}}) }))
			time.Sleep(tickEvery / 5)
		}
		if n := f.reports.Load(); n < seconds-1 {
			t.Errorf("%d reports in %d seconds", n, seconds)
		}
		close(l.stop)
		<-l.done
	})
}

// counter is a Fleet that counts.
type counter struct{ reports atomic.Int32 }

func (*counter) Want(string, int, string) {}
func (*counter) Release([]string, string) {}
func (f *counter) Report(Report)          { f.reports.Add(1) }
