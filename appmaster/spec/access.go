package spec

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// ACL is a list of users and groups as YARN has it: "user1,user2 group1,group2", or "*"
// for everybody. The empty list is nobody.
// Source: org.apache.hadoop.security.authorize.AccessControlList.
type ACL string

// Everybody tells that the list is "*".
func (l ACL) Everybody() bool { return strings.TrimSpace(string(l)) == "*" }

// Users are the users that the list names.
func (l ACL) Users() []string {
	users, _, _ := strings.Cut(string(l), " ")
	return words(users)
}

// Groups are the groups that the list names.
func (l ACL) Groups() []string {
	_, groups, _ := strings.Cut(string(l), " ")
	return words(groups)
}

func words(list string) []string {
	var out []string
	for w := range strings.SplitSeq(list, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// Allows tells whether the list has a user by name, or is everybody. Of the members of
// its groups this package knows nothing.
func (l ACL) Allows(user string) bool {
	return user != "" && (l.Everybody() || slices.Contains(l.Users(), user))
}

// Validate tells what is wrong with the list, if anything.
func (l ACL) Validate() error {
	if len(l) > maxText || strings.ContainsFunc(string(l), unicode.IsControl) {
		return fmt.Errorf("must be a line of at most %d bytes", maxText)
	}
	if l.Everybody() {
		return nil
	}
	for _, name := range slices.Concat(l.Users(), l.Groups()) {
		if strings.Contains(name, "*") {
			return fmt.Errorf("has %q beside other names: everybody is * alone", name)
		}
	}
	for _, name := range l.Users() {
		if strings.ContainsAny(name, "/@") {
			return fmt.Errorf("has %q, which is no short name of a user", name)
		}
	}
	return nil
}

// Access says who beside the owner may do what. What an application was submitted with
// does not change.
type Access struct {
	View   ACL `json:"view,omitempty"`   // see its state, events and logs
	Modify ACL `json:"modify,omitempty"` // that, and scale and end it
	// Submit may submit work and read results, which is to run programs as the owner: users
	// by name, no groups.
	Submit ACL `json:"submit,omitempty"`
	// Realm is the default realm of Kerberos where the application was submitted: by it
	// the principals of users become short names.
	Realm string `json:"realm,omitempty"`
}

func (a *Access) validate() error {
	for _, x := range []struct {
		field string
		list  ACL
	}{{"view", a.View}, {"modify", a.Modify}, {"submit", a.Submit}} {
		if err := x.list.Validate(); err != nil {
			return invalid(err.Error(), "access.%s", x.field)
		}
	}
	switch {
	case a.Submit.Everybody() || len(a.Submit.Groups()) > 0:
		return invalid("must name users, neither groups nor everybody", "access.submit")
	case !text(a.Realm):
		return invalid("must be a line of text", "access.realm")
	}
	return nil
}

// Launch is what YARN is told with each container: who may look, and who may change. Who
// may change or submit must be able to look, or YARN does not say where the application
// master is.
func (a *Access) Launch() (view, modify ACL) {
	if a.View.Everybody() || a.Modify.Everybody() {
		return "*", a.Modify
	}
	users, groups := a.View.Users(), a.View.Groups()
	add := func(list, more []string) []string {
		for _, name := range more {
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
		return list
	}
	users = add(add(users, a.Modify.Users()), a.Submit.Users())
	groups = add(groups, a.Modify.Groups())
	if len(users)+len(groups) == 0 {
		return "", a.Modify
	}
	view = ACL(strings.Join(users, ","))
	if len(groups) > 0 {
		view += ACL(" " + strings.Join(groups, ","))
	}
	return view, a.Modify
}
