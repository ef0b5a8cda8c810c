package hdfs

import (
	"errors"
	"net"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
	"github.com/yarnd/yarnd/hadooprpc/login"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/sasl"
	"github.com/yarnd/yarnd/hadooprpc/sasl/gssapi"
)

func TestTransferOf(t *testing.T) {
	const kerberos = "hadoop.security.authentication"
	for what, c := range map[string]struct {
		site map[string]string
		want sasl.QOP
		err  string
	}{
		"nothing":                       {map[string]string{kerberos: "kerberos"}, 0, ""},
		"names are believed":            {map[string]string{protectionKey: "privacy"}, 0, ""},
		"encrypted for names, too":      {map[string]string{encryptKey: "true"}, sasl.QOPConf, ""},
		"authentication":                {map[string]string{kerberos: "kerberos", protectionKey: "authentication"}, sasl.QOPAuth, ""},
		"integrity":                     {map[string]string{kerberos: "kerberos", protectionKey: "integrity"}, sasl.QOPInt, ""},
		"privacy":                       {map[string]string{kerberos: "kerberos", protectionKey: "privacy"}, sasl.QOPConf, ""},
		"the weakest of several":        {map[string]string{kerberos: "kerberos", protectionKey: "privacy,integrity"}, sasl.QOPInt, ""},
		"privacy at ordinary ports":     {map[string]string{kerberos: "kerberos", protectionKey: "privacy", dataNodeKey: "0.0.0.0:9866"}, sasl.QOPConf, ""},
		"privacy at privileged ports":   {map[string]string{kerberos: "kerberos", protectionKey: "privacy", dataNodeKey: "0.0.0.0:1004"}, 0, ""},
		"encrypted at privileged ports": {map[string]string{kerberos: "kerberos", encryptKey: "true", dataNodeKey: "0.0.0.0:1004"}, sasl.QOPConf, ""},
		"no protection":                 {map[string]string{kerberos: "kerberos", protectionKey: "secret"}, 0, protectionKey},
		"no boolean":                    {map[string]string{encryptKey: "perhaps"}, 0, encryptKey},
	} {
		got, err := TransferOf(conf.FromMap(c.site))
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && (err != nil || got.Protection() != c.want) {
			t.Errorf("%s: %v, %v, want %v %s", what, got.Protection(), err, c.want, c.err)
		}
	}
}

// guarded is a cluster with Kerberos whose data is protected so, and how to open it.
func guarded(t *testing.T, transfer hdfstest.Transfer) (*hdfstest.Cluster, func(site map[string]string) (FS, error)) {
	t.Helper()
	realm := &gssapi.Issuer{Realm: "EXAMPLE.COM", KeyType: 18, Life: time.Hour}
	const service = "nn/127.0.0.1"
	u, err := user.Current() // who owns what the fake has
	must(t, err)
	c := startFake(t, hdfstest.Options{Transfer: transfer, Security: hadooptest.Options{
		Kerberos: func() *gssapi.Acceptor { return realm.Acceptor(service) }, Service: service, QOPs: []sasl.QOP{sasl.QOPAuth}}})
	return c, func(site map[string]string) (FS, error) {
		all := conf.FromMap(map[string]string{"fs.defaultFS": c.URL(), "hadoop.security.authentication": "kerberos",
			"dfs.namenode.kerberos.principal": "nn/_HOST@EXAMPLE.COM"}).With(site)
		return Open(t.Context(), all, "", Options{Login: login.With(u.Username, gssapi.Tickets{Issuer: realm, Client: u.Username}, nil)})
	}
}

// Where data is to be encrypted and the NameNode gives no key, nothing is sent in clear instead.
func TestNoKeyToEncrypt(t *testing.T) {
	for what, c := range map[string]struct {
		protection sasl.QOP
		site       map[string]string
		ok         bool
	}{
		"and no protection":               {0, nil, false},
		"and authentication":              {sasl.QOPAuth, map[string]string{protectionKey: "authentication"}, false},
		"and integrity":                   {sasl.QOPInt, map[string]string{protectionKey: "integrity"}, false},
		"and privacy at privileged ports": {0, map[string]string{protectionKey: "privacy", dataNodeKey: "0.0.0.0:1004"}, false},
		"but privacy, which is as good":   {sasl.QOPConf, map[string]string{protectionKey: "privacy"}, true},
	} {
		_, open := guarded(t, hdfstest.Transfer{Protection: c.protection})
		site := map[string]string{encryptKey: "true"}
		for k, v := range c.site {
			site[k] = v
		}
		fsys, err := open(site)
		if c.ok {
			must(t, err)
			defer fsys.Close()
			_, err = WriteFile(t.Context(), fsys, "/f", []byte("text"), 0o600)
			must(t, err)
			if got, err := ReadFile(t.Context(), fsys, "/f", 100); string(got) != "text" || err != nil {
				t.Errorf("%s: %q, %v", what, got, err)
			}
			continue
		}
		if !errors.Is(err, ErrUnprotected) || !strings.Contains(err.Error(), "dfs.encrypt.data.transfer is true here, and off at the NameNode: they would travel in clear; copy hdfs-site.xml") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A DataNode with a privileged port is sent nothing in clear that is to be protected, unless the configuration says that
// DataNodes are such.
func TestPrivilegedPorts(t *testing.T) {
	_, open := guarded(t, hdfstest.Transfer{Protection: sasl.QOPConf})
	peer := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1004}
	for what, c := range map[string]struct {
		site    map[string]string
		refused bool
	}{
		"nothing to protect":      {nil, false},
		"privacy":                 {map[string]string{protectionKey: "privacy"}, true},
		"authentication":          {map[string]string{protectionKey: "authentication"}, true},
		"privacy, and it is said": {map[string]string{protectionKey: "privacy", dataNodeKey: "0.0.0.0:1004"}, false},
	} {
		fsys, err := open(c.site)
		must(t, err)
		defer fsys.Close()
		r := fsys.(*remote)
		x, err := r.transferExchange(t.Context(), peer, &pb.Token{})
		if errors.Is(err, ErrUnprotected) != c.refused || x != nil {
			t.Errorf("%s: %v, %v", what, x, err)
		}
		if c.refused && !strings.Contains(err.Error(), "connect to DataNode 127.0.0.1:1004: others on the network could read it: its port is privileged") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
