package layout

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// secured are the compositions with Kerberos.
func secured() []Composition {
	return slices.DeleteFunc(All(), func(c Composition) bool { return c.Kerberos == nil })
}

func TestProtectionIsAParameter(t *testing.T) {
	want := map[string]string{
		"secure": "privacy", "secure-ha": "privacy", "secure-integrity": "integrity", "secure-auth": "authentication", "secure-aes": "privacy",
		"secure-short": "authentication", "secure-kms": "privacy", "secure-ha-nn": "privacy",
	}
	if len(secured()) != len(want) {
		t.Errorf("%d compositions with Kerberos, want %d", len(secured()), len(want))
	}
	for _, c := range secured() {
		for _, h := range c.Hosts {
			files := c.HostFiles(h)
			core, hdfs, yarn := site(t, files[CoreSite]), site(t, files[HDFSSite]), site(t, files[YarnSite])
			for _, x := range []struct{ name, got, want string }{
				{"authentication", core["hadoop.security.authentication"], "kerberos"},
				{"RPC", core["hadoop.rpc.protection"], want[c.Name]},
				{"blocks", hdfs["dfs.data.transfer.protection"], want[c.Name]},
				{"encryption of blocks", hdfs["dfs.encrypt.data.transfer"], map[bool]string{true: "true", false: "false"}[want[c.Name] == "privacy" && c.Name != "secure-aes"]},
				{"ciphers", hdfs["dfs.encrypt.data.transfer.cipher.suites"], map[bool]string{true: "AES/CTR/NoPadding"}[c.Name == "secure-aes"]},
				{"WebHDFS, which would believe a user.name", core["hadoop.http.authentication.type"],
					map[bool]string{true: "kerberos", false: ""}[strings.HasPrefix(h.Name, "nn")]},
				{"YARN's ACLs", yarn["yarn.acl.enable"], "true"},
				{"YARN's administrators", yarn["yarn.admin.acl"], "yarn"},
				{"queues' administrators", site(t, files[CapacityScheduler])["yarn.scheduler.capacity.root.acl_administer_queue"], "yarn"},
			} {
				if x.got != x.want {
					t.Errorf("%s: %s: %s: %q, want %q", c.Name, h.Name, x.name, x.got, x.want)
				}
			}
		}
	}
}

// A daemon logs in with the principal and the file that its site file names: they must be there for that very host.
func TestEveryDaemonHasItsKeys(t *testing.T) {
	names := map[string][3]string{ // file, principal, keytab
		"nn":  {HDFSSite, "dfs.namenode.kerberos.principal", "dfs.namenode.keytab.file"},
		"dn":  {HDFSSite, "dfs.datanode.kerberos.principal", "dfs.datanode.keytab.file"},
		"jn":  {HDFSSite, "dfs.journalnode.kerberos.principal", "dfs.journalnode.keytab.file"},
		"rm":  {YarnSite, "yarn.resourcemanager.principal", "yarn.resourcemanager.keytab"},
		"nm":  {YarnSite, "yarn.nodemanager.principal", "yarn.nodemanager.keytab"},
		"kms": {KMSSite, "hadoop.kms.authentication.kerberos.principal", "hadoop.kms.authentication.kerberos.keytab"},
	}
	for _, c := range secured() {
		keytabs := c.Keytabs()
		for _, h := range c.Hosts {
			conf := c.HostConf(h)
			for _, d := range h.Daemons {
				n, ok := names[d.Service]
				if !ok {
					continue
				}
				principal := strings.Replace(conf[n[0]][n[1]], "_HOST", c.HostName(h), 1)
				file := conf[n[0]][n[2]]
				i := slices.IndexFunc(keytabs, func(k Keytab) bool { return k.Host == h.Name && KeytabDir+"/"+k.File == file })
				if i < 0 || !slices.Contains(keytabs[i].Principals, principal) || keytabs[i].Owner != d.User {
					t.Errorf("%s: %s on %s logs in as %s by %s; there are %v", c.Name, d.Name, h.Name, principal, file, keytabs)
				}
			}
		}
		for _, edge := range c.Edges() {
			for _, u := range []string{"alice", "bob", "svc"} {
				want := Keytab{edge.Name, u + ".keytab", u, []string{u + "@EXAMPLE.TEST"}}
				if !slices.ContainsFunc(keytabs, func(k Keytab) bool {
					return k.Host == want.Host && k.File == want.File && k.Owner == want.Owner && slices.Equal(k.Principals, want.Principals)
				}) {
					t.Errorf("%s: want %v in %v", c.Name, want, keytabs)
				}
			}
		}
	}
	for _, c := range []Composition{Simple(), SimpleVmem(), HA()} {
		if len(c.Keytabs()) > 0 || c.HostFiles(c.Hosts[0])["krb5.conf"] != nil {
			t.Errorf("%s has no Kerberos, and has its files", c.Name)
		}
	}
}

// Addresses and starting order of the others do not depend on the KDC, and every name has the realm's domain.
func TestSecuredAddsAHost(t *testing.T) {
	for _, c := range secured() {
		plain := Simple()
		switch c.Name {
		case "secure-ha":
			plain = HA()
		case "secure-ha-nn":
			plain = HANameNodes()
		}
		for i, h := range plain.Hosts {
			if c.Hosts[i].Name != h.Name {
				t.Errorf("%s: host %d is %s, want %s", c.Name, i, c.Hosts[i].Name, h.Name)
			}
		}
		if kdc, ok := c.KDCHost(); !ok || kdc.Name != "kdc" || c.HostName(kdc) != "kdc.example.test" {
			t.Errorf("%s: the KDC is on %+v, %v", c.Name, kdc, ok)
		}
	}
	for _, c := range []Composition{SecureHA(), SecureHANameNodes()} {
		yarn := c.HostConf(c.Hosts[0])[YarnSite]
		for _, rm := range []string{"rm1", "rm2"} {
			if got := yarn["yarn.resourcemanager.hostname."+rm]; got != rm+".example.test" {
				t.Errorf("%s: %s is at %q: its principal has the full name", c.Name, rm, got)
			}
		}
	}
	if got := HA().HostConf(HA().Hosts[0])[YarnSite]["yarn.resourcemanager.hostname.rm1"]; got != "rm1" {
		t.Errorf("securing a composition changed what it was made from: %q", got)
	}
}

func TestKerberosFiles(t *testing.T) {
	k := Realm("privacy")
	k.TicketLife, k.RenewLife, k.Enctypes = 90*time.Second, 5*time.Minute, []string{"aes256-cts-hmac-sha384-192", "aes128-cts-hmac-sha1-96"}
	c := Secured(Simple(), "short", k)
	kdc, _ := c.KDCHost()
	for file, wanted := range map[string][]string{
		"krb5.conf": {
			"default_realm = EXAMPLE.TEST", "rdns = false", "ticket_lifetime = 90s", "renew_lifetime = 300s", "kdc = kdc.example.test:88",
			"default_tgs_enctypes = aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha1-96", ".example.test = EXAMPLE.TEST",
		},
		"kdc.conf": {
			"max_life = 90s", "max_renewable_life = 300s",
			"supported_enctypes = aes256-cts-hmac-sha384-192:normal aes128-cts-hmac-sha1-96:normal",
		},
		"keytabs": {
			"nn/nn.keytab hdfs nn/nn.example.test@EXAMPLE.TEST HTTP/nn.example.test@EXAMPLE.TEST",
			"edge2/svc.keytab svc svc@EXAMPLE.TEST",
		},
	} {
		lines := strings.Split(string(c.HostFiles(kdc)[file]), "\n")
		for _, want := range wanted {
			if !slices.ContainsFunc(lines, func(l string) bool { return strings.TrimSpace(l) == want }) {
				t.Errorf("no line %q in %s:\n%s", want, file, strings.Join(lines, "\n"))
			}
		}
	}
	edge := c.HostFiles(c.Edges()[0])
	if edge["krb5.conf"] == nil || edge["kdc.conf"] != nil || edge["keytabs"] != nil {
		t.Error("an edge node needs krb5.conf and nothing else of Kerberos' files")
	}
	if !strings.Contains(string(c.Krb5Conf("172.29.0.17")), "kdc = 172.29.0.17:88\n") {
		t.Error("krb5.conf for somebody else does not name the KDC as they reach it")
	}
}

// Owners of files and users of YARN are short names: those that the daemons' accounts have.
func TestAuthToLocal(t *testing.T) {
	rules := Secure().HostConf(Secure().Hosts[0])[CoreSite]["hadoop.security.auth_to_local"]
	form := regexp.MustCompile(`^RULE:\[2:\$1@\$0\]\(([^)]*)\)s/\.\*/(\w+)/$`)
	short := func(service string) string {
		for _, line := range strings.Split(rules, "\n") {
			if m := form.FindStringSubmatch(line); m != nil && regexp.MustCompile("^(?:"+m[1]+")$").MatchString(service+"@EXAMPLE.TEST") {
				return m[2]
			}
		}
		return ""
	}
	for service, want := range map[string]string{"nn": "hdfs", "dn": "hdfs", "jn": "hdfs", "rm": "yarn", "nm": "yarn", "HTTP": "", "xnn": ""} {
		if got := short(service); got != want {
			t.Errorf("%s is %q, want %q", service, got, want)
		}
	}
}

// The NameNode alone says where the keys are; the KMS has its own files, and knows people by the same names.
func TestKMSIsTheNameNodesToName(t *testing.T) {
	c := SecureKMS()
	const uri = "kms://http@kms.example.test:9600/kms"
	if c.KMSURI() != uri {
		t.Errorf("%q, want %q", c.KMSURI(), uri)
	}
	for _, h := range c.Hosts {
		files := c.HostFiles(h)
		if got, want := site(t, files[CoreSite])["hadoop.security.key.provider.path"], map[bool]string{true: uri}[h.Name == "nn"]; got != want {
			t.Errorf("%s: the key provider is %q, want %q", h.Name, got, want)
		}
		if (files[KMSSite] != nil) != (h.Name == "kms") || (files[KMSACLs] != nil) != (h.Name == "kms") {
			t.Errorf("%s has files of a KMS, or lacks them", h.Name)
		}
	}
	kms, err := c.Host("kms")
	if err != nil {
		t.Fatal(err)
	}
	files := c.HostFiles(kms)
	if own, all := site(t, files[KMSSite]), site(t, files[CoreSite]); own["hadoop.kms.authentication.kerberos.name.rules"] != all["hadoop.security.auth_to_local"] ||
		own["hadoop.kms.authentication.kerberos.principal"] != "HTTP/kms.example.test@EXAMPLE.TEST" || own["hadoop.kms.authentication.type"] != "kerberos" {
		t.Errorf("%v", own)
	}
	if Simple().Hosts[0].Conf != nil || Secure().HostConf(Secure().Hosts[0])[CoreSite]["hadoop.security.key.provider.path"] != "" {
		t.Error("other compositions were changed")
	}
}

func TestTokensOfShortLivedEndSoon(t *testing.T) {
	c := ShortLived()
	for _, h := range c.Hosts {
		files := c.HostFiles(h)
		core, hdfs, yarn := site(t, files[CoreSite]), site(t, files[HDFSSite]), site(t, files[YarnSite])
		if hdfs["dfs.namenode.delegation.token.max-lifetime"] != "90000" || yarn["yarn.resourcemanager.delegation.token.renew-interval"] != "30000" ||
			core["hadoop.proxyuser.yarn.hosts"] != "*" || yarn["yarn.resourcemanager.proxy-user-privileges.enabled"] != "true" {
			t.Errorf("%s: %v", h.Name, hdfs)
		}
	}
}

// NameNodes and the JournalNode are asked for by the names that their principals have, by others as by one another.
func TestTwoNameNodesHaveFullNames(t *testing.T) {
	c := SecureHANameNodes()
	for _, h := range c.Hosts {
		hdfs := site(t, c.HostFiles(h)[HDFSSite])
		for name, want := range map[string]string{
			"dfs.namenode.rpc-address.NS1.nn1":                   "nn1.example.test:8020",
			"dfs.namenode.rpc-address.NS1.nn2":                   "nn2.example.test:8020",
			"dfs.namenode.http-address.NS1.nn2":                  "nn2.example.test:9870",
			"dfs.namenode.shared.edits.dir":                      "qjournal://zk.example.test:8485/NS1",
			"dfs.namenode.delegation.token.renew-interval":       "120000",
			"dfs.journalnode.kerberos.principal":                 "jn/_HOST@EXAMPLE.TEST",
			"dfs.journalnode.kerberos.internal.spnego.principal": "HTTP/_HOST@EXAMPLE.TEST",
			"dfs.client.failover.proxy.provider.NS1":             HANameNodes().Conf[HDFSSite]["dfs.client.failover.proxy.provider.NS1"],
		} {
			if got := hdfs[name]; got != want || want == "" {
				t.Errorf("%s: %s is %q, want %q", h.Name, name, got, want)
			}
		}
	}
	if got := HANameNodes().Conf[HDFSSite]["dfs.namenode.rpc-address.NS1.nn1"]; got != "nn1:8020" {
		t.Errorf("without Kerberos it is %q", got)
	}
}

// NodeManagers of clusters with privacy show nothing to anybody without a ticket; who looks after the cluster sees their health, and
// others' pages stay as they are.
func TestNodeManagersAskWhoReads(t *testing.T) {
	for _, x := range []struct {
		c      Composition
		closed bool
	}{{Secure(), true}, {SecureHANameNodes(), true}, {SecureAuth(), false}, {SecureIntegrity(), false}, {Simple(), false}} {
		for _, h := range x.c.Hosts {
			yarn := site(t, x.c.HostFiles(h)[YarnSite])
			node := slices.ContainsFunc(h.Daemons, func(d Daemon) bool { return d.Name == NodeManager.Name })
			want := map[string]string{}
			if x.closed && node {
				want = map[string]string{"type": "kerberos", "kerberos.principal": "HTTP/" + x.c.HostName(h) + "@EXAMPLE.TEST",
					"kerberos.keytab": NodeManager.Keytab(), "kerberos.endpoint.whitelist": "/jmx"}
			}
			for _, name := range []string{"type", "kerberos.principal", "kerberos.keytab", "kerberos.endpoint.whitelist"} {
				if got := yarn["hadoop.http.authentication."+name]; got != want[name] {
					t.Errorf("%s, %s: %s is %q, want %q", x.c.Name, h.Name, name, got, want[name])
				}
			}
			if (yarn["hadoop.http.filter.initializers"] != "") != (x.closed && node) {
				t.Errorf("%s, %s: %s", x.c.Name, h.Name, yarn["hadoop.http.filter.initializers"])
			}
		}
	}
}

// Where YARN's web servers are to speak TLS alone they all do, with a key that each host has.
func TestWebServersSpeakTLS(t *testing.T) {
	for _, c := range All() {
		for _, h := range c.Hosts {
			files := c.HostFiles(h)
			policy, store := site(t, files[YarnSite])["yarn.http.policy"], files[SSLServer]
			want := ""
			if c.Name == "secure-short" {
				want = "HTTPS_ONLY"
			}
			if policy != want || (store != nil) != (want != "") {
				t.Errorf("%s, %s: policy %q, %s", c.Name, h.Name, policy, store)
			}
			if store != nil && site(t, store)["ssl.server.keystore.location"] != "/etc/security/keytabs/web.p12" {
				t.Errorf("%s, %s: %s", c.Name, h.Name, store)
			}
		}
	}
}
