package yarn

import (
	"fmt"
	"time"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// refusedPause is how long a pool is not asked for that was refused.
const refusedPause = time.Minute

// refused deals with asks that the ResourceManager takes for impossible, of which it does
// not tell which. What it takes for possible changes: the largest container is what the
// largest node has that is there just now, and labels come and go. So who has something
// already goes on with that, and asks again later; who was refused the first of all ends.
//
// The ResourceManager has done nothing of the heartbeat: the other asks and the releases
// come again.
// Source: SchedulerUtils.validateResourceRequest, ClusterNodeTracker.
func (p *Provider) refused(s sent, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(s.asks) > 1 {
		p.apart = true
		p.signal()
		return
	}
	something := len(p.boxes) > 0
	for _, pool := range p.pools {
		something = something || pool.given > 0
	}
	for pool := range s.asks {
		if !something {
			pool.total = pool.given
			p.queue.Put(reconcile.Stop{Status: reconcile.Failed, Why: "the ResourceManager refuses what was asked for: " + err.Error()})
			continue
		}
		pool.held = time.Now().Add(p.patience)
		p.queue.Put(reconcile.Refused{Pool: pool.spec.Name, Why: err.Error()})
	}
}

// notOffered deals with a container that is guaranteed where an opportunistic one was asked
// for: the ResourceManager does not know the difference, and says nothing. It would be
// charged to the queue, and take what others were to have, so it goes back, under mu.
func (p *Provider) notOffered(bad *pool, id hadoop.ContainerID) reconcile.Event {
	p.giveBack(id)
	bad.sent = max(bad.sent-1, min(bad.sent, 0))
	first := !bad.none || time.Now().After(bad.held)
	bad.held, bad.none = time.Now().Add(p.patience), true
	if !first { // several come at a time
		return nil
	}
	return reconcile.Refused{Pool: bad.spec.Name, Unoffered: true,
		Why: fmt.Sprintf("pool %s is opportunistic, and the ResourceManager has no such containers: %s is not true", bad.spec.Name, hadoop.OpportunisticSetting)}
}

// noteNone tells what may be the matter with an opportunistic pool that has got nothing, under mu.
func (p *Provider) noteNone(pool *pool) {
	has := pool.given > 0
	for _, b := range p.boxes {
		has = has || b.pool == pool // an earlier attempt got it
	}
	if pool.spec.Opportunistic && !has && !pool.none {
		p.queue.Put(reconcile.Refused{Pool: pool.spec.Name, Why: "no node has a place for an opportunistic container: their queues are full, or " +
			hadoop.OpportunisticQueueSetting + " is 0 on all of them"})
	}
}

// unanswered notes that nobody knows whether asks have arrived.
func (p *Provider) unanswered(s sent, err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for pool := range s.asks {
		pool.sent = -1
		pool.rows.unknown(s.rows[pool])
	}
}
