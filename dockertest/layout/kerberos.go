package layout

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Where Kerberos has its files on a host.
const (
	Krb5Conf  = "/etc/krb5.conf"          // read-only
	KeytabDir = "/etc/security/keytabs"   // USER.keytab on edge nodes, SERVICE.keytab beside daemons; each its owner's alone
	WebRoot   = KeytabDir + "/web.pem"    // the certificate of web servers, where they have one
	KDCData   = "/data/kdc"               // the realm's database, and the keytabs from which those of the hosts are copied
	OwnDir    = "/opt/hadoop/own/classes" // classes of our own, in front of Hadoop's; read-only
)

// Kerberos says how the hosts of a composition prove who they are. A composition that has it has a Domain too, and a
// host with a KDC.
type Kerberos struct {
	// Realm is the only one.
	Realm string
	// Protection is hadoop.rpc.protection and dfs.data.transfer.protection: "authentication", "integrity" or "privacy".
	Protection string
	// EncryptData is dfs.encrypt.data.transfer: blocks travel under a key of the NameNode's, and not under
	// dfs.data.transfer.protection.
	EncryptData bool
	// AES has what is encrypted on its way to and from DataNodes encrypted by AES (dfs.encrypt.data.transfer.cipher.suites),
	// and not by what DIGEST-MD5 has.
	AES bool
	// ClosedWeb has NodeManagers' web servers show nothing, logs included, to anybody without a ticket.
	ClosedWeb bool
	// HTTPS has YARN's web servers speak TLS alone, with one certificate for all hosts, WebRoot, which every host trusts.
	HTTPS bool
	// Enctypes are those of keys, tickets and sessions, the best first.
	Enctypes []string
	// TicketLife is how long a ticket is good for, and RenewLife for how long it can be renewed, in whole seconds. They
	// are both what clients ask for and the most that the KDC gives.
	TicketLife, RenewLife time.Duration
}

// Realm returns what most compositions with Kerberos have: EXAMPLE.TEST, AES with SHA-1, tickets of a day that can be
// renewed for a week.
func Realm(protection string) *Kerberos {
	return &Kerberos{
		Realm: "EXAMPLE.TEST", Protection: protection, EncryptData: protection == "privacy", ClosedWeb: protection == "privacy",
		Enctypes:   []string{"aes256-cts-hmac-sha1-96", "aes128-cts-hmac-sha1-96"},
		TicketLife: 24 * time.Hour, RenewLife: 7 * 24 * time.Hour,
	}
}

// Users are the accounts of people and of a service. They exist on every host, have homes in HDFS and, with Kerberos, a
// principal and a keytab on the edge nodes.
var Users = []string{"alice", "bob", "svc"}

// Secured returns c under that name with Kerberos: host names with a domain, a host that is the KDC, ACLs.
func Secured(c Composition, name string, k *Kerberos) Composition {
	c.Name, c.Domain, c.Kerberos = name, strings.ToLower(k.Realm), k
	// The last, so that all others keep their addresses; it is started first nevertheless.
	c.Hosts = append(slices.Clone(c.Hosts), Host{Name: "kdc", Daemons: []Daemon{KDC}})
	return c
}

// Secure is Simple with Kerberos and everything encrypted. The service may act for alice, and for nobody else.
func Secure() Composition {
	c := Secured(Simple(), "secure", Realm("privacy"))
	c.Conf = Conf{CoreSite: {"hadoop.proxyuser.svc.hosts": "*", "hadoop.proxyuser.svc.users": "alice"}}
	return c
}

// SecureIntegrity is Simple with Kerberos, where messages and blocks are signed.
func SecureIntegrity() Composition {
	return Secured(Simple(), "secure-integrity", Realm("integrity"))
}

// SecureAuth is Simple with Kerberos, where connections are authenticated and nothing more.
func SecureAuth() Composition { return Secured(Simple(), "secure-auth", Realm("authentication")) }

// SecureAES is Simple with Kerberos, where blocks travel encrypted by AES, under the secret of their tokens, which are good
// for a minute.
func SecureAES() Composition {
	k := Realm("privacy")
	k.EncryptData, k.AES = false, true
	c := Secured(Simple(), "secure-aes", k)
	c.Conf = Conf{HDFSSite: {"dfs.block.access.token.lifetime": "1", "dfs.block.access.key.update.interval": "1"}} // minutes
	return c
}

// Principal returns the name in the realm of daemon d on host h, or "" if it has none.
func (c Composition) Principal(h Host, d Daemon) string {
	if c.Kerberos == nil || d.Service == "" {
		return ""
	}
	return d.Service + "/" + c.HostName(h) + "@" + c.Kerberos.Realm
}

// Keytab is one file of keys in KeytabDir of one host.
type Keytab struct {
	Host, File string
	Owner      string // an account
	Principals []string
}

// Keytabs lists all of them: each daemon's, with the host's name for web pages, and on edge nodes each user's.
func (c Composition) Keytabs() []Keytab {
	if c.Kerberos == nil {
		return nil
	}
	var all []Keytab
	for _, h := range c.Hosts {
		for _, d := range h.Daemons {
			if p := c.Principal(h, d); p != "" {
				web := "HTTP/" + c.HostName(h) + "@" + c.Kerberos.Realm
				all = append(all, Keytab{h.Name, d.Service + ".keytab", d.User, []string{p, web}})
			}
		}
		if h.Edge {
			for _, u := range Users {
				all = append(all, Keytab{h.Name, u + ".keytab", u, []string{u + "@" + c.Kerberos.Realm}})
			}
		}
	}
	return all
}

// KDCHost returns the host that is the realm's KDC, and false in a composition without Kerberos.
func (c Composition) KDCHost() (Host, bool) {
	hosts := c.With(KDC)
	if c.Kerberos == nil || len(hosts) == 0 {
		return Host{}, false
	}
	return hosts[0], true
}

// Krb5Conf returns krb5.conf for somebody who reaches the KDC under that name or address.
func (c Composition) Krb5Conf(kdc string) []byte {
	k := c.Kerberos
	enctypes := strings.Join(k.Enctypes, " ")
	return fmt.Appendf(nil, `[libdefaults]
  default_realm = %[1]s
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  rdns = false
  udp_preference_limit = 1
  forwardable = true
  ticket_lifetime = %[2]ds
  renew_lifetime = %[3]ds
  default_tkt_enctypes = %[4]s
  default_tgs_enctypes = %[4]s
  permitted_enctypes = %[4]s

[realms]
  %[1]s = {
    kdc = %[5]s:%[7]d
  }

[domain_realm]
  .%[6]s = %[1]s
  %[6]s = %[1]s
`, k.Realm, seconds(k.TicketLife), seconds(k.RenewLife), enctypes, kdc, c.Domain, KDC.Port)
}

// kdcConf is the KDC's own file. Without +preauth it would give everybody something to guess passwords by, and clients
// would not show whether they can do it.
func (c Composition) kdcConf() []byte {
	k := c.Kerberos
	return fmt.Appendf(nil, `[realms]
  %[1]s = {
    database_name = %[2]s/principal
    key_stash_file = %[2]s/stash
    kdc_listen = %[6]d
    kdc_tcp_listen = %[6]d
    max_life = %[3]ds
    max_renewable_life = %[4]ds
    supported_enctypes = %[5]s
    default_principal_flags = +renewable, +forwardable, +proxiable, +preauth
  }

[logging]
  kdc = STDERR
`, k.Realm, KDCData, seconds(k.TicketLife), seconds(k.RenewLife), strings.Join(k.Enctypes, ":normal ")+":normal", KDC.Port)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// keytabList is what kdc-prepare reads: for each keytab its path below the folder of its host, its owner, and who is in it.
func (c Composition) keytabList() []byte {
	var b strings.Builder
	for _, k := range c.Keytabs() {
		fmt.Fprintf(&b, "%s/%s %s %s\n", k.Host, k.File, k.Owner, strings.Join(k.Principals, " "))
	}
	return []byte(b.String())
}

// HostFiles returns the bytes of every file in h's ConfDir.
func (c Composition) HostFiles(h Host) map[string][]byte {
	files := c.HostConf(h).Files()
	kdc, ok := c.KDCHost()
	if !ok {
		return files
	}
	files["krb5.conf"] = c.Krb5Conf(c.HostName(kdc))
	if h.Name == kdc.Name {
		files["kdc.conf"], files["keytabs"] = c.kdcConf(), c.keytabList()
	}
	return files
}

// securityConf is what Kerberos adds to Base on h.
func securityConf(c Composition, h Host) Conf {
	k := c.Kerberos
	hdfs := Properties{
		"dfs.block.access.token.enable": "true",
		"dfs.data.transfer.protection":  k.Protection,
		"dfs.encrypt.data.transfer":     fmt.Sprint(k.EncryptData),
		// DataNodes have neither ports below 1024 nor HTTPS: Hadoop then insists on this word.
		"ignore.secure.ports.for.testing": "true",
		// For what NameNodes ask one another.
		"dfs.web.authentication.kerberos.principal": "HTTP/_HOST@" + k.Realm,
		"dfs.web.authentication.kerberos.keytab":    NameNode.Keytab(),
	}
	if k.AES {
		hdfs["dfs.encrypt.data.transfer.cipher.suites"] = "AES/CTR/NoPadding"
	}
	maps.Copy(hdfs, k.login("dfs.namenode.kerberos.principal", "dfs.namenode.keytab.file", NameNode))
	maps.Copy(hdfs, k.login("dfs.datanode.kerberos.principal", "dfs.datanode.keytab.file", DataNode))
	if len(c.With(JournalNode)) > 0 {
		maps.Copy(hdfs, k.login("dfs.journalnode.kerberos.principal", "dfs.journalnode.keytab.file", JournalNode))
		// By it the NameNode that is not active reads what the other one wrote.
		hdfs["dfs.journalnode.kerberos.internal.spnego.principal"] = "HTTP/_HOST@" + k.Realm
	}
	classes := ConfDir + "," + OwnDir + "," + LibDir + "/*"
	yarn := Properties{
		"yarn.acl.enable":            "true",
		"yarn.admin.acl":             ResourceManager.User,
		"yarn.application.classpath": classes,
	}
	maps.Copy(yarn, k.login("yarn.resourcemanager.principal", "yarn.resourcemanager.keytab", ResourceManager))
	maps.Copy(yarn, k.login("yarn.nodemanager.principal", "yarn.nodemanager.keytab", NodeManager))
	core := Properties{
		"hadoop.security.authentication": "kerberos",
		"hadoop.security.authorization":  "true",
		"hadoop.rpc.protection":          k.Protection,
		"hadoop.security.auth_to_local":  k.rules(),
	}
	if slices.ContainsFunc(h.Daemons, func(d Daemon) bool { return d.Name == NameNode.Name }) {
		// WebHDFS cannot be switched off, and without this it believes any user.name. Only what health is seen by stays open.
		maps.Copy(core, k.closedWeb(c.HostName(h), NameNode))
	}
	if k.ClosedWeb && slices.ContainsFunc(h.Daemons, func(d Daemon) bool { return d.Name == NodeManager.Name }) {
		// In the file of YARN alone, for a DataNode on the same host has keys of its own.
		maps.Copy(yarn, k.closedWeb(c.HostName(h), NodeManager))
		yarn["hadoop.http.filter.initializers"] = "org.apache.hadoop.security.AuthenticationFilterInitializer"
	}
	conf := Conf{
		CoreSite: core,
		HDFSSite: hdfs,
		YarnSite: yarn,
		MapredSite: {
			"mapreduce.application.classpath": classes,
			// There is none, and a client with Kerberos would ask it for a token.
			"mapreduce.jobhistory.address": "",
		},
		CapacityScheduler: {
			"yarn.scheduler.capacity.root.acl_submit_applications": "*",
			"yarn.scheduler.capacity.root.acl_administer_queue":    ResourceManager.User, // by default everybody
		},
	}
	if k.HTTPS {
		yarn["yarn.http.policy"] = "HTTPS_ONLY"
		conf[SSLServer] = keyStore()
	}
	return conf
}

// keyStore names the file with the key and the certificate of web servers. It is YARN's alone.
func keyStore() Properties {
	const store = "ssl.server.keystore."
	return Properties{
		store + "location":    KeytabDir + "/web.p12",
		store + "type":        "pkcs12",
		store + "password":    "of-a-test",
		store + "keypassword": "of-a-test",
	}
}

// closedWeb has the web server of d want proof of who asks, but for what health is seen by.
func (k *Kerberos) closedWeb(host string, d Daemon) Properties {
	const web = "hadoop.http.authentication."
	return Properties{
		web + "type":                        "kerberos",
		web + "kerberos.principal":          "HTTP/" + host + "@" + k.Realm,
		web + "kerberos.keytab":             d.Keytab(),
		web + "kerberos.endpoint.whitelist": "/jmx",
	}
}

// rules make the short names of accounts from principals.
func (k *Kerberos) rules() string {
	return fmt.Sprintf(`RULE:[2:$1@$0]([ndj]n@%[1]s)s/.*/hdfs/
RULE:[2:$1@$0]([rn]m@%[1]s)s/.*/yarn/
DEFAULT`, strings.ReplaceAll(k.Realm, ".", `\.`))
}

// login is how a site file tells the hosts with daemon d who they are.
func (k *Kerberos) login(principal, keytab string, d Daemon) Properties {
	return Properties{principal: d.Service + "/_HOST@" + k.Realm, keytab: d.Keytab()}
}

// Keytab is the path of the keys of d, on its host.
func (d Daemon) Keytab() string { return KeytabDir + "/" + d.Service + ".keytab" }
