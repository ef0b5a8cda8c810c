package worker

// processes is how many of the binary's processes a worker is at most while it
// runs what its own binary can: itself, functions, commands. A client's bundle is
// one more for each that is in use.
const processes = 3

// SmallestMemory returns the bytes of the smallest container in which a worker
// passes YARN's vmem check (yarn.nodemanager.vmem-check-enabled): the address
// space of all its processes must not exceed ratio
// (yarn.nodemanager.vmem-pmem-ratio, 2.1 by default) times the container's memory.
// vmSize is what executor.ProbeVmSize measured of the binary; the memory that the
// processes really use comes on top of it, up to the container's size. It returns 0
// for a ratio of 1 or less, with which no container is large enough.
func SmallestMemory(vmSize uint64, ratio float64) uint64 {
	if ratio <= 1 {
		return 0
	}
	// processes×vmSize + memory ≤ ratio×memory
	return uint64(float64(processes*vmSize)/(ratio-1)) + 1
}
