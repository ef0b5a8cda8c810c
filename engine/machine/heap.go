package machine

import "syscall"

// floor is never touched, so the kernel gives it no memory.
var floor []byte

// HeapFloor has this process's garbage collector count so many bytes as of use that are
// not there. With Go's default of 100 percent they are about as many as it lets lie about
// between two collections, however little else there is: a process with a small heap and
// many short-lived messages collects a hundred times a second otherwise. It is for the
// start of a process, before anything else of size is allocated. The percentage and the
// memory limit stay for whoever sets them; of the limit, these bytes are used up.
func HeapFloor(bytes int) {
	floor = make([]byte, bytes)
	// Where a collection has been before, what it freed may be part of it, and then the runtime
	// has written zeros to all of it. The kernel takes the memory back, and would give zeros.
	syscall.Madvise(floor, syscall.MADV_DONTNEED) //nolint:errcheck // then it is there, and of no use
}
