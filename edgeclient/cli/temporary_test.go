package cli

import (
	"testing"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/machine"
)

// What is asked for on this machine is what it has, or what was said.
func TestLocalRequest(t *testing.T) {
	const gib = 1 << 30
	for _, x := range []struct {
		here           machine.Resources
		workers, cores int
		memory         int64
		wantWorkers    int
		wantMemory     int64
	}{
		{machine.Resources{Cores: 4, Memory: 16 * gib}, 0, 0, 0, 4, 4 * gib},
		{machine.Resources{Cores: 4, Memory: 16 * gib}, 0, 2, 0, 2, 8 * gib},
		{machine.Resources{Cores: 4, Memory: 16 * gib}, 1, 1, 0, 1, 4 * gib}, // its share, not all
		{machine.Resources{Cores: 4, Memory: 16 * gib}, 8, 1, 0, 8, 2 * gib},
		{machine.Resources{Cores: 4, Memory: 16 * gib}, 2, 1, gib, 2, gib},
		{machine.Resources{Cores: 2, Memory: 16 * gib}, 0, 8, 0, 1, 16 * gib},
		{machine.Resources{Cores: 64, Memory: gib}, 0, 1, 0, 64, 16 << 20},
		{machine.Resources{Cores: 2}, 0, 0, 0, 2, 0}, // not known: the default
	} {
		r := localRequest(x.here, edgeclient.Request{Workers: x.workers, Worker: edgeclient.Resources{VCores: x.cores, Memory: x.memory}})
		if r.Workers != x.wantWorkers || r.Worker.Memory != x.wantMemory {
			t.Errorf("%+v: %d workers with %d bytes", x, r.Workers, r.Worker.Memory)
		}
	}
}
