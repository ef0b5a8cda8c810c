package yarn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// place is a host that the ResourceManager has listed.
type place struct {
	rack string
	open bool // it was running at the last look, and may get containers
}

// How often nodes are listed while a pool is asked for by host: soon after the cluster has changed, else now and then.
const (
	listSoon  = 5 * time.Second
	listAgain = time.Minute
	listTime  = 30 * time.Second // one call
)

// lookout is when nodes were listed, and whether that is due again.
type lookout struct {
	busy  bool      // a call is under way
	stale bool      // the cluster has changed since
	begun time.Time // the last call
	told  time.Time // when people were last told that it did not work
}

// due tells whether nodes are to be listed now.
func (l *lookout) due(now time.Time, soon time.Duration) bool {
	since := now.Sub(l.begun)
	return !l.busy && (l.begun.IsZero() || since >= listAgain || l.stale && since >= soon)
}

// lookAround has the nodes listed if a pool waits that is asked for by host, under mu.
func (p *Provider) lookAround(now time.Time) {
	wanted := false
	for _, pool := range p.pools {
		wanted = wanted || pool.spec.MaxPerNode > 0 && pool.missing() > 0
	}
	if !wanted || p.closed || !p.look.due(now, p.soon) {
		return
	}
	p.look.busy, p.look.stale, p.look.begun = true, false, now
	p.wg.Go(p.list)
}

// list asks which nodes there are.
func (p *Provider) list() {
	ctx, cancel := context.WithTimeout(p.ctx, listTime)
	defer cancel()
	var list []*pb.NodeReport
	err := errors.New("no address of it for clients is configured")
	if p.client != nil {
		list, err = p.client.Nodes(ctx, pb.NodeState_NS_RUNNING)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look.busy = false
	if err != nil {
		p.look.stale = true
		p.cannotList(err)
		return
	}
	for host, at := range p.places {
		at.open = false
		p.places[host] = at
	}
	for _, n := range list {
		p.places[n.GetNodeId().GetHost()] = place{rack: n.GetRackName(), open: true}
	}
	p.signal()
}

// cannotList tells people, once in a while, why a pool gets nothing, under mu.
func (p *Provider) cannotList(err error) {
	if p.ctx.Err() != nil {
		return
	}
	p.log.Warn("the ResourceManager does not list its nodes", "err", err)
	if now := time.Now(); len(p.places) == 0 && (p.look.told.IsZero() || now.Sub(p.look.told) >= listAgain) {
		p.look.told = now
		for _, pool := range p.pools {
			if pool.spec.MaxPerNode > 0 && pool.missing() > 0 {
				p.queue.Put(reconcile.Refused{Pool: pool.spec.Name, Why: fmt.Sprintf("pool %s is asked for by node, and the ResourceManager does not list its nodes: %v", pool.spec.Name, err)})
			}
		}
	}
}

// newLister returns the client that lists nodes. On a cluster with Kerberos it has a delegation token, always the newest.
func (p *Provider) newLister() *hadoop.Client {
	as := p.opt.IPC
	as.User = p.opt.User
	as.Tokens = func() (token.Token, bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.opt.Credentials.Select(token.KindRM)
	}
	return hadoop.NewClient(hadoop.Options{Addresses: p.opt.Client, IPC: as})
}
