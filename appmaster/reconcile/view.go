package reconcile

import "time"

// PoolView is what a pool looks like from outside.
type PoolView struct {
	Name                       string
	Wanted, Asked              int
	Starting, Running, Stopped int           // Stopped: on the way out
	Missing                    int           // an earlier attempt had them, and the cluster has not told of them yet
	Failures                   int           // rounds in a row that failed
	Leaving                    int           // of those that run: drained one by one, or silent, not counted in what is wanted
	Silent                     int           // of those that run: the scheduler does not know them, and they are not counted in what is wanted either
	HeldFor                    time.Duration // how much longer asks are not raised
	Waits                      string        // why more do not come, where its bound for each node is the reason
	Space                      int           // how many more its bound for each node leaves room for; -1: it has none, or not known
}

// ContainerView is what a container looks like from outside.
type ContainerView struct {
	ID, Pool, Node string
	State          State
	Since          time.Duration // when it came into its state
	Leaving        string        // why it is being drained on its own; "": it is not
	Silent         bool          // the scheduler does not know it
}

// Pools returns the pools in their order.
func (c *Core) Pools() []PoolView {
	var list []PoolView
	for _, p := range c.pools {
		v := PoolView{Name: p.spec.Name, Wanted: p.wanted, Asked: p.asked, Failures: p.failures, Leaving: p.leaving, HeldFor: max(0, p.hold-c.now),
			Waits: c.waits(p), Space: c.space(p)}
		for _, ct := range c.containers {
			if ct.pool != p {
				continue
			}
			if ct.silent && ct.state == Running {
				v.Silent++
			}
			switch ct.state {
			case Starting:
				v.Starting++
			case Running:
				v.Running++
			case Stopping:
				v.Stopped++
			case Missing:
				v.Missing++
			}
		}
		list = append(list, v)
	}
	return list
}

// Containers returns the containers, oldest first.
func (c *Core) Containers() []ContainerView {
	list := make([]ContainerView, 0, len(c.containers))
	for _, ct := range c.sorted() {
		list = append(list, ContainerView{ct.id, ct.pool.spec.Name, ct.node, ct.state, ct.since, ct.leaving, ct.silent})
	}
	return list
}

// Stopping tells whether a container was told to end.
func (c *Core) Stopping(id string) bool {
	ct := c.containers[id]
	return ct != nil && !ct.live()
}

// Served is how many containers the scheduler has known so far: which they are is in Memory.
func (c *Core) Served() int { return c.served }

// Ending tells whether the application is on its way out.
func (c *Core) Ending() bool { return c.ending != nil }

// Why tells why the application ends; "" while it does not.
func (c *Core) Why() string {
	if c.ending == nil {
		return ""
	}
	return c.ending.Why
}
