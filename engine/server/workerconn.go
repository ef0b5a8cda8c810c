package server

import (
	"context"
	"errors"
	"net"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
	"github.com/yarnd/yarnd/identity"
)

// maxInventory is the most results that a worker may bring along.
const maxInventory = 1 << 24

// serveWorker is a worker's connection, from its Hello on, to its end.
func (s *Server) serveWorker(conn *wire.Conn, hello *wire.Hello, peer identity.Subject) {
	h := hello.GetWorker()
	if err := checkWorker(h, peer); err != nil {
		s.opts.Log.Warn("worker refused", "peer", peer.String(), "err", err)
		conn.Refuse(wire.AsError(err))
		return
	}
	h.DataAddress = reachable(h.DataAddress, conn.NetConn().RemoteAddr())
	joined := make(chan *worker, 1)
	if !s.loop.send(workerHello{conn: conn, hello: h, joined: joined}) {
		conn.Refuse(wire.Errorf(wire.Unavailable, "the scheduler is closing"))
		return
	}
	select {
	case w := <-joined:
		err := s.readWorker(conn, w)
		hangUp(conn, err)
		s.loop.send(workerGone{w: w, err: err})
	case <-s.loop.done:
	case <-conn.Done(): // the loop panicked over it
	}
}

func checkWorker(h *wire.WorkerHello, peer identity.Subject) error {
	switch {
	case h == nil:
		return wire.Errorf(wire.Refused, "a worker's certificate, and the hello of a client")
	case h.Name != peer.Name:
		return wire.Errorf(wire.Refused, "the worker calls itself %q, its certificate %q", h.Name, peer.Name)
	case h.Slots == 0:
		return wire.Errorf(wire.Invalid, "a worker without a slot")
	}
	if err := wire.CheckAmounts(h.Named); err != nil {
		return wire.Errorf(wire.Invalid, "a worker with %v", err)
	}
	if _, _, err := net.SplitHostPort(h.DataAddress); err != nil {
		return wire.Errorf(wire.Invalid, "data address %q: %v", h.DataAddress, err)
	}
	return nil
}

// reachable puts the host that a worker connects from into a data address that
// names none.
func reachable(address string, remote net.Addr) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || host != "" && (ip == nil || !ip.IsUnspecified()) {
		return address
	}
	if from, _, err := net.SplitHostPort(remote.String()); err == nil {
		return net.JoinHostPort(from, port)
	}
	return address
}

// readWorker converts a worker's frames for the loop until the connection ends. The
// inventory comes first.
func (s *Server) readWorker(conn *wire.Conn, w *worker) error {
	rows := 0
	for settled := false; ; {
		k, m, err := conn.Next()
		if err != nil {
			return err
		}
		in := workerFrame{w: w}
		if kept, ok := m.(*wire.Tasks); ok && k == wire.KindKept && !settled {
			if rows += len(kept.Index); rows > maxInventory {
				return &wire.ProtocolError{Kind: k, What: "more attempts than a worker may have"}
			}
			in.event = sched.Adopt{Worker: w.id, Tasks: attempts(kept)}
		} else if inv, ok := m.(*wire.Held); ok && k == wire.KindInventory && !settled {
			if rows += inv.Len(); rows > maxInventory {
				return &wire.ProtocolError{Kind: k, What: "more results than an inventory may hold"}
			}
			in.event = sched.Copied{Worker: w.id, Tasks: heldRows(inv)}
			settled, in.last = !inv.More, !inv.More
		} else if !settled {
			return &wire.ProtocolError{Kind: k, What: "before the inventory was complete"}
		} else if err := in.convert(k, m); err != nil {
			return err
		}
		if !s.loop.send(in) {
			return wire.ErrClosed
		}
	}
}

// convert fills in from a frame.
func (in *workerFrame) convert(k wire.Kind, m proto.Message) error {
	id := in.w.id
	switch m := m.(type) {
	case *wire.Done:
		in.done = m
		in.event = sched.Done{Worker: id, Tasks: finished(m)}
	case *wire.Failed:
		ev := sched.Failed{Worker: id, Tasks: make([]sched.FailedAttempt, len(m.Failure))}
		in.failed = make([]*graph.Failure, len(m.Failure))
		for i, f := range m.Failure {
			ev.Tasks[i] = failedAttempt(f)
			in.failed[i] = wire.FailureFromWire(f)
		}
		in.event = ev
	case *wire.Load:
		in.load = m
	case *wire.Nested:
		in.nested = m
	case *wire.Held:
		if k != wire.KindCopied {
			return &wire.ProtocolError{Kind: k, What: "after the inventory was complete"}
		}
		in.event = sched.Copied{Worker: id, Tasks: heldRows(m)}
	case *wire.Tasks:
		switch tasks := attempts(m); k {
		case wire.KindStarted:
			in.event = sched.Started{Worker: id, Tasks: tasks}
		case wire.KindParked:
			in.event = sched.Parked{Worker: id, Tasks: tasks}
		case wire.KindUnparked:
			in.event = sched.Unparked{Worker: id, Tasks: tasks}
		case wire.KindMissing:
			in.event = sched.Missing{Worker: id, Tasks: tasks}
		case wire.KindKept:
			return &wire.ProtocolError{Kind: k, What: "after the inventory was complete"}
		default:
			ok := m.Ok
			if ok == nil {
				ok = make([]bool, len(tasks))
			}
			in.event = sched.Retracted{Worker: id, Tasks: tasks, OK: ok}
		}
	default:
		return &wire.ProtocolError{Kind: k, What: "not now"}
	}
	return nil
}

func finished(m *wire.Done) []sched.Finished {
	rows := make([]sched.Finished, m.Len())
	for i := range rows {
		r := m.At(i)
		rows[i] = sched.Finished{
			TaskAttempt: sched.TaskAttempt{Task: r.Task, Attempt: r.Attempt},
			Size:        r.Size, Inline: r.IsInline, Duration: r.Duration,
		}
	}
	return rows
}

func failedAttempt(f *wire.Failure) sched.FailedAttempt {
	return sched.FailedAttempt{
		TaskAttempt: sched.TaskAttempt{Task: f.TaskID(), Attempt: graph.Attempt(f.Attempt)},
		Kind:        graph.FailKind(f.Kind),
		Input:       graph.TaskID{Job: graph.JobID(f.InputJob), Index: f.InputIndex},
		Holder:      graph.WorkerID(f.Holder),
	}
}

func attempts(m *wire.Tasks) []sched.TaskAttempt {
	rows := make([]sched.TaskAttempt, m.Len())
	for i := range rows {
		rows[i].Task, rows[i].Attempt = m.At(i)
	}
	return rows
}

func heldRows(m *wire.Held) []sched.Held {
	rows := make([]sched.Held, m.Len())
	for i := range rows {
		h := &rows[i]
		h.Task, h.Attempt, h.Size = m.At(i)
	}
	return rows
}

// ownDoing reports whether err is this side's reason to close a connection that
// the worker would have kept.
func ownDoing(err error) bool {
	_, ours := errors.AsType[*wire.Error](err)
	return ours || errors.Is(err, wire.ErrSlow)
}

// silent reports whether err is the end of a lease rather than of a connection: the
// worker, or the way to it, hangs, which no task is to blame for.
func silent(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout() || errors.Is(err, context.DeadlineExceeded)
}
