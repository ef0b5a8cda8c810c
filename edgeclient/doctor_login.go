package edgeclient

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/ipc"
)

// soonOver is when a ticket's end is near enough to be told.
const soonOver = time.Hour

// login looks at who we are to the cluster, and how that is protected.
func (d *doctor) login(y *yarnCluster) bool {
	if !d.judge("login", y.no, func() string { return describeLogin(y) }) {
		return false
	}
	if !ipc.Secure(y.conf) {
		return true
	}
	if ends, renewable := y.who.Expires(); !ends.IsZero() && time.Until(ends) < soonOver {
		next := "Run kinit"
		if time.Until(renewable) > soonOver {
			next = "Run kinit -R, or kinit"
		}
		d.warn("ticket", "it ends "+until(ends), next)
	}
	d.names(y)
	d.longLife(y)
	e := exposureOf(y)
	if open := e.String(y.shipsKeytab()); open != "" {
		d.warn("protection", exposed+open, e.cure())
	}
	return true
}

// longLife looks at whether the cluster helps applications that outlive the tokens of their submission.
func (d *doctor) longLife(y *yarnCluster) {
	const check = "long life"
	limit, err := y.limitOfLife(d.ctx)
	switch {
	case err != nil:
		d.warn(check, "unknown: the ResourceManager's web port does not tell "+longLifeSetting, "Ask an administrator, for applications of more than a week")
	case limit == "":
		d.judge(check, nil, func() string { return "an application with a keytab outlives its first tokens, and keeps its logs" })
	default:
		d.warn(check, limit, "Ask an administrator, for applications of more than a week: see docs/kerberos.md")
	}
}

// longLifeSetting lets the ResourceManager get new tokens for applications whose first ones have had their last day.
const longLifeSetting = "yarn.resourcemanager.proxy-user-privileges.enabled"

// limitOfLife says what an application cannot do after the last day of its first tokens; "": it can do all.
func (y *yarnCluster) limitOfLife(ctx context.Context) (string, error) {
	value, err := y.rmSetting(ctx, longLifeSetting)
	if err != nil || strings.EqualFold(strings.TrimSpace(value), "true") {
		return "", err
	}
	return "after the last day of its first tokens, usually the seventh, an application loses its logs, and its master cannot start again on a node that has not run it yet: " +
		longLifeSetting + " is " + value, nil
}

// LimitOfLife says what an application on this cluster cannot do after the last day of the tokens of its submission, though it
// gets new ones; "" is nothing. Where the ResourceManager does not tell, it says that it is not known.
func (c *Client) LimitOfLife(ctx context.Context) string {
	y, ok := c.cluster.(*yarnCluster)
	if !ok || !ipc.Secure(y.conf) {
		return ""
	}
	limit, err := y.limitOfLife(ctx)
	if err != nil {
		c.opts.Log.Debug("the ResourceManager's web port does not tell "+longLifeSetting, "err", err)
		return "not known is whether logs and the master's restart outlive the last day of its first tokens: the ResourceManager's web port does not tell " + longLifeSetting
	}
	return limit
}

// describeLogin says who we are and by what.
func describeLogin(y *yarnCluster) string {
	if !ipc.Secure(y.conf) {
		return y.user + ", by name: this cluster believes names"
	}
	by := "by token"
	if y.who.Ticketed() {
		by = "by keytab"
		if ends, _ := y.who.Expires(); !ends.IsZero() {
			by = "by a ticket that ends " + until(ends)
		}
	}
	if p := y.who.Principal(); p != "" {
		by = "as " + p + " " + by
	}
	if y.who.Proxied() {
		return y.user + ", for whom we act " + by
	}
	return y.user + ", " + by
}

func until(t time.Time) string {
	return fmt.Sprintf("%s, in %s", t.Local().Format("2006-01-02 15:04"), time.Until(t).Round(time.Minute))
}
