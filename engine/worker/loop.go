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
	"github.com/yarnd/yarnd/engine/turns"
	"github.com/yarnd/yarnd/engine/wire"
)

// event is something that an adapter tells the loop.
type event interface{ handle(*worker) }

// worker is the loop and what it owns. The fields of the first group are fixed, or
// safe for concurrent use; those of the second are for its turns alone.
type worker struct {
	opts        Options
	dataAddress string
	events      chan event
	turns       *turns.Turns
	tick        *time.Timer // of the core
	ticked      atomic.Bool
	loaded      atomic.Bool   // it is time to tell the load
	results     reports       // of executors
	leaving     chan struct{} // closed before the goodbye: no connection is made any more
	ended       chan struct{} // closed when the loop takes no more events
	store       *store.Store
	pool        *transfer.Pool
	exec        *executor.Manager
	bundles     *bundles
	scheduler   atomic.Pointer[transfer.Peer] // its data plane; nil before the first connection
	tasks       sync.WaitGroup                // attempts and fetches under way
	work        context.Context               // theirs

	core    *local.Core
	conn    *wire.Conn // nil: not connected
	self    graph.WorkerID
	epoch   uint64 // of the last scheduler; 0: none yet
	journal string // that it had: whoever has the same knows what it knew
	classes map[graph.JobID]map[graph.ClassID]*local.Class
	peers   map[graph.WorkerID]graph.Location
	fetches map[local.Key]context.CancelFunc
	partial map[local.Key]*partial // of fetches that failed and go on elsewhere
	large   *local.Assignment      // an attempt of which more inputs are to come
	done    uint64                 // results given since the last connection
	retired bool
	resting uint64 // whiles after which tick will come; 0: it will not
	load    loadMeter
	pace    loadPace
	spare   spare
}

// spare is memory that is used in each turn again.
type spare struct {
	done  wire.Done
	tasks []local.Assignment
	run   []*executor.Task
}

func (w *worker) init() {
	w.leaving, w.ended = make(chan struct{}), make(chan struct{})
	w.turns, w.tick = turns.New(w.turn), time.NewTimer(restTime)
	w.resting, w.pace = 1, newPace(w.opts.LoadEvery)
	w.results.turns = w.turns
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
		w.turns.Due()
		return true
	case <-w.ended:
		return false
	}
}

// restTime is a while, in which the core counts how long tasks take (local.Tick).
const restTime = 5 * time.Millisecond

// run is the loop's goroutine, which leaves turns to those who bring events (package
// turns). It returns when the worker is retired or ctx ends, with all attempts and fetches
// ended.
func (w *worker) run(ctx context.Context) {
	// The link, tasks and fetches have a context that outlives ctx for a goodbye.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.work = work
	var link sync.WaitGroup
	link.Go(func() { w.link(work) })
	defer w.pace.timer.Stop()
	defer w.tick.Stop()
	for over := false; !over; {
		due := &w.ticked
		select {
		case <-w.turns.Mine():
			over = w.turns.Run()
			continue
		case <-w.tick.C:
		case <-w.pace.timer.C:
			due = &w.loaded
		case <-ctx.Done():
			w.turns.Take()
			over = true
			continue
		}
		due.Store(true)
		w.turns.Due()
	}
	close(w.leaving)
	w.goodbye()
	close(w.ended)
	w.exec.Close() // ends what runs, at once
	stop()
	w.tasks.Wait()
	link.Wait()
	w.dropPartial()
}

// turn sees to all that waits. It returns true when the worker was retired.
func (w *worker) turn() bool {
	if w.retired {
		return true
	}
	if w.ticked.CompareAndSwap(true, false) {
		w.core.Step(local.Tick{Whiles: w.resting})
		w.resting = 0
	}
	if w.loaded.CompareAndSwap(true, false) {
		w.sendLoad()
	}
	w.handleWaiting()
	w.act(w.work)
	w.paceLoad()
	if w.conn != nil {
		w.conn.Depart()
	}
	if rest := w.core.Rest(); rest > 0 && (w.resting == 0 || rest < w.resting) {
		w.tick.Reset(time.Duration(rest) * restTime)
		w.resting = rest
	}
	return w.retired
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
	for _, p := range said.parks {
		if p.on {
			w.core.Step(local.Park{Tasks: []local.Key{p.key}})
		} else {
			w.core.Step(local.Unpark{Tasks: []local.Key{p.key}})
		}
	}
	w.passUp(said.nested)
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
