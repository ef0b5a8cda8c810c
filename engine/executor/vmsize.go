package executor

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/yarnd/yarnd/engine/graph"
)

// ProbeVmSize starts path as an executor, without any work, and returns the bytes
// of address space that it takes, as YARN's vmem check counts them. Every process
// of the binary takes about as much: about 1.2 GiB, nearly all of it address space
// that Go's runtime reserves for its heap's bookkeeping and never touches. A
// worker that runs functions and commands is three such processes.
//
// No setting makes it less: the reservations follow from 48-bit addresses
// (runtime/mpagealloc_64bit.go: 585 MiB of page summaries, 512 MiB of scavenging
// index). cgo would add 64 MiB for each malloc arena and 8 MiB for each thread.
func ProbeVmSize(ctx context.Context, path string) (uint64, error) {
	pid := 0
	m, err := NewManager(Options{Self: path, onStart: func(p int) { pid = p }})
	if err != nil {
		return 0, err
	}
	defer m.Close()
	stop := context.AfterFunc(ctx, func() { m.Close() })
	defer stop()
	_, err = m.launch(m.slots[m.Place(&graph.Class{Kind: graph.KindGo})])
	if err != nil {
		return 0, fmt.Errorf("measure the address space of %s: %w", path, err)
	}
	stat, ok := readStat(pid, make([]byte, 1024))
	if !ok || stat.vsize == 0 {
		return 0, fmt.Errorf("measure the address space of %s: %w", path, errors.Join(os.ErrProcessDone))
	}
	return stat.vsize, nil
}
