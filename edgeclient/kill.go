package edgeclient

import (
	"context"
)

// Kill ends an application at once and removes what it staged; the cache stays.
// Ending one that has ended already is fine.
func (c *Client) Kill(ctx context.Context, r Report, why string) error {
	if !r.State.Ended() {
		if err := c.cluster.Kill(ctx, r.ID, why); err != nil {
			return err
		}
	}
	forget(r.ID)
	if r.User != c.cluster.User() {
		return nil // an administrator's kill: the staging directory is not ours to touch
	}
	return c.unstage(ctx, r.ID)
}

// tidy removes what an application staged that has ended. Its application master does
// so, unless it is killed in its last moment.
func (c *Client) tidy(ctx context.Context, r Report) {
	if !r.State.Ended() || r.User != c.cluster.User() || IsLocalID(r.ID) {
		return
	}
	if err := c.unstage(ctx, r.ID); err != nil {
		c.opts.Log.Debug("cannot remove what an ended application staged", "app", r.ID, "err", err)
	}
}

// The final status of an application that ends in order.
const (
	FinalSucceeded = "SUCCEEDED"
	FinalFailed    = "FAILED"
)

// Stop asks the application master to end the application in order, with that final
// status: workers stop, the staging directory goes. It returns when the cluster says
// that it ended, and like Wait an error if it did not succeed.
func (c *Client) Stop(ctx context.Context, r Report, final, why string) (Report, error) {
	s, err := c.Connect(ctx, r)
	if err != nil {
		return r, err
	}
	defer s.Close()
	if err := s.Stop(ctx, final, why); err != nil {
		return r, err
	}
	last, err := c.Wait(ctx, r.ID, WaitFinished, 0)
	if last.State.Ended() {
		forget(r.ID)
	}
	return last, err
}

// Unstage removes what an application staged that is being ended and will read it no
// more, also when ctx has ended.
func (c *Client) Unstage(ctx context.Context, r Report) error { return c.unstage(ctx, r.ID) }
