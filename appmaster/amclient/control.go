package amclient

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/ampb"
)

// ControlOptions say where a scheduler is and what it does when the application
// master tells it something. The functions are called one at a time, from Run, and
// must not block; nil ones are skipped.
type ControlOptions struct {
	Address string // host:port, where workers and clients reach it
	Epoch   uint64 // Launch.Epoch

	OnExited   func(*ampb.ContainerExited)
	OnShrink   func(pool string, to int)
	OnDrain    func(containers []string, reason string)
	OnStopping func(why string)
	OnPools    func(*ampb.Pools)
}

// Control is a scheduler's line to the application master. What it is told to say
// is said as soon as there is a connection. Of wants and reports only the latest
// counts; a want is said once, for a person may scale the pool after it; the report,
// and releases until the containers are known to have ended, are said again on each
// new connection. It is safe for concurrent use, and nothing but Run ever waits.
type Control struct {
	c    *Client
	opt  ControlOptions
	log  *slog.Logger
	wake chan struct{}

	mu       sync.Mutex
	wants    map[string]*ampb.Want // unsent: the latest of each pool
	releases map[string]*release   // by container, until it has ended
	report   *ampb.Report          // unsent: the latest
	reported *ampb.Report          // the latest, for an application master that has not heard it
	pools    *ampb.Pools           // the last that we were told
}

type release struct {
	reason string
	sent   bool // on this connection
}

// Attach makes a scheduler's line. It does nothing before Run.
func Attach(c *Client, o ControlOptions) *Control {
	return &Control{c: c, opt: o, log: c.opt.Log, wake: make(chan struct{}, 1), wants: map[string]*ampb.Want{}, releases: map[string]*release{}}
}

// Want says how many containers a pool should have.
func (k *Control) Want(pool string, n int, reason string) {
	k.mu.Lock()
	k.wants[pool] = &ampb.Want{Pool: pool, Count: int32(n), Reason: reason}
	k.mu.Unlock()
	k.signal()
}

// Release says that containers are drained and may be stopped.
func (k *Control) Release(containers []string, reason string) {
	k.mu.Lock()
	for _, id := range containers {
		k.releases[id] = &release{reason: reason}
	}
	k.mu.Unlock()
	k.signal()
}

// Report says how the scheduler is. The report must not be changed afterwards.
func (k *Control) Report(r *ampb.Report) {
	k.mu.Lock()
	k.report, k.reported = r, r
	k.mu.Unlock()
	k.signal()
}

func (k *Control) signal() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Run keeps the line up until the context ends, or until the application master
// refuses this scheduler for good: because its container should not run any more,
// or because a later one has attached. Then the error is an *Error that is Refused.
//
// A connection that is refused at its handshake is tried again: behind that address
// there may be somebody else by now, and the application master elsewhere.
func (k *Control) Run(ctx context.Context) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		began := time.Now()
		err := k.converse(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch status.Code(err) {
		case codes.PermissionDenied, codes.FailedPrecondition, codes.InvalidArgument:
			return k.c.wrap(ctx, "attach to the application master", err)
		}
		k.log.Warn("the line to the application master broke", "err", err)
		if time.Since(began) > 10*time.Second {
			pause = 100 * time.Millisecond
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// converse is one connection's worth.
func (k *Control) converse(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := k.c.control.Attach(ctx)
	if err != nil {
		return err
	}
	announce := &ampb.FromScheduler{Message: &ampb.FromScheduler_Announce{Announce: &ampb.Announce{Address: k.opt.Address, Epoch: k.opt.Epoch, Pools: k.told()}}}
	if err := stream.Send(announce); err != nil {
		_, err = stream.Recv() // why
		return err
	}
	k.again()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		for {
			list := k.take()
			for i, m := range list {
				if stream.Send(m) != nil {
					k.giveBack(list[i:])
					return // Recv tells why
				}
			}
			select {
			case <-k.wake:
			case <-ctx.Done():
				return
			}
		}
	})
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		k.hear(m)
	}
}

// told is what an application master last said of the pools.
func (k *Control) told() *ampb.Pools {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.pools
}

// again makes unsent what must be said on each connection.
func (k *Control) again() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.releases {
		r.sent = false
	}
	k.report = k.reported
	k.signal()
}

// take returns what is to be sent next.
func (k *Control) take() []*ampb.FromScheduler {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []*ampb.FromScheduler
	for _, pool := range slices.Sorted(maps.Keys(k.wants)) {
		list = append(list, &ampb.FromScheduler{Message: &ampb.FromScheduler_Want{Want: k.wants[pool]}})
		delete(k.wants, pool)
	}
	byReason := map[string][]string{}
	for id, r := range k.releases {
		if !r.sent {
			r.sent = true
			byReason[r.reason] = append(byReason[r.reason], id)
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		slices.Sort(byReason[reason])
		list = append(list, &ampb.FromScheduler{Message: &ampb.FromScheduler_Release{Release: &ampb.Release{Containers: byReason[reason], Reason: reason}}})
	}
	if k.report != nil {
		list = append(list, &ampb.FromScheduler{Message: &ampb.FromScheduler_Report{Report: k.report}})
		k.report = nil
	}
	return list
}

// giveBack makes a message unsent that could not be sent. Releases and the report are
// seen to by again.
func (k *Control) giveBack(list []*ampb.FromScheduler) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range list {
		if m, ok := m.Message.(*ampb.FromScheduler_Want); ok && k.wants[m.Want.Pool] == nil {
			k.wants[m.Want.Pool] = m.Want
		}
	}
}

func (k *Control) hear(m *ampb.ToScheduler) {
	switch m := m.Message.(type) {
	case *ampb.ToScheduler_Exited:
		k.mu.Lock()
		delete(k.releases, m.Exited.Container)
		k.mu.Unlock()
		if k.opt.OnExited != nil {
			k.opt.OnExited(m.Exited)
		}
	case *ampb.ToScheduler_Shrink:
		if k.opt.OnShrink != nil {
			k.opt.OnShrink(m.Shrink.Pool, int(m.Shrink.To))
		}
	case *ampb.ToScheduler_Drain:
		if k.opt.OnDrain != nil {
			k.opt.OnDrain(m.Drain.Containers, m.Drain.Reason)
		}
	case *ampb.ToScheduler_Pools:
		k.mu.Lock()
		k.pools = m.Pools
		k.mu.Unlock()
		if k.opt.OnPools != nil {
			k.opt.OnPools(m.Pools)
		}
	case *ampb.ToScheduler_Stopping:
		if k.opt.OnStopping != nil {
			k.opt.OnStopping(m.Stopping.Why)
		}
	}
}
