package rm

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm/core"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Options set a ResourceManager up. The zero value works.
type Options struct {
	// Cluster holds queues, limits and times. Its WebAddr is filled in.
	Cluster core.Config
	// Host is an address of this machine, to listen on. "": 127.0.0.1.
	Host string
	// ClientAddr, SchedulerAddr and WebAddr to listen on (8032, 8030 and 8088 of a real one); "" takes a free port of
	// Host.
	ClientAddr, SchedulerAddr, WebAddr string
	// Pair makes two of it, with one state: the other one listens on free ports of Host, and takes over with
	// Failover.
	Pair bool
	// ACLs refuse to let users other than the owner, Admins, and those of the application's own ACLs look at or change
	// an application (yarn.acl.enable; off by default, as with the real one).
	ACLs   bool
	Admins []string
	// ClientTokens has the ResourceManager vouch for its clients to application masters, as a real one does with
	// Kerberos; nil: it does not.
	ClientTokens *ClientTokens
	// Tick is how often time is looked at. 0: 50 ms.
	Tick time.Duration
	// TokenLife is how long a container's token may be used to start it. 0: 10 minutes.
	TokenLife time.Duration
	// NM tells how patiently nodes are called to start application masters.
	NM ipc.Options
	// Logger hears about what happens, at debug level. nil: nobody does.
	Logger *slog.Logger
}

// RM is a ResourceManager. Its methods may be called by many goroutines.
type RM struct {
	opts      Options
	log       *slog.Logger
	doors     []*door // one, or of a pair two
	ctx       context.Context
	stop      context.CancelFunc
	wg        sync.WaitGroup
	launching chan struct{} // bounds the starts under way

	mu          sync.Mutex
	active      int // index of the door behind which we are
	core        *core.Cluster
	keys        tracker.Keys
	amrm        amrmKeys
	delegation  delegation
	clients     map[yarn.AttemptID]tracker.Key // master keys of the tokens of attempts' clients
	cut         map[yarn.NodeID]bool
	started     time.Time
	skew        time.Duration // Advance
	down        bool
	standby     bool
	incarnation int // launches of an earlier one report to nobody
}

var _ tracker.ResourceManager = (*RM)(nil)

// maxLaunches bounds the application masters that are being started.
const maxLaunches = 32

// New starts a ResourceManager.
func New(o Options) (*RM, error) {
	o.Tick = cmp.Or(o.Tick, 50*time.Millisecond)
	o.TokenLife = cmp.Or(o.TokenLife, 10*time.Minute)
	o.NM.RetryFor = cmp.Or(o.NM.RetryFor, 10*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m := &RM{opts: o, log: o.Logger, launching: make(chan struct{}, maxLaunches), cut: make(map[yarn.NodeID]bool), started: time.Now()}
	m.ctx, m.stop = context.WithCancel(context.Background())
	m.core = core.New(o.Cluster, m.started)
	m.newKeys()
	if err := m.openDoors(); err != nil {
		m.Close()
		return nil, err
	}
	m.wg.Go(m.run)
	return m, nil
}

// Close stops everything and waits. It may be called twice. Containers live on.
func (m *RM) Close() error {
	m.mu.Lock()
	m.down = true
	m.mu.Unlock()
	m.stop()
	for _, d := range m.doors {
		d.close()
	}
	m.wg.Wait()
	return nil
}

// now is the time as this ResourceManager sees it, under mu.
func (m *RM) now() time.Time { return time.Now().Add(m.skew) }

// run looks at the clock.
func (m *RM) run() {
	t := time.NewTicker(m.opts.Tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			m.do(func(now time.Time) { m.core.Tick(now) })
		case <-m.ctx.Done():
			return
		}
	}
}

// do changes the state, unless there is no ResourceManager at present, and acts on what follows.
func (m *RM) do(f func(now time.Time)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down {
		return false
	}
	f(m.now())
	m.launchAll()
	return true
}

// exception gives an error of the core the shape in which it travels.
func exception(err error) error {
	var e *core.Error
	if errors.As(err, &e) {
		return &hadooptest.Exception{Class: e.Class, Message: e.Message}
	}
	return err
}

// handle registers a method that needs the state: f runs under the lock.
func handle[Resp proto.Message, PReq interface {
	*Req
	proto.Message
}, Req any](m *RM, s *hadooptest.Server, protocol, method string, f func(c *hadooptest.Call, req PReq, now time.Time) (Resp, error)) {
	hadooptest.Handle(s, protocol, method, func(_ context.Context, c *hadooptest.Call, req PReq) (Resp, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		var none Resp
		if m.down {
			return none, &hadooptest.Exception{Class: "java.io.EOFException", Message: "shutting down", Fatal: true}
		}
		if m.standby {
			return none, hadooptest.Standby()
		}
		resp, err := f(c, req, m.now())
		m.launchAll()
		return resp, exception(err)
	})
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}
