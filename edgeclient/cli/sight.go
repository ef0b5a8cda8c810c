package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/client"
)

// sight is what one sees of an application: its engine, or, with access to the application
// master alone, what that knows of it.
type sight struct {
	session *edgeclient.Session
	cluster *yarnd.Cluster // nil: we may not work there
}

// withSight runs f with as much of an application as our access is for.
func (c *command) withSight(ctx context.Context, app string, f func(sight) error) error {
	return c.withApp(ctx, app, func(edge *edgeclient.Client, r edgeclient.Report) error {
		session, err := edge.Connect(ctx, r)
		if err != nil {
			return err
		}
		defer session.Close()
		if !session.MayWork() {
			return f(sight{session: session})
		}
		cluster, err := c.patiently(ctx, r, func(ctx context.Context) (*yarnd.Cluster, error) {
			return yarnd.AttachTo(ctx, edge, session, false)
		})
		if err != nil {
			return err
		}
		defer cluster.Close()
		return f(sight{session, cluster})
	})
}

// needCluster refuses what only the scheduler could answer.
func (s sight) needCluster() error {
	if s.cluster != nil {
		return nil
	}
	return s.session.NeedWork()
}

// info is what the application master knows; nothing of a cluster that was started by hand.
func (s sight) info(ctx context.Context) (*ampb.Info, error) {
	if s.session.ByHand() {
		return &ampb.Info{}, nil
	}
	return s.session.Info(ctx)
}

// reported are the tasks that the scheduler told the application master of.
func reported(r *ampb.Report) taskCounts {
	return taskCounts{Waiting: int(r.GetWaiting()), Running: int(r.GetRunning()), Done: int(r.GetDone()), Failed: int(r.GetFailed())}
}

// reportedWorkers are the workers in the scheduler's report.
func reportedWorkers(r *ampb.Report) []client.WorkerInfo {
	var out []client.WorkerInfo
	for _, row := range r.GetRows() {
		out = append(out, client.WorkerInfo{Name: row.GetContainer(), Address: row.GetAddress(), State: "running",
			Slots: int(row.GetSlots()), Running: int(row.GetRunning()), MemoryUsed: uint64(max(0, row.GetMemory()))})
	}
	return out
}

// shownEvents is how many of the latest events of its pools explain shows.
const shownEvents = 20

// scalingSeen is what the application master alone can tell of why there are so many workers:
// its pools, and what it did with them.
func scalingSeen(ctx context.Context, s sight) (scalingRow, error) {
	info, err := s.info(ctx)
	if err != nil {
		return scalingRow{}, err
	}
	events, _, err := s.session.Events(ctx, 0)
	if err != nil {
		return scalingRow{}, err
	}
	row := newScalingRow(&client.Scaling{})
	row.Answer = "What the application master knows of its pools; the scheduler's reasons are for those who may submit work."
	for _, p := range info.GetPools() {
		if l := p.GetAdapt(); p.GetRole() == "worker" {
			row.Pools = append(row.Pools, scaledPool{Name: p.GetName(), Adapts: l != nil, Min: int(l.GetMin()), Max: int(l.GetMax()),
				Target: int(p.GetWanted()), Requested: int(p.GetAsked()), Starting: int(p.GetStarting()), Running: int(p.GetRunning()), Draining: int(p.GetStopping())})
		}
	}
	for _, e := range events {
		if strings.HasPrefix(e.Kind, "pool.") {
			row.Detail = append(row.Detail, fmt.Sprintf("%s %s %s: %s", e.When.UTC().Format(time.RFC3339), e.Kind, e.Object, e.Text))
		}
	}
	row.Detail = row.Detail[max(0, len(row.Detail)-shownEvents):]
	return row, nil
}
