package yarnd

import (
	"slices"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
)

// The page is open where YARN's own pages are, and closed where nobody can tell.
func TestPageIsOpenWhereYARNsAre(t *testing.T) {
	for _, tc := range []struct {
		what string
		set  map[string]string
		open bool
	}{
		{"nothing is set", nil, true},
		{"lists are off", map[string]string{"yarn.acl.enable": "false"}, true},
		{"lists are on", map[string]string{"yarn.acl.enable": "true"}, false},
		{"nobody can tell", map[string]string{"yarn.acl.enable": "perhaps"}, false},
		{"Kerberos", map[string]string{"hadoop.security.authentication": "kerberos"}, false},
		{"Kerberos with lists", map[string]string{"hadoop.security.authentication": "kerberos", "yarn.acl.enable": "true"}, false},
	} {
		set := map[string]string{"yarn.resourcemanager.hostname": "rm.example.com"}
		for k, v := range tc.set {
			set[k] = v
		}
		w, err := webOf(conf.FromMap(set), "/proxy/application_1_0001")
		if err != nil {
			t.Fatal(err)
		}
		if w.Open != tc.open {
			t.Errorf("%s: open %v", tc.what, w.Open)
		}
		if !slices.Equal(w.ProxyHosts, []string{"rm.example.com"}) || w.ProxyURL != "http://rm.example.com:8088/proxy/application_1_0001" {
			t.Errorf("%s: %+v", tc.what, w)
		}
	}
}
