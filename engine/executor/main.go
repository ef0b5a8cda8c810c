package executor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/yarnd/yarnd/engine/machine"
	"github.com/yarnd/yarnd/engine/rawio"
)

// What an executor process finds open.
const (
	fdIn   = 3 // frames from the worker
	fdOut  = 4 // frames to the worker
	fdLife = 5 // ends when the worker does; nothing is ever written
	fdPage = 6 // the shared page, see page.go
)

// envChild is set in the environment of executor processes alone, and taken out of
// it before user code runs.
const envChild = "YARND_EXECUTOR"

// InChild reports whether a worker started this process as an executor. A program
// that holds functions then calls Main, and nothing else.
func InChild() bool { return os.Getenv(envChild) != "" }

// Names of the executors that a binary can be, the argument behind "executor".
const (
	goExecutor      = "go"
	commandExecutor = "command"
)

// heapFloor is for machine.HeapFloor: an executor of short functions has hardly a heap.
const heapFloor = 32 << 20

// killTime is how long an executor that ends tries to end its descendants.
const killTime = 5 * time.Second

// Main is the life of an executor process: <binary> executor go, which runs the
// functions of funcs, or <binary> executor command. args are what follows
// "executor". It returns the exit code when the worker closes its pipe; when the
// worker dies it does not return, but kills its descendants and exits.
func Main(args []string, funcs Funcs) int {
	if len(args) != 1 || args[0] != goExecutor && args[0] != commandExecutor || !InChild() {
		fmt.Fprintln(os.Stderr, "executor: this command is run by a worker, with \"go\" or \"command\" and open pipes")
		return 2
	}
	keep := time.Duration(0)
	if args[0] == commandExecutor {
		funcs, keep = nil, keepTime
		noChildSignals()
	}
	os.Unsetenv(envChild)
	machine.HeapFloor(heapFloor)
	in, out, life := inherit(fdIn, "in"), inherit(fdOut, "out"), inherit(fdLife, "lifeline")
	syscall.CloseOnExec(fdPage)
	// Should memory run out, rather this process than its worker (proc(5)).
	os.WriteFile("/proc/self/oom_score_adj", []byte("500"), 0) //nolint:errcheck // it is a wish
	f, err := newFamily(true, false)                           // see untilReaping; commands' orphans are swept
	if err != nil {
		fmt.Fprintln(os.Stderr, "executor:", err)
		return 1
	}
	end := sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), killTime)
		defer cancel()
		f.killAll(ctx)
	})
	die := func() {
		end()
		os.Exit(1)
	}
	go func() {
		// The worker's end is this process's end, however it came: its SIGKILL
		// closes the lifeline.
		life.Read(make([]byte, 1)) //nolint:errcheck // either way it is over
		die()
	}()
	signals := make(chan os.Signal, 4)
	// SIGPIPE would end this process when the worker, who reads its output, is gone,
	// before its descendants are killed. Ignoring it would be inherited by commands.
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		for s := range signals {
			if s != syscall.SIGPIPE {
				die()
			}
		}
	}()
	rin, err1 := rawio.NewFile(in)
	rout, err2 := rawio.NewFile(out)
	if err := errors.Join(err1, err2); err != nil {
		fmt.Fprintln(os.Stderr, "executor:", err)
		return 1
	}
	served := make(chan error, 1)
	go func() {
		served <- serve(bufio.NewReaderSize(rin, 64<<10), rout, funcs, f, func(slots int) (page, error) {
			if keep > 0 {
				runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), slots+spareProcessors))
			}
			return mapPage(fdPage, slots)
		}, keep)
	}()
	if funcs != nil {
		err = untilReaping(served)
	} else {
		err = <-served
	}
	end()
	if err != nil {
		fmt.Fprintln(os.Stderr, "executor:", err)
		return 1
	}
	return 0
}

// noChildSignals sees to it that the end of a child sends no signal, which would wake a
// thread for each command that ends: nobody here waits for one. (Package signal cannot:
// ignoring it would have the kernel reap the children.)
func noChildSignals() {
	byDefault := make([]byte, 64)                                                                                      // a struct sigaction, for any architecture; all zero is SIG_DFL
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&byDefault[0])), 0, 8, 0, 0) //nolint:errcheck // signals would be a waste, no harm
}

// inherit returns an inherited file, which this process's own children do not get.
func inherit(fd uintptr, name string) *os.File {
	syscall.CloseOnExec(int(fd))
	syscall.SetNonblock(int(fd), true) //nolint:errcheck // then it blocks, which works too
	return os.NewFile(fd, name)
}
