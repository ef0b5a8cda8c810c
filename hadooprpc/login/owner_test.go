package login

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
)

func fsToken(service, owner, realUser string, issued int64) token.Token {
	d := token.Delegation{Owner: owner, Renewer: "yarn", RealUser: realUser, Issued: time.UnixMilli(issued), Max: time.UnixMilli(issued + 1000)}
	return token.Token{Kind: token.KindHDFS, Service: service, Identifier: d.Append(nil), Password: []byte("pw")}
}

func rmToken(t *testing.T, service, owner string) token.Token {
	t.Helper()
	id, err := proto.Marshal(&pb.DelegationTokenIdentifier{Owner: &owner, Renewer: proto.String("yarn"), RealUser: proto.String("oozie/host@EXAMPLE.COM")})
	if err != nil {
		t.Fatal(err)
	}
	return token.Token{Kind: token.KindRM, Service: service, Identifier: id, Password: []byte("pw")}
}

// fileOf is a file of tokens as they are, also of several for one service.
func fileOf(t *testing.T, tokens ...token.Token) string {
	t.Helper()
	c := &token.Credentials{}
	for n, x := range tokens {
		c.Add(string(rune('a'+n)), x)
	}
	return write(t, "tokens", c.Append(nil, token.V0))
}

// What a workflow's step is: airflow's process, on a host whose krb5.conf has the cluster's realm.
func airflow(t *testing.T, file string, more ...string) func(string) string {
	return env(append([]string{TokenFileVar, file, "USER", "airflow", "KRB5_CONFIG", write(t, "krb5.conf", []byte(krb5Conf))}, more...)...)
}

var (
	haSite = []string{"fs.defaultFS", "hdfs://ns1", "dfs.nameservices", "other,NS1", "dfs.ha.namenodes.NS1", "a,b"}
	ns1    = "ha-hdfs:NS1"
)

// Who brings tokens is whose they are, not whose account reads them.
func TestTokensSayWho(t *testing.T) {
	for _, tc := range []struct {
		what   string
		site   []string
		tokens []token.Token
		env    []string
		want   string
	}{
		{what: "two NameNodes", site: haSite, tokens: []token.Token{fsToken(ns1, "alice@EXAMPLE.COM", "", 1)}, want: "alice"},
		{what: "one NameNode", site: []string{"fs.defaultFS", "hdfs://127.0.0.1:9000"}, tokens: []token.Token{fsToken("127.0.0.1:9000", "alice@EXAMPLE.COM", "", 1)}, want: "alice"},
		{what: "its usual port", site: []string{"fs.defaultFS", "HDFS://127.0.0.1/"}, tokens: []token.Token{fsToken("127.0.0.1:8020", "alice@EXAMPLE.COM", "", 1)}, want: "alice"},
		{what: "by name", site: []string{"fs.defaultFS", "hdfs://LocalHost:9000"}, tokens: []token.Token{fsToken("127.0.0.1:9000", "alice@EXAMPLE.COM", "", 1)}, want: "alice"},
		{what: "a nameservice with one NameNode", site: []string{"fs.defaultFS", "hdfs://one", "dfs.nameservices", "one", "dfs.namenode.rpc-address.one", "127.0.0.1"},
			tokens: []token.Token{fsToken("127.0.0.1:8020", "alice@EXAMPLE.COM", "", 1)}, want: "alice"},
		{what: "acted for", site: haSite, tokens: []token.Token{fsToken(ns1, "alice", "oozie/host@EXAMPLE.COM", 1)}, want: "alice"},
		{what: "a rule", site: append([]string{"hadoop.security.auth_to_local", "RULE:[1:$1@$0](a.*@OTHER.ORG)s/@.*/-other/ DEFAULT"}, haSite...),
			tokens: []token.Token{fsToken(ns1, "alice@OTHER.ORG", "", 1)}, want: "alice-other"},
		{what: "the newest", site: haSite, tokens: []token.Token{fsToken(ns1, "old@EXAMPLE.COM", "", 1), fsToken(ns1, "alice@EXAMPLE.COM", "", 3), fsToken(ns1, "older@EXAMPLE.COM", "", 0)}, want: "alice"},
		{what: "not another file system's", site: haSite, tokens: []token.Token{fsToken("ha-hdfs:other", "bob@EXAMPLE.COM", "", 9), fsToken(ns1, "alice@EXAMPLE.COM", "", 1), rmToken(t, "rm", "carol@EXAMPLE.COM")}, want: "alice"},
		{what: "the ResourceManager's", site: haSite, tokens: []token.Token{fsToken("ha-hdfs:other", "bob@EXAMPLE.COM", "", 9), rmToken(t, "rm", "alice@EXAMPLE.COM")}, want: "alice"},
		{what: "the ResourceManager's, without an HDFS", site: []string{"fs.defaultFS", "file:///"}, tokens: []token.Token{rmToken(t, "rm", "alice")}, want: "alice"},
		{what: "of several ResourceManagers", site: haSite, tokens: []token.Token{rmToken(t, "rm1", "alice@EXAMPLE.COM"), rmToken(t, "rm2", "alice@EXAMPLE.COM")}, want: "alice"},
		{what: "none that tells", site: haSite, tokens: []token.Token{fsToken("ha-hdfs:other", "bob@EXAMPLE.COM", "", 9)}, want: "airflow"},
		{what: "none that tells, and a name", site: haSite, env: []string{UserVar, "alice"}, want: "alice"},
		{what: "and the name is the same", site: haSite, tokens: []token.Token{fsToken(ns1, "alice@EXAMPLE.COM", "", 1)}, env: []string{UserVar, "alice"}, want: "alice"},
		{what: "without krb5.conf", site: haSite, tokens: []token.Token{fsToken(ns1, "alice@ANY.ORG", "", 1)}, env: []string{"KRB5_CONFIG", "/nowhere/krb5.conf"}, want: "alice"},
		{what: "to act for himself", site: haSite, tokens: []token.Token{fsToken(ns1, "alice@EXAMPLE.COM", "", 1)}, env: []string{ProxyUserVar, "alice"}, want: "alice"},
	} {
		c := secured(tc.site...)
		who, err := Find(c, Options{Getenv: airflow(t, fileOf(t, tc.tokens...), tc.env...)})
		if err != nil {
			t.Errorf("%s: %v", tc.what, err)
			continue
		}
		if who.User() != tc.want || who.Proxied() || who.Ticketed() || who.Principal() != "" {
			t.Errorf("%s: %s, proxied %v, want %s", tc.what, who.User(), who.Proxied(), tc.want)
		}
		who.Close()
	}
}

// What a token cannot say, or says against the environment, ends with what to do, and nobody is taken for somebody else.
func TestTokensThatDoNotSayWho(t *testing.T) {
	garbage := func(id string) token.Token {
		return token.Token{Kind: token.KindHDFS, Service: ns1, Identifier: []byte(id), Password: []byte("pw")}
	}
	good := fsToken(ns1, "alice@EXAMPLE.COM", "", 1)
	for _, tc := range []struct {
		what   string
		token  token.Token
		more   []token.Token
		env    []string
		reason string // FILE stands for the file
		cure   string
	}{
		{what: "garbage", token: garbage("no identifier"), reason: "the token of hdfs://ns1 in FILE does not say whose it is: token: a delegation token's identifier", cure: "unset HADOOP_TOKEN_FILE_LOCATION; kinit"},
		{what: "nothing", token: garbage(""), reason: "the token of hdfs://ns1 in FILE does not say whose it is", cure: "unset HADOOP_TOKEN_FILE_LOCATION; kinit"},
		{what: "cut off", token: garbage(string(good.Identifier[:9])), reason: "the token of hdfs://ns1 in FILE does not say whose it is", cure: "running the step again"},
		{what: "another version", token: garbage("\x01" + string(good.Identifier[1:])), reason: "that does not begin with version 0", cure: "running the step again"},
		{what: "nobody's", token: fsToken(ns1, "", "oozie/host@EXAMPLE.COM", 1), reason: "the token of hdfs://ns1 in FILE does not say whose it is: it has no owner", cure: "running the step again"},
		{what: "a line break", token: fsToken(ns1, "alice\nroot", "", 1), reason: `"alice\nroot" is nobody's name`, cure: "running the step again"},
		{what: "no text", token: fsToken(ns1, "al\xffce", "", 1), reason: `"al\xffce" is nobody's name`, cure: "running the step again"},
		{what: "garbage beside the ResourceManager's", token: garbage("x"), more: []token.Token{rmToken(t, "rm", "alice")}, reason: "the token of hdfs://ns1 in FILE does not", cure: "running the step again"},
		{what: "the ResourceManager's garbage", token: token.Token{Kind: token.KindRM, Service: "rm", Identifier: []byte("\xff\xff")}, reason: "the token of the ResourceManager in FILE does not say whose it is: proto:", cure: "running the step again"},
		{what: "the ResourceManager's, nobody's", token: rmToken(t, "rm", ""), reason: "the token of the ResourceManager in FILE does not say whose it is: it has no owner", cure: "running the step again"},
		{what: "two ResourceManagers'", token: rmToken(t, "rm1", "alice"), more: []token.Token{rmToken(t, "rm2", "bob")}, reason: "tokens of the ResourceManager in FILE are alice's and bob's", cure: "one user's"},
		{what: "another realm", token: fsToken(ns1, "alice@OTHER.ORG", "", 1), reason: "nobody knows the short name of alice@OTHER.ORG, whose the token of hdfs://ns1 in FILE is: hadoop.security.auth_to_local has no rule", cure: "default_realm in krb5.conf"},
		{what: "no principal", token: fsToken(ns1, "@EXAMPLE.COM", "", 1), reason: "nobody knows the short name of @EXAMPLE.COM", cure: "default_realm in krb5.conf"},
		{what: "another name", token: good, env: []string{UserVar, "airflow"}, reason: "HADOOP_USER_NAME is airflow, and the token of hdfs://ns1 in FILE is alice's", cure: "unset HADOOP_USER_NAME; or have HADOOP_TOKEN_FILE_LOCATION name a file of tokens of airflow's"},
		{what: "to act for another", token: good, env: []string{ProxyUserVar, "bob"}, reason: "we are to act for bob, and the tokens in FILE are alice's", cure: "unset HADOOP_TOKEN_FILE_LOCATION; kinit"},
		{what: "another name, the ResourceManager's", token: rmToken(t, "rm", "alice"), env: []string{UserVar, "bob"}, reason: "HADOOP_USER_NAME is bob, and the token of the ResourceManager in FILE is alice's", cure: "unset HADOOP_USER_NAME"},
	} {
		file := fileOf(t, append([]token.Token{tc.token}, tc.more...)...)
		who, err := Find(secured(haSite...), Options{Getenv: airflow(t, file, tc.env...)})
		if err == nil {
			t.Errorf("%s: is %s", tc.what, who.User())
			who.Close()
			continue
		}
		text := strings.ReplaceAll(err.Error(), file, "FILE")
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(text, tc.reason) || !strings.Contains(e.Cure, tc.cure) {
			t.Errorf("%s: %v", tc.what, text)
		}
	}
}

// In a container of YARN's it has said who we are: by tokens where these tell, else by USER. Its own processes say it themselves.
func TestTokensInContainers(t *testing.T) {
	const id = "container_1700000000000_0001_01_000002"
	for _, tc := range []struct {
		what  string
		token token.Token
		o     Options
		want  string
	}{
		{"whose it is", fsToken(ns1, "alice@EXAMPLE.COM", "", 1), Options{}, "alice"},
		{"of a realm without a rule here", fsToken(ns1, "alice@OTHER.ORG", "", 1), Options{}, "alice"},
		{"of a NameNode with identifiers of its own", token.Token{Kind: token.KindHDFS, Service: ns1, Identifier: []byte("x")}, Options{}, "alice"},
		{"none that tells", fsToken("ha-hdfs:other", "bob@EXAMPLE.COM", "", 1), Options{}, "alice"},
		{"somebody else's", fsToken(ns1, "bob@EXAMPLE.COM", "", 1), Options{}, "bob"},
		{"a worker's", fsToken(ns1, "bob@EXAMPLE.COM", "", 1), Options{User: "alice"}, "alice"},
	} {
		vars := airflow(t, fileOf(t, tc.token), "CONTAINER_ID", id, "USER", "alice")
		tc.o.Getenv = vars
		if who := find(t, secured(haSite...), tc.o); who.User() != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, who.User(), tc.want)
		}
	}
	odd := airflow(t, fileOf(t, fsToken(ns1, "", "", 1)), "CONTAINER_ID", id, "USER", "yarn", UserVar, "alice")
	if who := find(t, secured(haSite...), Options{Getenv: odd}); who.User() != "alice" {
		t.Errorf("as it was told, where the token does not tell: %s", who.User())
	}
	vars := airflow(t, fileOf(t, fsToken(ns1, "alice@EXAMPLE.COM", "", 1)), "CONTAINER_ID", id, "USER", "alice", UserVar, "bob")
	if _, err := Find(secured(haSite...), Options{Getenv: vars}); err == nil || !strings.Contains(err.Error(), "HADOOP_USER_NAME is bob") {
		t.Errorf("another name: %v", err)
	}
}

// Where names are believed nobody looks into tokens.
func TestTokensWithoutKerberos(t *testing.T) {
	file := fileOf(t, fsToken(ns1, "alice@EXAMPLE.COM", "", 1))
	if who := find(t, conf.FromMap(map[string]string{"fs.defaultFS": "hdfs://ns1"}), Options{Getenv: airflow(t, file, UserVar, "bob")}); who.User() != "bob" {
		t.Errorf("%s", who.User())
	}
}
