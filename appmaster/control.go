package appmaster

import (
	"context"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// attachment is a scheduler's open stream.
type attachment struct {
	name string // container
	out  chan *ampb.ToScheduler
	gone chan struct{} // closed by the loop when it takes no more from this one
}

// maxTells bounds what a scheduler that does not read may leave unread. Beyond it
// is cut off; it will come again, and is told what still matters.
const maxTells = 4096

// control implements ampb.ControlServer.
type control struct {
	ampb.UnimplementedControlServer
	*loop
}

func (s control) Attach(stream grpc.BidiStreamingServer[ampb.FromScheduler, ampb.ToScheduler]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	announce := first.GetAnnounce()
	if announce == nil || announce.Address == "" {
		return status.Error(codes.InvalidArgument, "a scheduler begins with Announce")
	}
	ctx := stream.Context()
	a := &attachment{name: caller(ctx).Name, out: make(chan *ampb.ToScheduler, maxTells), gone: make(chan struct{})}
	var refused error = errEnding
	if !s.do(ctx, func() { refused = s.attach(a, announce) }) || refused != nil {
		return refused
	}
	failed := make(chan error, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			if !s.do(ctx, func() { s.hear(a, m) }) {
				failed <- errEnding
				return
			}
		}
	}()
	defer s.do(context.Background(), func() { s.detach(a) })
	for {
		select {
		case m := <-a.out:
			if err := stream.Send(m); err != nil {
				return err
			}
		case err := <-failed:
			return err
		case <-a.gone:
			return status.Error(codes.Aborted, "another scheduler has attached, or this one did not read")
		case <-s.closed:
			return errEnding
		}
	}
}

// attach makes a the scheduler. It runs on the loop.
func (l *loop) attach(a *attachment, announce *ampb.Announce) error {
	m := l.members[a.name]
	switch {
	case m == nil:
		return l.stranger(a.name)
	case m.pool.Role != spec.RoleScheduler:
		return status.Errorf(codes.PermissionDenied, "container %s is no scheduler's", a.name)
	case l.endpoint != nil && announce.Epoch < l.endpoint.Epoch:
		return status.Errorf(codes.FailedPrecondition, "a scheduler of epoch %d has attached, this is %d", l.endpoint.Epoch, announce.Epoch)
	}
	if l.sched != nil {
		l.detach(l.sched)
	}
	m.proven = true
	l.step(reconcile.Heard{IDs: []string{a.name}}) // who speaks is not missing
	l.sched = a
	if l.endpoint != nil && l.endpoint.Container != a.name {
		l.unreported()
	}
	l.endpoint = &ampb.Endpoint{Address: announce.Address, Epoch: announce.Epoch, Container: a.name}
	l.note("scheduler.attached", a.name, "at %s, epoch %d", announce.Address, announce.Epoch)
	l.log.Info("scheduler attached", "container", a.name, "address", announce.Address, "epoch", announce.Epoch)
	l.remembered(announce.Pools)
	l.toldPools = nil
	l.step(reconcile.SchedulerAttached{})
	l.publish()
	return nil
}

// detach ends an attachment, unless it has ended. The scheduler's place is kept:
// it may only have lost its connection. It runs on the loop.
func (l *loop) detach(a *attachment) {
	if l.sched != a {
		return
	}
	l.sched = nil
	close(a.gone)
	l.note("scheduler.detached", a.name, "its line broke, or another took its place")
	l.log.Info("scheduler detached", "container", a.name)
	l.step(reconcile.SchedulerDetached{})
}

// tell sends the scheduler a message, if there is one.
func (l *loop) tell(m *ampb.ToScheduler) {
	if l.sched == nil {
		return
	}
	select {
	case l.sched.out <- m:
	default:
		l.detach(l.sched)
	}
}

// progress is the share of known tasks that are done.
func progress(r *ampb.Report) float32 {
	over := r.Done + r.Failed
	all := over + r.Waiting + r.Running
	if all <= 0 {
		return 0
	}
	return float32(over) / float32(all)
}

// heardOf notes which containers work, as the scheduler says, itself included.
func (l *loop) heardOf(scheduler string, r *ampb.Report) {
	ev := reconcile.Heard{IDs: []string{scheduler}, All: true}
	for _, row := range r.Rows {
		if m := l.members[row.Container]; m != nil {
			m.proven = true
			ev.IDs = append(ev.IDs, row.Container)
		}
	}
	l.step(ev)
}

// hear takes a scheduler's message. It runs on the loop.
func (l *loop) hear(a *attachment, m *ampb.FromScheduler) {
	if l.sched != a {
		return // it has been replaced
	}
	switch m := m.Message.(type) {
	case *ampb.FromScheduler_Want:
		pool := l.opt.Spec.Pool(m.Want.Pool)
		if pool == nil || pool.Role != spec.RoleWorker || m.Want.Count < 0 || m.Want.Count > maxContainers {
			l.log.Warn("the scheduler wants what cannot be", "pool", m.Want.Pool, "count", m.Want.Count)
			return
		}
		l.wants(m.Want)
	case *ampb.FromScheduler_Release:
		ids := slices.DeleteFunc(m.Release.Containers, func(id string) bool {
			m := l.members[id]
			if m == nil {
				// It missed the news.
				l.tell(&ampb.ToScheduler{Message: &ampb.ToScheduler_Exited{Exited: &ampb.ContainerExited{Container: id, Cause: "it had ended before", Blameless: true}}})
			}
			return m == nil || m.pool.Role != spec.RoleWorker
		})
		l.log.Info("the scheduler releases", "containers", ids, "reason", m.Release.Reason)
		l.step(reconcile.Release{IDs: ids, Reason: m.Release.Reason})
	case *ampb.FromScheduler_Report:
		m.Report.When = timestamppb.Now()
		l.report, l.dirty = m.Report, true
		l.heardOf(a.name, m.Report)
		l.prov.Progress(progress(m.Report))
		l.presence()
	case *ampb.FromScheduler_Announce:
		if m.Announce.Address != "" && m.Announce.Epoch >= l.endpoint.Epoch {
			l.endpoint = &ampb.Endpoint{Address: m.Announce.Address, Epoch: m.Announce.Epoch, Container: a.name}
			l.publish()
		}
	}
}
