package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/store"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
)

// event is something that an adapter tells the loop.
type event interface{ handle(*worker) }

// worker is the loop and what it owns. The fields of the first group are fixed, or
// safe for concurrent use; those of the second are the loop's alone.
type worker struct {
	opts        Options
	dataAddress string
	events      chan event
	results     reports       // of executors
	ended       chan struct{} // closed when the loop takes no more events
	store       *store.Store
	pool        *transfer.Pool
	exec        *executor.Manager
	bundles     *bundles
	scheduler   atomic.Pointer[transfer.Peer] // its data plane; nil before the first connection
	tasks       sync.WaitGroup                // attempts and fetches under way

	core    *local.Core
	conn    *wire.Conn // nil: not connected
	self    graph.WorkerID
	epoch   uint64 // of the last scheduler; 0: none yet
	classes map[graph.JobID]map[graph.ClassID]*local.Class
	peers   map[graph.WorkerID]graph.Location
	fetches map[local.Key]context.CancelFunc
	partial map[local.Key]*partial // of fetches that failed and go on elsewhere
	large   *local.Assignment      // an attempt of which more inputs are to come
	done    uint64                 // results given since the last connection
	retired bool
	load    loadMeter
	spare   spare
}

// spare is memory that is used in each turn again.
type spare struct {
	done  wire.Done
	tasks []local.Assignment
	run   []*executor.Task
}

func (w *worker) init() {
	w.ended = make(chan struct{})
	w.results.there = make(chan struct{}, 1)
	w.fetches = map[local.Key]context.CancelFunc{}
	w.partial = map[local.Key]*partial{}
	w.forgetPeers()
}

// forgetPeers drops what the last scheduler said.
func (w *worker) forgetPeers() {
	w.classes = map[graph.JobID]map[graph.ClassID]*local.Class{}
	w.peers = map[graph.WorkerID]graph.Location{}
}

// send gives an event to the loop. It reports false when the loop has ended.
func (w *worker) send(e event) bool {
	select {
	case w.events <- e:
		return true
	case <-w.ended:
		return false
	}
}

// restTime is the time between ticks of the core, while it waits for one: a task of
// which that is longer than was thought is noticed after two.
const restTime = 5 * time.Millisecond

// run is the loop. It returns when the worker is retired or ctx ends, with all
// attempts and fetches ended.
func (w *worker) run(ctx context.Context) {
	// The link, tasks and fetches have a context that outlives ctx for a goodbye.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	var link sync.WaitGroup
	link.Go(func() { w.link(work) })
	load := time.NewTicker(w.opts.LoadEvery)
	defer load.Stop()
	tick := time.NewTimer(restTime)
	defer tick.Stop()
	for ticking := true; !w.retired; {
		if !ticking && w.core.Restless() {
			tick.Reset(restTime)
			ticking = true
		}
		select {
		case e := <-w.events:
			e.handle(w)
			w.handleWaiting()
		case <-w.results.there:
			w.handleWaiting()
		case <-tick.C:
			ticking = false
			w.core.Step(local.Tick{})
		case <-load.C:
			w.sendLoad()
		case <-ctx.Done():
			w.retired = true
		}
		w.act(work)
	}
	w.goodbye()
	close(w.ended)
	w.exec.Close() // ends what runs, at once
	stop()
	w.tasks.Wait()
	link.Wait()
	w.dropPartial()
}

// handleWaiting handles the events that are there, but not those that come in
// meanwhile: reports must get out.
func (w *worker) handleWaiting() {
	for range len(w.events) {
		(<-w.events).handle(w)
	}
	said := w.results.take()
	for _, k := range said.lost {
		w.core.Step(local.Lost{Key: k})
	}
	if len(said.ends) > 0 {
		w.core.Step(local.Ended{Attempts: said.ends})
	}
	if len(said.answers) > 0 {
		w.core.Step(local.Recalled{Attempts: said.answers})
	}
}

// goodbye tells the scheduler that this worker ends in order.
func (w *worker) goodbye() {
	if w.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	w.conn.Bye(ctx, "the worker ends") //nolint:errcheck // it ends either way
}
