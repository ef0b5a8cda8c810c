package yarn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/nodelog"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/token"
	hadoop "github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Options of a Provider. Scheduler and Credentials are required; FromEnv fills
// them in for a process that YARN has started.
type Options struct {
	// Scheduler are the ResourceManagers' scheduler addresses, host:port.
	Scheduler []string
	// Client are their addresses for clients, host:port. Where there are none, pools that have a
	// bound for each node get nothing: they are asked for by host.
	Client []string
	// Credentials are those of the application master. Containers get all but the
	// AMRM token and, a driver apart, one for the ResourceManager's clients.
	Credentials *token.Credentials
	// Attempt is this application master's own: containers of others are known by it.
	Attempt hadoop.AttemptID
	// User is whose application it is. Containers get it as HADOOP_USER_NAME,
	// unless Secure.
	User   string
	Secure bool
	// HTTPS is how NodeManagers' web servers are reached, and Tickets are the owner's, for those that show logs to nobody
	// without; nil: there are none.
	HTTPS   bool
	Tickets sasl.TicketSource
	// Env is added to each container's environment. Keys and values are used as
	// they are, within double quotes of a shell: see spec.Pool.Env for what a
	// person wrote.
	Env map[string]string

	// Expiry is the silence of an application master, or of its node, after which the
	// ResourceManager starts another attempt; 0 is 10 min, as YARN has it.
	Expiry time.Duration

	Heartbeat time.Duration // 0 is 1 s
	Eager     time.Duration // the shortest time between heartbeats; 0 is 100 ms
	Parallel  int           // containers started or stopped at a time; 0 is 32

	IPC ipc.Options  // of both lines; Token is set here
	Log *slog.Logger // nil discards
}

// Provider gets containers from YARN. It implements provider.Provider.
type Provider struct {
	opt    Options
	log    *slog.Logger
	queue  *provider.Queue
	logs   *nodelog.Reader
	am     *hadoop.AMClient
	nm     *hadoop.NMClient
	client *hadoop.Client  // lists nodes; nil without addresses
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	slots  chan struct{} // bounds how many NodeManager calls there are
	wake   chan struct{} // an order waits for the heartbeat
	done   chan struct{} // closed when we are superseded
	beat   chan struct{} // closed to end the heartbeat alone
	beaten chan struct{} // closed when the heartbeat has ended

	wg       sync.WaitGroup // one for each NodeManager call, and for one that lists nodes
	once     sync.Once      // Close
	endBeat  sync.Once
	register provider.Registration

	mu       sync.Mutex
	err      error // why done is closed
	pools    []*pool
	boxes    map[hadoop.ContainerID]*box
	past     map[hadoop.ContainerID]string // of containers that have ended: their nodes' web addresses, for their logs
	tokens   map[hadoop.NodeID]token.Token
	releases map[hadoop.ContainerID]struct{} // what the ResourceManager is to take back
	released map[hadoop.ContainerID]struct{} // what it was told to, and has not said that it has
	bad      *avoidance
	places   map[string]place // by host, all that were ever listed
	look     lookout
	soon     time.Duration              // between two listings
	cluster  reconcile.Cluster          // as it was last told of
	counts   []pb.SchedulerResourceType // what the scheduler bounds
	progress float32
	changed  time.Time // when an ask was changed or answered
	vouching provider.Vouching
	heard    time.Time     // when that was sent which the ResourceManager answered last
	apart    bool          // an ask was refused: one in each heartbeat
	patience time.Duration // how long one that was refused is not repeated
	beating  bool          // there is a heartbeat to wait for
	closed   bool
}

// pool counts one pool's containers.
type pool struct {
	spec     *spec.Pool
	priority int32
	total    int       // how many there shall have been in all
	given    int       // how many there were
	sent     int       // how many the ResourceManager has outstanding; -1: send in any case
	rows     spreading // of what is outstanding, where there is a bound for each node; then sent is 0 or -1
	held     time.Time // it was refused, and is not asked for before
	none     bool      // the cluster has none of its kind, as far as is known
}

func (p *pool) missing() int { return max(0, p.total-p.given) }

// due is how many are to be outstanding now, and whether that is to be said. What the cluster does not have is taken back,
// and later tried with one: each that comes in its place is charged to the queue until it has been given back.
func (p *pool) due(now time.Time) (n int, say bool) {
	n = p.missing()
	held := !now.After(p.held)
	switch {
	case held && !p.none:
		return 0, false
	case held:
		n = 0
	case p.none:
		n = min(n, 1)
	}
	return n, n != p.sent
}

// state of a container on this side.
type state uint8

const (
	allocated state = iota // ours, and nothing runs in it
	starting               // its NodeManager was told to start it
	running                // its NodeManager has accepted that
)

// box is a container that has not ended, as far as we know.
type box struct {
	id    hadoop.ContainerID
	pb    *pb.Container
	node  hadoop.NodeID
	pool  *pool
	state state
	stop  bool // it is to end
	warn  int  // preemption that was told: 0 none, 1 negotiable, 2 strict
}

// New returns a provider. It does nothing before Register.
func New(o Options) (*Provider, error) {
	if len(o.Scheduler) == 0 || o.Credentials == nil {
		return nil, errors.New("yarn provider: Options need Scheduler and Credentials")
	}
	amrm, ok := hadoop.AMRMToken(o.Credentials)
	if !ok {
		return nil, errors.New("yarn provider: the credentials hold no AMRM token: this process was not started as an application master by YARN")
	}
	o.Expiry = cmp.Or(o.Expiry, defaultExpiry)
	o.Heartbeat = cmp.Or(o.Heartbeat, time.Second)
	o.Eager = cmp.Or(o.Eager, 100*time.Millisecond)
	o.Parallel = cmp.Or(o.Parallel, 32)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	toRM := o.IPC
	toRM.Token = &amrm
	ctx, cancel := context.WithCancel(context.Background())
	p := &Provider{
		opt: o, log: o.Log, queue: provider.NewQueue(), logs: newReader(o),
		am: hadoop.NewAMClient(hadoop.Options{Addresses: o.Scheduler, IPC: toRM}), nm: hadoop.NewNMClient(o.IPC),
		ctx: ctx, cancel: cancel, slots: make(chan struct{}, o.Parallel), wake: make(chan struct{}, 1),
		done: make(chan struct{}), beat: make(chan struct{}), beaten: make(chan struct{}),
		boxes: map[hadoop.ContainerID]*box{}, past: map[hadoop.ContainerID]string{},
		tokens: map[hadoop.NodeID]token.Token{}, releases: map[hadoop.ContainerID]struct{}{},
		released: map[hadoop.ContainerID]struct{}{}, bad: newAvoidance(), patience: refusedPause,
		places: map[string]place{}, soon: listSoon,
	}
	if len(o.Client) > 0 {
		p.client = p.newLister()
	}
	return p, nil
}

// SetTokens has containers that are started from now on get newer delegation tokens, in place of those for the same
// services.
func (p *Provider) SetTokens(c *token.Credentials) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.opt.Credentials.Without()
	all.Merge(c)
	p.opt.Credentials = all
}

// Name is "yarn".
func (p *Provider) Name() string { return "yarn" }

// Events is the channel of what happens.
func (p *Provider) Events() <-chan reconcile.Event { return p.queue.Out() }

// Done is closed when the ResourceManager has no more use for this attempt.
func (p *Provider) Done() <-chan struct{} { return p.done }

// Err tells why Done is closed.
func (p *Provider) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// defaultExpiry is that of yarn.am.liveness-monitor.expiry-interval-ms and of
// yarn.nm.liveness-monitor.expiry-interval-ms.
const defaultExpiry = 10 * time.Minute

// Trusted is until when the ResourceManager cannot have given this attempt up: it
// counts from what it hears of the application master and of its node, and that was not
// before we sent it. (Of a node that falls silent alone it tells with its answers.)
func (p *Provider) Trusted() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard.Add(p.opt.Expiry)
}

// Register registers with the ResourceManager and starts the heartbeat. It tries
// until it has an answer or the context ends.
func (p *Provider) Register(ctx context.Context, r provider.Registration) (provider.Registered, error) {
	p.register = r
	for i := range r.Pools {
		p.pools = append(p.pools, &pool{spec: &r.Pools[i], priority: int32(i + 1)})
	}
	var resp *pb.RegisterApplicationMasterResponse
	blind := false
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		var err error
		sent := time.Now()
		if resp, err = p.registerOnce(ctx); err == nil || hadoop.IsRegistered(err) {
			p.hear(sent)
		}
		if err == nil {
			break
		}
		if hadoop.IsRegistered(err) {
			p.log.Warn("the answer to the registration got lost: the ResourceManager has this attempt registered")
			blind = true
			break
		}
		var remote *ipc.RemoteError
		if errors.As(err, &remote) && !ipc.IsStandby(err) && !ipc.IsRetriable(err) {
			return provider.Registered{}, fmt.Errorf("the ResourceManager refused the registration: %w", err)
		}
		p.log.Warn("cannot register yet", "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return provider.Registered{}, fmt.Errorf("cannot register with the ResourceManager: %w", err)
		}
	}
	if err := p.checkTypes(resp); err != nil {
		return provider.Registered{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.beating, p.counts = true, resp.GetSchedulerResourceTypes()
	p.learnClients(resp)
	go p.heartbeat()
	p.learnTokens(resp.GetNmTokensFromPreviousAttempts())
	most := resp.GetMaximumCapability()
	return provider.Registered{
		Maximum: spec.Resource{VCores: int(most.GetVirtualCores()), MemoryMiB: most.GetMemory()},
		Adopted: p.adopt(resp.GetContainersFromPreviousAttempts()), Blind: blind,
	}, nil
}

// learnClients takes over how the ResourceManager vouches for clients, under mu. The master key is this attempt's for as
// long as it lives: a ResourceManager that restarts has it in its store (RMAppAttemptImpl.recoverAppAttemptCredentials). A
// registration whose answer got lost (resp is nil) tells nothing new.
// Source: DefaultAMSProcessor.registerApplicationMaster.
func (p *Provider) learnClients(resp *pb.RegisterApplicationMasterResponse) {
	if key := resp.GetClientToAmTokenMasterKey(); len(key) > 0 {
		p.vouching.Key = slices.Clone(key)
	}
	if list := resp.GetApplicationAcls(); len(list) > 0 {
		acls := hadoop.ACLsFromPB(list)
		p.vouching.Access, p.vouching.Told = spec.Access{View: spec.ACL(acls.View), Modify: spec.ACL(acls.Modify)}, true
	}
}

// Vouching is how the ResourceManager vouches for clients, as it said last.
func (p *Provider) Vouching() provider.Vouching {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.vouching
}

// hear notes that the ResourceManager has answered what was sent at a time.
func (p *Provider) hear(sent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = sent
}

func (p *Provider) registerOnce(ctx context.Context) (*pb.RegisterApplicationMasterResponse, error) {
	return p.am.Register(ctx, p.register.Host, int32(p.register.Port), p.register.TrackingURL)
}

// checkTypes refuses pools that want what the cluster does not have: the
// ResourceManager itself skips what it does not know without a word.
func (p *Provider) checkTypes(resp *pb.RegisterApplicationMasterResponse) error {
	if len(resp.GetResourceTypes()) == 0 {
		return nil // a ResourceManager that does not tell
	}
	for _, pool := range p.pools {
		for name := range pool.spec.Resource.Named {
			known := false
			for _, t := range resp.GetResourceTypes() {
				known = known || t.GetName() == name
			}
			if !known {
				return fmt.Errorf("pool %s wants %s, which this cluster does not have", pool.spec.Name, name)
			}
		}
	}
	return nil
}

// adopt takes over containers of earlier attempts, under mu.
func (p *Provider) adopt(list []*pb.Container) []reconcile.Adoptee {
	var out []reconcile.Adoptee
	for _, c := range list {
		id := hadoop.ContainerIDFromPB(c.GetId())
		if p.boxes[id] != nil {
			continue
		}
		b := &box{id: id, pb: c, node: hadoop.NodeIDFromPB(c.GetNodeId()), pool: p.byPriority(c), state: running}
		p.boxes[id] = b
		a := reconcile.Adoptee{ID: id.String(), Node: b.node.Host}
		if b.pool != nil {
			a.Pool = b.pool.spec.Name
		}
		out = append(out, a)
	}
	return out
}

func (p *Provider) byPriority(c *pb.Container) *pool {
	i := int(c.GetPriority().GetPriority()) - 1
	if i < 0 || i >= len(p.pools) {
		return nil
	}
	return p.pools[i]
}

func (p *Provider) learnTokens(list []*pb.NMToken) {
	for _, t := range list {
		p.tokens[hadoop.NodeIDFromPB(t.GetNodeId())] = hadoop.TokenFromPB(t.GetToken())
	}
}

// Ask sets how many more containers of a pool are to be allocated.
func (p *Provider) Ask(name string, n, seen int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pool := range p.pools {
		if pool.spec.Name == name && pool.total != n+seen {
			pool.total = n + seen
			p.changed = time.Now()
			p.signal()
		} else if pool.spec.Name == name && n > 0 {
			// The same number again: the caller thinks that it got lost.
			pool.sent = -1
			p.signal()
			p.noteNone(pool)
		}
	}
}

// Avoid has no containers allocated on these nodes.
func (p *Provider) Avoid(nodes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad.set(nodes)
	p.signal()
}

// Progress tells the ResourceManager how far the application is.
func (p *Provider) Progress(done float32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress = min(max(done, 0), 1)
}

func (p *Provider) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Describe tells what is known of a container.
func (p *Provider) Describe(id string) provider.Description {
	cid, err := hadoop.ParseContainerID(id)
	if err != nil {
		return provider.Description{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.boxes[cid]
	if b == nil {
		return provider.Description{}
	}
	d := provider.Description{Node: b.node.Host}
	if b.state != allocated && b.pb.GetNodeHttpAddress() != "" {
		d.Logs = p.logs.Page(b.pb.GetNodeHttpAddress(), id, p.opt.User)
	}
	return d
}

// Unregister tells the ResourceManager how the application ended.
func (p *Provider) Unregister(ctx context.Context, f provider.Final) error {
	p.stopHeartbeat()
	status := pb.FinalApplicationStatus_APP_FAILED
	switch f.Status {
	case reconcile.Succeeded:
		status = pb.FinalApplicationStatus_APP_SUCCEEDED
	case reconcile.Killed:
		status = pb.FinalApplicationStatus_APP_KILLED
	case reconcile.Failed:
	}
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := p.am.Finish(ctx, status, f.Diagnostics, f.URL)
		if err == nil || hadoop.IsAttemptNotFound(err) {
			return err
		}
		p.log.Warn("cannot unregister yet", "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("cannot unregister from the ResourceManager: %w", err)
		}
	}
}

// stopHeartbeat ends the heartbeat and waits for it. It can be called twice, and
// when there is none.
func (p *Provider) stopHeartbeat() {
	p.endBeat.Do(func() { close(p.beat) })
	p.mu.Lock()
	beating := p.beating
	p.mu.Unlock()
	if beating {
		<-p.beaten
	}
}

// Close ends all calls. It does not unregister.
func (p *Provider) Close() error {
	p.once.Do(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.cancel()
		p.am.Close()
		p.nm.Close()
		if p.client != nil {
			p.client.Close()
		}
		p.stopHeartbeat()
		p.wg.Wait()
		p.queue.Close()
		p.logs.Close()
	})
	return nil
}
