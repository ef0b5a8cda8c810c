package spec

import (
	"errors"
	"strings"
	"testing"
)

func TestACL(t *testing.T) {
	for list, want := range map[ACL]struct{ bob, eve bool }{
		"":                  {false, false},
		" ":                 {false, false},
		"bob":               {true, false},
		"ann,bob":           {true, false},
		"ann, bob":          {false, false}, // a space begins the groups
		"ann,bob staff,eve": {true, false},
		" bob,staff":        {false, false}, // groups alone
		"*":                 {true, true},
		" * ":               {true, true},
		"bobby":             {false, false},
	} {
		if list.Allows("bob") != want.bob || list.Allows("eve") != want.eve || list.Allows("") {
			t.Errorf("%q: bob %v, eve %v, nobody %v", list, list.Allows("bob"), list.Allows("eve"), list.Allows(""))
		}
	}
}

func TestAccessIsChecked(t *testing.T) {
	for name, a := range map[string]Access{
		"everybody and another": {View: "*,bob"},
		"a principal":           {Modify: "bob@EXAMPLE.COM"},
		"a line break":          {View: "bob\nann"},
		"too long":              {View: ACL(strings.Repeat("x", maxText+1))},
		"groups that submit":    {Submit: "bob staff"},
		"everybody submits":     {Submit: "*"},
		"a realm of two lines":  {Realm: "A\nB"},
	} {
		var invalid *InvalidError
		if err := a.validate(); !errors.As(err, &invalid) || !strings.HasPrefix(invalid.Field, "access.") {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := Access{View: "bob,ann domain users,staff", Modify: "*", Submit: "bob,svc", Realm: "EXAMPLE.COM"}
	if err := good.validate(); err != nil {
		t.Error(err)
	}
}

// Who may change or submit can also look, to YARN.
func TestAccessOfALaunch(t *testing.T) {
	for _, tc := range []struct {
		a            Access
		view, modify ACL
	}{
		{Access{}, "", ""},
		{Access{View: "bob"}, "bob", ""},
		{Access{Modify: "svc ops"}, "svc ops", "svc ops"},
		{Access{View: "bob staff", Modify: "svc,bob ops", Submit: "ann"}, "bob,svc,ann staff,ops", "svc,bob ops"},
		{Access{View: "bob", Modify: "*"}, "*", "*"},
		{Access{View: "*", Modify: "svc"}, "*", "svc"},
	} {
		if view, modify := tc.a.Launch(); view != tc.view || modify != tc.modify {
			t.Errorf("%+v: view %q, modify %q", tc.a, view, modify)
		}
	}
}
