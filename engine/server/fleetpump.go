package server

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// fleetPump calls a Fleet from a goroutine of its own, so that a slow one does not
// hold up the scheduler. Of reports only the newest waits, and of wants that of each
// pool; releases all do: there are no more of them than workers.
type fleetPump struct {
	fleet Fleet

	mu       sync.Mutex
	releases []release
	wants    map[string]want // by pool: the latest
	latest   *Report

	wake    chan struct{} // capacity 1
	quit    chan struct{}
	stopped chan struct{}
}

type release struct {
	workers []string
	reason  string
}

type want struct {
	n      int
	reason string
}

func newFleetPump(f Fleet) *fleetPump {
	return &fleetPump{fleet: f, wants: map[string]want{}, wake: make(chan struct{}, 1), quit: make(chan struct{}), stopped: make(chan struct{})}
}

func (p *fleetPump) release(workers []string, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.releases = append(p.releases, release{workers, reason})
	p.signal()
}

func (p *fleetPump) want(pool string, n int, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wants[pool] = want{n, reason}
	p.signal()
}

func (p *fleetPump) report(r Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latest = &r
	p.signal()
}

func (p *fleetPump) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run delivers until close.
func (p *fleetPump) run() {
	defer close(p.stopped)
	for {
		select {
		case <-p.wake:
			p.deliver()
		case <-p.quit:
			p.deliver() // what the loop said last
			return
		}
	}
}

func (p *fleetPump) deliver() {
	p.mu.Lock()
	releases, wants, latest := p.releases, p.wants, p.latest
	p.releases, p.wants, p.latest = nil, map[string]want{}, nil
	p.mu.Unlock()
	for _, pool := range slices.Sorted(maps.Keys(wants)) {
		p.fleet.Want(pool, wants[pool].n, wants[pool].reason)
	}
	for _, r := range releases {
		p.fleet.Release(r.workers, r.reason)
	}
	if latest != nil {
		p.fleet.Report(*latest)
	}
}

// close ends run and waits for it, but not for ever: a call into a Fleet that hangs
// cannot be ended from here.
func (p *fleetPump) close() bool {
	close(p.quit)
	select {
	case <-p.stopped:
		return true
	case <-time.After(closeTimeout):
		return false
	}
}
