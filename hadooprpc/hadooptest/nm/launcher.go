package nm

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Launcher runs what containers run: [Processes], the default, or [Func] within this process. Everything before and
// after, from localization to log aggregation, is the same with either.
type Launcher interface {
	// Launch begins and does not wait for the end. The Launch stays as it is.
	Launch(*Launch) (Process, error)
}

// Launch is one launch of a container's command.
type Launch struct {
	ID       yarn.ContainerID
	User     string
	Resource tracker.Resource
	Dir      string   // working directory; localized files are linked into it by Script
	LogDir   string   // what <LOG_DIR> stands for
	Script   string   // path of launch_container.sh
	Env      []string // KEY=value: what Script finds, before its own exports
	Command  []string // with YARN's own variables expanded
	// Enter is Options.Enter.
	Enter func() (leave func() error, err error)
	// Context is as the application master sent it.
	Context *pb.ContainerLaunchContext
}

// Process is a command that runs.
type Process interface {
	// PID is the process at the root, leader of its session; 0 when there is none.
	PID() int
	// Signal signals its process group. It does nothing, and returns an error, when the process at the root has ended:
	// one that nobody has waited for yet takes signals, and feels none.
	Signal(syscall.Signal) error
	// Wait returns the exit code as a shell gives it: 128 + n for signal n. Nothing of the command is left then. It
	// is called once.
	Wait() int32
}

// Func is a container that is a function of this process. The context ends, with a [Signalled] as its cause, on
// SIGTERM and SIGKILL; the function has to return then. Its result is the exit code, but for SIGKILL, which is not
// waited for and gives 137.
type Func func(ctx context.Context, l *Launch) int32

// Signalled is the cause of a Func's context's end.
type Signalled struct{ Signal syscall.Signal }

func (s Signalled) Error() string { return fmt.Sprintf("signalled: %v", s.Signal) }

// Launch implements Launcher.
func (f Func) Launch(l *Launch) (Process, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &funcProcess{cancel: cancel, killed: make(chan struct{}), ended: make(chan int32, 1)}
	go func() {
		defer cancel(nil)
		code := f(ctx, l)
		p.over.Store(true)
		p.ended <- code
	}()
	return p, nil
}

type funcProcess struct {
	cancel context.CancelCauseFunc
	ended  chan int32
	killed chan struct{}
	once   sync.Once
	over   atomic.Bool // it has returned, or was killed
}

func (p *funcProcess) PID() int { return 0 }

func (p *funcProcess) Signal(s syscall.Signal) error {
	if p.over.Load() {
		return syscall.ESRCH
	}
	switch s {
	case syscall.SIGTERM:
		p.cancel(Signalled{s})
	case syscall.SIGKILL:
		p.cancel(Signalled{s})
		p.once.Do(func() { close(p.killed) })
		p.over.Store(true)
	}
	return nil
}

func (p *funcProcess) Wait() int32 {
	select {
	case code := <-p.ended:
		return code
	case <-p.killed:
		return signalBase + int32(syscall.SIGKILL)
	}
}

// signalBase is what a shell adds to the number of a signal.
const signalBase = 128
