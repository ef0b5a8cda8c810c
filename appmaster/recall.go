package appmaster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/memory"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
)

// openMemory claims the application and reads what the attempt before this one left. It
// tries until it has that, the context ends, or a later attempt has begun: to begin
// without would undo what people have asked for.
func (l *loop) openMemory(ctx context.Context) (*memory.State, error) {
	if l.opt.Staging == nil {
		return nil, nil
	}
	for pause := 200 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		store, last, err := memory.Open(ctx, l.opt.Staging, l.attempt, l.log)
		if err == nil {
			l.keep = newKeeper(store, l.log)
			return last, nil
		}
		if _, past := errors.AsType[*memory.PastError](err); past || ctx.Err() != nil {
			return nil, err
		}
		l.log.Warn("cannot read what the attempt before this one left", "err", err)
		select {
		case <-time.After(pause):
		case <-l.prov.Done():
			return nil, l.prov.Err()
		case <-ctx.Done():
			return nil, err
		}
	}
}

// recall begins where the attempt before this one ended.
func (l *loop) recall(last *memory.State, r provider.Registered) {
	if last == nil {
		l.step(reconcile.Adopted{Containers: l.adopt(r.Adopted)})
		return
	}
	l.log.Info("going on where an earlier attempt ended", "attempt", last.Attempt, "containers", len(last.Containers), "adopted", len(r.Adopted))
	for _, e := range last.Exits {
		x := &ampb.Exit{Container: e.Container, Pool: e.Pool, Node: e.Node, Cause: e.Cause, Status: e.Status,
			Diagnostics: e.Diagnostics, Blameless: e.Blameless, When: timestamppb.New(e.When)}
		l.noteEnd(x)
		l.exits = append(l.exits, x)
	}
	for _, p := range last.Scaling {
		if s := l.scaling[p.Pool]; s != nil {
			s.limits, s.round, s.saved = p.Limits, p.Round, true
		}
	}
	var remembered []reconcile.Adoptee
	for _, c := range last.Containers {
		remembered = append(remembered, reconcile.Adoptee{ID: c.ID, Pool: c.Pool, Node: c.Node})
	}
	l.adopt(remembered)
	adopted := l.adopt(r.Adopted)
	if r.Blind { // the cluster will not tell: what has ended since is told all the same
		adopted = remembered
	}
	l.step(reconcile.Recalled{Memory: last.Memory, Adopted: adopted})
}

// remember has the present state saved, and returns its number.
func (l *loop) remember(urgent bool) uint64 {
	l.forgetful = false
	if l.keep == nil {
		return 0
	}
	s := &memory.State{Memory: l.core.Memory()}
	for _, p := range l.opt.Spec.Pools {
		if sc := l.scaling[p.Name]; sc != nil {
			s.Scaling = append(s.Scaling, memory.Scaling{Pool: p.Name, Limits: sc.limits, Round: sc.round})
		}
	}
	for _, e := range l.exits {
		s.Exits = append(s.Exits, memory.Exit{Container: e.Container, Pool: e.Pool, Node: e.Node, Cause: e.Cause, Status: e.Status,
			Diagnostics: e.Diagnostics, Blameless: e.Blameless, When: e.When.AsTime()})
	}
	return l.keep.put(s, urgent)
}

// saveTime bounds how long a person waits for the answer to what cannot be saved.
const saveTime = 10 * time.Second

// kept waits until a change is saved, so that the next attempt knows of it.
func (l *loop) kept(ctx context.Context, seq uint64) error {
	if l.keep == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, saveTime)
	defer cancel()
	err := l.keep.wait(ctx, seq)
	if err == nil {
		err = l.alone()
	}
	if err != nil {
		return status.Error(codes.Unavailable, fmt.Sprintf("it cannot be saved, and would be forgotten with this application master: %v", err))
	}
	return nil
}

// keepEnd saves that nothing runs any more, so that a next attempt need not look for it.
// It is no harm if that fails.
func (l *loop) keepEnd(ctx context.Context) {
	if l.keep == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keepEndTime)
	defer cancel()
	if err := l.keep.wait(ctx, l.remember(true)); err != nil {
		l.log.Info("the end is not saved", "err", err)
	}
}

const keepEndTime = 2 * time.Second

// adoptTime is how long the cluster may take to tell an attempt of all containers that
// an earlier one started: of one that it has not told of yet nobody can say that it
// should not run.
const adoptTime = time.Minute

// stranger is the answer to a container that should not run, or is not known yet.
func (l *loop) stranger(container string) error {
	if l.attempt > 1 && time.Since(l.began) < adoptTime {
		return status.Errorf(codes.Unavailable, "container %s is not known to this attempt yet", container)
	}
	return status.Errorf(codes.PermissionDenied, "container %s is not one that should run", container)
}
