package server

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/turns"
	"github.com/yarnd/yarnd/engine/wire"
)

const (
	inboxSize   = 256
	tickEvery   = 50 * time.Millisecond
	tickIdle    = 10 * tickEvery // while no task is active
	reportEvery = time.Second
)

// input is one thing for the loop to do.
type input interface {
	handle(*loop)
	// origin is the connection that a panic in handle costs; nil is none.
	origin() *wire.Conn
}

// loop owns all state of the scheduler. Only turns touch what is below the line, one at
// a time; others send inputs.
type loop struct {
	opts    Options
	log     *slog.Logger
	bundles *bundleStore
	inbox   chan input
	turns   *turns.Turns
	ticker  *time.Ticker
	ticked  atomic.Bool
	lagged  atomic.Bool   // it is time to pay what is owed
	stop    chan struct{} // closed to ask for the end
	done    chan struct{} // closed at the end
	// ----
	core   *sched.Core
	inCore bool // a panic now is the core's
	start  time.Time
	now    time.Time     // of this turn
	every  time.Duration // of ticker

	jobs      map[graph.JobID]*job
	jobNames  map[string]*job // without those being closed
	lastJob   graph.JobID
	reserves  counters // see reserve
	lastChunk uint64

	workers     map[graph.WorkerID]*worker
	workerNames map[string]*worker // the newest incarnation of each
	lastWorker  graph.WorkerID

	sessions   map[string]*session // by token
	clients    map[link]*session
	lastClient graph.ClientID

	past   pastWorkers
	events chronicle
	scaler scaler
	kept   map[string]int    // by pool: how many workers it may keep, as the fleet said last
	drains map[string]string // workers that shall leave, by name, until their containers have ended: why

	gates gateKeeper

	mail    mail
	callers map[graph.ClientID]*session // that wait for answers of actors

	names map[string]*publication
	// publishedAs is the newest name of a published task that it still has.
	publishedAs map[graph.TaskID]string

	// Of one turn:
	texts     map[sched.TaskAttempt]*graph.Failure // what workers said of attempts that failed
	lastDeath string                               // why a worker left
	touched   []*worker                            // workers with frames to be sent
	spoken    []link                               // to clients, with replies to be sent
	news      []*job                               // jobs whose log grew
	overNests []*nest                              // whose attempts are stopped

	owing owing

	ledger    *ledger                     // nil without a journal
	era       uint32                      // generation of the scheduler whose doings these are
	replaying bool                        // the journal
	ids       map[graph.ClientID]*session // while replaying
	haze      haze
	back      returning
	asking    *session  // whose request is being handled
	keptAt    time.Time // when jobs that nobody uses were looked at last
	snap      *snapshot // being taken
	snapTimer *time.Timer

	heap    uint64 // bytes, at the last tick
	percent int    // that the heap may grow between collections, 0: not set
	gauge   heapGauge
	refused bool      // somebody was told that it is full, since it was looked at last
	swept   time.Time // when it was

	fleet      *fleetPump // nil without a Fleet
	lastReport time.Time
	idleSince  time.Time // zero while busy
}

func newLoop(o Options, bundles *bundleStore) *loop {
	l := &loop{
		opts: o, log: o.Log, bundles: bundles,
		inbox: make(chan input, inboxSize), stop: make(chan struct{}), done: make(chan struct{}),
		core: sched.New(sched.Config{}), start: time.Now(),
		jobs: map[graph.JobID]*job{}, jobNames: map[string]*job{},
		workers: map[graph.WorkerID]*worker{}, workerNames: map[string]*worker{},
		gates: gateKeeper{newGates(o.Epoch), map[graph.ClientID]*session{}},
		mail:  mail{boxes: map[graph.JobID]map[uint32]*box{}}, callers: map[graph.ClientID]*session{},
		sessions: map[string]*session{}, clients: map[link]*session{},
		names: map[string]*publication{}, publishedAs: map[graph.TaskID]string{}, drains: map[string]string{}, kept: map[string]int{},
		texts: map[sched.TaskAttempt]*graph.Failure{},
		owing: newOwing(), scaler: newScaler(o.Adapt),
	}
	l.turns, l.ticker, l.every = turns.New(l.turn), time.NewTicker(tickEvery), tickEvery
	l.snapTimer = time.NewTimer(snapshotPause)
	l.snapTimer.Stop()
	l.weigh()
	if o.Fleet != nil {
		l.fleet = newFleetPump(o.Fleet)
	}
	return l
}

// send gives the loop an input. It reports false when the loop has ended.
func (l *loop) send(in input) bool {
	select {
	case l.inbox <- in:
		l.turns.Due()
		return true
	case <-l.done:
		return false
	}
}

// run is the loop's goroutine, which leaves turns to those who send (package turns).
func (l *loop) run() {
	defer close(l.done)
	if l.fleet != nil {
		go l.fleet.run()
		defer func() {
			if !l.fleet.close() {
				l.log.Error("the fleet does not return from a call: left behind")
			}
		}()
	}
	defer l.ticker.Stop()
	defer l.owing.timer.Stop()
	defer l.snapTimer.Stop()
	for {
		select {
		case <-l.turns.Mine():
			l.turns.Run()
		case <-l.ticker.C:
			l.ticked.Store(true)
			l.turns.Due()
		case <-l.owing.timer.C:
			l.lagged.Store(true)
			l.turns.Due()
		case <-l.snapTimer.C:
			l.turns.Due()
		case <-l.stop:
			l.turns.Take()
			l.endSnapshot()
			l.goodbye()
			return
		}
	}
}

// turn sees to all that waits.
func (l *loop) turn() bool {
	l.now = time.Now()
	ticked := l.ticked.CompareAndSwap(true, false)
	if ticked {
		l.tick()
	}
	l.pumpEased()
drain:
	for range inboxSize {
		select {
		case in := <-l.inbox:
			l.take(in)
		default:
			break drain
		}
	}
	l.pace(ticked)
	if l.lagged.CompareAndSwap(true, false) {
		l.pay()
	}
	l.finish()
	return false
}

// pace has time pass slowly while no task is active. It slows down after a tick only: where
// tasks come one by one, none would ever be due.
func (l *loop) pace(ticked bool) {
	every := tickIdle
	if l.core.Busy() {
		every = tickEvery
	}
	if every < l.every || ticked && every > l.every {
		l.every = every
		l.ticker.Reset(every)
	}
}

// take handles one input. A panic of the server's own costs the connection that
// the input came from; the core's is the end of the process.
func (l *loop) take(in input) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		l.log.Error("the scheduler panicked", "input", fmt.Sprintf("%T", in), "core", l.inCore, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		if l.inCore {
			panic(p)
		}
		if conn := in.origin(); conn != nil {
			conn.CloseWith(wire.Errorf(wire.Internal, "the scheduler failed while handling a message of this connection"))
		}
	}()
	in.handle(l)
}

// step gives the core an event.
func (l *loop) step(ev sched.Event) {
	l.inCore = true
	l.core.Step(ev)
	l.inCore = false
	l.noteFacts()
}

// tick is what happens because time passes.
func (l *loop) tick() {
	l.step(sched.Tick{Now: l.now.Sub(l.start).Milliseconds()})
	l.weigh()
	for _, w := range l.workers {
		switch {
		case w.superseded || !l.now.After(w.awayUntil):
		case w.exit != nil:
			l.leave(w, w.exit.blame, w.exit.why)
		case w.conn == nil:
			l.leave(w, w.crashed, "its connection broke and it did not come back")
		}
	}
	for _, s := range l.sessions {
		if s.conn == nil && l.now.After(s.expires) {
			l.endSession(s, "its client did not come back")
		}
	}
	l.expireJobs()
	l.scale()
	l.recordTooks()
	l.lookForReturn()
	l.sayAway()
	if l.fleet != nil && l.now.Sub(l.lastReport) >= reportEvery {
		l.lastReport = l.now
		l.fleet.report(l.report())
	}
}

// finish ends a turn: it does what the core wants done, then serves watchers.
func (l *loop) finish() {
	for again := true; again; again = l.endOverNests() {
		l.inCore = true
		out := l.core.Output()
		l.inCore = false
		l.noteFacts()
		l.apply(out)
	}
	l.flushTouched()
	for _, j := range l.news {
		j.news = false
		for w := range j.watches {
			l.pump(w)
		}
	}
	l.news = l.news[:0]
	l.deliverAll()
	l.settleLedger()
	for _, c := range l.spoken {
		l.owing.forget(c)
		c.Depart()
	}
	clear(l.spoken)
	l.spoken = l.spoken[:0]
	clear(l.texts)
	l.lastDeath = ""
}

// flushTouched sends workers what this turn has for them.
func (l *loop) flushTouched() {
	for _, w := range l.touched {
		w.flush()
	}
	l.touched = l.touched[:0]
}

// say queues a reply, which leaves at the end of the turn.
func (l *loop) say(c link, r *wire.Reply) error {
	if conn, ok := c.(*wire.Conn); ok && l.ledger != nil {
		return l.ledger.hold(conn, wire.KindReply, r)
	}
	l.departs(c)
	return c.Put(wire.KindReply, r)
}

// departs sees that what was put on a connection leaves at the end of the turn.
func (l *loop) departs(c link) {
	if n := len(l.spoken); n == 0 || l.spoken[n-1] != c {
		l.spoken = append(l.spoken, c)
	}
}

// goodbye ends every connection in order.
func (l *loop) goodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	go func() { // nobody shall hang on an input that is not taken any more
		for {
			select {
			case <-l.inbox:
			case <-l.done:
				return
			}
		}
	}()
	var wg sync.WaitGroup
	bye := func(c *wire.Conn) {
		if c != nil {
			wg.Go(func() { c.Bye(ctx, "the scheduler is closing") }) //nolint:errcheck // it closes either way
		}
	}
	for _, w := range l.workers {
		bye(w.conn)
	}
	for c := range l.clients {
		if conn, ok := c.(*wire.Conn); ok {
			bye(conn)
		}
	}
	wg.Wait()
}
