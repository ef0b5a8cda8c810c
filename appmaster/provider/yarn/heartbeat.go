package yarn

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// heartbeat talks to the ResourceManager until it is told to end, or to go.
func (p *Provider) heartbeat() {
	defer close(p.beaten)
	timer := time.NewTimer(0)
	defer timer.Stop()
	failures, strange := 0, 0
	for {
		select {
		case <-timer.C:
		case <-p.wake:
		case <-p.beat:
			return
		case <-p.ctx.Done():
			return
		}
		req, sent := p.request()
		began := time.Now()
		resp, err := p.am.Allocate(p.ctx, req)
		switch {
		case err == nil:
			failures, strange = 0, 0
			p.hear(began)
			p.answered(sent)
			p.take(resp)
			if c := resp.GetAmCommand(); resp.AmCommand != nil && c == pb.AMCommand_AM_SHUTDOWN {
				p.superseded(fmt.Errorf("the ResourceManager told this attempt to end"))
				return
			} else if resp.AmCommand != nil {
				err = p.resync()
			}
		case p.ctx.Err() != nil:
			return
		case hadoop.IsNotRegistered(err):
			err = p.resync()
		case hadoop.IsInvalidRequest(err) && strange == 0:
			// It counts our heartbeats otherwise than we do.
			strange++
			err = p.resync()
		case hadoop.IsAttemptNotFound(err), hadoop.IsInvalidRequest(err):
			p.superseded(fmt.Errorf("the ResourceManager does not know this attempt any more: %w", err))
			return
		case hadoop.IsInvalidResource(err):
			p.refused(sent, err)
			err = nil
		}
		p.unanswered(sent, err)
		if err != nil {
			failures++
			p.log.Warn("the ResourceManager does not answer", "err", err, "failures", failures)
		}
		timer.Reset(p.pause(failures))
	}
}

// pause is how long to wait before the next heartbeat, orders aside.
func (p *Provider) pause(failures int) time.Duration {
	if failures > 0 {
		// All application masters come back at the same time when the
		// ResourceManager does, so not all at the same moment.
		return time.Duration(float64(min(time.Duration(failures)*500*time.Millisecond, 5*time.Second)) * (0.5 + rand.Float64())) // #nosec G404 -- see above
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pool := range p.pools {
		if pool.missing() > 0 && time.Now().After(pool.held) {
			// Soon at first. What is not there after a while waits for others to
			// end; hurry is of no use then.
			return min(max(time.Since(p.changed)/20, p.opt.Eager), p.opt.Heartbeat)
		}
	}
	return p.opt.Heartbeat
}

// sent is what a heartbeat carries: asks by pool, releases, changes of what is avoided.
type sent struct {
	asks     map[*pool]int
	rows     map[*pool]map[string]int // of those that are asked for by host
	releases []hadoop.ContainerID
	bad      *pb.ResourceBlacklistRequest
}

// request makes a heartbeat of all orders that wait.
func (p *Provider) request() (*pb.AllocateRequest, sent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	req := &pb.AllocateRequest{Progress: proto.Float32(p.progress)}
	now := time.Now()
	s := sent{asks: map[*pool]int{}, rows: map[*pool]map[string]int{}, bad: p.bad.request()}
	req.BlacklistRequest = s.bad
	p.lookAround(now)
	for _, pool := range p.pools {
		if p.apart && len(s.asks) > 0 {
			break
		}
		if pool.spec.MaxPerNode > 0 {
			if rows := p.spread(pool, now); len(rows) > 0 {
				req.Ask = append(req.Ask, asksByHost(pool, rows)...)
				s.rows[pool], s.asks[pool] = rows, 0
			}
		} else if n, say := pool.due(now); say {
			req.Ask = append(req.Ask, ask(pool, n))
			s.asks[pool] = n
		}
	}
	for id := range p.releases {
		req.Release = append(req.Release, id.PB())
		s.releases = append(s.releases, id)
	}
	return req, s
}

func ask(p *pool, n int) *pb.ResourceRequest {
	r := p.spec.Resource
	req := &pb.ResourceRequest{
		Priority:      &pb.Priority{Priority: proto.Int32(p.priority)},
		ResourceName:  proto.String("*"),
		Capability:    hadoop.NewResource(r.MemoryMiB, int32(r.VCores), r.Named),
		NumContainers: proto.Int32(int32(n)),
		RelaxLocality: proto.Bool(true),
	}
	if p.spec.NodeLabel != "" {
		req.NodeLabelExpression = proto.String(p.spec.NodeLabel)
	}
	kind := pb.ExecutionType_GUARANTEED
	if p.spec.Opportunistic {
		kind = pb.ExecutionType_OPPORTUNISTIC
	}
	// A ResourceManager that has opportunistic containers switched on trips over requests that do not say, seen on 3.4.2
	// (OpportunisticContainerAllocator.partitionAskList).
	req.ExecutionTypeRequest = &pb.ExecutionTypeRequest{ExecutionType: kind.Enum(), EnforceExecutionType: proto.Bool(true)}
	return req
}

// answered notes that the ResourceManager has heard.
func (p *Provider) answered(s sent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for pool, n := range s.asks {
		pool.sent = n
	}
	for _, pool := range p.pools {
		pool.rows.said(s.rows[pool])
	}
	p.bad.answered(s.bad)
	for _, id := range s.releases {
		delete(p.releases, id)
		bound(p.released)
		p.released[id] = struct{}{}
	}
}

// take hands on what the ResourceManager tells.
func (p *Provider) take(resp *pb.AllocateResponse) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.learnTokens(resp.GetNmTokens())
	var events []reconcile.Event
	nodes := p.cluster.Nodes
	if now := p.clusterNow(resp); now != nil {
		events = append(events, *now)
	}
	p.look.stale = p.look.stale || nodes != p.cluster.Nodes || len(resp.GetUpdatedNodes()) > 0
	for _, c := range resp.GetAllocatedContainers() {
		if ev := p.allocate(c); ev != nil {
			events = append(events, ev)
		}
	}
	if adopted := p.adopt(resp.GetContainersFromPreviousAttempts()); len(adopted) > 0 {
		events = append(events, reconcile.Adopted{Containers: adopted})
	}
	for _, st := range resp.GetCompletedContainerStatuses() {
		if ev := p.complete(hadoop.ContainerIDFromPB(st.GetContainerId()), st.GetExitStatus(), st.GetDiagnostics()); ev != nil {
			events = append(events, ev)
		}
	}
	for _, n := range resp.GetUpdatedNodes() {
		events = append(events, p.nodeChanged(n)...)
	}
	events = append(events, p.preempt(resp.GetPreempt())...)
	p.queue.Put(events...)
}

func (p *Provider) allocate(c *pb.Container) reconcile.Event {
	id := hadoop.ContainerIDFromPB(c.GetId())
	if p.boxes[id] != nil {
		return nil
	}
	pool := p.byPriority(c)
	if pool == nil {
		p.giveBack(id)
		return nil
	}
	if pool.spec.Opportunistic && c.GetExecutionType() != pb.ExecutionType_OPPORTUNISTIC {
		return p.notOffered(pool, id)
	}
	b := &box{id: id, pb: c, node: hadoop.NodeIDFromPB(c.GetNodeId()), pool: pool}
	p.boxes[id] = b
	pool.given++
	pool.none = false
	pool.sent = max(pool.sent-1, min(pool.sent, 0))
	pool.rows.came(b.node.Host, p.places[b.node.Host].rack)
	p.changed = time.Now()
	return reconcile.Allocated{ID: id.String(), Pool: pool.spec.Name, Node: b.node.Host}
}

// complete forgets a container that has ended. One of an earlier attempt may have ended
// before this attempt heard that it was there.
func (p *Provider) complete(id hadoop.ContainerID, status int32, diagnostics string) reconcile.Event {
	delete(p.released, id)
	b := p.boxes[id]
	if b == nil {
		if _, told := p.past[id]; told || id.Attempt == p.opt.Attempt || p.opt.Attempt == (hadoop.AttemptID{}) {
			return nil
		}
		p.remember(id, "")
		return reconcile.Completed{ID: id.String(), Status: status, Diagnostics: diagnostics}
	}
	p.forget(b)
	return reconcile.Completed{ID: id.String(), Status: status, Diagnostics: diagnostics}
}

// maxPast bounds how many containers that have ended are remembered, for their logs and their release.
const maxPast = 10_000

// bound makes room for one more.
func bound[V any](past map[hadoop.ContainerID]V) {
	if len(past) < maxPast {
		return
	}
	for id := range past { // any
		delete(past, id)
		return
	}
}

func (p *Provider) forget(b *box) {
	delete(p.boxes, b.id)
	delete(p.releases, b.id)
	if b.state == allocated {
		return
	}
	p.remember(b.id, b.pb.GetNodeHttpAddress())
}

// remember keeps a container that has ended, and its node's web address, "" if that is
// not known.
func (p *Provider) remember(id hadoop.ContainerID, web string) {
	bound(p.past)
	p.past[id] = web
}

// nodeChanged ends the containers of a node that is lost. The ResourceManager will
// report each of them as well, perhaps; in case the node comes back they are
// released, too. Those of a node that is to leave the cluster are told of like
// those that others are to have.
func (p *Provider) nodeChanged(n *pb.NodeReport) []reconcile.Event {
	node := hadoop.NodeIDFromPB(n.GetNodeId())
	switch n.GetNodeState() {
	case pb.NodeState_NS_LOST, pb.NodeState_NS_DECOMMISSIONED, pb.NodeState_NS_SHUTDOWN:
	case pb.NodeState_NS_DECOMMISSIONING:
		return p.leaving(node)
	default:
		return nil
	}
	p.nm.Forget(node)
	var events []reconcile.Event
	for id, b := range maps.Clone(p.boxes) {
		if b.node == node {
			events = append(events, p.complete(id, reconcile.StatusAborted, fmt.Sprintf("node %s was lost: %s", node, n.GetHealthReport())))
			p.giveBack(id)
		}
	}
	return events
}

// leaving tells of the containers of a node that finishes what it has and gets no more.
func (p *Provider) leaving(node hadoop.NodeID) []reconcile.Event {
	var ids []string
	for _, b := range p.boxes {
		if b.node == node && b.warn == 0 {
			b.warn = 1
			ids = append(ids, b.id.String())
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return []reconcile.Event{reconcile.Preempt{IDs: ids}}
}

// preempt tells of containers that will be taken, each once for each degree of
// certainty: the ResourceManager repeats itself.
func (p *Provider) preempt(m *pb.PreemptionMessage) []reconcile.Event {
	var events []reconcile.Event
	tell := func(list []*pb.PreemptionContainer, degree int) {
		var ids []string
		for _, c := range list {
			if b := p.boxes[hadoop.ContainerIDFromPB(c.GetId())]; b != nil && b.warn < degree {
				b.warn = degree
				ids = append(ids, b.id.String())
			}
		}
		if len(ids) > 0 {
			events = append(events, reconcile.Preempt{IDs: ids, Strict: degree == 2})
		}
	}
	tell(m.GetStrictContract().GetContainer(), 2)
	tell(m.GetContract().GetContainer(), 1)
	return events
}

// resync registers again with a ResourceManager that has restarted, or with the
// other one, and has all asks and releases sent again. Also releases that the
// last one has heard: it may not have passed them on to the nodes, which then
// tell the new one that the containers run.
func (p *Provider) resync() error {
	p.log.Info("the ResourceManager has forgotten this application master: registering again")
	resp, err := p.registerOnce(p.ctx)
	if err != nil && !hadoop.IsRegistered(err) { // else the answer to an earlier call got lost
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgotten()
	p.learnTokens(resp.GetNmTokensFromPreviousAttempts())
	p.learnClients(resp)
	if adopted := p.adopt(resp.GetContainersFromPreviousAttempts()); len(adopted) > 0 {
		p.queue.Put(reconcile.Adopted{Containers: adopted})
	}
	p.changed = time.Now()
	p.signal()
	return nil
}

// forgotten notes that the ResourceManager has to be told everything again, under mu.
func (p *Provider) forgotten() {
	maps.Copy(p.releases, p.released)
	clear(p.released)
	p.bad.forgotten()
	p.look.stale = true
	for _, pool := range p.pools {
		if pool.sent != 0 || pool.rows.told[anywhere] != 0 { // what was not asked for is not taken back: its size may be none that there is just now
			pool.sent = -1
		}
	}
}

// giveBack has the ResourceManager take a container back, under mu.
func (p *Provider) giveBack(id hadoop.ContainerID) {
	p.releases[id] = struct{}{}
	p.signal()
}

func (p *Provider) superseded(err error) {
	p.log.Error("this attempt is over", "err", err)
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(p.done)
}
