package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/rawio"
)

// pair returns the two ends of a loopback connection.
func pair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// conns returns a worker's and the scheduler's end of one connection.
func conns(t testing.TB, o ConnOptions) (worker, scheduler *Conn) {
	a, b := pair(t)
	a, b = rawio.NewConn(a), rawio.NewConn(b)
	worker, scheduler = NewConn(a, SideScheduler, o), NewConn(b, SideWorker, o)
	t.Cleanup(func() {
		for _, c := range []*Conn{worker, scheduler} {
			c.Close()
			<-c.stopped
		}
	})
	return worker, scheduler
}

func TestConnCarries(t *testing.T) {
	w, s := conns(t, ConnOptions{Outbox: 1 << 10})
	const frames = 5000
	sent := make(chan error, 1)
	go func() {
		for i := range uint32(frames) {
			m := &Tasks{}
			m.Add(task(1, i), 1)
			if err := w.Send(t.Context(), KindStarted, m); err != nil {
				sent <- err
				return
			}
		}
		sent <- w.Bye(t.Context(), "finished")
	}()
	for i := range uint32(frames) {
		k, m, err := s.Next()
		if err != nil || k != KindStarted || m.(*Tasks).Index[0] != i {
			t.Fatalf("frame %d: %v %v %v", i, k, m, err)
		}
	}
	_, _, err := s.Next()
	if bye, ok := errors.AsType[*ByeError](err); !ok || bye.Reason != "finished" || Gone(err) {
		t.Errorf("at the end: %v", err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestConnRefusesWrongSide(t *testing.T) {
	w, s := conns(t, ConnOptions{})
	if err := w.Push(KindAssign, &Assign{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Next(); !violation(err) || Gone(err) {
		t.Errorf("Assign from a worker: %v", err)
	}
}

// Frames of who may not send them are refused for that, before it is known whether they can be decoded.
func TestConnRefusesBeforeDecoding(t *testing.T) {
	for _, peer := range []Side{SideWorker, SideClient} {
		refused := 0
		for k := range kinds {
			k := Kind(k)
			if !k.Known() {
				continue
			}
			a, b := pair(t)
			s := NewConn(rawio.NewConn(b), peer, ConnOptions{})
			if _, err := a.Write([]byte{0, 0, 0, 3, byte(k), 0xff, 0xff}); err != nil {
				t.Fatal(err)
			}
			_, _, err := s.Next()
			s.Close()
			<-s.stopped
			notHis := err != nil && strings.Contains(err.Error(), "a "+peer.String()+" may not send it")
			if !violation(err) || notHis == k.From(peer) {
				t.Errorf("%s that cannot be decoded, from a %s: %v", k, peer, err)
			}
			if notHis {
				refused++
			}
		}
		if refused < 10 {
			t.Errorf("only %d kinds are refused of a %s", refused, peer)
		}
	}
}

func TestConnEndsWithoutAWord(t *testing.T) {
	w, s := conns(t, ConnOptions{})
	w.Close()
	if _, _, err := s.Next(); err != io.EOF || !Gone(err) {
		t.Errorf("got %v", err)
	}
	if err := w.Push(KindPing, nil); err != ErrClosed {
		t.Errorf("push after close: %v", err)
	}
	w.Close()
}

// An idle connection outlives its lease by pings, a silent one does not.
func TestConnLease(t *testing.T) {
	const lease = time.Second
	w, s := conns(t, ConnOptions{Lease: lease})
	failed := make(chan error, 1)
	go func() {
		_, _, err := s.Next()
		failed <- err
	}()
	go w.Next() //nolint:errcheck // it only keeps the worker's side alive
	select {
	case err := <-failed:
		t.Fatalf("an idle connection ended: %v", err)
	case <-time.After(3 * lease):
	}
	w.Close()
	<-failed

	a, b := pair(t)
	_ = a // connected and silent
	c := NewConn(b, SideWorker, ConnOptions{Lease: lease})
	defer func() { c.Close(); <-c.stopped }()
	began := time.Now()
	if _, _, err := c.Next(); err == nil || !Gone(err) || !strings.Contains(err.Error(), "nothing heard") {
		t.Errorf("silent peer: %v", err)
	}
	if took := time.Since(began); took < lease || took > 20*lease {
		t.Errorf("noticed after %v", took)
	}
}

// A peer that does not read makes Send wait, Room say no, and Push fail in the end;
// Drained tells when it has caught up.
func TestConnBackpressure(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testBackpressure(t, func(nc net.Conn) net.Conn { return nc }) })
	t.Run("raw", func(t *testing.T) { testBackpressure(t, rawio.NewConn) })
}

func testBackpressure(t *testing.T, wrap func(net.Conn) net.Conn) {
	drained := make(chan struct{}, 1)
	a, b := pair(t)
	c := NewConn(wrap(b), SideClient, ConnOptions{Outbox: 64 << 10, Drained: func() { drained <- struct{}{} }})
	defer func() { c.Close(); <-c.stopped }()
	m := &Bye{Reason: strings.Repeat("x", 32<<10)}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	sent := 0
	for ; c.Send(ctx, KindBye, m) == nil; sent++ {
		if sent > 10_000 {
			t.Fatal("Send never waits")
		}
	}
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) || c.Room() {
		t.Fatalf("ctx %v, room %v", ctx.Err(), c.Room())
	}
	r := NewReader(a, MaxFrame)
	for range sent {
		if _, _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	<-drained
	if !c.Room() {
		t.Error("no room after draining")
	}
	for i := 0; ; i++ {
		if err := c.Push(KindBye, m); err == ErrSlow {
			break
		} else if err != nil || i > 10_000 {
			t.Fatalf("push %d: %v", i, err)
		}
	}
	if c.Err() != ErrSlow {
		t.Errorf("Err %v", c.Err())
	}
}

// Whoever pushes little writes it itself, and never waits: not for a peer that does not
// read either. The order is that of the pushes.
func TestConnPushNeverWaits(t *testing.T) {
	a, b := pair(t)
	c := NewConn(rawio.NewConn(b), SideWorker, ConnOptions{})
	defer func() { c.Close(); <-c.stopped }()
	m := &Tasks{}
	pushed := uint32(0)
	for full := false; !full; pushed++ {
		m.Clear()
		m.Add(task(1, pushed), 1)
		if err := c.Push(KindStarted, m); err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		full = len(c.pending) > 64<<10
		c.mu.Unlock()
	}
	r := NewReader(bufio.NewReader(a), MaxFrame)
	for i := range pushed {
		k, body, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if m, err := Unmarshal(k, body); err != nil || m.(*Tasks).Index[0] != i {
			t.Fatalf("frame %d: %v %v", i, m, err)
		}
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

// What is put leaves with the next Depart, all of it at once.
func TestConnPut(t *testing.T) {
	a, b := pair(t)
	c := NewConn(rawio.NewConn(b), SideWorker, ConnOptions{})
	defer func() { c.Close(); <-c.stopped }()
	for range 3 {
		if err := c.Put(KindPing, nil); err != nil {
			t.Fatal(err)
		}
	}
	c.Depart()
	if err := c.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 64)
	if n, err := a.Read(got); n != 3*headerLen || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestAcceptVersion(t *testing.T) {
	a, b := pair(t)
	hello := &Hello{Protocol: Version + 2, ProtocolMin: Version + 1, Who: &Hello_Worker{&WorkerHello{Name: "c"}}}
	frame, err := AppendFrame(nil, KindHello, hello)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write(frame); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Accept(b, SideWorker, ConnOptions{}); !errors.Is(err, Mismatch) {
		t.Errorf("Accept: %v", err)
	}
	k, body, err := NewReader(a, MaxFrame).Next()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Unmarshal(k, body)
	if w, ok := m.(*Welcome); err != nil || !ok || w.Code != uint32(Mismatch) || !strings.Contains(w.Refused, "same version") {
		t.Errorf("answer: %v %v", m, err)
	}
}

func TestAcceptLimitsHello(t *testing.T) {
	for name, stream := range map[string][]byte{
		"large":         {0, 1, 0, 1, byte(KindHello)},
		"not a hello":   {0, 0, 0, 1, byte(KindStarted)},
		"from nobody":   {0, 0, 0, 1, byte(KindHello)},
		"a scheduler's": {0, 0, 0, 1, byte(KindWelcome)},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			if _, err := a.Write(stream); err != nil {
				t.Fatal(err)
			}
			if _, _, err := Accept(b, SideWorker, ConnOptions{}); !violation(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A peer that does not read any more is given up after the lease: who waits for room hears
// of it, and nothing is left behind.
func TestConnDeafPeer(t *testing.T) {
	const lease = 200 * time.Millisecond
	_, b := pair(t)
	c := NewConn(rawio.NewConn(b), SideWorker, ConnOptions{Lease: lease, Outbox: 64 << 10})
	m := &Tasks{}
	m.Add(task(1, 1), 1)
	var err error
	for err == nil {
		err = c.Send(t.Context(), KindStarted, m)
	}
	<-c.stopped
	if ne, ok := errors.AsType[net.Error](c.Err()); !ok || !ne.Timeout() {
		t.Errorf("%v, Send: %v", c.Err(), err)
	}
	if err := c.Bye(t.Context(), "too late"); err == nil {
		t.Error("a goodbye was written")
	}
}
