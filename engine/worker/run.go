package worker

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/machine"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/identity"
)

// heapFloor is what a worker with hardly a result throws away between two collections.
const heapFloor = 32 << 20

// TuneMemory sets the garbage collector of a process that is a worker and nothing else.
func TuneMemory() { machine.HeapFloor(heapFloor) }

// Run is the life of a worker. It returns nil when the worker was retired or ctx
// ended, after all that it started has ended; an error says why it could not
// begin.
func Run(ctx context.Context, o Options) error {
	if o.Listener != nil {
		defer o.Listener.Close()
	}
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	if o.Bundle.IsZero() {
		if o.Bundle, err = ownDigest(o.Self); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	dir, err := os.MkdirTemp(o.Dir, "worker-")
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	defer os.RemoveAll(dir)
	ln, err := o.listener()
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	w := &worker{
		opts:   o,
		events: make(chan event, 1024),
		core:   local.New(local.Config{Slots: o.Slots, FetchBytes: max(o.Memory/2, 1<<20)}),
		store: store.New(store.Options{Memory: o.Memory, Dir: filepath.Join(dir, "results"), Disk: o.Disk, Failed: func(err error) {
			o.Log.Warn("a result that should leave memory stays", "err", err)
		}}),
		pool: transfer.NewPool(o.Identity, transfer.PoolOptions{Log: o.Log, TCP: o.Dial}),
	}
	w.init()
	w.bundles = &bundles{dir: filepath.Join(dir, "bundles"), max: o.MaxBundle, open: w.openBundle}
	defer w.store.Close()
	defer w.pool.Close()
	w.exec, err = executor.NewManager(executor.Options{
		Self: o.Self, Own: o.Bundle, Bundle: w.bundles.path,
		Funcs: o.Funcs, Inside: o.Inside, Adopt: o.Adopt, Report: w.reported, Sink: w.sink, Nested: w.nested, Result: w.result, Slots: o.Slots,
		Dir: o.WorkDir, Host: o.Host, Worker: o.Identity.Subject().Name,
		Stdout: o.Stdout, Stderr: o.Stderr, MemoryLimit: o.MemoryLimit, Grace: o.Grace, Log: o.Log,
	})
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	defer w.exec.Close()
	server := transfer.NewServer(source{w.store, w.bundles, o.commandDir(), w.exec}, transfer.ServerOptions{Log: o.Log})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := server.Accept(ln, o.Identity.Server(identity.Worker, identity.Client, identity.Scheduler))
		if !errors.Is(err, transfer.ErrClosed) {
			o.Log.Error("data plane ended", "err", err)
		}
	})
	defer wg.Wait()
	defer server.Close()
	w.dataAddress = ln.Addr().String()
	if o.Advertise != "" {
		w.dataAddress = o.Advertise
	}
	w.run(ctx)
	return nil
}

// commandDir is the directory in which commands' executor runs.
func (o Options) commandDir() string {
	if o.Inside {
		return ""
	}
	return o.WorkDir
}

func (o Options) listener() (net.Listener, error) {
	if o.Listener != nil {
		return o.Listener, nil
	}
	return net.Listen("tcp", o.Listen)
}

// ownDigest returns the SHA-256 of the own binary, as it runs even if the file was
// replaced.
func ownDigest(path string) (d graph.Digest, err error) {
	if path == "" {
		path = "/proc/self/exe"
	}
	f, err := os.Open(path)
	if err != nil {
		return d, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return d, err
	}
	h.Sum(d[:0])
	return d, nil
}
