package hdfstest

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
)

// Options describe a file system. Dir is required.
type Options struct {
	// Dir is where the files are; made if missing, kept by Close.
	Dir string
	// Host to listen on. "": 127.0.0.1.
	Host string
	// Security is how clients of the NameNode authenticate; the zero value believes names. With Kerberos and without
	// Passwords they may come with the delegation tokens that the NameNode gives.
	Security hadooptest.Options
	// DataNodes is how many there are. Each has a copy of every block; new ones are written to the first. 0: 1.
	DataNodes int
	// Transfer is how they protect their connections.
	Transfer Transfer
	// Checksum is what they send with the bytes of a block: CRC32C, CRC32 or NULL. "": CRC32C.
	Checksum string
	// KeyProvider is the URI that the NameNode names for the keys of its encryption zones, of which it has none.
	KeyProvider string
	// OldNameNode is one that does not say whether there is a KeyProvider.
	OldNameNode bool
	// Logger hears about connections and calls at debug level. nil: nobody does.
	Logger *slog.Logger
}

// Cluster is a running file system. Its methods may be called by many goroutines.
type Cluster struct {
	dir  string
	rpc  *hadooptest.Server
	data []*dataNode
	tree *tree

	transfer Transfer
	checksum uint32
	secrets  secrets

	keys       *string // URI
	secure     bool
	delegation delegation

	mu      sync.Mutex
	trouble Trouble
	healed  chan struct{}  // closed when the present trouble ends
	met     map[string]int // by address
	retries retryCache
	closed  bool
	onRead  func(Reading) ReadFault
	traffic Traffic
	bad     []BadReplica
}

// Failure is how a server fails.
type Failure int

// The failures.
const (
	Works   Failure = iota
	Refuses         // connections break, and cannot be made: the process is down
	Hangs           // connections are made and nothing is answered until that ends, and then everything
)

// Trouble is what is wrong with the file system. The zero value is nothing.
type Trouble struct {
	NameNode, DataNode Failure
	// SafeMode has the NameNode refuse all that changes something.
	SafeMode bool
	// Full: no DataNode has room, neither for new blocks nor for more of old ones.
	Full bool
}

// Start starts a file system. When it fails nothing is left but the directory.
func Start(o Options) (*Cluster, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	host := cmp.Or(o.Host, "127.0.0.1")
	c := &Cluster{dir: dir, tree: newTree(dir), transfer: o.Transfer, keys: keysOf(o), met: map[string]int{}}
	if c.checksum, err = checksumType(o.Checksum); err != nil {
		return nil, err
	}
	c.secrets.roll()
	server := o.Security
	if c.secure = server.Kerberos != nil; c.secure && server.Passwords == nil {
		server.Passwords = c.delegation.password
	}
	server.Addr, server.Logger = net.JoinHostPort(host, "0"), o.Logger
	if c.rpc, err = hadooptest.NewServer(server); err != nil {
		return nil, err
	}
	for i := range max(1, o.DataNodes) {
		d, err := newDataNode(c, i, host)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.data = append(c.data, d)
	}
	c.handleNames()
	c.handleLeases()
	c.handleDelegation()
	return c, nil
}

// URL is that of the root, for fs.defaultFS.
func (c *Cluster) URL() string { return "hdfs://" + c.rpc.Addr() }

// NameNode takes faults for single calls.
func (c *Cluster) NameNode() *hadooptest.Server { return c.rpc }

// SetTrouble sets what is wrong from now on.
func (c *Cluster) SetTrouble(t Trouble) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	if c.healed != nil {
		close(c.healed)
		c.healed = nil
	}
	c.trouble, c.met = t, map[string]int{}
	if t != (Trouble{}) {
		c.healed = make(chan struct{})
	}
	c.mu.Unlock()
	if t.DataNode == Refuses {
		for _, d := range c.data {
			c.meet(d.closeConns()...)
		}
	}
	if err := c.rpc.Refuse(t.NameNode == Refuses); err != nil {
		return err
	}
	if t.NameNode == Refuses {
		c.meet(c.rpc.Peers()...)
		c.rpc.CloseConns()
	}
	return nil
}

// Met is how many connections, calls and packets have met the present trouble, as far as that shows here:
// a connection that a NameNode refuses does not.
func (c *Cluster) Met() (all int) {
	for _, n := range c.MetBy() {
		all += n
	}
	return all
}

// MetBy is Met by the address, without the port, of whoever met it; "" is who reads without the protocol ([Cluster.Locate]).
func (c *Cluster) MetBy() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.met)
}

// meet notes that connections from some addresses have met the trouble, one for each.
func (c *Cluster) meet(hosts ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, host := range hosts {
		c.met[host]++
	}
}

// Trouble is what is wrong now.
func (c *Cluster) Trouble() Trouble {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.trouble
}

// wait returns to who waits, at an address, when the server does not hang, or with the end of ctx.
func (c *Cluster) wait(ctx context.Context, host string, hangs func(Trouble) bool) error {
	for {
		c.mu.Lock()
		t, healed := c.trouble, c.healed
		if hangs(t) {
			c.met[host]++
		}
		c.mu.Unlock()
		if !hangs(t) {
			return nil
		}
		select {
		case <-healed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Locate returns where a file lies, for what reads it without the protocol, such as a NodeManager of
// the same process. It fails where a reader would, and waits where a reader would.
func (c *Cluster) Locate(ctx context.Context, name string) (string, error) {
	away := func(t Trouble) bool { return t.NameNode != Works || t.DataNode != Works }
	if err := c.wait(ctx, "", away); err != nil {
		return "", err
	}
	return c.tree.local(name), nil
}

// Close stops everything and waits. Files stay. It may be called twice.
func (c *Cluster) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.rpc.Close()
	for _, d := range c.data {
		d.close()
	}
	c.tree.close()
	return nil
}

// StopDataNode ends one for good. The NameNode goes on naming it.
func (c *Cluster) StopDataNode(i int) { c.data[i].close() }

// keysOf is what the NameNode says of a key provider; nil: nothing.
func keysOf(o Options) *string {
	if o.OldNameNode {
		return nil
	}
	return &o.KeyProvider
}
