package nm

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// heartbeats registers, then reports at the interval and whenever something ended, until the daemon ends. It owns the
// conversation with the ResourceManager. Source: NodeStatusUpdaterImpl (3.4.2).
func (n *Node) heartbeats(d *daemon) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-d.beat:
		case <-d.ctx.Done():
			return
		}
		if !n.talk(d) {
			n.log.Info("the ResourceManager shuts the node down", "node", n.id.String())
			go n.decommission() // which waits for this goroutine
			return
		}
		timer.Reset(n.opt.Heartbeat)
	}
}

// hurry asks for a heartbeat at once, under mu.
func (n *Node) hurry() {
	if n.daemon == nil {
		return
	}
	select {
	case n.daemon.beat <- struct{}{}:
	default:
	}
}

// talk registers, or sends a heartbeat and follows the orders. It tells whether the node goes on.
func (n *Node) talk(d *daemon) bool {
	n.mu.Lock()
	if n.daemon != d {
		n.mu.Unlock()
		return true // it is being stopped, which made it unregistered: it shall not register again
	}
	silent, registered := n.silent, n.registered
	hb := tracker.Heartbeat{Node: n.id, Containers: n.reports(), Unhealthy: n.faults.Disks, Waiting: n.turns.waiting(), Places: n.opt.Queue}
	n.mu.Unlock()
	if silent {
		return true
	}
	if !registered {
		return n.register(d)
	}
	orders, err := n.opt.RM.Heartbeat(hb)
	if err != nil {
		n.log.Info("a heartbeat failed; containers run on", "node", n.id.String(), "err", err)
		return true
	}
	if orders.Resync {
		n.mu.Lock()
		n.unregister()
		n.mu.Unlock()
		return n.register(d)
	}
	n.follow(orders)
	return !orders.Shutdown
}

// decommission ends a node that was told to: containers first, then logs are gathered. Source: NodeManager.handle,
// LogAggregationService.stopAggregators (3.4.2).
func (n *Node) decommission() {
	n.killAll(yarn.ExitKilledByResourceManager, "Container Killed by ResourceManager")
	n.mu.Lock()
	for id := range n.apps {
		n.endApp(id)
	}
	n.mu.Unlock()
	n.Close()
}

// register tells the ResourceManager all that the node has. A ResourceManager that is down is tried again; one that
// refuses ends the node.
func (n *Node) register(d *daemon) bool {
	n.mu.Lock()
	node := tracker.Node{ID: n.id, HTTP: n.http, Rack: n.opt.Rack, Label: n.opt.Label, Capability: n.opt.Capability,
		Containers: n.reports(), Apps: slices.SortedFunc(maps.Keys(n.apps), yarn.ApplicationID.Compare)}
	n.mu.Unlock()
	r, err := n.opt.RM.RegisterNode(node)
	if err != nil {
		n.log.Info("registration failed", "node", n.id.String(), "err", err)
		return errors.Is(err, tracker.ErrDown)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.daemon != d {
		return true // crashed meanwhile
	}
	n.rmIdentifier = r.RMIdentifier
	n.takeKeys(r.Keys)
	if !n.registered {
		n.registered = true
		close(n.ready)
	}
	n.hurry() // the first heartbeat follows at once, as Hadoop's does
	return true
}

// takeKeys takes the keys over that are there, under mu.
func (n *Node) takeKeys(k tracker.Keys) {
	if len(k.Container.Current.Secret) > 0 {
		n.keys.Container = k.Container
	}
	if len(k.NM.Current.Secret) > 0 {
		n.keys.NM = k.NM
	}
}

// reports are all containers in the order of their ids, under mu.
func (n *Node) reports() []tracker.Container {
	out := make([]tracker.Container, 0, len(n.containers))
	for _, id := range slices.SortedFunc(maps.Keys(n.containers), yarn.ContainerID.Compare) {
		out = append(out, n.containers[id].report())
	}
	return out
}

// follow does what a heartbeat's answer orders.
func (n *Node) follow(o tracker.Orders) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.takeKeys(o.Keys)
	for _, id := range o.Acknowledged {
		if c := n.containers[id]; c != nil && c.phase == done {
			delete(n.containers, id)
		}
	}
	for _, x := range o.CleanUp {
		if c := n.containers[x.ID]; c != nil {
			why := x.Status
			if why == 0 {
				why = yarn.ExitKilledByResourceManager
			}
			n.kill(c, why, "Container Killed by ResourceManager")
		}
	}
	for _, s := range o.Signals {
		if c := n.containers[s.ID]; c != nil {
			n.signal(c, s.Command)
		}
	}
	for _, id := range o.Ended {
		n.endApp(id)
	}
}

// SetSilent stops the heartbeats, as a network that lost the node does, or lets them go on. Containers and ports are
// not touched, so that application masters still reach a node that the ResourceManager takes for lost.
func (n *Node) SetSilent(silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = silent
	n.hurry()
}

// Resync has the node register again, as when it was told that the ResourceManager does not know it, and waits.
func (n *Node) Resync(ctx context.Context) error {
	n.mu.Lock()
	n.unregister()
	n.hurry()
	n.mu.Unlock()
	return n.Ready(ctx)
}
