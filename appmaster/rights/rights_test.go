package rights

import (
	"testing"

	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/identity"
)

func TestRoles(t *testing.T) {
	named := Policy{"alice", spec.Access{View: "bob,svc,ann staff", Modify: "svc,ann", Submit: "ann"}}
	open := Policy{"alice", spec.Access{View: "*", Modify: "svc"}}
	for _, tc := range []struct {
		p    Policy
		user string
		want identity.Role
	}{
		{named, "alice", identity.Client},
		{named, "ann", identity.Client}, // the greatest of several rights
		{named, "svc", identity.Operator},
		{named, "bob", identity.Viewer},
		{named, "staff", ""}, // a group's name is no user's
		{named, "eve", ""},
		{named, "*", ""},
		{named, "", ""},
		{open, "eve", identity.Viewer},
		{open, "svc", identity.Operator},
		{open, "", ""},
		{Policy{}, "", ""},
		{Policy{}, "eve", ""},
	} {
		if got, ok := tc.p.Of(tc.user); got != tc.want || ok != (tc.want != "") {
			t.Errorf("%q of %+v: %q, %v", tc.user, tc.p, got, ok)
		}
	}
}
