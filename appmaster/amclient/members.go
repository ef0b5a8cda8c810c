package amclient

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/wall"
	"github.com/yarnd/yarnd/identity"
)

// Scheduler tells a process in a container where the scheduler is, waiting until
// there is one.
func (c *Client) Scheduler(ctx context.Context) (*ampb.Endpoint, error) {
	const op = "find the scheduler"
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		stream, err := c.members.Scheduler(ctx, &ampb.SchedulerRequest{})
		var ep *ampb.Endpoint
		if err == nil {
			ep, err = stream.Recv()
		}
		switch {
		case err == nil:
			return ep, nil
		case ctx.Err() != nil, status.Code(err) == codes.PermissionDenied:
			return nil, c.wrap(ctx, op, err)
		}
		c.opt.Log.Debug("waiting for the application master", "err", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, c.wrap(ctx, op, err)
		}
	}
}

// KeepRenewed renews the identity's certificate in time, for as long as the
// context lives.
func KeepRenewed(ctx context.Context, c *Client, id *identity.Identity) {
	keepRenewed(ctx, id, renewPause, time.Now, func() bool {
		err := c.Renew(ctx, id)
		if err != nil {
			c.opt.Log.Warn("cannot renew the certificate yet", "ends", id.NotAfter(), "err", err)
		}
		return err == nil
	})
}

// renewPause is after which a renewal that failed is tried again.
const renewPause = time.Minute

// keepRenewed renews when it is time by a clock that may jump, until the context ends. Where
// our clock is ahead of the other side's by much each new certificate seems to be due: the next one
// is got after a hundredth of its life or so.
func keepRenewed(ctx context.Context, id *identity.Identity, retry time.Duration, now func() time.Time, renew func() bool) {
	for wall.Wait(ctx, id.RenewAt(), now) {
		pause := retry
		if renew() {
			pause = id.NotAfter().Sub(id.RenewAt()) / 32
		}
		if !wall.Wait(ctx, now().Add(pause), now) {
			return
		}
	}
}

// Renew gets a new certificate for the identity, which must be this client's own.
func (c *Client) Renew(ctx context.Context, id *identity.Identity) error {
	csr, err := id.CSR()
	if err != nil {
		return err
	}
	var reply *ampb.RenewReply
	err = c.call(ctx, "renew the certificate", func(ctx context.Context) error {
		reply, err = c.members.Renew(ctx, &ampb.RenewRequest{Csr: csr})
		return err
	})
	if err != nil {
		return err
	}
	return id.Renew(reply.Certificate)
}
