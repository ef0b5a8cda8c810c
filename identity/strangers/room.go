package strangers

import (
	"net"
	"slices"
	"sync"
	"time"
)

// Room is the places of one listener. It is safe for concurrent use.
type Room struct {
	total, each int

	mu     sync.Mutex
	n      int
	from   map[string][]*Stranger // by address, the oldest first
	turned int                    // turned away since that was told
	told   time.Time
}

// NewRoom returns a room of so many places in total, of which so many may be one address's.
func NewRoom(total, each int) *Room {
	return &Room{total: total, each: each, from: map[string][]*Stranger{}}
}

// Stranger is a connection that has a place.
type Stranger struct {
	room *Room
	host string
	conn net.Conn
}

// Enter gives a connection a place; nil: it has none, and the caller closes it. A connection that has to make room is closed here.
func (r *Room) Enter(conn net.Conn) *Stranger {
	host := hostOf(conn)
	r.mu.Lock()
	mine := len(r.from[host])
	victim := r.fullest()
	switch {
	case mine >= r.each, r.n >= r.total && (victim == nil || len(r.from[victim.host]) <= mine+1):
		r.turned++
		r.mu.Unlock()
		return nil
	case r.n < r.total:
		victim = nil
	default:
		r.remove(victim)
	}
	s := &Stranger{r, host, conn}
	r.from[host] = append(r.from[host], s)
	r.n++
	r.mu.Unlock()
	if victim != nil {
		victim.conn.Close()
	}
	return s
}

// fullest is the oldest connection of the address that has most; nil unless all places are taken.
func (r *Room) fullest() (oldest *Stranger) {
	if r.n < r.total {
		return nil
	}
	most := 0
	for _, list := range r.from {
		if len(list) > most {
			most, oldest = len(list), list[0]
		}
	}
	return oldest
}

// remove takes a stranger's place away, if he has one.
func (r *Room) remove(s *Stranger) {
	list := r.from[s.host]
	i := slices.Index(list, s)
	if i < 0 {
		return
	}
	r.n--
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(r.from, s.host)
		return
	}
	r.from[s.host] = list
}

// Leave gives the place back: it is known who that is, or the connection has ended. It may be called twice.
func (s *Stranger) Leave() {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	s.room.remove(s)
}

// tellEvery is how often it is told that connections are turned away: who floods a port shall not fill the log.
const tellEvery = 10 * time.Second

// TurnedAway tells how many got no place since it was told the last time. tell is false where that is not long ago, or none were.
func (r *Room) TurnedAway(now time.Time) (n int, tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.turned == 0 || now.Sub(r.told) < tellEvery {
		return 0, false
	}
	n, r.turned, r.told = r.turned, 0, now
	return n, true
}

// Listen returns a listener whose connections have a place for as long as they are open: those of a protocol in which nobody
// says who he is. Who gets none is turned away.
func (r *Room) Listen(ln net.Listener) net.Listener { return &listener{ln, r} }

type listener struct {
	net.Listener
	room *Room
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if s := l.room.Enter(conn); s != nil {
			return &held{conn, s}, nil
		}
		conn.Close()
	}
}

type held struct {
	net.Conn
	stranger *Stranger
}

func (h *held) Close() error {
	h.stranger.Leave()
	return h.Conn.Close()
}

func hostOf(conn net.Conn) string {
	address := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
