package provider

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/appmaster/reconcile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The receiver puts events in while it receives, as the loop does through the
// orders it gives.
func TestQueueNeverBlocksItsReceiver(t *testing.T) {
	q := NewQueue()
	defer q.Close()
	const n = 10_000
	q.Put(reconcile.Completed{Status: 0})
	for i := range int32(n) {
		select {
		case ev := <-q.Out():
			if got := ev.(reconcile.Completed).Status; got != i {
				t.Fatalf("event %d came as %d", i, got)
			}
			q.Put(reconcile.Completed{Status: i + 1})
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing after %d events", i)
		}
	}
}

func TestQueueCloses(t *testing.T) {
	q := NewQueue()
	q.Put(reconcile.Tick{}, reconcile.Tick{}, reconcile.Tick{})
	<-q.Out()
	q.Close()
	q.Close()
	q.Put(reconcile.Tick{})
	for range q.Out() {
		// At most what was on its way.
	}
}
