package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/identity"
)

// access is who may do what with the application, as its master reads it.
func (r Request) access() spec.Access {
	return spec.Access{View: spec.ACL(r.ViewACL), Modify: spec.ACL(r.ModifyACL), Submit: spec.ACL(r.SubmitACL)}
}

// checkAccess refuses lists that are none, and what the application master could not obey.
func (r Request) checkAccess() error {
	a := r.access()
	const form = "Use user1,user2, or 'user1,user2 group1,group2', or '*'"
	for _, x := range []struct {
		flag string
		list spec.ACL
	}{{"--view-acl", a.View}, {"--modify-acl", a.Modify}, {"--submit-acl", a.Submit}} {
		if err := x.list.Validate(); err != nil {
			return usagef(form, "%s %q %v", x.flag, string(x.list), err)
		}
	}
	const users = "Name the users: --submit-acl user1,user2"
	if g := a.Submit.Groups(); len(g) > 0 {
		return usagef(users, "--submit-acl has groups (%s), and the application master does not know who is in a group", strings.Join(g, ", "))
	}
	if a.Submit.Everybody() {
		return usagef(users, "--submit-acl would let everybody run programs as you")
	}
	return nil
}

// noteAccess tells where lists are not what one may take them for.
func (y *yarnCluster) noteAccess(r Request) {
	a := r.access()
	if a == (spec.Access{}) {
		return
	}
	if !ipc.Secure(y.conf) {
		y.opts.Progress("this cluster has no Kerberos: access lists hold for YARN's own pages and commands; yarnd's commands need the owner's files")
		return
	}
	if on, err := y.conf.Bool("yarn.acl.enable", false); err == nil && !on {
		y.opts.Progress("yarn.acl.enable is off here: YARN's own pages and commands are open to others, whatever the access lists say")
	}
	if g := append(a.View.Groups(), a.Modify.Groups()...); len(g) > 0 {
		y.opts.Progress("the groups %s count for YARN's own pages and commands alone: for yarnd's name the users", strings.Join(g, ", "))
	}
}

// introduce asks the cluster for its word to an application's master; the first time hand
// stands for its answer, unless that is nil. Where it gives none yet the introduction is empty.
func (c *Client) introduce(id string, hand *Report) func(context.Context) (amclient.Introduction, error) {
	return func(ctx context.Context) (amclient.Introduction, error) {
		now := hand
		hand = nil
		if now == nil {
			r, err := c.cluster.Report(ctx, id)
			if err != nil {
				return amclient.Introduction{}, err
			}
			now = &r
		}
		switch {
		case now.State.Ended():
			return amclient.Introduction{}, Ended(*now)
		case now.letter == nil || now.Endpoint == "":
			return amclient.Introduction{}, nil
		}
		t := now.letter()
		return amclient.Introduction{Address: now.Endpoint, Identifier: t.Identifier, Password: t.Password}, nil
	}
}

// claim gets an identity in an application for the cluster's word.
func (c *Client) claim(ctx context.Context, r Report) (*identity.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.CallTimeout)
	defer cancel()
	id, err := amclient.Claim(ctx, r.ID, c.introduce(r.ID, &r), amclient.Options{Log: c.opts.Log})
	var denied *amclient.DeniedError
	if errors.As(err, &denied) {
		return nil, &Fault{Code: Auth, What: denied.Why, Next: fmt.Sprintf("Ask %s to run this, or to submit with --view-acl %s", r.User, c.cluster.User())}
	}
	return id, wrap(TimedOut, "cannot prove to "+r.ID+" who we are", err, "The application master may be starting again: try once more, or see yarnd -v for more")
}

// noWord says that the cluster does not introduce us to an application.
func (c *Client) noWord(r Report) error {
	return &Fault{Code: Auth, What: fmt.Sprintf("%s belongs to %s, and you are %s, to whom YARN does not show it", r.ID, r.User, c.cluster.User()),
		Next: fmt.Sprintf("Ask %s to run this, or to submit with --view-acl %s", r.User, c.cluster.User())}
}

// access is what a person may do with a running application.
type access int

const (
	toLook   access = iota // at its state, events, logs
	toChange               // and scale it, replace workers, end it
	toWork                 // and submit tasks, and read results
)

// may is what our role is for.
func (s *Session) may() access {
	if s.Identity == nil {
		return toLook
	}
	switch s.Identity.Subject().Role {
	case identity.Client:
		return toWork
	case identity.Operator:
		return toChange
	case identity.Viewer, identity.AppMaster, identity.Scheduler, identity.Worker:
	}
	return toLook
}

// need refuses what our role is not for.
func (s *Session) need(a access) error {
	have := s.may()
	if have >= a {
		return nil
	}
	may, kind := "look at", "VIEW"
	if have == toChange {
		may, kind = "look at, scale and end", "MODIFY"
	}
	not := "change it"
	if a == toWork {
		not = "submit work to it or read its results"
	}
	return &Fault{Code: Auth, What: fmt.Sprintf("%s may %s %s and not %s (%s access)", s.Identity.Subject().Name, may, s.App.ID, not, kind), Next: "Ask " + s.App.User}
}

// MayWork tells whether we may submit tasks and read results; else the application master
// alone answers us.
func (s *Session) MayWork() bool { return s.may() >= toWork }

// NeedWork refuses, as an Auth fault, a session with which tasks cannot be submitted.
func (s *Session) NeedWork() error { return s.need(toWork) }
