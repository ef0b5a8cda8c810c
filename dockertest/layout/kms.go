package layout

import (
	"fmt"
	"slices"
)

// KMSDir has the jars that a key management server needs beside those of LibDir, in a composition that has one; read-only.
const KMSDir = "/opt/hadoop/kms"

// The site files of a key management server.
const (
	KMSSite = "kms-site.xml"
	KMSACLs = "kms-acls.xml"
)

// KMS is Hadoop's key management server, which has the keys of HDFS's encryption zones. Its pages are for who has a ticket.
var KMS = Daemon{
	Name: "kms", Main: "org.apache.hadoop.crypto.key.kms.server.KMSWebServer", User: "hdfs", Port: 9600, Service: "kms",
	// The class path that counts is the last.
	Options: []string{"-Dkms.config.dir=" + ConfDir, "-Dlog4j.configuration=file:" + ConfDir + "/log4j.properties",
		"-cp", ConfDir + ":" + OwnDir + ":" + LibDir + "/*:" + KMSDir + "/*"},
}

// SecureKMS is Secure with a KMS, which the NameNode names to its clients: their own configuration does not.
func SecureKMS() Composition {
	c, k := Simple(), Realm("privacy")
	c.Hosts = append(c.Hosts, Host{Name: "kms", Daemons: []Daemon{KMS}})
	c = Secured(c, "secure-kms", k)
	for i := range c.Hosts {
		switch h := &c.Hosts[i]; {
		case h.Name == "kms":
			h.Conf = Conf{KMSSite: kmsSite(c, *h), KMSACLs: kmsACLs()}
		case slices.ContainsFunc(h.Daemons, func(d Daemon) bool { return d.Name == NameNode.Name }):
			h.Conf = Conf{CoreSite: {"hadoop.security.key.provider.path": c.KMSURI()}}
		}
	}
	return c
}

// KMSURI is the URI of the composition's KMS.
func (c Composition) KMSURI() string {
	return fmt.Sprintf("kms://http@%s:%d/kms", first(c, KMS), KMS.Port)
}

func kmsSite(c Composition, h Host) Properties {
	const auth = "hadoop.kms.authentication."
	return Properties{
		"hadoop.kms.key.provider.uri": "jceks://file@/data/dfs/keys.jceks",
		"hadoop.kms.http.port":        fmt.Sprint(KMS.Port),
		auth + "type":                 "kerberos",
		// One who is known by the web has this name, and his keys are in the daemon's file.
		auth + "kerberos.principal":       "HTTP/" + c.HostName(h) + "@" + c.Kerberos.Realm,
		auth + "kerberos.keytab":          KMS.Keytab(),
		auth + "kerberos.name.rules":      c.Kerberos.rules(),
		"hadoop.kms.proxyuser.svc.users":  "*",
		"hadoop.kms.proxyuser.svc.hosts":  "*",
		"hadoop.kms.proxyuser.svc.groups": "*",
	}
}

// kmsACLs let everybody do everything with each key: without them nobody could.
func kmsACLs() Properties {
	p := Properties{}
	for _, op := range []string{"MANAGEMENT", "GENERATE_EEK", "DECRYPT_EEK", "READ"} {
		p["default.key.acl."+op] = "*"
	}
	return p
}
