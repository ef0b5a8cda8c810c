package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/identity"
)

// Options say how a worker runs. Identity and Scheduler are needed; the zero value
// of everything else has a meaning.
type Options struct {
	Identity *identity.Identity // with the role worker; its name is the worker's
	// Scheduler returns where the scheduler listens (host:port) and its epoch, 0 if
	// unknown. It is asked before each connection and may wait until there is one.
	Scheduler func(context.Context) (endpoint string, epoch uint64, err error)

	Host  string // of the node, as its node manager calls it, for locality; "" is the machine's
	Pool  string // "" is "worker"
	Slots int    // of tasks that run at once; 0 is the number of CPUs
	// Memory is how many bytes of results are kept in memory; what is more goes into
	// files. 0 is 64 MiB.
	Memory uint64
	// Disk is how many bytes of results files may take; 0 is no limit.
	Disk uint64
	// TaskMemory is how many bytes tasks that say what they need may need together; 0 is
	// any. Named are the resources that tasks may ask for by name.
	TaskMemory uint64
	Named      graph.Amounts
	// MemoryLimit is how many bytes the container may take: this process, its
	// executors and commands together. The largest of those is killed before the
	// node manager kills everything. 0 is no limit.
	MemoryLimit uint64
	// Dir is where results and bundles are kept, in a directory of their own that is
	// removed at the end; "" is the temporary directory.
	Dir string
	// WorkDir is the working directory of executors and commands; "" is this
	// process's.
	WorkDir string
	// Listen is the data plane's address; "" is ":0". Advertise is what others are
	// told to connect to; "" is the listener's, with the host from which this worker
	// connects to the scheduler if it is unspecified.
	Listen, Advertise string
	// Listener is the data plane's instead of Listen, plain TCP; Run closes it.
	Listener net.Listener
	// Dial makes the TCP connections to the scheduler and to other workers; nil is a
	// net.Dialer.
	Dial identity.DialFunc

	// Self is the path of the own binary; "" is this process's. Bundle is its
	// SHA-256; zero: it is computed.
	Self   string
	Bundle graph.Digest
	// Funcs are trusted functions of the own binary that run inside this process;
	// all others run in executors. See executor.Options.
	Funcs executor.Funcs
	// Inside makes commands' executor part of this process too.
	Inside bool
	// Adopt says that this process is a worker and nothing else, so that every
	// process which falls to it is an executor's leftover.
	Adopt bool

	Stdout, Stderr io.Writer // for what executors print; nil is this process's
	// Tried is told of each try to connect, nil for one that succeeded; one after the
	// other. nil: nobody is told.
	Tried func(error)

	Version   string        // of the library, for people
	Log       *slog.Logger  // nil discards
	Grace     time.Duration // from asking a task to end to killing it; 0 is 10 s
	Backoff   time.Duration // longest pause between connections; 0 is 2 s
	MaxBundle uint64        // bytes of the largest bundle; 0 is 1 GiB
	LoadEvery time.Duration // between reports of load, of a worker that has nothing to do 7 times as much; 0 is 1 s
}

func (o Options) withDefaults() (Options, error) {
	if o.Identity == nil || o.Scheduler == nil {
		return o, errors.New("worker: no identity or no scheduler")
	}
	if role := o.Identity.Subject().Role; role != identity.Worker {
		return o, fmt.Errorf("worker: the identity is a %s's", role)
	}
	if o.Host == "" {
		name, err := os.Hostname()
		if err != nil {
			return o, fmt.Errorf("worker: %w", err)
		}
		o.Host = name
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Stderr == nil {
		o.Stderr = os.Stderr
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	orDefault(&o.Pool, "worker")
	orDefault(&o.Slots, runtime.NumCPU())
	orDefault(&o.Memory, store.DefaultMemory)
	orDefault(&o.Dir, os.TempDir())
	orDefault(&o.Listen, ":0")
	orDefault(&o.Backoff, 2*time.Second)
	orDefault(&o.MaxBundle, 1<<30)
	orDefault(&o.LoadEvery, time.Second)
	return o, nil
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
