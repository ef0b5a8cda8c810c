package turns

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a loop that adds up numbers, and notices two turns at once.
type desk struct {
	*Turns
	inbox chan int
	busy  atomic.Int32
	sum   int
	keep  bool
}

func newDesk() *desk {
	d := &desk{inbox: make(chan int, 8)}
	d.Turns = New(func() bool {
		if d.busy.Add(1) > 1 {
			panic("two turns at once")
		}
		defer d.busy.Add(-1)
		for {
			select {
			case n := <-d.inbox:
				if n < 0 {
					panic("negative")
				}
				d.sum += n
				continue
			default:
			}
			return d.keep
		}
	})
	return d
}

// Everything that anybody sends is seen, by one turn at a time; none follows Take.
func TestDue(t *testing.T) {
	d := newDesk()
	stop, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-d.Mine():
				d.Run()
			case <-stop:
				d.Take()
				return
			}
		}
	}()
	const senders, each = 8, 5000
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for range each {
				d.inbox <- 1
				d.Due()
			}
		})
	}
	wg.Wait()
	close(stop)
	<-over
	for len(d.inbox) > 0 { // sent while another's last turn was under way
		d.sum += <-d.inbox
	}
	if d.sum != senders*each {
		t.Errorf("%d of %d", d.sum, senders*each)
	}
	d.inbox <- 1
	if d.Due(); d.sum != senders*each {
		t.Error("a turn after Take")
	}
}

// Who finds nobody at it has seen to it when Due returns.
func TestDueIsDone(t *testing.T) {
	d := newDesk()
	for i := range 100 {
		d.inbox <- 1
		if d.Due(); d.sum != i+1 {
			t.Fatalf("%d after %d", d.sum, i+1)
		}
	}
}

// News that never end leave the loop time for whatever else it waits for.
func TestEndlessNews(t *testing.T) {
	const most = 10_000
	done, runs := 0, 0
	var d *Turns
	d = New(func() bool {
		if done++; done < most {
			d.Due()
		}
		return false
	})
	for d.Due(); done < most; runs++ {
		<-d.Mine()
		d.Run()
	}
	if runs < most/10 {
		t.Errorf("Run was called %d times for %d turns", runs, most)
	}
}

func TestKeep(t *testing.T) {
	d := newDesk()
	d.keep = true
	d.Due()
	<-d.Mine()
	if !d.Run() {
		t.Error("Run does not tell")
	}
	d.inbox <- 1
	if d.Due(); d.sum != 0 {
		t.Error("a turn after the last")
	}
}

// A panic is not that of who brought the news.
func TestPanic(t *testing.T) {
	d := newDesk()
	d.inbox <- -1
	d.Due()
	<-d.Mine()
	defer func() {
		if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), "negative") || !strings.Contains(err.Error(), "turns_test.go") {
			t.Errorf("got %v", err)
		}
	}()
	d.Run()
}
