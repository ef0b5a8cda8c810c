package executor

import (
	"net"
	"sync"
)

// tunnel carries one stream between a client in this process and the scheduler:
//
//	client ◄──net.Pipe──► up, down ◄──frames of this executor──► worker
//
// Of each direction no more than a window is under way: what is written into the pipe is
// acknowledged.
type tunnel struct {
	c      *child
	call   uint64
	stream uint32
	window int
	pipe   net.Conn // the far end of the client's

	mu      sync.Mutex
	changed sync.Cond
	flying  int      // bytes sent and not taken
	owed    int      // bytes taken, of which it was not said
	queue   [][]byte // to be written into the pipe
	queued  int      // their bytes
	closed  bool
}

// pieceSize is the most bytes in one frame.
const pieceSize = 64 << 10

// up sends what the client writes.
func (t *tunnel) up() {
	buf := make([]byte, pieceSize)
	for {
		n, err := t.pipe.Read(buf)
		if n > 0 && !t.send(buf[:n]) || err != nil {
			return
		}
	}
}

// send sends data when the window allows it. It reports false when the tunnel is closed.
func (t *tunnel) send(data []byte) bool {
	t.mu.Lock()
	for !t.closed && t.flying+len(data) > t.window {
		t.changed.Wait()
	}
	if t.closed {
		t.mu.Unlock()
		return false
	}
	t.flying += len(data)
	ack := t.owed
	t.owed = 0
	t.mu.Unlock()
	return t.say(Nested{Ack: uint32(ack), Data: data}) == nil
}

func (t *tunnel) say(n Nested) error {
	n.Stream = t.stream
	return t.c.out.write(kindNest, func(b []byte) []byte { return appendNested(b, t.call, n) })
}

// receive queues a piece. It does not wait. Who sends more than the window ends it.
func (t *tunnel) receive(n Nested) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flying = max(0, t.flying-int(n.Ack))
	if len(n.Data) > 0 && !t.closed {
		t.queue = append(t.queue, n.Data)
		if t.queued += len(n.Data); t.queued > t.window {
			t.closeLocked()
		}
	}
	t.changed.Broadcast()
}

// down writes what has come into the pipe.
func (t *tunnel) down() {
	for {
		t.mu.Lock()
		for !t.closed && len(t.queue) == 0 {
			t.changed.Wait()
		}
		if t.closed {
			t.mu.Unlock()
			return
		}
		data := t.queue[0]
		t.queue = t.queue[1:]
		t.mu.Unlock()
		if _, err := t.pipe.Write(data); err != nil {
			return
		}
		t.mu.Lock()
		t.queued -= len(data)
		ack := 0
		if t.owed += len(data); t.owed >= t.window/4 {
			ack, t.owed = t.owed, 0
		}
		t.mu.Unlock()
		if ack > 0 && t.say(Nested{Ack: uint32(ack)}) != nil {
			return
		}
	}
}

func (t *tunnel) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closeLocked()
}

func (t *tunnel) closeLocked() {
	t.closed, t.queue = true, nil
	t.pipe.Close()
	t.changed.Broadcast()
}
