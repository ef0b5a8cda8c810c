package nm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Node is a NodeManager with its containers. It is safe for concurrent use.
//
// The daemon, which listens and sends heartbeats, can crash and be started again; the containers, the caches and the
// books are the node's, as a real NodeManager with recovery finds them on its disk.
type Node struct {
	opt      Options
	log      *slog.Logger
	launcher Launcher
	own      *Processes // launcher, when the node made it
	wg       sync.WaitGroup
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	done     chan struct{} // closed when the node has shut down
	close    sync.Once

	mu         sync.Mutex
	id         yarn.NodeID // fixed
	http       string      // host:port, fixed
	daemon     *daemon     // nil while it is down
	cache      *cache
	containers map[yarn.ContainerID]*container
	apps       map[yarn.ApplicationID]*app
	started    map[yarn.ContainerID]bool // all there ever were
	faults     Faults
	turns      *turns
	callFault  func(*hadooptest.Call) hadooptest.Fault
	silent     bool
	stopping   bool // takes no more containers

	// What the ResourceManager told.
	registered   bool
	ready        chan struct{} // closed while registered
	rmIdentifier int64
	keys         tracker.Keys
	attemptKeys  map[yarn.AttemptID]tracker.Key // under which an attempt's NMToken was good when it started something
}

// daemon is the part that a crash ends.
type daemon struct {
	rpc    *hadooptest.Server
	web    *http.Server
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	beat   chan struct{} // one slot: a heartbeat is wanted at once
}

// New starts a node, which registers by itself: see Ready.
func New(o Options) (*Node, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	n := &Node{
		opt: o, log: o.Log, launcher: o.Launcher, done: make(chan struct{}), cache: newCache(o.HDFS), turns: newTurns(o.Capability, o.Queue),
		containers: map[yarn.ContainerID]*container{}, apps: map[yarn.ApplicationID]*app{}, started: map[yarn.ContainerID]bool{},
		ready: make(chan struct{}), attemptKeys: map[yarn.AttemptID]tracker.Key{},
	}
	if err := n.makeNodeDirs(); err != nil {
		return nil, fmt.Errorf("nm: %w", err)
	}
	if n.launcher == nil {
		own, err := NewProcesses()
		if err != nil {
			return nil, err
		}
		n.own, n.launcher = own, own
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	if err := n.startDaemon(o.Port, o.HTTPPort); err != nil {
		n.cancel()
		if n.own != nil {
			n.own.Close()
		}
		return nil, fmt.Errorf("nm: %w", err)
	}
	if o.CheckPmem || o.CheckVmem {
		n.wg.Go(n.watchMemory)
	}
	return n, nil
}

func (n *Node) makeNodeDirs() error {
	for _, d := range n.opt.LocalDirs {
		for _, sub := range []string{"filecache", "usercache", "nmPrivate"} {
			perm := os.FileMode(0o755)
			if sub == "nmPrivate" {
				perm = 0o700
			}
			if err := os.MkdirAll(filepath.Join(d, sub), perm); err != nil {
				return err
			}
		}
	}
	for _, d := range n.opt.LogDirs {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// startDaemon listens and begins to send heartbeats.
func (n *Node) startDaemon(port, httpPort int) error {
	d := &daemon{beat: make(chan struct{}, 1)}
	l, err := n.listen("tcp", net.JoinHostPort(n.opt.Host, strconv.Itoa(httpPort)))
	if err != nil {
		return err
	}
	d.rpc, err = hadooptest.NewServer(hadooptest.Options{
		Addr: net.JoinHostPort(n.opt.Host, strconv.Itoa(port)), TokenOnly: true, Passwords: n.password, Logger: n.log, Listen: n.listen,
	})
	if err != nil {
		l.Close()
		return err
	}
	id, err := yarn.ParseNodeID(d.rpc.Addr())
	if err != nil {
		l.Close()
		d.rpc.Close()
		return err
	}
	id.Host = n.opt.Host
	d.ctx, d.cancel = context.WithCancel(n.ctx)
	d.web = &http.Server{Handler: n.webHandler(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(n.log.Handler(), slog.LevelDebug)}
	n.handlers(d.rpc)
	n.mu.Lock()
	if n.http == "" { // a restart has the same addresses
		n.id, n.http = id, net.JoinHostPort(n.opt.Host, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	n.daemon = d
	d.rpc.SetFault(n.callFault)
	n.mu.Unlock()
	d.wg.Go(func() { d.web.Serve(l) })
	d.wg.Go(func() { n.heartbeats(d) })
	return nil
}

// listen listens where the node is.
func (n *Node) listen(network, addr string) (net.Listener, error) {
	if n.opt.Enter == nil {
		return net.Listen(network, addr)
	}
	runtime.LockOSThread() // a thread that cannot leave stays locked, and ends with its goroutine
	leave, err := n.opt.Enter()
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	l, err := net.Listen(network, addr)
	if out := leave(); out != nil {
		return nil, errors.Join(err, out)
	}
	runtime.UnlockOSThread()
	return l, err
}

// stopDaemon closes the ports and ends the heartbeats. Containers stay. It tells whether there was one.
func (n *Node) stopDaemon() bool {
	n.mu.Lock()
	d := n.daemon
	n.daemon = nil
	n.unregister()
	n.mu.Unlock()
	if d == nil {
		return false
	}
	d.cancel()
	d.rpc.Close()
	d.web.Close()
	d.wg.Wait()
	return true
}

// unregister makes the node unready, under mu.
func (n *Node) unregister() {
	if n.registered {
		n.registered, n.ready = false, make(chan struct{})
	}
}

// ID is the node's address, as in container tokens.
func (n *Node) ID() yarn.NodeID { return n.id }

// HTTP is the address of the web server, host:port.
func (n *Node) HTTP() string { return n.http }

func (n *Node) httpPort() string {
	_, port, _ := net.SplitHostPort(n.http)
	return port
}

// Ready waits until the node is registered.
func (n *Node) Ready(ctx context.Context) error {
	n.mu.Lock()
	ready := n.ready
	n.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-n.done:
		return errors.New("nm: the node has shut down")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Done is closed when the node has shut down, by Close or because the ResourceManager ordered or refused it.
func (n *Node) Done() <-chan struct{} { return n.done }

// Containers lists what the node would report, ended but unacknowledged ones included.
func (n *Node) Containers() []tracker.Container {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.reports()
}

// Close kills all containers, waits until nothing is left of them, and stops the node. Files stay. It may be called
// twice.
func (n *Node) Close() error {
	n.close.Do(func() {
		n.stopDaemon()
		n.killAll(yarn.ExitKilledByResourceManager, "Container is killed by the NodeManager's shutdown")
		n.cancel()
		n.wg.Wait()
		if n.own != nil {
			n.own.Close()
		}
		close(n.done)
	})
	<-n.done
	return nil
}

// killAll kills containers, without grace, and waits for their ends.
func (n *Node) killAll(why yarn.ExitStatus, text string) {
	n.mu.Lock()
	n.stopping = true
	var all []*container
	for _, c := range n.containers {
		all = append(all, c)
		n.kill(c, why, text)
		if c.proc != nil {
			c.proc.Signal(sigkill)
		}
	}
	n.mu.Unlock()
	for _, c := range all {
		<-c.finished
	}
}
