package yarnd

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/listen"
	"github.com/yarnd/yarnd/engine/server"
)

// scheduler is the role of the container that owns jobs and tasks.
func scheduler(ctx context.Context, log *slog.Logger) error {
	m, err := join(ctx, log)
	if err != nil {
		return err
	}
	defer m.close()
	ln, err := listen.Open(m.launch.Listen)
	if err != nil {
		return err
	}
	kept := &kept{}
	if m.launch.NoJournal {
		log.Warn("no journal is kept: with this process all jobs are lost")
	} else {
		if kept, err = openKept(ctx, m.launch, log); err != nil {
			return err
		}
		defer kept.close()
	}
	memory := m.launch.Resource.MemoryMiB << 20
	fleet := &fleet{}
	srv, err := server.Open(ctx, server.Options{
		Identity: m.id, Listener: ln, Fleet: fleet, Log: log, Dir: "bundles", Version: Version,
		Epoch: m.launch.Epoch, Journal: kept.journal, Bundles: kept.bundles, Bundle: m.bundle, Memory: memory, Keep: time.Duration(m.launch.KeepResults), Alone: true,
	})
	if err != nil {
		return err
	}
	address, err := advertise(srv.Addr(), m.launch.Node)
	if err != nil {
		return err
	}
	control := amclient.Attach(m.am, amclient.ControlOptions{
		Address: address, Epoch: m.launch.Epoch,
		OnExited: func(e *ampb.ContainerExited) {
			srv.ContainerExited(e.GetContainer(), !e.GetBlameless(), e.GetCause())
		},
		OnShrink: srv.Shrink,
		OnDrain:  srv.Drain,
		OnPools:  func(m *ampb.Pools) { srv.Pools(poolStates(m)) },
	})
	fleet.control.Store(control)
	// A scheduler that the application master refuses is one of the past: it must
	// end, so that its workers and clients look for the present one.
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error { return control.Run(both) })
	g.Go(func() error { return srv.Serve(both) })
	return g.Wait()
}

// fleet hands what the scheduler wants to the application master.
type fleet struct {
	control atomic.Pointer[amclient.Control] // nil until attached
}

func (f *fleet) Want(pool string, n int, reason string) {
	if c := f.control.Load(); c != nil {
		c.Want(pool, n, reason)
	}
}

func (f *fleet) Release(workers []string, reason string) {
	if c := f.control.Load(); c != nil {
		c.Release(workers, reason)
	}
}

// shownJobs bounds the rows of a report: it is for a page, not for an archive.
const shownJobs = 100

func (f *fleet) Report(r server.Report) {
	c := f.control.Load()
	if c == nil {
		return
	}
	out := &ampb.Report{Busy: r.Unfinished > 0, Workers: int32(len(r.Workers)), Clients: int32(r.Clients), When: timestamppb.New(r.At)}
	for _, w := range r.Workers {
		out.Slots += int32(w.Slots)
		out.Rows = append(out.Rows, &ampb.WorkerRow{Container: w.Name, Slots: int32(w.Slots), Running: int32(w.Running), Memory: int64(w.MemoryUsed)})
	}
	for i, j := range r.Jobs {
		out.Waiting += int64(j.Waiting + j.Ready)
		out.Running += int64(j.Running)
		out.Done += int64(j.Done)
		out.Failed += int64(j.Failed)
		if i >= shownJobs {
			out.JobsLeftOut++
			continue
		}
		out.Jobs = append(out.Jobs, &ampb.Job{Id: strconv.FormatUint(uint64(j.ID), 10), Name: j.Name, Tasks: int64(j.Tasks),
			Done: int64(j.Done), Running: int64(j.Running), Failed: int64(j.Failed), Kept: durationOf(j.Kept), Started: timestamppb.New(j.Opened)})
	}
	c.Report(out)
}

// durationOf is a duration for a message; nil is none.
func durationOf(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// poolStates says in the engine's words how the pools are.
func poolStates(m *ampb.Pools) (out []server.PoolState) {
	for _, p := range m.GetPool() {
		var room *int
		if p.Room != nil {
			n := int(p.GetRoom())
			room = &n
		}
		limits := p.GetAdapt()
		memory := float64(p.GetMemoryMib() << 20)
		out = append(out, server.PoolState{
			Name: p.GetPool(), Adapts: limits != nil, Min: int(limits.GetMin()), Max: int(limits.GetMax()), Idle: limits.GetIdle().AsDuration(),
			Round: p.GetRound(), Wanted: int(p.GetWanted()), Asked: int(p.GetAsked()), Containers: int(p.GetContainers()), Failures: int(p.GetFailures()), Headroom: room,
			Slots: int(p.GetVcores()), Memory: uint64(memory * resultShare), TaskMemory: uint64(memory * (limitShare - resultShare)), Named: namedAmounts(p.GetNamed()),
		})
	}
	return out
}
