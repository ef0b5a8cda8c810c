package edgeclient

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/delegation"
)

// renewing gives an application new tokens, by our ticket, for as long as a session with it is open: a program that is connected
// for weeks is there when nobody else comes by.
type renewing struct {
	started time.Time                                       // of the application
	info    func(context.Context) (*ampb.Delegation, error) // what it has now; errOver: it has ended
	bring   func(ctx context.Context, must bool) (brought, error)
	warn    func(*ampb.Delegation, error) // a person, the first time that none could be brought
	log     *slog.Logger

	rest    time.Duration // before it is tried again
	missing bool          // of a KMS there was no token the last time
}

// errOver tells that an application has ended.
var errOver = errors.New("the application has ended")

// When it is tried again when it has failed, shortly before the end and after it: a ticket may come at any time.
const (
	restLeast = 5 * time.Second
	restMost  = 5 * time.Minute
	// restAway is the least where the application master does not answer.
	restAway = time.Minute
	// restMissing is that where they were brought, and of a KMS there was none.
	restMissing = 15 * time.Minute
)

// run does so until ctx, or the application, ends. d is what the application has at first.
func (r *renewing) run(ctx context.Context, d *ampb.Delegation) {
	r.rest = restLeast
	for timer := time.NewTimer(spread(checkIn(d, time.Now()))); ; {
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		now, err := r.info(ctx)
		if errors.Is(err, errOver) {
			return
		}
		wait := min(max(checkIn(d, time.Now()), restAway), restMost) // what it has now nobody knows
		if err == nil {
			d, wait = now, r.step(ctx, now)
		} else {
			r.log.Debug("the application cannot be asked what tokens it has", "err", err)
		}
		timer.Reset(spread(wait))
	}
}

// step brings an application that has d new tokens, where it is time, and tells in how long to look again.
func (r *renewing) step(ctx context.Context, d *ampb.Delegation) time.Duration {
	wait := checkIn(d, time.Now())
	if !r.missing && !r.due(d, time.Now()) {
		r.rest = restLeast
		return wait
	}
	b, err := r.bring(ctx, r.missing)
	if err == nil && b.taken {
		r.log.Info("the application has new tokens", "until", b.until, "missing", b.missing)
		r.rest, r.missing = restLeast, b.missing != nil
		if r.missing {
			return restMissing
		}
		return restLeast // what it has now is to be seen
	}
	wait = max(wait, r.rest)
	if err != nil && ctx.Err() == nil { // else it has better ones
		if r.rest == restLeast {
			r.warn(d, err)
		}
		r.log.Warn("the application's tokens could not be renewed", "end", d.GetUntil().AsTime(), "again in", wait.Round(time.Second), "err", err)
	}
	r.rest = min(2*r.rest, max(restMost, time.Until(d.GetUntil().AsTime())/8))
	return wait
}

// spread has those who began at the same time not come at the same time.
func spread(d time.Duration) time.Duration { return d + rand.N(d/8+1) } // #nosec G404 -- no secret

// due tells whether an application's tokens are to be replaced: they end within half a day, half of their time has passed, and no
// others come by themselves. What YARN could not renew ends for the application master when it hears that, so that a bound is as
// good as an end here, where it is looked at again and again.
func (r *renewing) due(d *ampb.Delegation, now time.Time) bool {
	if d.GetUntil() == nil || d.Renews && d.Trouble == "" {
		return false
	}
	until, since := d.Until.AsTime(), r.started
	if d.Since != nil {
		since = d.Since.AsTime()
	}
	return until.Sub(now) <= halfOrLess(until.Sub(since))
}

// checkIn is how long after now an application is asked what tokens it has.
func checkIn(d *ampb.Delegation, now time.Time) time.Duration {
	g := delegation.Grant{AtMost: d.GetAtMost()}
	if d.GetUntil() != nil {
		g.Until = d.Until.AsTime()
	}
	return g.CheckIn(now)
}

// keepTokens is renewing for a session with an application of ours, where we have tickets, until the function that it returns is
// called, which waits for it: ten seconds at the most, for tokens that were being got are cancelled. nil: there is nothing to do.
// info is what the application has said of itself.
func (c *Client) keepTokens(ctx context.Context, s *Session, info *ampb.Info) (stop func()) {
	if info.GetDelegation().GetUntil() == nil || !c.mayRenew(s) {
		return nil
	}
	r := &renewing{
		started: s.App.Started,
		info: func(ctx context.Context) (*ampb.Delegation, error) {
			ctx, cancel := context.WithTimeout(ctx, c.opts.CallTimeout)
			defer cancel()
			info, err := s.Info(ctx)
			if err != nil {
				now, gone := s.report(ctx)
				if CodeOf(gone) == NotFound || gone == nil && now.State.Ended() {
					err = errOver
				}
			}
			return info.GetDelegation(), err
		},
		bring: func(ctx context.Context, must bool) (brought, error) {
			ctx, cancel := context.WithTimeout(ctx, c.opts.CallTimeout)
			defer cancel()
			return c.bring(ctx, s, must)
		},
		warn: func(d *ampb.Delegation, err error) {
			if ends := DelegationEnds(&ampb.Info{App: s.App.ID, Delegation: d}, time.Now()); ends != "" {
				c.opts.Progress("warning: %s: %s; by this session it cannot be done: %v", s.App.ID, ends, err)
			}
		},
		log: c.opts.Log.With("app", s.App.ID),
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { r.run(ctx, info.Delegation) })
	return func() {
		cancel()
		wg.Wait()
	}
}
