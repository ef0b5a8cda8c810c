package livetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/server"
	"github.com/yarnd/yarnd/identity"
)

// incarnation is one process of the scheduler, on a host of its own.
type incarnation struct {
	epoch uint64
	host  string
	srv   *server.Server
	disk  *memstore.Process
	dead  chan struct{} // closed when it is killed
}

// scheduler returns the newest incarnation.
func (w *world) scheduler() *incarnation {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// schedule starts the next incarnation of the scheduler.
func (w *world) schedule() {
	s := &incarnation{epoch: 1, dead: make(chan struct{})}
	if w.now != nil {
		s.epoch = w.now.epoch + 1
	}
	s.host = fmt.Sprintf("scheduler%d", s.epoch)
	d := &disk{rnd: rand.New(rand.NewPCG(w.rnd.Uint64(), s.epoch))}
	s.disk = w.wal.Process(d.call)
	var err error
	s.srv, err = server.New(server.Options{
		Identity: w.identity(identity.Scheduler, s.host), Listener: w.net.Listen(s.host), Epoch: s.epoch, Journal: s.disk, Grace: w.grace, JournalGrowth: 2000, JournalRows: 40,
		Log: w.log.With("who", s.host),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.now = s
	w.mu.Unlock()
	w.serving.Go(func() {
		if err := s.srv.Serve(context.Background()); !errors.Is(err, server.ErrClosed) {
			w.t.Errorf("%s ended: %v", s.host, err)
		}
	})
}

// crash ends the scheduler as kill -9 does, in the middle of what it writes, and starts
// another one a little later.
func (w *world) crash() {
	s := w.scheduler()
	s.disk.Kill()
	w.net.Kill(s.host)
	w.net.Separate(s.host) // it says no more
	w.net.Continue(s.host)
	w.serving.Go(func() { s.srv.Close() })
	time.Sleep(time.Duration(w.rnd.ExpFloat64() * float64(time.Second)))
	w.schedule()
}

// outages is how long schedulers were out of reach or stopped, all in all. Called with
// w.mu.
func (w *world) outages() (sum time.Duration) {
	for host, d := range w.away {
		if strings.HasPrefix(host, "scheduler") {
			sum += d
		}
	}
	return sum
}

// disk makes the journal's store slow, and now and then fail.
type disk struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

func (d *disk) call(ctx context.Context, c memstore.Call) (v memstore.Verdict) {
	d.mu.Lock()
	takes := time.Duration(d.rnd.ExpFloat64() * float64(20*time.Millisecond))
	if d.rnd.IntN(50) == 0 {
		takes += time.Duration(d.rnd.ExpFloat64() * float64(2*time.Second))
	}
	fails := d.rnd.IntN(100) == 0 && (c.Op == "write" || c.Op == "flush" || c.Op == "create")
	d.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
	}
	if fails {
		v.Err = errors.New("the disk says no")
	}
	return v
}
