package executor

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

// With one slot, who reads also runs calls. Whatever they do, what is said meanwhile is
// heard.
func TestReaderRunsCalls(t *testing.T) {
	both(t, Options{Slots: 1}, func(t *testing.T, m *blocking) {
		for i := range 200 {
			want := []byte{byte(i)}
			if got := mustRun(t, m, goTask("echo", string(want))); !bytes.Equal(got, want) {
				t.Fatalf("echo %d: %q", i, got)
			}
		}
		large := bytes.Repeat([]byte("ab"), 3*chunkSize) // it is asked for by the call
		if got := mustRun(t, m, goTask("join", "", large)); !bytes.Equal(got, large) {
			t.Errorf("join: %d bytes", len(got))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if f := m.Run(ctx, goTask("wait", "")).Failure; f == nil || f.Kind != graph.FailCancelled {
			t.Errorf("stop: %+v", f)
		}
		if f := m.Run(t.Context(), goTask("goexit", "")).Failure; f == nil || f.Kind != graph.FailUser {
			t.Errorf("goexit: %+v", f)
		}
		mustRun(t, m, goTask("echo", "still there"))

		long, next := goTask("wait", ""), goTask("echo", "")
		next.Ahead = true
		longEnd, nextEnd := m.start(long)[0], m.start(next)[0]
		m.Recall([]*Task{next})
		if r := <-nextEnd; r.What != Recalled {
			t.Errorf("recalled behind a long call: %+v", r)
		}
		m.Stop(long)
		if r := <-longEnd; r.Failure == nil || r.Failure.Kind != graph.FailCancelled {
			t.Errorf("stop: %+v", r)
		}
	})
}
