package appmaster

import (
	"context"
	"os"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/reconcile"
)

// published is what everybody may read. Neither changes once it is stored; the
// channel is closed when there is a newer one.
type published struct {
	info    *ampb.Info
	changed chan struct{}
}

// publish makes the present state readable.
func (l *loop) publish() {
	l.dirty = false
	l.revision++
	l.replace(l.info())
	l.tellPools()
}

func (l *loop) replace(info *ampb.Info) {
	old := l.published.Swap(&published{info, make(chan struct{})})
	if old != nil {
		close(old.changed)
	}
}

// publishEnd says that it is over, when nothing but the telling is left.
func (l *loop) publishEnd(status reconcile.Status, why string) {
	l.revision++
	info := l.info()
	info.State, info.Final, info.Why = ampb.State_ENDED, string(status), why
	l.replace(info)
}

// fresh returns an Info that holds everything that happened before the call.
func (l *loop) fresh(ctx context.Context) *ampb.Info {
	l.do(ctx, func() {
		if l.dirty {
			l.publish()
		}
	})
	return l.published.Load().info
}

// info describes the present state.
func (l *loop) info() *ampb.Info {
	s := l.opt.Spec
	info := &ampb.Info{
		Revision: l.revision, App: s.ID, Name: s.Name, User: s.User, State: l.state(), Why: l.core.Why(), Attempt: int32(l.attempt),
		Started: timestamppb.New(l.began), Provider: l.prov.Name(), Container: l.opt.Container, Node: l.node, Web: l.web,
		Scheduler: l.endpoint, Report: l.report, Exits: append([]*ampb.Exit(nil), l.exits...),
		Delegation: l.delegated(),
	}
	if s.IdleTimeout > 0 {
		info.IdleTimeout = durationpb.New(time.Duration(s.IdleTimeout))
	}
	if info.Provider == "local" {
		info.Pid = int32(os.Getpid())
	}
	for _, v := range l.core.Pools() {
		pool := s.Pool(v.Name)
		info.Pools = append(info.Pools, &ampb.Pool{
			Name: v.Name, Role: string(pool.Role), Wanted: int32(v.Wanted), Asked: int32(v.Asked), Starting: int32(v.Starting), Running: int32(v.Running - v.Silent),
			Stopping: int32(v.Stopped), Failures: int32(v.Failures), Held: durationpb.New(v.HeldFor), Vcores: int32(pool.Resource.VCores), MemoryMib: pool.Resource.MemoryMiB,
			Adapt: l.limits(v.Name), MaxPerNode: int32(pool.MaxPerNode), Waits: v.Waits,
		})
	}
	for _, v := range l.core.Containers() {
		d := l.prov.Describe(v.ID)
		m := l.members[v.ID]
		state := v.State.String()
		if v.State == reconcile.Running && v.Leaving != "" {
			state = "draining"
		}
		if v.Silent && v.State == reconcile.Running {
			state = "silent"
		}
		info.Containers = append(info.Containers, &ampb.Container{
			Id: v.ID, Pool: v.Pool, Role: string(s.Pool(v.Pool).Role), Node: v.Node, State: state,
			Since: timestamppb.New(l.began.Add(v.Since)), Pid: int32(d.PID), Logs: d.Logs, Joined: m != nil && m.proven,
		})
	}
	for _, v := range l.core.Avoided() {
		info.Avoided = append(info.Avoided, &ampb.AvoidedNode{Node: v.Node, Until: timestamppb.New(time.Now().Add(v.Left)), Why: v.Why})
	}
	return info
}

func (l *loop) state() ampb.State {
	switch {
	case l.core.Ending():
		return ampb.State_STOPPING
	case l.endpoint == nil:
		return ampb.State_STARTING
	}
	return ampb.State_RUNNING
}

func (l *loop) exitInfo(a reconcile.NoteExit) *ampb.Exit {
	return &ampb.Exit{
		Container: a.ID, Pool: a.Pool, Node: a.Node, Cause: a.Cause.Describe(a.Status), Status: a.Status, Diagnostics: a.Diagnostics,
		When: timestamppb.Now(), Blameless: a.Cause.Blameless(),
	}
}
