package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// Options of a Provider. Fields that are not marked as required have a default.
type Options struct {
	App  string // required: the application's id
	Dir  string // required: where containers and logs go; made if missing
	User string // for USER in the containers' environment; "" leaves the present one

	Host     string        // what nodes are called; "" is 127.0.0.1
	Capacity int           // how many containers there can be at a time; 0 is no bound
	Grace    time.Duration // between SIGTERM and SIGKILL; 0 is 3 s
	Env      []string      // KEY=value, added to each container's environment

	// EnforceMemory kills a container whose processes together have more resident
	// memory than its pool says, as a NodeManager does.
	EnforceMemory bool

	// Unpack unpacks an archive into a new directory. Without it a pool that has
	// archives cannot be started.
	Unpack func(ctx context.Context, archive, dir string) error

	Log *slog.Logger // nil discards
}

// Provider runs containers as processes of this machine. It implements
// provider.Provider.
type Provider struct {
	opt    Options
	log    *slog.Logger
	queue  *provider.Queue
	spawn  *spawner
	files  *localizer
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	slots  chan struct{} // bounds how many containers are prepared at a time
	done   chan struct{} // never closed: nobody can take this machine away

	wg        sync.WaitGroup // one for each goroutine of a container
	closeOnce sync.Once

	mu     sync.Mutex
	pools  map[string]*spec.Pool
	order  []string        // of pools
	asked  map[string]int  // by pool: how many there shall have been in all
	given  map[string]int  // by pool: how many there were
	boxes  map[string]*box // containers that have not ended
	past   map[string]bool // ids of containers that had a process, for their logs
	nextID int
	closed bool
}

// box is a container. Its fields are under Provider.mu.
type box struct {
	id      string
	pool    *spec.Pool
	started bool
	stopped bool
	overMem bool
	proc    *process // nil until there is one
}

// New returns a provider that runs until Close.
func New(o Options) (*Provider, error) {
	if o.App == "" || o.Dir == "" {
		return nil, errors.New("local provider: Options need App and Dir")
	}
	o.Host = cmp.Or(o.Host, "127.0.0.1")
	o.Grace = cmp.Or(o.Grace, 3*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("local provider: %w", err)
	}
	o.Dir = dir
	for _, sub := range []string{"containers", "logs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("local provider: %w", err)
		}
	}
	spawn, err := newSpawner()
	if err != nil {
		return nil, fmt.Errorf("local provider: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &Provider{
		opt: o, log: o.Log, queue: provider.NewQueue(), spawn: spawn, ctx: ctx, cancel: cancel,
		files: &localizer{dir: filepath.Join(dir, "filecache"), unpack: o.Unpack},
		slots: make(chan struct{}, 8), done: make(chan struct{}),
		pools: map[string]*spec.Pool{}, asked: map[string]int{}, given: map[string]int{}, boxes: map[string]*box{}, past: map[string]bool{},
	}
	if o.EnforceMemory {
		p.wg.Go(p.watchMemory)
	}
	return p, nil
}

// Name is "local".
func (p *Provider) Name() string { return "local" }

// Events is the channel of what happens.
func (p *Provider) Events() <-chan reconcile.Event { return p.queue.Out() }

// Done is never closed: there is nobody who could take this machine away.
func (p *Provider) Done() <-chan struct{} { return p.done }

// Err is nil.
func (p *Provider) Err() error { return nil }

// Avoid does nothing: there is one node.
func (p *Provider) Avoid([]string) {}

// Trusted is for ever, for the same reason.
func (p *Provider) Trusted() time.Time { return time.Time{} }

// Vouching is nothing: who may read the owner's file is the owner.
func (p *Provider) Vouching() provider.Vouching { return provider.Vouching{} }

// Progress is of no interest here.
func (p *Provider) Progress(float32) {}

// Register notes the pools.
func (p *Provider) Register(_ context.Context, r provider.Registration) (provider.Registered, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range r.Pools {
		p.pools[r.Pools[i].Name] = &r.Pools[i]
		p.order = append(p.order, r.Pools[i].Name)
	}
	return provider.Registered{}, nil
}

// Ask sets how many more containers of a pool are to be allocated.
func (p *Provider) Ask(pool string, n, seen int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pools[pool] != nil {
		p.asked[pool] = seen + n
		p.allocate()
	}
}

// allocate gives what was asked for as far as there is room, under mu.
func (p *Provider) allocate() {
	for _, name := range p.order {
		for p.given[name] < p.asked[name] && !p.closed && (p.opt.Capacity == 0 || len(p.boxes) < p.opt.Capacity) && p.within(p.pools[name]) {
			p.given[name]++
			p.nextID++
			// The application master is number 1, as under YARN.
			id := fmt.Sprintf("container_%s_01_%06d", strings.TrimPrefix(p.opt.App, "local_"), p.nextID+1)
			p.boxes[id] = &box{id: id, pool: p.pools[name]}
			p.queue.Put(reconcile.Allocated{ID: id, Pool: name, Node: p.opt.Host})
		}
	}
}

// within tells whether one more of a pool does not exceed its bound for each node, of which this machine is one, under mu.
func (p *Provider) within(pool *spec.Pool) bool {
	if pool.MaxPerNode == 0 {
		return true
	}
	there := 0
	for _, b := range p.boxes {
		if b.pool == pool {
			there++
		}
	}
	return there < pool.MaxPerNode
}

// Start starts the pool's command in a container.
func (p *Provider) Start(id string, secrets map[string][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.boxes[id]
	if b == nil || b.started || b.stopped || p.closed {
		if b == nil {
			p.queue.Put(reconcile.LaunchFailed{ID: id, Why: "there is no such container", Blameless: true})
		}
		return
	}
	b.started = true
	p.wg.Go(func() { p.run(b, secrets) })
}

// run takes one container from its preparation to its end.
func (p *Provider) run(b *box, secrets map[string][]byte) {
	proc, err := p.launch(b, secrets)
	if err != nil {
		if p.forget(b) {
			p.queue.Put(reconcile.LaunchFailed{ID: b.id, Why: err.Error()})
		}
		return
	}
	if proc == nil { // stopped before it began
		if p.forget(b) {
			p.queue.Put(reconcile.Completed{ID: b.id, Status: reconcile.StatusByAM, Diagnostics: "stopped before it was started"})
		}
		return
	}
	p.queue.Put(reconcile.Launched{ID: b.id})
	status, why := proc.wait()
	p.mu.Lock()
	if b.overMem {
		status = reconcile.StatusMemory
		why = fmt.Sprintf("its processes held more than %d MiB of memory", b.pool.Resource.MemoryMiB)
	}
	p.mu.Unlock()
	p.log.Debug("container ended", "container", b.id, "status", status)
	if p.forget(b) {
		p.queue.Put(reconcile.Completed{ID: b.id, Status: status, Diagnostics: why})
	}
}

// launch prepares a container and starts its process. Without error and process
// the container was stopped meanwhile.
func (p *Provider) launch(b *box, secrets map[string][]byte) (*process, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-p.ctx.Done():
		return nil, nil
	}
	if p.isStopped(b) {
		return nil, nil
	}
	s, err := p.prepare(b, secrets)
	if err != nil {
		return nil, err
	}
	// The lock makes it certain that a Stop sees either no process, and then
	// there will be none, or this one.
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.stopped || p.closed {
		return nil, nil
	}
	proc, err := p.spawn.start(s)
	if err != nil {
		return nil, err
	}
	b.proc = proc
	p.past[b.id] = true
	return proc, nil
}

func (p *Provider) isStopped(b *box) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return b.stopped || p.closed
}

// forget takes a container that has ended out of the books, its directory with
// it (logs stay), and lets the next one have its place. It tells whether it was
// still in them.
func (p *Provider) forget(b *box) bool {
	if err := os.RemoveAll(p.dirOf(b.id)); err != nil {
		p.log.Warn("cannot remove a container's directory", "container", b.id, "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.boxes[b.id] != b {
		return false
	}
	delete(p.boxes, b.id)
	p.allocate()
	return true
}

// Stop ends a container.
func (p *Provider) Stop(id string) { p.end(id, reconcile.StatusByAM) }

// Release gives a container back.
func (p *Provider) Release(id string) { p.end(id, reconcile.StatusAborted) }

func (p *Provider) end(id string, status int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.boxes[id]
	if b == nil || b.stopped {
		return
	}
	b.stopped = true
	switch {
	case b.proc != nil:
		b.proc.terminate(p.opt.Grace)
	case !b.started:
		delete(p.boxes, id)
		p.queue.Put(reconcile.Completed{ID: id, Status: status, Diagnostics: "never started"})
		p.allocate()
	}
	// One that is being prepared is seen to by launch.
}

// Describe tells what is known of a container.
func (p *Provider) Describe(id string) provider.Description {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.boxes[id]
	switch {
	case b == nil:
		return provider.Description{}
	case b.proc == nil:
		return provider.Description{Node: p.opt.Host}
	}
	return provider.Description{Node: p.opt.Host, PID: b.proc.pid}
}

// ReadLog reads from a container's log file.
func (p *Provider) ReadLog(_ context.Context, id, file string, offset int64, buf []byte) (int, int64, error) {
	p.mu.Lock()
	known := p.past[id]
	p.mu.Unlock()
	if !known || (file != "stdout" && file != "stderr") {
		return 0, 0, provider.ErrNoLog
	}
	return provider.ReadLogFile(filepath.Join(p.logsOf(id), file), offset, buf)
}

// Unregister has nobody to tell.
func (p *Provider) Unregister(context.Context, provider.Final) error { return nil }

// Close kills what still runs and waits until it is gone.
func (p *Provider) Close() error {
	p.closeOnce.Do(func() {
		p.mu.Lock()
		p.closed = true
		for _, b := range p.boxes {
			if b.proc != nil {
				b.proc.kill()
			}
		}
		p.mu.Unlock()
		p.cancel()
		p.wg.Wait()
		p.spawn.close()
		p.queue.Close()
	})
	return nil
}

func (p *Provider) dirOf(id string) string  { return filepath.Join(p.opt.Dir, "containers", id) }
func (p *Provider) logsOf(id string) string { return filepath.Join(p.opt.Dir, "logs", id) }
