package executor

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/yarnd/yarnd/engine/graph"
)

// Inside is a function's way to the cluster that runs it: a stream to the scheduler,
// which the worker relays, results of other tasks, and waits in which the call takes no
// slot. It ends with the call. It is safe for concurrent use.
type Inside struct {
	c *child
	k *run

	mu      sync.Mutex
	waits   int           // under way
	stand   stand         // of the call's slots
	resumed chan struct{} // while returning: closed when it has its slots
	streams uint32
	tunnel  *tunnel // of the last stream
	err     error   // why there will be no other
}

// stand is whether a call takes slots.
type stand uint8

const (
	active stand = iota
	parked
	returning // it has asked for them
)

// maxParked is the most calls of an executor that are parked at a time: its page has as
// many numbers beyond the slots. One more keeps its slots while it waits.
const maxParked = 4096

// ErrOver is the error of an Inside whose call has ended.
var ErrOver = errors.New("the task has ended")

// EndedError says that the scheduler takes no more of a call's streams.
type EndedError struct {
	Code   uint32 // one of package wire
	Reason string
}

func (e *EndedError) Error() string { return e.Reason }

// Inside returns the call's way to the cluster.
func (c *Call) Inside() *Inside {
	k, by := c.run, c.by
	by.relieve() // it will wait for what is to be read
	by.mu.Lock()
	defer by.mu.Unlock()
	in := k.inside.Load()
	if in == nil {
		in = &Inside{c: by, k: k}
		k.inside.Store(in)
		by.insides[k.call] = in
	}
	return in
}

// Dial begins a stream to the scheduler, and ends the one before. window is how many
// bytes may be under way each way.
func (in *Inside) Dial(window int) (net.Conn, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err != nil {
		return nil, in.err
	}
	if in.tunnel != nil {
		in.tunnel.close()
	}
	in.streams++
	near, far := net.Pipe()
	t := &tunnel{c: in.c, call: in.k.call, stream: in.streams, window: window, pipe: far}
	t.changed.L = &t.mu
	in.tunnel = t
	in.c.wg.Go(t.up)
	in.c.wg.Go(t.down)
	return near, nil
}

// Wait says that the call waits for other tasks: it gives its slots up. back waits until
// it has them again, or the call's context ends. While several waits are under way, the
// last one's end counts.
func (in *Inside) Wait() (back func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.waits++; in.waits == 1 && in.stand == active {
		in.park()
	}
	return sync.OnceFunc(in.back)
}

// park gives the slots up, if there is room on the page. Called with in.mu.
func (in *Inside) park() {
	c := in.c
	c.mu.Lock()
	room := c.parked < c.set.Parked && !errors.Is(in.err, ErrOver)
	if room {
		c.parked++
	}
	c.mu.Unlock()
	if !room {
		return
	}
	in.stand = parked
	c.out.flush() // ends of other calls come first
	in.say(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	in.k.parked = true
	c.pool.used -= in.k.slots()
	c.dispatch()
}

func (in *Inside) say(parks bool) {
	in.c.out.write(kindPark, func(b []byte) []byte { return appendStop(b, in.k.call, flag(parks)) }) //nolint:errcheck // the worker is gone
}

func (in *Inside) back() {
	in.mu.Lock()
	in.waits--
	if in.waits > 0 || in.stand == active || errors.Is(in.err, ErrOver) {
		in.mu.Unlock()
		return
	}
	if in.stand == parked {
		in.stand, in.resumed = returning, make(chan struct{})
		in.say(false)
	}
	resumed := in.resumed
	in.mu.Unlock()
	select {
	case <-resumed:
	case <-in.k.ctx.Done():
	}
}

// resume takes the slots that the worker gives. Should somebody wait by now, they go
// back at once.
func (in *Inside) resume() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.stand != returning || errors.Is(in.err, ErrOver) { // as when the call has ended
		return
	}
	in.stand = active
	c := in.c
	c.mu.Lock()
	in.k.parked = false
	c.parked--
	c.pool.used += in.k.slots()
	c.mu.Unlock()
	close(in.resumed)
	if in.waits > 0 {
		in.park()
	}
}

// close ends it with its call, which may still be parked: pool.leave looks.
func (in *Inside) close() {
	c := in.c
	in.mu.Lock()
	defer in.mu.Unlock()
	in.err = ErrOver
	if in.tunnel != nil {
		in.tunnel.close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.insides, in.k.call)
	if in.k.parked {
		c.parked--
	}
}

// receive takes a piece of a stream.
func (in *Inside) receive(n Nested) {
	in.mu.Lock()
	defer in.mu.Unlock()
	t := in.tunnel
	if t == nil || t.stream != n.Stream {
		return
	}
	if n.End != "" {
		if in.err == nil && n.Code != Broken {
			in.err = &EndedError{Code: n.Code, Reason: n.End}
		}
		t.close()
		return
	}
	t.receive(n)
}

// ResultAt names a result, and who holds it: the worker of that name and address, or with
// neither the scheduler.
type ResultAt struct {
	Task          graph.TaskID
	Attempt       graph.Attempt
	Size          uint64 // bytes
	Name, Address string
}

// ReadAt fills p with a result's bytes from an offset on, which has so many; p is of at
// most 256 KiB. The worker gives it, from its own store or from the holder.
func (in *Inside) ReadAt(r ResultAt, p []byte, off int64) error {
	in.mu.Lock()
	err := in.err
	in.mu.Unlock()
	if errors.Is(err, ErrOver) {
		return err
	}
	data, err := in.c.ask(&in.k.ctx, kindResult, func(b []byte, id uint64) []byte {
		return appendResultRead(b, resultRead{read: read{id: id, call: in.k.call, offset: uint64(off), n: uint32(len(p))}, ResultAt: r})
	})
	if err == nil && len(data) != len(p) {
		err = fmt.Errorf("%d bytes at %d instead of %d", len(data), off, len(p))
	}
	copy(p, data)
	return err
}

// MaxRead is the most bytes that one ReadAt reads.
const MaxRead = chunkSize
