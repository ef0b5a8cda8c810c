package core

import (
	"cmp"
	"slices"
	"strings"
)

// queue is a leaf queue and what goes on in it.
type queue struct {
	Queue
	used   Resource // of the default partition
	amUsed Resource // of it, by application masters
	ams    int      // application masters that have a container
	count  int      // containers
	// attempts of unfinished applications, by application priority, then age.
	attempts                             []*attempt
	submitted, completed, failed, killed int64
	held                                 bool
}

func (q *queue) path() string { return "root." + q.Name }

func (q *queue) add(a *attempt) {
	q.attempts = append(q.attempts, a)
	q.sort()
}

func (q *queue) sort() {
	slices.SortStableFunc(q.attempts, func(a, b *attempt) int {
		return cmp.Or(cmp.Compare(b.app.priority, a.app.priority), a.id.Compare(b.id))
	})
}

func (q *queue) remove(a *attempt) {
	q.attempts = slices.DeleteFunc(q.attempts, func(x *attempt) bool { return x == a })
}

// limit is what the queue may grow to.
func (c *Cluster) limit(q *queue) Resource { return scaled(c.labelled[""], q.MaxCapacity/100) }

// amLimit is what its application masters may take of it.
func (c *Cluster) amLimit(q *queue) Resource { return scaled(c.limit(q), c.cfg.AMShare) }

// use is how full a queue is of its share; the emptiest is served first.
func (c *Cluster) use(q *queue) float64 {
	share := scaled(c.labelled[""], q.Capacity/100)
	var u float64
	if share.MemoryMiB > 0 {
		u = float64(q.used.MemoryMiB) / float64(share.MemoryMiB)
	}
	if share.VCores > 0 {
		u = max(u, float64(q.used.VCores)/float64(share.VCores))
	}
	return u
}

func (c *Cluster) queuesByUse() []*queue {
	out := make([]*queue, 0, len(c.queues))
	for _, q := range c.queues {
		if len(q.attempts) > 0 && !q.held {
			out = append(out, q)
		}
	}
	slices.SortFunc(out, func(a, b *queue) int {
		return cmp.Or(cmp.Compare(c.use(a), c.use(b)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// queue finds a leaf by its name or path.
func (c *Cluster) queue(name string) *queue { return c.queues[strings.TrimPrefix(name, "root.")] }

// room tells whether a queue may take r more in a partition. Labelled partitions are open to all queues.
func (c *Cluster) room(q *queue, label string, r Resource) bool {
	return label != "" || fits(plus(q.used, r), c.limit(q))
}

// charge books a container with its queue, unless it is opportunistic; sign is 1 or -1.
func (c *Cluster) charge(con *container, sign int64) {
	if !con.charged() {
		return
	}
	q := con.app.queue
	q.count += int(sign)
	if con.Label == "" {
		q.used = combine(q.used, con.Resource, sign)
		if con.AM {
			q.amUsed = combine(q.amUsed, con.Resource, sign)
		}
	}
	if con.AM {
		q.ams += int(sign)
	}
}
