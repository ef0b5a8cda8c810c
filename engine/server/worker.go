package server

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// worker is one incarnation of a worker.
//
//	Hello──► settling ──inventory is complete──► settled
//	settling ──connection ends──► left; the incarnation before it is itself again
//	settled ──connection breaks──► away ──grace passes──► left, blamed
//	                                    ├──comes back (incarnation n+1 settles)──► left
//	                                    └──container exited──► left, as it says
//	settled ──Bye, silence, violation──► left
//	settled ──drained: Retire is sent──Bye──► left
type worker struct {
	id     graph.WorkerID
	name   string // its container
	hello  *wire.WorkerHello
	joined time.Time
	conn   *wire.Conn // nil while it is away

	// previous is the incarnation before, which stays until this one has said what
	// it brings along: so no result is without a holder in between.
	previous   *worker
	superseded bool // it is somebody's previous
	settled    bool // its inventory is complete; before that it is not shown to anybody

	// awayUntil is when a worker without a connection, or one whose container is
	// said to have exited, leaves.
	awayUntil time.Time
	crashed   bool             // its connection broke by itself: what it runs may have killed it
	exit      *containerExited // said by the fleet while the connection was there
	retired   bool
	load      *wire.Load // the last one; nil before

	classes map[graph.JobID]bitset      // that it knows
	peers   map[graph.WorkerID]bool     // that it knows
	out     outbox                      // frames of this turn
	nests   map[sched.TaskAttempt]*nest // clients within what it runs
}

func (w *worker) location() graph.Location {
	return graph.Location{Worker: w.id, Address: w.hello.DataAddress, Name: w.name}
}

func (w *worker) state(cordoned bool) string {
	switch {
	case w.conn == nil:
		return "away"
	case cordoned || w.retired:
		return "draining"
	}
	return "running"
}

// ---- inputs --------------------------------------------------------------------

// workerHello is a worker's Hello. It joins with nothing, and is welcomed with its
// incarnation number; what it holds follows. joined yields the incarnation.
type workerHello struct {
	conn   *wire.Conn
	hello  *wire.WorkerHello
	joined chan<- *worker // capacity 1
}

func (in workerHello) origin() *wire.Conn { return in.conn }

func (in workerHello) handle(l *loop) {
	l.isMet()
	l.lastWorker++
	w := &worker{
		id: l.lastWorker, name: in.hello.Name, hello: in.hello, joined: l.now, conn: in.conn,
		classes: map[graph.JobID]bitset{}, peers: map[graph.WorkerID]bool{},
		previous: l.workerNames[in.hello.Name],
	}
	if w.previous != nil {
		w.previous.superseded = true
	}
	l.workers[w.id], l.workerNames[w.name] = w, w
	in.conn.Welcome(&wire.Welcome{ //nolint:errcheck // the reader notices
		Build: l.opts.Version, Epoch: l.opts.Epoch, Id: uint32(w.id), Bundle: bundleBytes(l.opts.Bundle), Journal: l.journalID(),
	})
	l.step(sched.WorkerJoined{
		Worker: w.id, Name: w.name, Host: w.hello.Host, Pool: w.hello.Pool, Slots: int(w.hello.Slots), Memory: w.hello.Memory,
		TaskMemory: w.hello.TaskMemory, Named: wire.AmountsFromWire(w.hello.Named),
	})
	in.joined <- w
}

// anew is why an incarnation leaves whose worker has another one.
const anew = "it connected anew"

// settle ends a worker's joining: its inventory is complete.
func (l *loop) settle(w *worker) {
	w.settled = true
	l.record(0, &wire.Record{Body: &wire.Record_Member{Member: &wire.MemberRecord{Name: w.name}}})
	l.isBack(w.name)
	l.tell("worker.joined", w.name, "on %s, pool %s, %d slots", w.hello.Host, w.hello.Pool, w.hello.Slots)
	l.log.Info("worker joined", "worker", w.id, "name", w.name, "host", w.hello.Host, "pool", w.hello.Pool, "slots", w.hello.Slots, "address", w.hello.DataAddress)
	leaving := false // it was to leave before it connected anew
	for old := w.previous; old != nil; old = old.previous {
		info, _ := l.core.Worker(old.id)
		leaving = leaving || info.Phase == "leaving"
		l.leave(old, false, anew)
	}
	w.previous = nil
	if l.drains[w.name] != "" {
		l.retireBy(sched.Retire{Workers: []graph.WorkerID{w.id}})
	} else if to, ok := l.kept[w.hello.Pool]; ok && leaving {
		l.retireBy(sched.Retire{Pool: w.hello.Pool, To: to})
	}
}

// workerFrame is a frame of a worker, converted. Only its own fields are set.
type workerFrame struct {
	w      *worker
	event  sched.Event      // nil for a Load or a Nested
	last   bool             // of the inventory, which event holds
	done   *wire.Done       // with a sched.Done
	failed []*graph.Failure // with a sched.Failed, row by row
	load   *wire.Load
	nested *wire.Nested
}

func (in workerFrame) origin() *wire.Conn { return in.w.conn }

func (in workerFrame) handle(l *loop) {
	if l.workers[in.w.id] != in.w {
		return // it has left; what it did is told by the next incarnation's inventory
	}
	if in.load != nil {
		in.w.load = in.load
		return
	}
	if in.nested != nil {
		l.nested(in.w, in.nested)
		return
	}
	if f, ok := in.event.(sched.Failed); ok {
		for i, row := range f.Tasks {
			l.texts[row.TaskAttempt] = in.failed[i]
		}
	}
	l.noteRuns(in.w, in.event)
	l.step(in.event)
	if in.done != nil {
		l.keepInline(in.done)
	}
	if _, ok := in.event.(sched.Adopt); ok {
		l.moveNests(in.w)
	}
	if len(in.w.nests) > 0 {
		l.endedNests(in.w)
	}
	if in.last {
		l.settle(in.w)
	}
}

// workerGone is the end of a worker's connection.
type workerGone struct {
	w   *worker
	err error
}

func (in workerGone) origin() *wire.Conn { return nil }

func (in workerGone) handle(l *loop) {
	w := in.w
	if l.workers[w.id] != w {
		return
	}
	l.breakNests(w)
	switch {
	case w.superseded:
		w.conn = nil // what follows is its successor's affair
	case !w.settled:
		l.leave(w, false, "it did not say what it holds: "+in.err.Error())
	case w.exit != nil:
		l.leave(w, w.exit.blame, w.exit.why)
	case !wire.Gone(in.err) || silent(in.err):
		l.leave(w, false, in.err.Error())
	default:
		l.log.Info("worker's connection broke", "worker", w.id, "name", w.name, "err", in.err)
		w.conn = nil
		w.crashed = !ownDoing(in.err)
		w.awayUntil = l.now.Add(l.opts.Grace)
	}
}

// containerExited is the fleet's word on a container.
type containerExited struct {
	name  string
	blame bool
	why   string
}

func (in containerExited) origin() *wire.Conn { return nil }

func (in containerExited) handle(l *loop) {
	w := l.workerNames[in.name]
	defer delete(l.drains, in.name)
	if w == nil {
		l.log.Debug("container of no worker exited", "name", in.name, "why", in.why)
		l.isBack(in.name) // it will not be
		return
	}
	if w.conn == nil {
		l.leave(w, in.blame, in.why)
		return
	}
	// What it sent last may still be on its way; the end of the connection follows.
	w.exit = &in
	w.awayUntil = l.now.Add(l.opts.Grace)
}

// shrink is the fleet's wish for fewer workers.
type shrink struct {
	pool string
	to   int
}

func (in shrink) origin() *wire.Conn { return nil }

func (in shrink) handle(l *loop) {
	l.log.Info("shrink", "pool", in.pool, "to", in.to)
	l.kept[in.pool] = in.to
	l.retireBy(sched.Retire{Pool: in.pool, To: in.to})
}

// drain is the fleet's wish that certain workers leave. It is remembered until their
// containers have ended: one that connects anew is drained again. One that is not there
// holds nothing and may go, unless this is the time in which workers come back to a
// scheduler that took over: then it may hold a lot.
type drain struct {
	names []string
	why   string
}

func (in drain) origin() *wire.Conn { return nil }

func (in drain) handle(l *loop) {
	l.isMet()
	var ids []graph.WorkerID
	for _, name := range in.names {
		l.drains[name] = cmp.Or(in.why, "it was told to leave")
		w := l.workerNames[name]
		if w == nil {
			continue
		}
		if w.settled { // else it is seen to when it is
			ids = append(ids, w.id)
		}
	}
	l.log.Info("drain", "workers", in.names, "why", in.why)
	if len(ids) > 0 {
		l.retireBy(sched.Retire{Workers: ids})
	}
	if !l.back.on {
		l.releaseAbsent(in.names)
	}
}

// releaseAbsent gives back those of the workers which shall leave that are not there.
func (l *loop) releaseAbsent(names []string) {
	if l.fleet == nil {
		return
	}
	for _, name := range names {
		if l.workerNames[name] == nil {
			l.fleet.release([]string{name}, "it is not connected and holds nothing: "+l.drains[name])
		}
	}
}

// ---- leaving -------------------------------------------------------------------

// leave removes a worker. Blame says that the tasks it ran may be the cause.
func (l *loop) leave(w *worker, blame bool, why string) {
	l.log.Info("worker left", "worker", w.id, "name", w.name, "host", w.hello.Host, "blame", blame, "why", why)
	delete(l.workers, w.id)
	l.past.add(w)
	switch {
	case !w.settled || why == anew:
	case w.retired:
		l.tell("worker.retired", w.name, "drained: %s", cmp.Or(l.drains[w.name], "the pool shrinks"))
	default:
		info, _ := l.core.Worker(w.id)
		l.tell("worker.left", w.name, "on %s with %d tasks and %d results: %s", w.hello.Host, info.Assigned, info.Results, why)
	}
	if l.workerNames[w.name] == w {
		delete(l.workerNames, w.name)
		l.record(0, &wire.Record{Body: &wire.Record_Member{Member: &wire.MemberRecord{Name: w.name, Left: true}}})
		l.restore(w.previous, w.exit)
	}
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
	l.lastDeath = "worker " + w.name + " on " + w.hello.Host + ": " + why
	l.step(sched.WorkerLeft{Worker: w.id, Blame: blame})
	l.endedNests(w)
	for _, other := range l.workers {
		if other.peers[w.id] {
			delete(other.peers, w.id)
			l.outboxOf(other).peers.Add(graph.Location{Worker: w.id})
		}
	}
}

// restore makes an incarnation whose successor left before it had settled the
// newest again: unless its container has exited, the worker may yet come back.
func (l *loop) restore(w *worker, exit *containerExited) {
	if w == nil {
		return
	}
	w.superseded, w.exit = false, exit
	w.awayUntil = l.now.Add(l.opts.Grace)
	l.workerNames[w.name] = w
	if w.conn == nil && !w.settled {
		l.leave(w, false, "it did not say what it holds")
	}
}

// retire lets drained workers go.
func (l *loop) retire(ids []graph.WorkerID) {
	byReason := map[string][]string{}
	for _, id := range ids {
		w := l.workers[id]
		if w == nil {
			continue
		}
		w.retired = true
		why := cmp.Or(l.drains[w.name], "the pool shrinks")
		byReason[why] = append(byReason[why], w.name)
		l.log.Info("worker drained", "worker", id, "name", w.name, "why", why)
		if w.conn != nil {
			w.conn.Push(wire.KindRetire, &wire.Retire{Reason: why}) //nolint:errcheck // the reader notices
		}
	}
	for _, why := range slices.Sorted(maps.Keys(byReason)) {
		if l.fleet != nil {
			l.fleet.release(byReason[why], "drained: "+why)
		}
	}
}
