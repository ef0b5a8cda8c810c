package appmaster

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/listen"
	"github.com/yarnd/yarnd/appmaster/memory"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/identity"
)

// tick is how often time is let pass, and how often changes are published.
const tick = 50 * time.Millisecond

// loop owns the application's state. Fields of the first group do not change
// after open; those of the second belong to the goroutine in run.
type loop struct {
	opt     Options
	log     *slog.Logger
	ca      *identity.CA
	id      *identity.Identity
	prov    provider.Provider
	node    string
	port    int
	web     string // URL
	attempt int
	began   time.Time
	calls   chan func()
	ended   chan struct{} // closed when the loop is over: calls are refused
	closed  chan struct{} // closed when the last Info is published
	doors   *doors
	keep    *keeper // nil without a staging directory; set before run

	published atomic.Pointer[published]

	core      *reconcile.Core
	members   map[string]*member // containers whose processes may join
	allocated map[string]int     // Allocated events by pool
	starts    uint64
	sched     *attachment // nil while there is none
	endpoint  *ampb.Endpoint
	report    *ampb.Report
	watches   int // open Watch streams
	exits     []*ampb.Exit
	events    chronicle
	pools     map[string]int // what each wanted when that was last told
	scaling   map[string]*scaling
	cluster   reconcile.Cluster // as the provider last told
	avoided   []string          // nodes that people were last told of
	waits     map[string]waits  // by pool
	toldPools *ampb.Pools       // the last that the scheduler was told
	saidEnd   bool
	revision  uint64
	dirty     bool
	delegates string // what of its tokens was last told
	forgetful bool   // there is something that the next attempt should know
	fenced    bool   // there may be another application master
	endKept   bool   // the beginning of the end is being saved
	finish    *reconcile.Finish
}

// waits are why a pool waits: at the last step, and as people were last told; "" for not at all.
type waits struct{ now, said string }

// member is a container that was started.
type member struct {
	pool *spec.Pool
	key  [sha256.Size]byte // of the public key that it joined with
	cert []byte            // nil until it has joined this attempt
	// proven tells that it has a certificate, from this attempt or an earlier one.
	proven bool
}

// ending is how the loop ended: with the application, or without.
type ending struct {
	reconcile.Finish
	left error
}

func newLoop(o Options) (*loop, error) {
	if o.Spec == nil || o.Provider == nil {
		return nil, errors.New("application master: Options need Spec and Provider")
	}
	if err := o.Spec.Validate(); err != nil {
		return nil, err
	}
	ca, err := identity.NewCA(o.Seed, o.Spec.ID)
	if err != nil {
		return nil, err
	}
	if o.Container == "" {
		o.Container = "am"
	}
	id, err := ca.NewIdentity(identity.Subject{App: o.Spec.ID, Role: identity.AppMaster, Name: identity.MasterName(max(1, o.Attempt), o.Container)}, identity.MaxTTL)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &loop{
		opt: o, log: o.Log, ca: ca, id: id, prov: o.Provider, attempt: max(1, o.Attempt), began: time.Now(),
		calls: make(chan func()), ended: make(chan struct{}), closed: make(chan struct{}),
		members: map[string]*member{}, allocated: map[string]int{}, pools: map[string]int{}, waits: map[string]waits{}, scaling: newScaling(o.Spec),
	}
	l.core = reconcile.New(reconcile.Options{
		Pools: o.Spec.Pools, IdleTimeout: time.Duration(o.Spec.IdleTimeout), Seed: jitterSeed(o.Spec.ID, l.attempt), Node: o.Node, LoneGrace: loneGrace(o.Spec),
	})
	if l.node, err = nodeName(o); err != nil {
		return nil, err
	}
	l.publish()
	return l, nil
}

// jitterSeed differs from one application and attempt to the next.
func jitterSeed(app string, attempt int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d", app, attempt)
	return h.Sum64()
}

func nodeName(o Options) (string, error) {
	host, err := listen.Host(o.Spec.Listen)
	switch {
	case err != nil:
		return "", fmt.Errorf("application master: %w", err)
	case host != "":
		return host, nil
	case o.Node != "":
		return o.Node, nil
	}
	return os.Hostname()
}

// run is the loop. It returns when the application has nothing left that runs, or
// when this attempt has to go.
func (l *loop) run(ctx context.Context, r provider.Registered, last *memory.State) ending {
	defer close(l.ended)
	if err := fits(l.opt.Spec.Pools, r.Maximum); err != nil && last == nil { // later attempts have something to lose
		l.step(reconcile.Stop{Status: reconcile.Failed, Why: err.Error(), Quick: true})
	}
	l.recall(last, r)
	var past <-chan struct{}
	if l.keep != nil {
		past = l.keep.past
		l.remember(false)
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	cancelled := ctx.Done()
	for l.finish == nil {
		select {
		case ev := <-l.prov.Events():
			l.watchTrust() // its first word after a silence is no reason to act by what passed meanwhile
			if ad, ok := ev.(reconcile.Adopted); ok {
				ad.Containers = l.adopt(ad.Containers)
				ev = ad
			}
			l.step(ev)
		case call := <-l.calls:
			call()
		case <-ticker.C:
			l.tick()
		case <-past:
			return ending{left: fmt.Errorf("%w: a later one has begun", ErrLeft)}
		case <-l.prov.Done():
			return ending{left: l.prov.Err()}
		case <-cancelled:
			if l.opt.LeaveOnCancel {
				return ending{left: ErrLeft}
			}
			cancelled = nil
			l.step(reconcile.Stop{Status: reconcile.Killed, Why: "the application master was told to end", Quick: true})
		}
	}
	l.publish()
	l.keepEnd(ctx)
	return ending{Finish: *l.finish}
}

// tick lets time pass, and publishes and saves what has changed.
func (l *loop) tick() {
	l.watchTrust()
	if !l.fenced {
		l.step(reconcile.Tick{})
		if l.forgetful {
			l.remember(false)
		}
	}
	if d := l.opt.Delegation; d != nil {
		if now := fmt.Sprint(d.Now().Until, d.Trouble()); now != l.delegates {
			l.delegates, l.dirty = now, true
		}
	}
	if l.dirty {
		l.publish()
	}
}

// fits tells which pool that shall have some asks for containers larger than there can be.
func fits(pools []spec.Pool, most spec.Resource) error {
	for _, p := range pools {
		r := p.Resource
		if p.Count == 0 {
			continue
		}
		if (most.MemoryMiB > 0 && r.MemoryMiB > most.MemoryMiB) || (most.VCores > 0 && r.VCores > most.VCores) {
			return fmt.Errorf("pool %s: containers of %d MiB and %d vcores are larger than the cluster's maximum of %d MiB and %d vcores",
				p.Name, r.MemoryMiB, r.VCores, most.MemoryMiB, most.VCores)
		}
	}
	return nil
}

func (l *loop) adopt(list []reconcile.Adoptee) []reconcile.Adoptee {
	for _, a := range list {
		if pool := l.opt.Spec.Pool(a.Pool); pool != nil && l.members[a.ID] == nil {
			l.members[a.ID] = &member{pool: pool}
		}
	}
	return list
}

// do runs a function on the loop's goroutine and waits for it. It returns false
// when the loop is over or the context has ended before the function began.
func (l *loop) do(ctx context.Context, f func()) bool {
	done := make(chan struct{})
	call := func() {
		defer close(done)
		f()
	}
	select {
	case l.calls <- call:
		<-done
		return true
	case <-l.ended:
		return false
	case <-ctx.Done():
		return false
	}
}

// step lets the core decide and does what it says.
func (l *loop) step(ev reconcile.Event) {
	switch ev := ev.(type) {
	case reconcile.Tick, reconcile.Presence, reconcile.Heard, reconcile.Came:
	case reconcile.Cluster:
		l.clusterIs(ev)
	case reconcile.Allocated:
		l.allocated[ev.Pool]++
		l.dirty = true
	default:
		l.dirty, l.forgetful = true, true
		l.log.Debug("event", "event", fmt.Sprintf("%T%+v", ev, ev))
	}
	l.noteEvent(ev)
	served := l.core.Served()
	actions := l.core.Step(time.Since(l.began), ev)
	l.forgetful = l.forgetful || l.core.Served() != served
	l.notePools(reasonOf(ev))
	if l.core.Ending() && !l.endKept { // what has been done must not be done again
		l.endKept = true
		l.remember(true)
	}
	for _, a := range actions {
		l.dirty, l.forgetful = true, true
		l.noteAction(a)
		l.act(a)
	}
}

func (l *loop) act(a reconcile.Action) {
	l.log.Debug("action", "action", fmt.Sprintf("%T%+v", a, a))
	switch a := a.(type) {
	case reconcile.Ask:
		l.prov.Ask(a.Pool, a.N, l.allocated[a.Pool])
	case reconcile.ReleaseContainer:
		l.prov.Release(a.ID)
	case reconcile.Avoid:
		l.prov.Avoid(a.Nodes)
	case reconcile.StopContainer:
		l.prov.Stop(a.ID)
	case reconcile.StartContainer:
		l.start(a)
	case reconcile.NoteExit:
		l.noteExit(a)
	case reconcile.NoteDrain, reconcile.NoteSilent, reconcile.NoteBack, reconcile.NoteBlind: // it was noted
	case reconcile.TellShrink:
		l.tell(&ampb.ToScheduler{Message: &ampb.ToScheduler_Shrink{Shrink: &ampb.Shrink{Pool: a.Pool, To: int32(a.To)}}})
	case reconcile.TellDrain:
		l.tell(&ampb.ToScheduler{Message: &ampb.ToScheduler_Drain{Drain: &ampb.Drain{Containers: a.IDs, Reason: a.Reason}}})
	case reconcile.TellStop:
		l.tell(&ampb.ToScheduler{Message: &ampb.ToScheduler_Stopping{Stopping: &ampb.Stopping{Why: a.Why}}})
	case reconcile.Finish:
		l.finish = &a
	default:
		panic(fmt.Sprintf("appmaster: unknown action %T", a))
	}
}

// loneGrace is reconcile's Options.LoneGrace: a scheduler without a journal is not given up, as the next one would know nothing.
func loneGrace(app *spec.Application) time.Duration {
	if app.NoJournal {
		return -1
	}
	return 0
}

// start starts a container's process with what it has to know.
func (l *loop) start(a reconcile.StartContainer) {
	pool := l.opt.Spec.Pool(a.Pool)
	l.members[a.ID] = &member{pool: pool}
	l.starts++
	launch := spec.Launch{
		Version: spec.Version, App: l.opt.Spec.ID, User: l.opt.Spec.User, Role: pool.Role, Pool: pool.Name, Container: a.ID, Node: a.Node,
		Epoch: uint64(l.attempt)<<32 | l.starts, Resource: pool.Resource, AM: []string{l.address()}, CA: string(l.ca.PEM()),
		Staging: l.opt.Spec.Staging, Env: pool.Env, Command: pool.Command, Listen: l.opt.Spec.Listen, KeepResults: l.opt.Spec.KeepResults, NoJournal: l.opt.Spec.NoJournal,
	}
	data, err := launch.Encode()
	if err != nil {
		// The spec is valid, so this is a bug; the container is given up.
		l.log.Error("cannot describe a container's launch", "container", a.ID, "err", err)
		l.prov.Release(a.ID)
		return
	}
	token := l.joinToken(a.ID)
	l.prov.Start(a.ID, map[string][]byte{spec.SecretLaunch: data, spec.SecretJoin: token[:]})
}

// joinToken derives a container's join token from the seed, so that a later
// attempt of the application master knows it too.
func (l *loop) joinToken(container string) (token [spec.JoinTokenSize]byte) {
	raw, err := hkdf.Key(sha256.New, l.opt.Seed[:], nil, "yarnd join token\x00"+l.opt.Spec.ID+"\x00"+container, len(token))
	if err != nil {
		panic(fmt.Sprintf("appmaster: %v", err)) // only a length that is too long fails
	}
	copy(token[:], raw)
	return token
}

func (l *loop) noteExit(a reconcile.NoteExit) {
	delete(l.members, a.ID)
	level := slog.LevelInfo
	if !a.Cause.Blameless() {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "container ended", "container", a.ID, "pool", a.Pool, "node", a.Node, "how", a.Cause.Describe(a.Status), "diagnostics", a.Diagnostics)
	if l.endpoint != nil && l.endpoint.Container == a.ID {
		l.endpoint = nil
		l.unreported()
		l.publish()
	}
	x := l.exitInfo(a)
	l.noteEnd(x)
	l.exits = append(l.exits, x)
	if len(l.exits) > memory.MaxExits {
		l.exits = l.exits[1:]
	}
	if pool := l.opt.Spec.Pool(a.Pool); pool.Role == spec.RoleWorker {
		l.tell(&ampb.ToScheduler{Message: &ampb.ToScheduler_Exited{Exited: &ampb.ContainerExited{
			Container: a.ID, Pool: a.Pool, Cause: string(a.Cause), Blameless: a.Cause.Blameless(), Status: a.Status, Diagnostics: a.Diagnostics,
		}}})
	}
}

// unreported leaves of a scheduler's report what holds without it: no worker is with a scheduler. The rest, tasks that are done, say, is
// the best that is known until the next one reports.
func (l *loop) unreported() {
	if l.report == nil {
		return
	}
	l.report = proto.CloneOf(l.report) // the other one is published
	l.report.Workers, l.report.Slots = 0, 0
}

// presence tells the core whether anybody is there.
func (l *loop) presence() {
	ev := reconcile.Presence{Clients: l.watches}
	if l.report != nil {
		ev.Clients += int(l.report.Clients)
		ev.Busy = l.report.Busy
	}
	l.step(ev)
}
