package executor

import (
	"bytes"
	"os"
	"strconv"
	"testing"
)

// room is a memory limit that leaves executors so many bytes beside this process, which after many tests under the race detector has
// some hundred MiB itself: a limit that it nearly fills alone has whatever runs killed.
func room(t *testing.T, left uint64) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm") // pages: size, resident, …
	if err != nil {
		t.Fatal(err)
	}
	resident, err := strconv.ParseUint(string(bytes.Fields(text)[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return resident*uint64(os.Getpagesize()) + left
}
