package strangers

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// from is a connection from an address.
type from struct {
	net.Conn
	host   string
	closed bool
}

func (f *from) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(f.host), Port: 1}
}
func (f *from) Close() error { f.closed = true; return nil }

func TestRoom(t *testing.T) {
	r := NewRoom(10, 4)
	var crowd []*from
	enter := func(host string) (*from, *Stranger) {
		c := &from{host: host}
		return c, r.Enter(c)
	}
	for _, host := range []string{"10.0.0.1", "10.0.0.2"} {
		for i := range 5 {
			c, s := enter(host)
			if (s != nil) != (i < 4) {
				t.Errorf("place %d of %s: %v", i, host, s != nil)
			}
			crowd = append(crowd, c)
		}
	}
	for range 2 {
		if _, s := enter("10.0.0.3"); s == nil {
			t.Error("there are ten places, and the tenth was not given")
		}
	}
	// All are taken. Who has none gets the place that the oldest of a crowd had; who has as many as everybody does not.
	c, s := enter("10.0.0.4")
	if s == nil || c.closed || !crowd[0].closed && !crowd[5].closed {
		t.Error("somebody is kept out by a crowd")
	}
	if _, again := enter("10.0.0.1"); again != nil && crowd[0].closed == false {
		t.Error("the crowd gets more")
	}
	closed := 0
	for _, c := range crowd {
		if c.closed {
			closed++
		}
	}
	if closed != 1 || r.n != 10 {
		t.Errorf("%d were closed, %d are there", closed, r.n)
	}
	s.Leave()
	s.Leave()
	if r.n != 9 || r.from["10.0.0.4"] != nil {
		t.Errorf("%d are there after one has left: %v", r.n, r.from)
	}
	if n, tell := r.TurnedAway(time.Unix(100, 0)); !tell || n != 3 {
		t.Errorf("%d were turned away, told: %v", n, tell)
	}
	enter("10.0.0.5")
	enter("10.0.0.1")
	enter("10.0.0.1")
	if n, tell := r.TurnedAway(time.Unix(101, 0)); tell {
		t.Errorf("it is told again at once: %d", n)
	}
	if _, tell := r.TurnedAway(time.Unix(111, 0)); !tell {
		t.Error("it is not told again")
	}
}

// Whatever comes and goes, there are never more than there are places, nobody is closed who left, and who is closed had more
// than who came.
func TestRoomUnderMany(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		r := NewRoom(20, 8)
		type guest struct {
			*from
			s *Stranger
		}
		var there []guest
		for range 500 {
			if len(there) > 0 && rnd.IntN(3) == 0 {
				i := rnd.IntN(len(there))
				there[i].s.Leave()
				there = append(there[:i], there[i+1:]...)
			}
			host := fmt.Sprintf("10.0.0.%d", rnd.IntN(1+int(seed)%7))
			if rnd.IntN(8) == 0 {
				host = fmt.Sprintf("10.0.1.%d", rnd.IntN(100))
			}
			before := len(r.from[host])
			c := &from{host: host}
			if s := r.Enter(c); s != nil {
				there = append(there, guest{c, s})
			} else if before == 0 && len(r.from) < 10 {
				t.Fatalf("seed %d: %s has no place and gets none, where %d addresses have all", seed, host, len(r.from))
			}
			still := there[:0]
			for _, g := range there {
				if !g.closed {
					still = append(still, g)
				} else if len(r.from[g.host]) < before+1 {
					t.Fatalf("seed %d: %s, which has %d left, made room for one that had %d", seed, g.host, len(r.from[g.host]), before)
				}
			}
			there = still
			if len(there) != r.n || r.n > 20 || len(r.from[host]) > 8 {
				t.Fatalf("seed %d: %d are there, %d are counted", seed, len(there), r.n)
			}
		}
	}
}

// A listener gives those places that are open, and has them back when they are closed.
func TestListen(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	room := NewRoom(2, 2)
	ln := room.Listen(inner)
	defer ln.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	accept := func() net.Conn {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	dial()
	first := accept()
	dial()
	accept()
	third := dial()
	got := make(chan net.Conn, 1)
	go func() { got <- accept() }()
	third.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("who has no place is not turned away: %v", err)
	}
	first.Close()
	dial()
	select {
	case c := <-got:
		c.Close()
	case <-time.After(10 * time.Second):
		t.Error("a place that was given back is not given again")
	}
}
