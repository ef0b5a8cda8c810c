package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/identity"
)

// starting is how many processes are started at once.
const starting = 16

// cluster is the processes of one benchmark, each of which is this program again.
type cluster struct {
	o    options
	w    *workload
	args []string
	dir  string
	ca   *identity.CA

	scheduler, client *child
	workers           []*child // or the one with all stubs
}

// newCluster starts scheduler, workers and client, and waits until all slots are warm.
func newCluster(ctx context.Context, dir string, o options, w *workload, args []string) (*cluster, error) {
	ca, err := identity.NewCA(identity.NewSeed(), "local_1_0001")
	if err != nil {
		return nil, err
	}
	c := &cluster{o: o, w: w, args: args, dir: dir, ca: ca}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *cluster) start(ctx context.Context) error {
	bundle, err := ownDigest()
	if err != nil {
		return err
	}
	l := &launch{Role: roleScheduler, Name: "scheduler", Bundle: bundle, Journal: c.o.journal}
	if c.scheduler, err = c.child(ctx, l, identity.Scheduler); err != nil {
		return err
	}
	address := c.scheduler.ready.Addr
	if c.w.stub {
		l := &launch{Role: roleStub, Name: "stubs", Scheduler: address, Slots: c.o.slots, Memory: c.o.memory, Bundle: bundle, Typed: c.o.api != apiInner}
		for i := range c.o.workers {
			pem, err := c.identity(identity.Worker, fmt.Sprintf("stub-%d", i+1))
			if err != nil {
				return err
			}
			l.Identities = append(l.Identities, pem)
		}
		stubs, err := start(ctx, c.dir, c.o.cpuProfile, l)
		if err != nil {
			return err
		}
		c.workers = []*child{stubs}
	} else if err := c.startWorkers(ctx, address, bundle); err != nil {
		return err
	}
	l = &launch{Role: roleClient, Name: "client", Scheduler: address, Args: c.args}
	c.client, err = c.child(ctx, l, identity.Client)
	return err
}

func (c *cluster) startWorkers(ctx context.Context, address string, bundle graph.Digest) error {
	workers := make([]*child, c.o.workers)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(starting)
	for i := range workers {
		g.Go(func() (err error) {
			l := &launch{
				Role: roleWorker, Name: fmt.Sprintf("worker-%d", i+1), Scheduler: address, Host: fmt.Sprintf("host-%d", i+1),
				Slots: c.o.slots, Memory: c.o.memory, Bundle: bundle,
			}
			if c.w.pools {
				l.Pool = poolName(i)
			}
			workers[i], err = c.child(ctx, l, identity.Worker)
			return err
		})
	}
	err := g.Wait()
	for _, w := range workers {
		if w != nil {
			c.workers = append(c.workers, w)
		}
	}
	return err
}

// child starts a process with an identity and a folder of its own.
func (c *cluster) child(ctx context.Context, l *launch, role identity.Role) (*child, error) {
	pem, err := c.identity(role, l.Name)
	if err != nil {
		return nil, err
	}
	l.Identities = [][]byte{pem}
	l.Dir = filepath.Join(c.dir, l.Name)
	if err := os.Mkdir(l.Dir, 0o700); err != nil {
		return nil, err
	}
	return start(ctx, c.dir, c.o.cpuProfile, l)
}

func (c *cluster) identity(role identity.Role, name string) ([]byte, error) {
	id, err := c.ca.NewIdentity(identity.Subject{App: c.ca.App(), Role: role, Name: name}, 0)
	if err != nil {
		return nil, err
	}
	return id.PEM()
}

// children returns all processes that there are.
func (c *cluster) children() []*child {
	all := append([]*child(nil), c.workers...)
	if c.scheduler != nil {
		all = append(all, c.scheduler)
	}
	if c.client != nil {
		all = append(all, c.client)
	}
	return all
}

// stop ends all processes: the client first, the scheduler last.
func (c *cluster) stop() error {
	var client, scheduler []*child
	if c.client != nil {
		client = append(client, c.client)
	}
	if c.scheduler != nil {
		scheduler = append(scheduler, c.scheduler)
	}
	return stopAll(client, c.workers, scheduler)
}

// moment is what the processes have taken and sent so far.
type moment struct {
	usage   []usage
	traffic []traffic
}

// measure has the client run the workload once, and returns what the processes had
// taken before and after.
func (c *cluster) measure(ctx context.Context) (r *run, before, after moment, err error) {
	all := c.children()
	pids := make([]int, len(all))
	for i, k := range all {
		pids[i] = k.pid
	}
	if before.traffic, err = marks(ctx, all); err != nil {
		return
	}
	if before.usage, err = usages(pids); err != nil {
		return
	}
	n, err := c.client.ask(ctx, cmdGo)
	if err != nil {
		return nil, before, after, errors.Join(err, c.whatFailed())
	}
	if after.usage, err = usages(pids); err != nil {
		return
	}
	after.traffic, err = marks(ctx, all)
	return n.Run, before, after, err
}

// whatFailed tells what processes wrote.
func (c *cluster) whatFailed() error {
	var errs []error
	for _, k := range c.children() {
		if out := k.output(); out != "" {
			errs = append(errs, fmt.Errorf("%s%s", k.name, out))
		}
	}
	return errors.Join(errs...)
}

func marks(ctx context.Context, all []*child) ([]traffic, error) {
	out := make([]traffic, len(all))
	for i, k := range all {
		n, err := k.ask(ctx, cmdMark)
		if err != nil {
			return nil, err
		}
		if n.Traffic == nil {
			return nil, fmt.Errorf("%s does not tell its traffic", k.name)
		}
		out[i] = *n.Traffic
	}
	return out, nil
}

// measureBound measures what the machine could do, as often as the workload runs: bytes
// a second over TLS, processes a second, or the median time of a message in microseconds.
func (c *cluster) measureBound(ctx context.Context, moved uint64) (figures []float64, err error) {
	var all []*child
	defer func() { err = errors.Join(err, stopAll(all)) }()
	add := func(l *launch, role identity.Role) (*child, error) {
		k, err := c.child(ctx, l, role)
		if err == nil {
			all = append(all, k)
		}
		return k, err
	}
	switch c.w.bound {
	case tlsBound:
		server, err := add(&launch{Role: roleTLSServer, Name: "tls-server", Bytes: moved}, identity.Worker)
		if err != nil {
			return nil, err
		}
		client, err := add(&launch{Role: roleTLSClient, Name: "tls-client", Scheduler: server.ready.Addr, Bytes: moved}, identity.Worker)
		if err != nil {
			return nil, err
		}
		for range c.o.repeats + 1 {
			n, err := client.ask(ctx, cmdGo)
			if err != nil {
				return nil, err
			}
			figures = append(figures, float64(moved)/n.Run.Wall)
		}
		return figures[1:], nil // the first was to warm up
	case relayBound:
		l := &launch{}
		for _, name := range []string{"relay-2", "relay-1"} {
			k, err := add(&launch{Role: roleRelay, Name: name, Scheduler: l.Scheduler}, identity.Worker)
			if err != nil {
				return nil, err
			}
			l.Scheduler = k.ready.Addr
		}
		l.Role, l.Name, l.Count = roleRelayed, "relay-client", c.o.tasks
		client, err := add(l, identity.Worker)
		if err != nil {
			return nil, err
		}
		for range c.o.repeats + 1 {
			n, err := client.ask(ctx, cmdGo)
			if err != nil {
				return nil, err
			}
			figures = append(figures, newLatency(n.Run.Latency).P50)
		}
		return figures[1:], nil
	case spawnBound:
		slots := c.o.workers * c.o.slots
		each := max(1, c.o.tasks/slots)
		for i := range slots {
			if _, err := add(&launch{Role: roleSpawn, Name: fmt.Sprintf("spawn-%d", i+1), Count: each}, identity.Worker); err != nil {
				return nil, err
			}
		}
		for range c.o.repeats {
			took, err := together(ctx, all)
			if err != nil {
				return nil, err
			}
			figures = append(figures, float64(each*slots)/took.Seconds())
		}
	}
	return figures, nil
}

// ownDigest returns the SHA-256 of this program.
func ownDigest() (d graph.Digest, err error) {
	f, err := os.Open("/proc/self/exe")
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
