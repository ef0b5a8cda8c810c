package transfer

import (
	"bytes"
	"errors"
	"testing"

	"github.com/yarnd/yarnd/engine/checksum"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/identity"
)

// Parts of a result, across blocks too, over one connection.
func TestReadAt(t *testing.T) {
	w := newWorld(t, ServerOptions{})
	p := w.pool(t, identity.Worker, PoolOptions{InFlight: 1000}) // less than a part
	data := random(2*checksum.Block + 100)
	k := w.put(1, data)
	for _, c := range [][2]int{{0, 0}, {0, 1}, {5, 4096}, {checksum.Block - 10, 20}, {checksum.Block, MaxPart}, {len(data) - 7, 7}, {len(data), 0}} {
		b := make([]byte, c[1])
		if err := p.ReadAt(t.Context(), w.at, k.task, k.attempt, b, int64(c[0])); err != nil {
			t.Fatalf("%d bytes at %d: %v", c[1], c[0], err)
		}
		if !bytes.Equal(b, data[c[0]:c[0]+c[1]]) {
			t.Errorf("%d bytes at %d differ", c[1], c[0])
		}
	}
	for _, c := range []struct {
		task   graph.TaskID
		off    int64
		n      int
		absent bool
	}{
		{k.task, int64(len(data)) - 5, 6, false}, {k.task, 1 << 62, 1, false}, {k.task, 0, MaxPart + 1, false},
		{graph.TaskID{Job: 7, Index: 666}, 0, 1, false}, {graph.TaskID{Job: 7, Index: 9}, 0, 1, true},
	} {
		err := p.ReadAt(t.Context(), w.at, c.task, k.attempt, make([]byte, c.n), c.off)
		e, ok := errors.AsType[*Error](err)
		if !ok || !e.Missing() || errors.Is(err, ErrNotFound) != c.absent {
			t.Errorf("%d bytes at %d of task %s: %v", c.n, c.off, c.task, err)
		}
	}
	if n := w.server.Conns(); n != 1 {
		t.Errorf("reads one after the other used %d connections", n)
	}
}
