package yarnd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/machine"
)

// Cluster is a running application and a connection to its scheduler. It is safe
// for concurrent use.
type Cluster struct {
	*Client
	// ID is the application's id, with which anyone entitled comes back.
	ID string

	edge    *edgeclient.Client
	session *edgeclient.Session
	ends    bool // Close ends the application
}

func submit(ctx context.Context, o edgeclient.Options, spec Spec) (*Cluster, error) {
	o.VmSize = AddressSpace
	edge, err := edgeclient.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	report, err := edge.Submit(ctx, spec)
	if err == nil { // in a full queue that may take long: ctx decides how long
		report, err = edge.Wait(ctx, report.ID, edgeclient.WaitRunning, 0)
	}
	if err == nil {
		var c *Cluster
		if c, err = attach(ctx, edge, report, true); err == nil {
			return c, nil
		}
	}
	if report.ID != "" && !spec.IfNotExists && spec.IDFile == "" { // nobody else has its id
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		err = errors.Join(err, edge.Kill(clean, report, "the submitting program could not connect"))
	}
	return nil, errors.Join(err, edge.Close())
}

// endTimeout bounds the end of an application whose program has given up.
const endTimeout = time.Minute

func connect(ctx context.Context, o edgeclient.Options, app string) (*Cluster, error) {
	if app == "" {
		id, err := edgeclient.Default("")
		if edgeclient.CodeOf(err) == edgeclient.NotFound {
			if why := edgeclient.LocalInstead(o); why != "" {
				n := machine.Here().Cores
				fmt.Fprintf(os.Stderr, "%s: %s; starting %d workers on this machine\n", programName(), why, n)
				return Local(ctx, n)
			}
		}
		if err != nil {
			return nil, err
		}
		app = id
	}
	edge, err := edgeclient.OpenFor(ctx, app, o)
	if err != nil {
		return nil, err
	}
	report, err := edge.Find(ctx, app)
	if err == nil {
		var c *Cluster
		if c, err = attach(ctx, edge, report, true); err == nil {
			return c, nil
		}
	}
	edge.Close()
	return nil, err
}

// Attach connects to the engine of an application with a client that the caller
// keeps, and closes; ownBundle says that this program's functions shall run there.
func Attach(ctx context.Context, edge *edgeclient.Client, report edgeclient.Report, ownBundle bool) (*Cluster, error) {
	c, err := attach(ctx, edge, report, ownBundle)
	if err == nil {
		c.edge = nil
	}
	return c, err
}

func attach(ctx context.Context, edge *edgeclient.Client, report edgeclient.Report, ownBundle bool) (*Cluster, error) {
	session, err := edge.Connect(ctx, report)
	if err != nil {
		return nil, err
	}
	c, err := attachTo(ctx, edge, session, ownBundle)
	if err != nil {
		session.Close()
	}
	return c, err
}

// AttachTo is Attach with a session of the caller's, which the Cluster's Close closes.
func AttachTo(ctx context.Context, edge *edgeclient.Client, session *edgeclient.Session, ownBundle bool) (*Cluster, error) {
	c, err := attachTo(ctx, edge, session, ownBundle)
	if err == nil {
		c.edge = nil
	}
	return c, err
}

func attachTo(ctx context.Context, edge *edgeclient.Client, session *edgeclient.Session, ownBundle bool) (*Cluster, error) {
	if err := session.NeedWork(); err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	client, err := engine.Dial(ctx, engine.Options{
		Identity: session.Identity, Scheduler: schedulerOf(edge, session),
		User: edge.User(), Host: host, OwnBundle: ownBundle,
	})
	if err != nil {
		return nil, err
	}
	return &Cluster{Client: client, ID: session.App.ID, edge: edge, session: session}, nil
}

// schedulerOf tells the engine where the scheduler is, again at each reconnect,
// and when that will never be: the application has ended.
func schedulerOf(edge *edgeclient.Client, session *edgeclient.Session) func(context.Context) (string, uint64, error) {
	return func(ctx context.Context) (string, uint64, error) {
		for {
			bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
			address, epoch, err := session.Scheduler(bounded)
			waited := bounded.Err() != nil
			cancel()
			if err == nil {
				return address, epoch, nil
			}
			if ctx.Err() != nil {
				return "", 0, context.Cause(ctx)
			}
			report, rerr := edge.Report(ctx, session.App.ID)
			if rerr == nil && report.State.Ended() {
				return "", 0, client.Permanent(edgeclient.Ended(report))
			}
			if !waited { // the engine's client pauses before it asks again
				return "", 0, err
			}
		}
	}
}

// Session returns the connection to the application's master.
func (c *Cluster) Session() *edgeclient.Session { return c.session }

// Scale sets how many workers the cluster shall have, which ends what Adapt began, and
// returns at once; see
// [engine.Client.WaitWorkers].
func (c *Cluster) Scale(ctx context.Context, n int) error {
	return c.ScalePool(ctx, "", n)
}

// ScalePool is Scale of one of the further pools ([edgeclient.Request.Pools]).
func (c *Cluster) ScalePool(ctx context.Context, pool string, n int) error {
	_, err := c.session.Scale(ctx, pool, n)
	return err
}

// Limits are those between which a cluster scales by itself.
type Limits = edgeclient.Limits

// Adapt has the cluster scale by itself, with its work, until Scale says a number. It
// returns at once.
func (c *Cluster) Adapt(ctx context.Context, l Limits) error {
	return c.AdaptPool(ctx, "", l)
}

// AdaptPool is Adapt of one of the further pools.
func (c *Cluster) AdaptPool(ctx context.Context, pool string, l Limits) error {
	_, _, err := c.session.Adapt(ctx, pool, l)
	return err
}

// Stop ends the application in order and returns when it has ended.
func (c *Cluster) Stop(ctx context.Context) error {
	if c.edge == nil {
		return c.session.Stop(ctx, edgeclient.FinalSucceeded, "stopped by its client")
	}
	_, err := c.edge.Stop(ctx, c.session.App, edgeclient.FinalSucceeded, "stopped by its client")
	return err
}

// Close ends the connection. The application lives on, with its named jobs,
// unless Local started it.
func (c *Cluster) Close() error {
	err := c.Client.Close()
	if c.ends {
		ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
		defer cancel()
		err = errors.Join(err, c.edge.Kill(ctx, c.session.App, "its program closed it"))
	}
	err = errors.Join(err, c.session.Close())
	if c.edge != nil {
		err = errors.Join(err, c.edge.Close())
	}
	return err
}
