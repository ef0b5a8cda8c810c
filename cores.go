package yarnd

import (
	"log/slog"
	"syscall"
)

// coreLimit is so small that no image fits, and is not 0: core_pattern may name a program that gets images by a pipe, for which
// the kernel takes no heed of any limit but this one. Source: Linux, fs/coredump.c, do_coredump.
const coreLimit = 1

// withoutCore has the kernel keep no image of the memory of this process when it crashes, nor of those that it starts: keys and
// tokens are in it. The hard limit stays: a command can have images of itself by ulimit -c. Where it cannot be done the log,
// nil is none, says so.
func withoutCore(log *slog.Logger) {
	var l syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_CORE, &l)
	if err == nil {
		l.Cur = min(coreLimit, l.Max)
		err = syscall.Setrlimit(syscall.RLIMIT_CORE, &l)
	}
	if err != nil && log != nil {
		log.Warn("core dumps cannot be turned off: if this process crashes, what it knows may lie on the disk", "err", err)
	}
}
