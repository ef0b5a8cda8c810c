//go:build hadoop

package e2e

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// Whatever is wrong with somebody's Kerberos, doctor says what, and what to do; and submit says the same.
func TestSecureDoctor(t *testing.T) {
	c := dockertest.Running(t, "secure")
	alice := c.Edge("alice").Ticketed(t)
	dir := strings.TrimSpace(alice.Must(t, "mktemp", "-d"))
	t.Cleanup(func() { alice.Run(t, "rm", "-rf", dir) })
	alice.Must(t, "sh", "-c", "cd "+dir+` && sed 's/^ *kdc = .*/ kdc = nn.example.test:1/' /etc/krb5.conf > dead && sed 's/EXAMPLE\.TEST = {/OTHER.TEST = {/' /etc/krb5.conf > other &&
KRB5CCNAME=`+dir+`/ended kinit -l 5s -k -t `+layout.KeytabDir+`/alice.keytab alice`)
	const keytab = layout.KeytabDir + "/alice.keytab"
	if r := alice.Run(t, "yarnd", "doctor"); r.Code != 0 || !strings.Contains(r.Stdout, "proxy-user-privileges.enabled is false") {
		t.Errorf("what the cluster does not help with is not told: %v", r)
	}
	if r := alice.Run(t, "yarnd", "doctor"); !strings.Contains(r.Stdout, "what the servers are called is what their addresses are") {
		t.Errorf("names: %v", r)
	}
	none := alice.Ticketless(t)
	for _, x := range []struct {
		what string
		env  string
		args []string
		want string // of the check that fails
		next string
	}{
		{"no cache", "KRB5CCNAME=" + dir + "/none", nil, "there is no ticket cache", "kinit"},
		{"a cache in the kernel", "KRB5CCNAME=KEYRING:persistent:0", nil, "is no file", "KRB5CCNAME"},
		{"a ticket that ended", "KRB5CCNAME=" + dir + "/ended", nil, "has expired", "kinit"},
		{"another's keytab", "X=", []string{"--principal", "bob@EXAMPLE.TEST", "--keytab", keytab}, "has no key of bob@EXAMPLE.TEST, but of alice@EXAMPLE.TEST", "principal"},
		{"no such keytab", "X=", []string{"--principal", "alice", "--keytab", dir + "/none"}, "the keytab cannot be read", ""},
		{"a KDC that is away", "KRB5_CONFIG=" + dir + "/dead", []string{"--principal", "alice", "--keytab", keytab}, "no KDC of the realm EXAMPLE.TEST answers", "network"},
		{"a realm without a KDC", "KRB5_CONFIG=" + dir + "/other", []string{"--principal", "alice", "--keytab", keytab}, "names no KDC of the realm EXAMPLE.TEST", "KRB5_CONFIG"},
		{"no krb5.conf", "KRB5_CONFIG=" + dir + "/none", nil, "there is no " + dir + "/none", "KRB5_CONFIG"},
		{"another name of the host", "X=", []string{"--principal", "alice", "--keytab", keytab, "-D", "yarn.resourcemanager.principal=rm/other.example.test@EXAMPLE.TEST"},
			"it must be rm/other.example.test", "HADOOP_CONF_DIR"},
		{"no principal of the ResourceManager", "X=", []string{"--principal", "alice", "--keytab", keytab, "-D", "yarn.resourcemanager.principal="}, "yarn.resourcemanager.principal is not set", ""},
	} {
		t.Run(x.what, func(t *testing.T) {
			r := none.Run(t, append([]string{"env", x.env, "yarnd", "doctor", "-o", "json"}, x.args...)...)
			var doc struct {
				Items []struct{ Check, Verdict, Detail, Next string }
			}
			if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || r.Code != 1 {
				t.Fatalf("%v: %v", err, r)
			}
			found := false
			for _, f := range doc.Items {
				found = found || f.Verdict == "fail" && strings.Contains(f.Detail, x.want) && strings.Contains(f.Next, x.next)
			}
			if !found {
				t.Errorf("want %q, then %q: %v", x.want, x.next, r.Stdout)
			}
			s := none.Run(t, append([]string{"env", x.env, "yarnd", "submit"}, x.args...)...)
			if s.Code == 0 || s.Stdout != "" || !strings.Contains(s.Stderr, x.want) {
				t.Errorf("submit: %v", s)
			}
		})
	}
}
