// Package rights decides in which role somebody may speak to an application: the owner
// and those to whom he gave access by name when he submitted it.
//
//	owner, submit list   client     everything
//	modify list          operator   looks, scales, ends
//	view list            viewer     looks
//
// It is pure: names in, a role out. Who somebody is has been proven before.
package rights

import (
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/identity"
)

// Policy says who has which rights.
type Policy struct {
	Owner  string // short name
	Access spec.Access
}

// Of is the role of a user by his short name, and whether he has one at all. Groups are
// for YARN's own pages: nobody here knows who is in them.
func (p Policy) Of(user string) (identity.Role, bool) {
	switch {
	case user == "":
	case user == p.Owner, p.Access.Submit.Allows(user):
		return identity.Client, true
	case p.Access.Modify.Allows(user):
		return identity.Operator, true
	case p.Access.View.Allows(user):
		return identity.Viewer, true
	}
	return "", false
}
