package appmaster

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// Who says how large a pool of workers is: a person, with Scale, or the scheduler, with
// Want, between limits that a person set. What persons said is told to the scheduler,
// which tells it to the next application master in turn, and saved, so that the next
// application master knows it before it is told. Of the two the later word counts.

// scaling is who says how large a pool is.
type scaling struct {
	limits *spec.Limits // nil: a person
	round  uint64       // grows with each word of a person's
	said   bool         // one was said to this attempt of the application master
	saved  bool         // limits and round are as an earlier attempt saved them
}

func newScaling(app *spec.Application) map[string]*scaling {
	all := map[string]*scaling{}
	for i := range app.Pools {
		if p := &app.Pools[i]; p.Role == spec.RoleWorker {
			all[p.Name] = &scaling{limits: p.Adapt}
		}
	}
	return all
}

// pin has a pool be as large as a person says.
func (l *loop) pin(pool string) { l.set(pool, nil) }

func (l *loop) set(pool string, limits *spec.Limits) {
	s := l.scaling[pool]
	s.limits, s.said = limits, true
	s.round++
	l.dirty = true
}

// limits are those of a pool that scales by itself, else nil.
func (l *loop) limits(pool string) *ampb.Limits {
	if s := l.scaling[pool]; s != nil {
		return limitsOut(s.limits)
	}
	return nil
}

func limitsOut(s *spec.Limits) *ampb.Limits {
	if s == nil {
		return nil
	}
	out := &ampb.Limits{Min: int32(s.Min), Max: int32(s.Max)}
	if s.Idle > 0 {
		out.Idle = durationpb.New(time.Duration(s.Idle))
	}
	return out
}

func limitsIn(m *ampb.Limits) (*spec.Limits, error) {
	if m == nil {
		return nil, nil
	}
	l := &spec.Limits{Min: int(m.Min), Max: int(m.Max), Idle: spec.Duration(m.Idle.AsDuration())}
	return l, l.Validate()
}

// Adapt has a pool scale by itself.
func (s session) Adapt(ctx context.Context, req *ampb.AdaptRequest) (*ampb.AdaptReply, error) {
	var reply *ampb.AdaptReply
	var err error = errEnding
	var seq uint64
	s.call(ctx, func() {
		reply, err = s.adapt(req, caller(ctx).Name)
		seq = s.remember(true)
	})
	if err == nil {
		err = s.kept(ctx, seq)
	}
	return reply, err
}

// adapt runs on the loop.
func (l *loop) adapt(req *ampb.AdaptRequest, who string) (*ampb.AdaptReply, error) {
	pool, err := l.workerPool(req.Pool)
	if err != nil {
		return nil, err
	}
	limits, err := limitsIn(req.Limits)
	switch {
	case err != nil:
		return nil, status.Errorf(codes.InvalidArgument, "the limits %v", err)
	case limits == nil:
		return nil, status.Error(codes.InvalidArgument, "no limits were given")
	case l.core.Ending():
		return nil, errEnding
	}
	reply := &ampb.AdaptReply{Pool: pool, Before: l.limits(pool)}
	l.log.Info("adapt", "pool", pool, "min", limits.Min, "max", limits.Max, "by", who)
	l.note("pool.adapts", pool, "between %d and %d workers from now on: asked for by %s", limits.Min, limits.Max, who)
	l.set(pool, limits)
	l.step(reconcile.Want{Pool: pool, N: limits.Clamp(l.wanted(pool)), Afresh: true, Reason: fmt.Sprintf("%s set the limits to %d and %d", who, limits.Min, limits.Max)})
	reply.Wanted = int32(l.wanted(pool))
	return reply, nil
}

// wants takes the scheduler's word for a pool that scales by itself.
func (l *loop) wants(m *ampb.Want) {
	s := l.scaling[m.Pool]
	if s.limits == nil {
		l.log.Info("the scheduler wants, and a person has said how many", "pool", m.Pool, "count", m.Count)
		return
	}
	n := s.limits.Clamp(int(m.Count))
	l.log.Info("the scheduler wants", "pool", m.Pool, "count", n, "reason", m.Reason)
	l.step(reconcile.Want{Pool: m.Pool, N: n, Reason: m.Reason})
}

// remembered takes over what an earlier attempt of the application master told the
// scheduler, as far as nobody has said anything to this one.
func (l *loop) remembered(told *ampb.Pools) {
	if int(told.GetAttempt()) >= l.attempt {
		return
	}
	for _, m := range told.GetPool() {
		s := l.scaling[m.Pool]
		if s == nil || s.said || s.saved && m.Round <= s.round {
			continue
		}
		limits, err := limitsIn(m.Adapt)
		if err != nil || m.Wanted < 0 || m.Wanted > maxContainers {
			l.log.Warn("the scheduler remembers what cannot be", "pool", m.Pool, "wanted", m.Wanted, "err", err)
			continue
		}
		s.limits, s.round = limits, m.Round
		l.step(reconcile.Want{Pool: m.Pool, N: int(m.Wanted), Reason: "as it was before this attempt of the application master"})
	}
}

// clusterIs takes in how the cluster is, and has the scheduler told where that matters to it.
func (l *loop) clusterIs(now reconcile.Cluster) {
	before := l.cluster
	l.cluster = now
	for i := range l.opt.Spec.Pools {
		if p := &l.opt.Spec.Pools[i]; p.Role == spec.RoleWorker && !sameRoom(roomFor(p, before.Room), roomFor(p, now.Room)) {
			l.dirty = true
		}
	}
}

func sameRoom(a, b *int32) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

// roomFor is how many containers of a pool a room has place for; nil: nobody knows. A room
// is told of the nodes without a label; what is opportunistic does not count in it.
func roomFor(p *spec.Pool, room *spec.Resource) *int32 {
	if room == nil || p.NodeLabel != "" || p.Opportunistic {
		return nil
	}
	n := int64(maxContainers)
	if p.Resource.MemoryMiB > 0 {
		n = min(n, room.MemoryMiB/p.Resource.MemoryMiB)
	}
	if room.VCores >= 0 && p.Resource.VCores > 0 {
		n = min(n, int64(room.VCores/p.Resource.VCores))
	}
	for name, each := range p.Resource.Named {
		if have, told := room.Named[name]; told && each > 0 {
			n = min(n, have/each)
		}
	}
	out := int32(n)
	return &out
}

// within bounds a room by what the nodes may have of a pool; below 0 that is no bound.
func within(room *int32, space int) *int32 {
	if space < 0 || room != nil && int(*room) <= space {
		return room
	}
	n := int32(space)
	return &n
}

// tellPools tells the scheduler how the pools are, if that has changed.
func (l *loop) tellPools() {
	if l.sched == nil {
		return
	}
	m := &ampb.Pools{Attempt: int32(l.attempt)}
	for _, v := range l.core.Pools() {
		s := l.scaling[v.Name]
		if s == nil {
			continue
		}
		r := l.opt.Spec.Pool(v.Name).Resource
		m.Pool = append(m.Pool, &ampb.PoolState{
			Pool: v.Name, Adapt: limitsOut(s.limits), Round: s.round, Wanted: int32(v.Wanted), Asked: int32(v.Asked),
			Containers: int32(v.Starting + v.Running - v.Silent), Failures: int32(v.Failures), Vcores: int32(r.VCores), MemoryMib: r.MemoryMiB, Named: r.Named,
			Room: within(roomFor(l.opt.Spec.Pool(v.Name), l.cluster.Room), v.Space),
		})
	}
	if proto.Equal(m, l.toldPools) {
		return
	}
	l.toldPools = m
	l.tell(&ampb.ToScheduler{Message: &ampb.ToScheduler_Pools{Pools: m}})
}
