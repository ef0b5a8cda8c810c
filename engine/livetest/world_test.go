package livetest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/worker"
	"github.com/yarnd/yarnd/identity"
)

// world is one schedule's cluster.
type world struct {
	t   *testing.T
	rnd *rand.Rand // the adversary's
	net *Network
	ca  *identity.CA
	log *slog.Logger
	dir string

	grace time.Duration // of schedulers for workers whose connections broke; 0: as ever

	wal *memstore.Dir // the schedulers' journal

	serving sync.WaitGroup
	mending sync.WaitGroup // hosts that are separated for a while
	workers []*machine     // all there ever were

	mu   sync.Mutex
	now  *incarnation             // of the scheduler
	away map[string]time.Duration // how long hosts were out of reach or stopped, all in all
}

// machine is a worker's host.
type machine struct {
	name string
	stop context.CancelFunc
	done chan struct{}
	gone bool // it was killed or told to leave
}

func newWorld(t *testing.T, seed uint64, grace time.Duration, log *slog.Logger) *world {
	rnd := rand.New(rand.NewPCG(seed, 1))
	ca, err := identity.NewCA(identity.NewSeed(), "local_1_0001")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, rnd: rnd, net: NewNetwork(rand.New(rand.NewPCG(seed, 2))), ca: ca, log: log, dir: t.TempDir(),
		wal: memstore.New(seed, false), grace: grace, away: map[string]time.Duration{},
	}
	w.schedule()
	return w
}

func (w *world) identity(role identity.Role, name string) *identity.Identity {
	id, err := w.ca.NewIdentity(identity.Subject{App: w.ca.App(), Role: role, Name: name}, 0)
	if err != nil {
		panic(err)
	}
	return id
}

func (w *world) endpoint(context.Context) (string, uint64, error) {
	s := w.scheduler()
	return s.srv.Addr().String(), s.epoch, nil
}

// join starts a worker on a new host.
func (w *world) join() {
	m := &machine{name: fmt.Sprintf("w%d", len(w.workers)+1), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	o := worker.Options{
		Identity: w.identity(identity.Worker, m.name), Scheduler: w.endpoint,
		Host: m.name, Slots: 1 + w.rnd.IntN(3), Memory: 64 << 10, Dir: w.dir, Bundle: graph.Digest{1},
		Listener: w.net.Listen(m.name), Dial: w.net.Dialer(m.name),
		Funcs: funcs{}, Inside: true, Log: w.log.With("who", m.name),
	}
	w.workers = append(w.workers, m)
	go func() {
		defer close(m.done)
		if err := worker.Run(ctx, o); err != nil {
			w.t.Errorf("%s: %v", m.name, err)
		}
	}()
}

// present returns the workers that nobody told to leave.
func (w *world) present() (here []*machine) {
	for _, m := range w.workers {
		select {
		case <-m.done:
			m.gone = true
		default:
		}
		if !m.gone {
			here = append(here, m)
		}
	}
	return here
}

// kill ends a worker as kill -9 does, told by a connection that is reset.
func (w *world) kill(m *machine) {
	m.gone = true
	w.net.Kill(m.name)
	w.net.Separate(m.name) // it says no more
	w.net.Continue(m.name)
	m.stop()
	if w.rnd.IntN(2) == 0 {
		w.scheduler().srv.ContainerExited(m.name, w.rnd.IntN(2) == 0, "killed")
	}
}

// client returns a user's client on a host.
func (w *world) client(user, host string) (*client.Client, error) {
	return client.Dial(context.Background(), client.Options{
		Identity: w.identity(identity.Client, user), Scheduler: w.endpoint, Host: host,
		Patience: time.Hour, Dial: w.net.Dialer(host), Log: w.log.With("who", host),
	})
}

// end ends everything; synctest finds what does not.
func (w *world) end() {
	for _, m := range w.workers {
		w.net.Continue(m.name)
		w.net.Join(m.name)
		m.stop()
		<-m.done
	}
	w.scheduler().srv.Close()
	w.serving.Wait()
	if n := w.net.Open(); n > 0 {
		w.t.Errorf("%d connections are left", n)
	}
}

// adversary does its worst to hosts until quit is closed, and then heals all.
func (w *world) adversary(users []*user, quit <-chan struct{}) {
	for {
		select {
		case <-time.After(time.Duration(w.rnd.ExpFloat64() * float64(3*time.Second))):
		case <-quit:
			w.heal(users)
			return
		}
		here := w.present()
		m := here[w.rnd.IntN(len(here))]
		victim := m.name
		switch w.rnd.IntN(8) {
		case 0, 1:
			victim = users[w.rnd.IntN(len(users))].host()
		case 2:
			victim = w.scheduler().host
		}
		switch w.rnd.IntN(10) {
		case 0, 1:
			w.net.Cut(victim)
			w.note("cut", victim)
		case 2:
			w.forAWhile("separated", victim, w.net.Separate, w.net.Join)
		case 3:
			w.forAWhile("stopped", victim, w.net.Stop, w.net.Continue)
		case 4:
			w.net.Slow(victim, time.Duration(w.rnd.Int64N(int64(300*time.Millisecond))))
			w.note("slow", victim)
		case 5:
			if len(here) > 1 || w.rnd.IntN(2) == 0 {
				w.kill(m)
				w.note("killed", m.name)
				w.join()
			}
		case 6:
			w.join()
			w.scheduler().srv.Drain([]string{m.name}, "it is old")
			m.gone = true
			w.note("drained", m.name)
		case 7:
			if len(here) < 5 {
				w.join()
			}
		case 8:
			u := users[w.rnd.IntN(len(users))]
			u.mu.Lock()
			u.dies = true
			u.mu.Unlock()
			w.note("to die", u.name)
		case 9:
			w.note("killed", w.scheduler().host)
			w.crash()
		}
	}
}

// forAWhile does something to a host and undoes it: sooner or later than leases and
// sessions end. One at a time: a host that is out of reach in turns for longer than all
// leases, and yet is heard of, costs those who wait for what it holds their patience.
func (w *world) forAWhile(what, host string, do, undo func(string)) {
	if w.net.separated(host, host) || !w.net.runs(host) {
		return
	}
	d := time.Duration(w.rnd.ExpFloat64() * float64(20*time.Second))
	if w.rnd.IntN(4) == 0 {
		d += time.Minute
	}
	w.note(what+" for "+d.String(), host)
	w.mu.Lock()
	w.away[host] += d
	w.mu.Unlock()
	do(host)
	w.mending.Go(func() {
		time.Sleep(d)
		undo(host)
	})
}

// forgotten reports whether a client may find that the scheduler knows nothing of it any
// more: it could not be heard for as long as a session lives, a minute, of which the lease
// of a connection is a half that it may take to notice.
func (w *world) forgotten(host string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.away[host]+w.outages() > 25*time.Second
}

func (w *world) heal(users []*user) {
	w.mending.Wait()
	hosts := []string{w.scheduler().host}
	for _, m := range w.present() {
		hosts = append(hosts, m.name)
	}
	for _, u := range users {
		hosts = append(hosts, u.host())
	}
	for _, h := range hosts {
		w.net.Slow(h, 0)
		w.net.Join(h)
	}
	w.join()
	w.note("healed", "all")
}

func (w *world) note(what, whom string) { w.log.Info(what, "who", "adversary", "whom", whom) }
