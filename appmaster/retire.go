package appmaster

import (
	"context"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// Retire has workers' containers drained, and then given back.
func (s session) Retire(ctx context.Context, req *ampb.RetireRequest) (*ampb.RetireReply, error) {
	var reply *ampb.RetireReply
	var err error = errEnding
	var seq uint64
	s.call(ctx, func() {
		reply, err = s.retire(req, caller(ctx).Name)
		seq = s.remember(true)
	})
	if err == nil {
		err = s.kept(ctx, seq)
	}
	return reply, err
}

// retire runs on the loop. Either all that are named are fit to leave, or nothing
// happens.
func (l *loop) retire(req *ampb.RetireRequest, who string) (*ampb.RetireReply, error) {
	switch {
	case l.core.Ending():
		return nil, errEnding
	case len(req.Containers) == 0 || len(req.Containers) > maxContainers:
		return nil, status.Errorf(codes.InvalidArgument, "%d containers are named", len(req.Containers))
	case l.sched == nil:
		return nil, status.Error(codes.FailedPrecondition, "there is no scheduler just now that could drain a worker")
	}
	before := map[string]int{}
	reply := &ampb.RetireReply{}
	for _, id := range req.Containers {
		m := l.members[id]
		if m == nil || m.pool.Role != spec.RoleWorker {
			return nil, status.Errorf(codes.NotFound, "there is no worker in a container %s", id)
		}
		if _, ok := before[m.pool.Name]; !ok {
			before[m.pool.Name] = l.wanted(m.pool.Name)
			reply.Pools = append(reply.Pools, &ampb.ScaleReply{Pool: m.pool.Name, Before: int32(l.wanted(m.pool.Name))})
		}
	}
	reason := "retired by " + who
	if req.Replace {
		reason = "replaced on request of " + who
	}
	l.log.Info("retire", "containers", req.Containers, "replace", req.Replace, "by", who)
	l.step(reconcile.Retire{IDs: slices.Clone(req.Containers), Replace: req.Replace, Reason: reason})
	for _, p := range reply.Pools {
		p.Wanted = int32(l.wanted(p.Pool))
	}
	return reply, nil
}
