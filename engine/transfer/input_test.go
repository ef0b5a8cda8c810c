package transfer

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/identity"
)

// taker is a source that takes input.
type taker struct{ *source }

func (taker) GiveInput(ctx context.Context, _ graph.TaskID, _ graph.Attempt, offset uint64, data []byte, last bool) (uint64, bool, error) {
	if len(data) == 0 {
		<-ctx.Done() // the server's end
		return 0, false, ErrNotFound
	}
	return offset + uint64(len(data)), last, nil
}

func (taker) SignalCommand(_ graph.TaskID, _ graph.Attempt, sig syscall.Signal) error {
	if sig != syscall.SIGINT {
		return ErrNotFound
	}
	return nil
}

// Clients give input and signals, others do not; what waits for room ends with the
// server.
func TestInput(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	w.server.mu.Lock()
	w.server.source = taker{w.source}
	w.server.mu.Unlock()
	task := graph.TaskID{Job: 7, Index: 1}
	p := w.pool(t, identity.Client, PoolOptions{})
	have, over, err := p.Input(t.Context(), w.at, task, 1, 10, make([]byte, MaxInput), true)
	if err != nil || have != 10+MaxInput || !over {
		t.Errorf("have %d, over %v, %v", have, over, err)
	}
	if err := p.Signal(t.Context(), w.at, task, 1, syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if te, ok := errors.AsType[*Error](p.Signal(t.Context(), w.at, task, 1, syscall.SIGHUP)); !ok || !te.Missing() {
		t.Errorf("a signal for nobody: %v", te)
	}
	worker := w.pool(t, identity.Worker, PoolOptions{})
	if _, _, err := worker.Input(t.Context(), w.at, task, 1, 0, []byte("x"), false); err == nil || !strings.Contains(err.Error(), "only a client") {
		t.Errorf("a worker gives input: %v", err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, _, err := p.Input(t.Context(), w.at, task, 1, 0, nil, false)
		waiting <- err
	}()
	w.server.Close()
	if <-waiting == nil {
		t.Error("an answer of a closed server")
	}
}
