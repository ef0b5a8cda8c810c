package yarnd

import (
	"context"

	"github.com/yarnd/yarnd/engine/executor"
)

// shells is an allowance for the shells that YARN puts around a container's
// process.
const shells = 32 << 20

// AddressSpace estimates how many bytes of address space the processes of one
// container of each role take together, by starting the bundle without work. A
// worker is three processes: itself, and an executor each for functions and for
// commands; what a command itself takes comes on top, and so does one more such
// process for each program that clients bring, for some minutes after its last task.
func AddressSpace(ctx context.Context, bundle string) (am, scheduler, worker int64, err error) {
	one, err := executor.ProbeVmSize(ctx, bundle)
	if err != nil {
		return 0, 0, 0, err
	}
	const arena = 64 << 20 // Go maps its heap in such steps: two starts differ by one
	n := (int64(one)/arena + 1) * arena
	return n + shells, n + shells, 3*n + shells, nil
}
