package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/delegation"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
)

// renewAhead is how long before the end of an application's tokens any command of its owner brings new ones.
const renewAhead = 12 * time.Hour

// taken is how long it takes until containers whose tokens have ended have taken new ones: they ask every few seconds then.
const taken = delegation.Soon*5/4 + time.Second

// slow is how long containers may take where nobody knew that the old ones have ended.
const slow = delegation.Unsure * 9 / 8

// Renew gives a running application new delegation tokens, got by our own ticket or keytab, whatever it has, and tells until
// when those are good that it has now. Where the old ones have ended it returns when the containers that run have had the
// time to take them.
func (c *Client) Renew(ctx context.Context, s *Session) (time.Time, error) {
	return c.renew(ctx, s, true)
}

// renew is Renew. Tokens that it need not take an application does not, where its own are good for longer.
func (c *Client) renew(ctx context.Context, s *Session, must bool) (time.Time, error) {
	b, err := c.bring(ctx, s, must)
	if err == nil && b.taken && b.old.GetUntil() != nil {
		c.untilTaken(ctx, s.App.ID, b.old)
	}
	return b.until, err
}

// brought is what became of tokens that an application was brought.
type brought struct {
	taken   bool
	until   time.Time        // when those end that it has now
	old     *ampb.Delegation // what it had
	missing error            // of a KMS there is no new one, and why; nil: all are there
}

// bring is renew that does not wait for the containers.
func (c *Client) bring(ctx context.Context, s *Session, must bool) (b brought, err error) {
	what := "cannot renew the tokens of " + s.App.ID
	if s.App.User != c.cluster.User() {
		// The tokens would be ours, and by them the application would act in our name.
		return b, &Fault{Code: Auth, What: what, Why: fmt.Errorf("it acts in the name of %s, and you are %s", s.App.User, c.cluster.User()), Next: "Ask " + s.App.User}
	}
	y, ok := c.cluster.(*yarnCluster)
	if !ok || !ipc.Secure(y.conf) {
		return b, &Fault{Code: Refused, What: what, Why: errors.New("it has none: they are for clusters with Kerberos")}
	}
	if y.who == nil {
		return b, y.no
	}
	if !y.who.Ticketed() {
		return b, &Fault{Code: Auth, What: what, Why: errors.New("this process has tokens itself, and no ticket"), Next: "Run it where kinit was run, or with --principal and --keytab"}
	}
	info, err := s.Info(ctx)
	if err != nil {
		return b, err
	}
	d, err := y.delegate(ctx, needs{fileSystems: info.GetDelegation().GetFileSystems(), rm: info.GetDelegation().GetResourceManager()}, "")
	if err != nil {
		return b, err
	}
	defer d.close()
	b.old, b.missing = info.GetDelegation(), d.missing
	until, kept, err := s.am.Delegate(ctx, &d.own.Credentials, d.until, must)
	if unused(kept, err) {
		d.own.Cancel(ctx) //nolint:errcheck // they end by themselves
	}
	if err != nil {
		return b, sessionFault(what, err)
	}
	b.taken, b.until = !kept, until
	return b, nil
}

// actsForUs tells that an application acts in our name.
func (c *Client) actsForUs(s *Session) bool {
	y, ok := c.cluster.(*yarnCluster)
	return ok && y.who != nil && s.App.User == y.user
}

// mayRenew tells that an application acts in our name, and that we have tickets, or may get some, to bring it tokens by.
func (c *Client) mayRenew(s *Session) bool {
	return c.actsForUs(s) && c.cluster.(*yarnCluster).who.Ticketed()
}

// unused tells whether an application certainly has no use for tokens that were brought, by its answer.
func unused(kept bool, err error) bool {
	var e *amclient.Error
	return kept || errors.As(err, &e) && (e.Refused() || e.Invalid())
}

// untilTaken waits until containers have taken new tokens, where they had the old ones and those have ended.
func (c *Client) untilTaken(ctx context.Context, app string, old *ampb.Delegation) {
	left := time.Until(old.Until.AsTime())
	if old.AtMost && left > -slow {
		c.opts.Progress("%s: containers that run have the new tokens in %s at the latest", app, slow.Round(time.Minute))
	}
	if left >= taken {
		return
	}
	c.opts.Progress("%s: its tokens had ended; %s until all containers that know it have the new ones", app, taken.Round(time.Second))
	select {
	case <-time.After(taken):
	case <-ctx.Done():
	}
}

// renewInTime renews an application's tokens where they end soon and it cannot get others itself. That it could not is told,
// and is no error: what was asked for may go well.
func (c *Client) renewInTime(ctx context.Context, s *Session, info *ampb.Info) {
	d := info.GetDelegation()
	if d == nil || d.Until == nil || !c.actsForUs(s) || !due(d, s.App.Started, time.Now()) {
		return
	}
	if (!d.Renews || d.Trouble != "") && c.mayRenew(s) {
		until, err := c.renew(ctx, s, false)
		if err == nil {
			c.opts.Log.Info("the application has new tokens", "app", s.App.ID, "until", until)
			return
		}
		c.opts.Log.Warn("the application's tokens could not be renewed", "app", s.App.ID, "err", err)
	}
	if w := DelegationEnds(info, time.Now()); w != "" {
		c.opts.Progress("warning: %s: %s", s.App.ID, w)
	}
}

// due tells whether an application's tokens are to be replaced by who comes by. Where their end is but a bound, YARN has to
// renew them again and again, and if it could not once they end a day later, which nobody hears of: then it is when about
// half a day, or what is that part of their longest life where that is not a week, has passed since the application was
// started. They are good for less than what they replace may be, but the application goes back to the others afterwards.
func due(d *ampb.Delegation, started, now time.Time) bool {
	until := d.Until.AsTime()
	if d.AtMost {
		return now.Sub(started) >= min(renewAhead, until.Sub(started)/14)
	}
	return until.Sub(now) <= ahead(d)
}

// ahead is how long before their end tokens are replaced: not before half of their time has passed.
func ahead(d *ampb.Delegation) time.Duration {
	if d.GetSince() == nil || d.GetUntil() == nil {
		return renewAhead
	}
	return halfOrLess(d.Until.AsTime().Sub(d.Since.AsTime()))
}

// halfOrLess is how long before their end tokens that live so long are replaced.
func halfOrLess(life time.Duration) time.Duration { return min(renewAhead, life/2) }

// DelegationEnds warns of tokens that end soon, or have ended; "" where all is well.
func DelegationEnds(info *ampb.Info, now time.Time) string {
	d := info.GetDelegation()
	if d.GetUntil() == nil {
		return ""
	}
	until := d.Until.AsTime()
	left := until.Sub(now)
	switch {
	case left <= 0 && d.GetAtMost():
		return fmt.Sprintf("its tokens have ended, or were cancelled, %s ago: it can neither read nor write files, nor start containers. Run yarnd renew %s", rounded(-left), info.GetApp())
	case left <= 0:
		return fmt.Sprintf("its tokens have ended, %s ago: it can neither read nor write files, nor start containers. Run yarnd renew %s", rounded(-left), info.GetApp())
	case d.GetTrouble() != "":
		return fmt.Sprintf("it cannot get new tokens, and its own end in %s: %s. Until that is mended, yarnd renew %s helps", rounded(left), d.GetTrouble(), info.GetApp())
	case !d.GetRenews() && left < ahead(d):
		return fmt.Sprintf("its tokens end in %s: run yarnd renew %s before", rounded(left), info.GetApp())
	}
	return ""
}

// rounded is to minutes, or to seconds where it is about minutes.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Minute {
		return d.Round(time.Second)
	}
	return d.Round(time.Minute)
}

// keys are the principal and the keytab that an application gets, by which it lives longer than tokens do; "" is none.
func (c *Client) keys() (principal string, keytab []byte, err error) {
	y, ok := c.cluster.(*yarnCluster)
	if !ok || c.opts.Keytab == "" || !ipc.Secure(y.conf) || y.who == nil {
		return "", nil, nil
	}
	if y.who.Proxied() {
		c.opts.Progress("the application of %s does not get the keytab of %s, who is another: before its tokens end, run yarnd renew", y.user, y.who.Principal())
		return "", nil, nil
	}
	keytab, err = os.ReadFile(c.opts.Keytab) // its size was looked at when we logged in
	return y.who.Principal(), keytab, wrap(Usage, "cannot give the application the keytab", err, "Name a keytab with --keytab")
}
