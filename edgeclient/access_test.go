package edgeclient

import (
	"fmt"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
	"github.com/yarnd/yarnd/identity"
)

// What YARN is told of access goes with the application master's container, and nothing where
// nobody else has any.
func TestAccessOfASubmission(t *testing.T) {
	id := yarn.ApplicationID{ClusterTimestamp: 1, ID: 1}
	for want, r := range map[yarn.ACLs]Request{
		{}: {},
		{View: "bob,svc,ann staff", Modify: "svc"}: {ViewACL: "bob staff", ModifyACL: "svc", SubmitACL: "ann"},
		{View: "*", Modify: "*"}:                   {ModifyACL: "*"},
	} {
		sc, err := submissionContext(id, Launch{ID: id.String(), Request: r.withDefaults()})
		if err != nil {
			t.Fatal(err)
		}
		if got := yarn.ACLsFromPB(sc.GetAmContainerSpec().GetApplicationAcls()); got != want {
			t.Errorf("%+v: %+v, want %+v", r.access(), got, want)
		}
		if a := application("local_1_0001", r.withDefaults(), "alice", "file:///s", nil, nil).Access; a != r.access() {
			t.Errorf("the application master reads %+v of %+v", a, r.access())
		}
	}
}

// Each role is told what it is for, whom to ask, and refused what it is not for.
func TestRolesOfASession(t *testing.T) {
	ca, err := identity.NewCA(identity.NewSeed(), "application_1_0001")
	if err != nil {
		t.Fatal(err)
	}
	for role, may := range map[identity.Role][3]bool{
		identity.Client: {true, true, true}, identity.Operator: {true, true, false}, identity.Viewer: {true, false, false},
		identity.Worker: {true, false, false}, identity.AppMaster: {true, false, false},
	} {
		id, err := ca.NewIdentity(identity.Subject{App: ca.App(), Role: role, Name: "bob"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		s := &Session{App: Report{ID: ca.App(), User: "alice"}, Identity: id}
		for i, a := range []access{toLook, toChange, toWork} {
			err := s.need(a)
			if (err == nil) != may[i] {
				t.Errorf("%s, %d: %v", role, a, err)
			}
			if err != nil && (CodeOf(err) != Auth || !strings.HasSuffix(err.Error(), "Ask alice")) {
				t.Errorf("%s, %d: %v", role, a, err)
			}
		}
		if s.MayWork() != may[2] {
			t.Errorf("%s works: %v", role, s.MayWork())
		}
	}
}

// On this machine lists are of no use, and that is said.
func TestAccessOnThisMachine(t *testing.T) {
	var said []string
	l := &localCluster{opts: Options{Progress: func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }}}
	for _, r := range []Request{{}, {ViewACL: "bob"}} {
		said = nil
		if err := l.Check(t.Context(), r.withDefaults(), Resources{}); err != nil {
			t.Fatal(err)
		}
		if told := len(said) == 1 && strings.Contains(said[0], "no meaning on this machine"); told != (r.ViewACL != "") {
			t.Errorf("%+v: %q", r.access(), said)
		}
	}
}

// A report does not print the token in it.
func TestLettersDoNotPrint(t *testing.T) {
	secret := "the password"
	r := Report{letter: func() token.Token { return token.Token{Password: []byte(secret)} }}
	if text := fmt.Sprintf("%v %+v %#v", r, r, r); strings.Contains(text, secret) || strings.Contains(text, fmt.Sprint([]byte(secret))) {
		t.Error(text)
	}
}
