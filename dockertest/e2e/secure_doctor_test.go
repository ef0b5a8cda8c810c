//go:build hadoop

package e2e

import (
	"context"
	"encoding/json"
	"slices"
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
	alice.Must(t, "sh", "-c", "cd "+dir+` && sed 's/^ *kdc = .*/ kdc = '`+slowKDC(t, c)+`'/' /etc/krb5.conf > slow &&
KRB5CCNAME=`+dir+`/good kinit -k -t `+layout.KeytabDir+`/alice.keytab alice`)
	keytabOf(t, c, alice, dir+"/stale", "stale", "addprinc -randkey stale", "cpw -randkey stale")
	keytabOf(t, c, alice, dir+"/weak", "weak", "addprinc -randkey -e arcfour-hmac:normal weak")
	onKDC(t, c, "kadmin.local addprinc -randkey -e arcfour-hmac:normal HTTP/weak.example.test >&2")
	t.Cleanup(func() { onKDC(t, c, "kadmin.local delprinc -force HTTP/weak.example.test") })
	const keytab = layout.KeytabDir + "/alice.keytab"
	if r := alice.Run(t, "yarnd", "doctor"); r.Code != 0 || !strings.Contains(r.Stdout, "proxy-user-privileges.enabled is false") {
		t.Errorf("what the cluster does not help with is not told: %v", r)
	}
	if r := alice.Run(t, "yarnd", "doctor"); !strings.Contains(r.Stdout, "what the servers are called is what their addresses are") {
		t.Errorf("names: %v", r)
	}
	if r := alice.Run(t, "yarnd", "doctor", "-D", "yarn.resourcemanager.address="+c.Container("rm")+":8032"); !strings.Contains(r.Stdout, "is called rm.example.test by reverse DNS") {
		t.Errorf("a name that is not the address's: %v", r)
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
		{"a keytab from before its password was changed", "X=", []string{"--principal", "stale", "--keytab", dir + "/stale"}, "the KDC has another key", "new keytab"},
		{"a keytab without AES", "X=", []string{"--principal", "weak", "--keytab", dir + "/weak"}, "has no key of weak@EXAMPLE.TEST of the type and version that the KDC wants", "new keytab"},
		{"no type of encryption in common", "X=", []string{"--principal", "alice", "--keytab", keytab, "-D", "dfs.client.ignore.namenode.default.kms.uri=true", "-D", "hadoop.security.key.provider.path=kms://http@weak.example.test:9600/kms"},
			"have no type of encryption in common for HTTP/weak.example.test", "permitted_enctypes"},
		{"a KDC whose clock is another", "KRB5_CONFIG=" + dir + "/slow", []string{"--principal", "alice", "--keytab", keytab}, "clock and the KDC's differ", "timedatectl"},
		{"and a ticket", "KRB5_CONFIG=" + dir + "/slow KRB5CCNAME=" + dir + "/good", nil, "clock and the KDC's differ", "timedatectl"},
		{"a KDC that is away", "KRB5_CONFIG=" + dir + "/dead", []string{"--principal", "alice", "--keytab", keytab}, "no KDC of the realm EXAMPLE.TEST answers", "network"},
		{"a realm without a KDC", "KRB5_CONFIG=" + dir + "/other", []string{"--principal", "alice", "--keytab", keytab}, "names no KDC of the realm EXAMPLE.TEST", "KRB5_CONFIG"},
		{"no krb5.conf", "KRB5_CONFIG=" + dir + "/none", nil, "there is no " + dir + "/none", "KRB5_CONFIG"},
		{"another name of the host", "X=", []string{"--principal", "alice", "--keytab", keytab, "-D", "yarn.resourcemanager.principal=rm/other.example.test@EXAMPLE.TEST"},
			"it must be rm/other.example.test", "HADOOP_CONF_DIR"},
		{"no principal of the ResourceManager", "X=", []string{"--principal", "alice", "--keytab", keytab, "-D", "yarn.resourcemanager.principal="}, "yarn.resourcemanager.principal is not set", ""},
	} {
		t.Run(x.what, func(t *testing.T) {
			r := none.Run(t, slices.Concat([]string{"env"}, strings.Fields(x.env), []string{"yarnd", "doctor", "-o", "json"}, x.args)...)
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
			s := none.Run(t, slices.Concat([]string{"env"}, strings.Fields(x.env), []string{"yarnd", "submit"}, x.args)...)
			if s.Code == 0 || s.Stdout != "" || !strings.Contains(s.Stderr, x.want) {
				t.Errorf("submit: %v", s)
			}
		})
	}
}

// slowKDC starts another KDC of the realm on the same host, whose clock is a quarter of an hour behind, until the test ends, and
// returns its address.
func slowKDC(t *testing.T, c *dockertest.Cluster) string {
	t.Helper()
	const port = "8188"
	host, _ := c.Composition().KDCHost()
	t.Cleanup(func() { onKDC(t, c, `[ ! -s /tmp/slow.pid ] || kill "$(cat /tmp/slow.pid)"; rm -f /tmp/slow.*`) })
	onKDC(t, c, `sed 's/_listen = .*/_listen = `+port+`/' /etc/krb5kdc/kdc.conf >/tmp/slow.conf
KRB5_KDC_PROFILE=/tmp/slow.conf setsid krb5kdc -n -T -900 -P /tmp/slow.pid >/tmp/slow.log 2>&1 </dev/null &
for i in $(seq 100); do [ ! -s /tmp/slow.pid ] || exit 0; sleep 0.1; done
cat /tmp/slow.log >&2; exit 1`)
	return c.Composition().HostName(host) + ":" + port
}

// keytabOf makes a principal for the time of the test, by kadmin's commands, and gives alice a file of its keys as they are after the first.
func keytabOf(t *testing.T, c *dockertest.Cluster, alice dockertest.Edge, file, principal, make string, then ...string) {
	t.Helper()
	const keys = "/tmp/of-a-test.keytab"
	t.Cleanup(func() { onKDC(t, c, "rm -f "+keys+"; kadmin.local delprinc -force "+principal) })
	script := "set -e; rm -f " + keys
	for _, command := range append([]string{make, "ktadd -norandkey -k " + keys + " " + principal}, then...) {
		script += "\nkadmin.local " + command + " >&2"
	}
	if r := alice.RunInput(t, onKDC(t, c, script+"\nbase64 "+keys), "sh", "-c", "umask 077 && base64 -d >"+file); r.Code != 0 {
		t.Fatal(r)
	}
}

func onKDC(t *testing.T, c *dockertest.Cluster, script string) (stdout string) {
	t.Helper()
	host, _ := c.Composition().KDCHost()
	stdout, err := c.Output(context.Background(), host.Name, "", "sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	return stdout
}
