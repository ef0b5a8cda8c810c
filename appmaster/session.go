package appmaster

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
)

// maxContainers bounds what a pool can be scaled to.
const maxContainers = 100_000

// session implements ampb.SessionServer.
type session struct {
	ampb.UnimplementedSessionServer
	*loop
}

func (s session) Info(ctx context.Context, _ *ampb.InfoRequest) (*ampb.Info, error) {
	s.call(ctx, func() {})
	return s.fresh(ctx), nil
}

// call runs a function on the loop on behalf of a client, whose call counts as a
// sign of life: not that of one who may only look, who is not to keep alive what is
// another's.
func (s session) call(ctx context.Context, f func()) bool {
	if !counts(ctx) {
		return s.do(ctx, f)
	}
	return s.do(ctx, func() {
		s.watches++
		s.presence()
		f()
		s.watches--
		s.presence()
	})
}

// counts tells whether a caller's presence holds off the idle time-out.
func counts(ctx context.Context) bool { return slices.Contains(changes, caller(ctx).Role) }

func (s session) Watch(_ *ampb.WatchRequest, stream grpc.ServerStreamingServer[ampb.Info]) error {
	ctx := stream.Context()
	if counts(ctx) && s.do(ctx, func() { s.watches++; s.presence() }) {
		defer s.do(context.Background(), func() { s.watches--; s.presence() })
	}
	return s.follow(ctx, stream.Send)
}

func (s session) Scale(ctx context.Context, req *ampb.ScaleRequest) (*ampb.ScaleReply, error) {
	var reply *ampb.ScaleReply
	var err error = errEnding
	var seq uint64
	s.call(ctx, func() {
		reply, err = s.scale(req, caller(ctx).Name)
		seq = s.remember(true)
	})
	if err == nil {
		err = s.kept(ctx, seq)
	}
	return reply, err
}

// scale runs on the loop.
func (l *loop) scale(req *ampb.ScaleRequest, who string) (*ampb.ScaleReply, error) {
	pool, err := l.workerPool(req.Pool)
	if err != nil {
		return nil, err
	}
	if l.core.Ending() {
		return nil, errEnding
	}
	before := l.wanted(pool)
	wanted := before
	switch to := req.To.(type) {
	case *ampb.ScaleRequest_Count:
		if to.Count < 0 {
			return nil, status.Errorf(codes.InvalidArgument, "there cannot be %d containers", to.Count)
		}
		wanted = int(to.Count)
	case *ampb.ScaleRequest_Delta:
		wanted = max(0, before+int(to.Delta))
	default:
		return nil, status.Error(codes.InvalidArgument, "no number was given")
	}
	if wanted > maxContainers {
		return nil, status.Errorf(codes.InvalidArgument, "%d containers are too many (at most %d)", wanted, maxContainers)
	}
	l.log.Info("scale", "pool", pool, "from", before, "to", wanted)
	l.pin(pool)
	l.step(reconcile.Want{Pool: pool, N: wanted, Reason: "asked for by " + who})
	return &ampb.ScaleReply{Pool: pool, Before: int32(before), Wanted: int32(wanted)}, nil
}

// workerPool finds the pool that a person means.
func (l *loop) workerPool(name string) (string, error) {
	var names []string
	for _, p := range l.opt.Spec.Pools {
		if p.Role != spec.RoleWorker {
			continue
		}
		if p.Name == name {
			return name, nil
		}
		names = append(names, p.Name)
	}
	if name == "" && len(names) == 1 {
		return names[0], nil
	}
	return "", status.Errorf(codes.NotFound, "there is no pool of workers %q, there are %q", name, names)
}

func (l *loop) wanted(pool string) int {
	for _, v := range l.core.Pools() {
		if v.Name == pool {
			return v.Wanted
		}
	}
	return 0
}

func (s session) Stop(ctx context.Context, req *ampb.StopRequest) (*ampb.StopReply, error) {
	final := reconcile.Status(req.Status)
	switch final {
	case "":
		final = reconcile.Succeeded
	case reconcile.Succeeded, reconcile.Failed, reconcile.Killed:
	default:
		return nil, status.Errorf(codes.InvalidArgument, "%q is no final status", req.Status)
	}
	why := req.Diagnostics
	if why == "" {
		why = "stopped by " + caller(ctx).Name
	}
	var seq uint64
	begun := s.do(ctx, func() {
		s.step(reconcile.Stop{Status: final, Why: why, Quick: req.Quick})
		seq = s.remember(true)
	})
	if !begun && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if begun {
		// The end goes on whether it is saved or not, and may be over before it is.
		if err := s.kept(ctx, seq); err != nil {
			s.log.Warn("the end has begun, and the next attempt would not know", "err", err)
		}
	}
	return &ampb.StopReply{}, nil
}

func (s session) Kill(ctx context.Context, req *ampb.KillRequest) (*ampb.KillReply, error) {
	known := false
	var seq uint64
	ok := s.call(ctx, func() {
		if known = s.members[req.Container] != nil; known {
			s.log.Info("kill", "container", req.Container, "by", caller(ctx).Name)
			s.step(reconcile.Kill{ID: req.Container})
			seq = s.remember(true)
		}
	})
	switch {
	case !ok:
		return nil, errEnding
	case !known:
		return nil, status.Errorf(codes.NotFound, "there is no container %s", req.Container)
	}
	if err := s.kept(ctx, seq); err != nil {
		return nil, err
	}
	return &ampb.KillReply{}, nil
}

// logChunk bounds a message of a log.
const logChunk = 64 << 10

func (s session) Logs(req *ampb.LogsRequest, stream grpc.ServerStreamingServer[ampb.LogChunk]) error {
	ctx := stream.Context()
	s.call(ctx, func() {})
	file := req.File
	if file == "" {
		file = "stderr"
	}
	buf := make([]byte, logChunk)
	for offset := req.Offset; ; {
		n, at, err := s.readLog(ctx, req.Container, file, offset, buf)
		switch {
		case n > 0:
			if err := stream.Send(&ampb.LogChunk{Data: buf[:n], Offset: at}); err != nil {
				return err
			}
			offset = at + int64(n)
		case errors.Is(err, provider.ErrNoLog):
			return status.Errorf(codes.NotFound, "container %s has no log %s here", req.Container, file)
		case err != nil && !errors.Is(err, io.EOF):
			return noLog(err)
		default:
			return nil
		}
	}
}

// noLog is why a log cannot be read. Where somebody else may, it says where.
func noLog(err error) error {
	elsewhere, ok := errors.AsType[*provider.LogElsewhereError](err)
	if !ok {
		return status.Error(codes.Aborted, err.Error()) // we are not unavailable: a node is
	}
	st := status.New(codes.FailedPrecondition, err.Error())
	if told, err := st.WithDetails(&ampb.LogElsewhere{Server: elsewhere.Server}); err == nil {
		st = told
	}
	return st.Err()
}

func (l *loop) readLog(ctx context.Context, container, file string, offset int64, buf []byte) (int, int64, error) {
	if container != l.opt.Container {
		return l.prov.ReadLog(ctx, container, file, offset, buf)
	}
	if l.opt.LogDir == "" || (file != "stdout" && file != "stderr") {
		return 0, 0, provider.ErrNoLog
	}
	return provider.ReadLogFile(filepath.Join(l.opt.LogDir, file), offset, buf)
}
