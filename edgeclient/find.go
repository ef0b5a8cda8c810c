package edgeclient

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var (
	idRule     = regexp.MustCompile(`^(application|local)_[0-9]{1,19}_[0-9]{1,10}$`)
	suffixRule = regexp.MustCompile(`^[0-9_]{1,30}$`)
)

// IsID reports whether s has the form of a full application id.
func IsID(s string) bool { return idRule.MatchString(s) }

// IsLocalID reports whether s is the id of an application on this machine.
func IsLocalID(s string) bool { return IsID(s) && strings.HasPrefix(s, "local_") }

// Find turns what a person typed into one application: a full id, "last" (the
// newest one of theirs), "current" (see Current), "name:NAME", the address of a
// cluster that was started by hand, or a suffix of an id that only one application
// has. "last", names and suffixes are looked for among the applications that have not
// ended, and if there is none, among all; when "last" passes over one that was
// submitted later and has ended, it says so.
func (c *Client) Find(ctx context.Context, app string) (Report, error) {
	if app == "current" {
		var err error
		if app, err = Current(); err != nil {
			return Report{}, err
		}
	}
	if IsID(app) || IsAddress(app) {
		r, err := c.cluster.Report(ctx, app)
		return r, unknownRemembered(app, err)
	}
	if app == "last" {
		return c.last(ctx)
	}
	match, err := matcher(app)
	if err != nil {
		return Report{}, err
	}
	for _, all := range []bool{false, true} {
		list, err := c.cluster.List(ctx, Filter{All: all, User: c.cluster.User()})
		if err != nil {
			return Report{}, err
		}
		var found []Report
		for _, r := range list {
			if match(r) {
				found = append(found, r)
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return Report{}, &Fault{Code: Usage, What: fmt.Sprintf("%q is %d applications: %s", app, len(found), ids(found)), Next: "Give more of the id"}
		}
	}
	return Report{}, c.noApplication(app)
}

func (c *Client) noApplication(app string) error {
	next := "See yarnd list --all"
	if _, here := c.cluster.(*localCluster); here {
		next = "Start one with yarnd local, or see yarnd --provider local list --all"
	}
	return &Fault{Code: NotFound, What: fmt.Sprintf("no application %q of user %s on %s", app, c.cluster.User(), c.cluster.Name()), Next: next}
}

// last is the newest application that lives, or the newest of all.
func (c *Client) last(ctx context.Context) (Report, error) {
	list, err := c.cluster.List(ctx, Filter{All: true, User: c.cluster.User()})
	if err != nil {
		return Report{}, err
	}
	if len(list) == 0 {
		return Report{}, c.noApplication("last")
	}
	i := slices.IndexFunc(list, func(r Report) bool { return !r.State.Ended() })
	if i < 0 {
		return list[0], nil
	}
	if i > 0 {
		c.opts.Progress("last is %s, which runs; %s, submitted later, has ended", list[i].ID, list[0].ID)
	}
	return list[i], nil
}

const appRule = "Give an id such as application_1700000000000_0001, the end of one, last, current, name:NAME, or a scheduler's HOST:PORT"

func matcher(app string) (func(Report) bool, error) {
	name, named := strings.CutPrefix(app, "name:")
	switch {
	case named && name != "":
		return func(r Report) bool { return r.Name == name }, nil
	case suffixRule.MatchString(app):
		return func(r Report) bool { return strings.HasSuffix(r.ID, app) }, nil
	}
	return nil, usagef(appRule, "%q names no application", app)
}

func ids(rs []Report) string {
	var s []string
	for _, r := range rs[:min(len(rs), 5)] {
		s = append(s, r.ID)
	}
	if len(rs) > 5 {
		s = append(s, "…")
	}
	return strings.Join(s, ", ")
}
