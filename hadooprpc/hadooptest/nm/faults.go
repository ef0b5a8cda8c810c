package nm

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

const sigkill = syscall.SIGKILL

// Faults are what goes wrong on a node until they are set anew. The zero value is nothing. The functions are called by
// many goroutines.
type Faults struct {
	// Refuse fails the start of a container with the error's text, within a call that succeeds.
	Refuse func(yarn.ContainerID) error
	// SlowStart holds a container up before its localization.
	SlowStart func(yarn.ContainerID) time.Duration
	// Localize fails the localization of a resource with the error's text; the container ends with -1000.
	Localize func(yarn.ContainerID, *pb.LocalResource) error
	// Disks is the health report of a node whose disks are bad, such as "1/1 local-dirs have errors: [ /data : full ]".
	// The node reports itself unhealthy, and what would be launched ends with -101.
	Disks string
	// Web is the status with which the web server answers who asks for a log; 0 is none. With 401 it asks for a ticket, as where
	// hadoop.http.authentication.type is kerberos.
	Web func(*http.Request) int
}

// SetFaults sets what goes wrong from now on; the ResourceManager hears of bad disks at once.
func (n *Node) SetFaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
	n.hurry()
}

func (n *Node) faultsNow() Faults {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.faults
}

// SetFault decides what becomes of each call to the node, over restarts too; nil means no faults.
func (n *Node) SetFault(f func(*hadooptest.Call) hadooptest.Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.callFault = f
	if n.daemon != nil {
		n.daemon.rpc.SetFault(f)
	}
}

// Refuse closes the node's port so that connecting fails, or opens it again. Connections stay.
func (n *Node) Refuse(refuse bool) error {
	n.mu.Lock()
	d := n.daemon
	n.mu.Unlock()
	if d == nil {
		return errDown
	}
	return d.rpc.Refuse(refuse)
}

var errDown = errors.New("nm: the daemon is down")

// CloseConns ends all connections to the node.
func (n *Node) CloseConns() {
	n.mu.Lock()
	d := n.daemon
	n.mu.Unlock()
	if d != nil {
		d.rpc.CloseConns()
	}
}

// KillContainer signals a running container's process group, as the kernel's out-of-memory killer or a person does. It
// fails where there is no process that lives: nobody was hit then.
func (n *Node) KillContainer(id yarn.ContainerID, s syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.containers[id]
	if c == nil || c.proc == nil {
		return fmt.Errorf("nm: %s does not run on %s", id, n.id)
	}
	if err := c.proc.Signal(s); err != nil {
		return fmt.Errorf("nm: the process of %s has ended on %s: %w", id, n.id, err)
	}
	return nil
}

// Commands are what was launched in the containers whose processes run, as the application masters said it.
func (n *Node) Commands() map[yarn.ContainerID][]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[yarn.ContainerID][]string{}
	for id, c := range n.containers {
		if c.proc != nil {
			out[id] = c.launch.GetCommand()
		}
	}
	return out
}

// Crash ends the daemon: ports close, heartbeats end. With keep, containers run on and their ends are noted, as for a
// NodeManager that recovers. Without, the machine is gone: containers are killed and nobody remembers them, nor what
// was cached.
func (n *Node) Crash(keep bool) {
	n.stopDaemon()
	if keep {
		return
	}
	n.killAll(yarn.ExitAborted, "the node crashed")
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.containers)
	clear(n.apps)
	clear(n.started)
	clear(n.attemptKeys)
	n.cache = newCache(n.opt.HDFS)
	n.stopping = false
	for _, d := range n.opt.LocalDirs {
		for _, sub := range []string{"filecache", "usercache", "nmPrivate"} {
			if err := os.RemoveAll(filepath.Join(d, sub)); err != nil {
				n.log.Warn("cannot clear a local directory", "err", err)
			}
		}
	}
}

// Restart starts the daemon again, on its old ports, with the containers that Crash left. It does nothing when the
// daemon runs.
func (n *Node) Restart() error {
	n.mu.Lock()
	up, port, httpPort := n.daemon != nil, int(n.id.Port), n.httpPort()
	n.mu.Unlock()
	switch {
	case up:
		return nil
	case n.ctx.Err() != nil:
		return errors.New("nm: the node is closed")
	}
	if err := n.makeNodeDirs(); err != nil {
		return err
	}
	var web int
	fmt.Sscan(httpPort, &web)
	return n.startDaemon(port, web)
}
