package amclient

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yarnd/yarnd/appmaster/ampb"
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
	for {
		timer := time.NewTimer(time.Until(id.RenewAt()))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		for {
			err := c.Renew(ctx, id)
			if err == nil {
				break
			}
			c.opt.Log.Warn("cannot renew the certificate yet", "ends", id.NotAfter(), "err", err)
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
				return
			}
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
