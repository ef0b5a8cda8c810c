package worker

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

const firstPause = 50 * time.Millisecond

// link keeps the worker connected until it leaves, or ctx ends.
func (w *worker) link(ctx context.Context) {
	var epoch uint64
	var said string
	for pause := time.Duration(0); ; {
		if pause > 0 && !sleep(ctx, pause+rand.N(pause/2)) { // #nosec G404 -- spreads what all workers do
			return
		}
		conn, welcome, err := w.connect(ctx, epoch)
		if w.opts.Tried != nil && ctx.Err() == nil {
			w.opts.Tried(err)
		}
		if err == nil {
			epoch = max(epoch, welcome.Epoch)
			began := time.Now()
			err = w.read(ctx, conn, welcome)
			if time.Since(began) > w.opts.Backoff {
				pause = 0 // it was a good one: the first try is at once
			}
		}
		select {
		case <-w.leaving:
			return
		default:
		}
		level := slog.LevelWarn
		if err.Error() == said { // for hours, perhaps
			level = slog.LevelDebug
		}
		said = err.Error()
		w.opts.Log.Log(ctx, level, "not connected to the scheduler", "err", err)
		pause = min(max(2*pause, firstPause), w.opts.Backoff)
	}
}

// connect asks where the scheduler is and greets it.
func (w *worker) connect(ctx context.Context, epoch uint64) (*wire.Conn, *wire.Welcome, error) {
	endpoint, want, err := w.opts.Scheduler(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("ask for the scheduler: %w", err)
	}
	name := w.opts.Identity.Subject().Name
	hello := &wire.Hello{
		Build: w.opts.Version, Bundle: w.opts.Bundle[:],
		Who: &wire.Hello_Worker{Worker: &wire.WorkerHello{
			Name: name, Host: w.opts.Host, Pool: w.opts.Pool,
			Slots: uint32(w.opts.Slots), Memory: w.opts.Memory,
			TaskMemory: w.opts.TaskMemory, Named: wire.AmountsToWire(w.opts.Named),
			DataAddress: w.dataAddress, Pid: uint32(os.Getpid()),
		}},
	}
	conn, welcome, err := wire.Dial(ctx, endpoint, w.opts.Identity.Client(identity.Scheduler, ""), hello, wire.ConnOptions{Dial: w.opts.Dial})
	if err != nil {
		return nil, nil, err
	}
	if newest := max(epoch, want); welcome.Epoch < newest {
		conn.Bye(ctx, "a newer scheduler has been here") //nolint:errcheck // it closes either way
		return nil, nil, fmt.Errorf("the scheduler at %s is of epoch %d: there has been one of epoch %d", endpoint, welcome.Epoch, newest)
	}
	w.opts.Log.Info("connected to the scheduler", "endpoint", endpoint, "worker", welcome.Id, "epoch", welcome.Epoch)
	return conn, welcome, nil
}

// read hands a connection and its frames to the loop, until it ends.
func (w *worker) read(ctx context.Context, conn *wire.Conn, welcome *wire.Welcome) error {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if !w.send(connected{conn, welcome}) {
		return wire.ErrClosed
	}
	for {
		k, m, err := conn.Next()
		if err == nil && !w.send(frame{conn, k, m}) {
			err = wire.ErrClosed
		}
		if err != nil {
			w.send(disconnected{conn})
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connected is a new connection. The worker says what it has, attempts first; the scheduler
// counts it as joined when the inventory is complete.
type connected struct {
	conn    *wire.Conn
	welcome *wire.Welcome
}

// inventoryRows is how many results one inventory frame names.
const inventoryRows = 1 << 16

func (e connected) handle(w *worker) {
	w.forgetPeers()
	w.large = nil
	w.conn, w.self, w.done = e.conn, graph.WorkerID(e.welcome.Id), 0
	w.scheduler.Store(&transfer.Peer{Role: identity.Scheduler, Address: e.conn.NetConn().RemoteAddr().String()})
	another := w.epoch != e.welcome.Epoch
	fresh := w.epoch != 0 && w.epoch != e.welcome.Epoch && (w.journal == "" || w.journal != e.welcome.Journal)
	w.epoch, w.journal = e.welcome.Epoch, e.welcome.Journal
	w.breakNested(another)
	w.core.Step(local.Joined{Self: w.self, Fresh: fresh})
	if kept := w.core.AppendRunning(nil); len(kept) > 0 {
		w.push(wire.KindKept, tasks(kept))
	}
	held := w.core.AppendHeld(nil)
	for {
		m := &wire.Held{}
		for _, h := range held[:min(len(held), inventoryRows)] {
			m.Add(h.Task, h.Attempt, h.Size)
		}
		held = held[m.Len():]
		m.More = len(held) > 0
		w.push(wire.KindInventory, m)
		if !m.More {
			return
		}
	}
}

// disconnected is the end of a connection.
type disconnected struct{ conn *wire.Conn }

func (e disconnected) handle(w *worker) {
	if w.conn != e.conn {
		return
	}
	w.conn = nil
	w.core.Step(local.Left{})
}

// push queues a frame, which leaves at the end of the turn. A connection that cannot take it ends, and its reader says
// so.
func (w *worker) push(k wire.Kind, m proto.Message) {
	if w.conn == nil {
		return
	}
	if err := w.conn.Put(k, m); err != nil {
		w.conn.CloseWith(err)
	}
}

// frame is what the scheduler says.
type frame struct {
	conn *wire.Conn
	kind wire.Kind
	m    proto.Message
}

func (e frame) handle(w *worker) {
	if w.conn != e.conn {
		return // of a connection that has ended
	}
	if err := w.obey(e.kind, e.m); err != nil {
		w.opts.Log.Error("the scheduler broke the protocol", "kind", e.kind.String(), "err", err)
		w.conn.CloseWith(err)
	}
}

// obey does what a frame says.
func (w *worker) obey(k wire.Kind, m proto.Message) error {
	switch m := m.(type) {
	case *wire.Classes:
		w.learn(m)
	case *wire.Peers:
		for i := range m.Len() {
			if p := m.At(i); p.Address != "" {
				w.peers[p.Worker] = p
			} else {
				delete(w.peers, p.Worker)
			}
		}
	case *wire.Assign:
		return w.assigned(m)
	case *wire.Copy:
		orders := make([]local.CopyOrder, m.Len())
		for i := range orders {
			t, a, size, from := m.At(i)
			orders[i] = local.CopyOrder{Key: local.Key{Task: t, Attempt: a}, Size: size, From: from}
		}
		w.core.Step(local.Copy{Tasks: orders})
	case *wire.Tasks:
		keys := make([]local.Key, m.Len())
		for i := range keys {
			keys[i].Task, keys[i].Attempt = m.At(i)
		}
		switch k {
		case wire.KindStop:
			w.core.Step(local.Stop{Tasks: keys})
		case wire.KindRetract:
			w.core.Step(local.Retract{Tasks: keys})
		case wire.KindFree:
			w.core.Step(local.Free{Tasks: keys})
		}
	case *wire.Nested:
		w.passDown(m)
	case *wire.Retire:
		w.opts.Log.Info("retired", "reason", m.Reason)
		w.retired = true
	default:
		return &wire.ProtocolError{Kind: k, What: "not for a worker"}
	}
	return nil
}

// learn adds classes to a job, or forgets a job of which none are named.
func (w *worker) learn(m *wire.Classes) {
	job := graph.JobID(m.Job)
	if len(m.Class) == 0 {
		delete(w.classes, job)
		return
	}
	table := w.classes[job]
	if table == nil {
		table = map[graph.ClassID]*local.Class{}
		w.classes[job] = table
	}
	for _, c := range m.Class {
		id, class := wire.ClassFromWire(c)
		table[id] = &local.Class{Class: &class, Place: int(w.exec.Place(&class))}
	}
}

// peer returns from whom to fetch what a worker holds, or the scheduler (0).
func (w *worker) peer(id graph.WorkerID) (transfer.Peer, bool) {
	if id == 0 {
		p := w.scheduler.Load()
		return *p, p != nil
	}
	l, ok := w.peers[id]
	return transfer.Peer{Role: identity.Worker, Name: l.Name, Address: l.Address}, ok
}
