//go:build hadoop

package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/survive/canary"
)

// told is a secret that was told to everybody: who looks for secrets must find it in each place.
const told = "a-secret-that-was-told-to-all"

// No credential that an application has on a cluster with Kerberos can be seen where others look: keys of the keytab and of the
// tickets, delegation tokens, YARN's own tokens, and what is yarnd's. What is seen there is what was told.
func TestSecureSecrets(t *testing.T) {
	c := dockertest.Running(t, "secure")
	alice, bob := c.Edge("alice").Ticketed(t), c.Edge("bob").Ticketed(t)
	// Its program is a client, and has a worker run a command, which has the owner's tokens.
	alice.Must(t, "sh", "-c", `cat > telling <<'END' && chmod +x telling
#!/bin/sh
echo "$1"
echo "$1" >&2
yarnd exec "$YARND_APP" -- sleep 611
END`)
	a := submit(t, alice, "--workers", "2", "--worker-memory", "256MiB", "--principal", "alice@EXAMPLE.TEST", "--keytab", layout.KeytabDir+"/alice.keytab",
		"--name", told, "--worker-env", "TOLD="+told, "--wait", "workers:2", "telling", "--", told)
	l := &looker{T: t, c: c, looked: map[string]int{}, found: map[string]bool{}}
	l.tellToOthers(alice)
	await(t, "the command runs", time.Minute, func() bool { return strings.Contains(strings.Join(a.processes(t), "\n"), " sleep 611") })
	l.learn(a)
	l.lookAtNodes(a)
	l.lookAtPages(a)
	l.look("status", "yarnd status", []byte(a.must(t, "status", "-o", "json")))
	l.look("log", "running", []byte(a.must(t, "logs")))
	l.lookIntoHDFS(bob)
	l.learn(a) // tokens that were replaced meanwhile
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
	await(t, "the logs of four containers were collected", time.Minute, func() bool {
		r := alice.Run(t, "yarnd", "logs", a.id, "--all-files")
		l.look("aggregated log", "yarnd logs", []byte(r.Stdout))
		return r.Code == 0 && strings.Count(r.Stdout, "container_") >= 4
	})
	l.look("aggregated log", "Hadoop's own command", []byte(alice.Logs(t, a.id).Stdout))
	l.lookIntoHDFS(bob)
	for _, kind := range []string{"environment", "command line", "page", "ResourceManager", "status", "log", "local file", "file in HDFS", "aggregated log"} {
		if !l.found[kind] {
			t.Errorf("%s: looked into %d bytes, and what was told to all was not found", kind, l.looked[kind])
		}
	}
	t.Logf("%d secrets, looked for in so many bytes: %v", len(l.secrets.Names()), l.looked)
	t.Logf("they are: %s", strings.Join(l.secrets.Names(), "; "))
}

// looker looks for secrets on a cluster.
type looker struct {
	*testing.T
	c       *dockertest.Cluster
	secrets canary.Set
	known   map[string]bool
	looked  map[string]int  // bytes, by the kind of place
	found   map[string]bool // what was told, by the kind of place
}

func (l *looker) look(kind, where string, text []byte) {
	l.Helper()
	l.looked[kind] += len(text)
	l.found[kind] = l.found[kind] || bytes.Contains(text, []byte(told))
	for _, found := range l.secrets.In(text) {
		l.Errorf("%s: in %s is %s", kind, where, found)
	}
}

// on is what a command prints on a host. It may end with an error: what it cannot read others cannot.
func (l *looker) on(host, user, script string) []byte {
	l.Helper()
	out, err := l.c.Output(l.Context(), host, user, "sh", "-c", script+"\ntrue")
	if err != nil {
		l.Fatal(err)
	}
	return []byte(out)
}

// files are the contents of files that are named by a command, as root.
func (l *looker) files(host, find string) (out [][]byte) {
	l.Helper()
	for _, line := range strings.Fields(string(l.on(host, "root", find+` | while read -r f; do base64 -w0 "$f"; echo; done`))) {
		text, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			l.Fatal(err)
		}
		out = append(out, text)
	}
	return out
}

// tellToOthers puts what was told where only who looks for it finds it: a file of a node, and one in HDFS.
func (l *looker) tellToOthers(alice dockertest.Edge) {
	l.Helper()
	const file = "/tmp/told-to-all"
	l.on("nm1", "root", "echo "+told+" > "+file+"; chmod 644 "+file)
	l.Cleanup(func() { l.c.Output(context.Background(), "nm1", "root", "rm", "-f", file) })
	if r := alice.RunInput(l, told, "sh", "-c", fsShell+" -put -f - told && "+fsShell+" -chmod 644 told"); r.Code != 0 {
		l.Fatal(r)
	}
	l.Cleanup(func() { alice.FS(l, "-rm", "-skipTrash", "told") })
}

// add adds a secret once.
func (l *looker) add(name string, secret []byte) {
	if key := name + string(secret); !l.known[key] {
		if l.known == nil {
			l.known = map[string]bool{}
		}
		l.known[key] = true
		l.secrets.Add(name, secret)
	}
}

// learn reads all credentials of an application, each where it lies.
func (l *looker) learn(a app) {
	l.Helper()
	must := func(what string, keys [][]byte, err error) {
		l.Helper()
		if err != nil {
			l.Fatalf("%s: %v", what, err)
		}
		for i, key := range keys {
			l.add(fmt.Sprintf("key %d of the %s", i, what), key)
		}
	}
	file, err := l.c.Keytab(l.Context(), "alice")
	if err != nil {
		l.Fatal(err)
	}
	keys, err := canary.Keytab(file)
	must("keytab", keys, err)
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(a.edge.Must(l, "sh", "-c", `base64 -w0 "$KRB5CCNAME"`)))
	if err != nil {
		l.Fatal(err)
	}
	keys, err = canary.Cache(text)
	must("ticket cache", keys, err)

	staged := func(name string) []byte {
		return []byte(a.edge.Must(l, "sh", "-c", fsShell+" -cat .yarnd/"+a.id+"/"+name))
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(staged("seed"))))
	must("seed", [][]byte{seed}, err)
	credential := staged("client.pem")
	block, _ := pem.Decode(credential[max(0, bytes.Index(credential, []byte("-----BEGIN PRIVATE KEY-----"))):])
	if block == nil {
		l.Fatal("no key in the owner's credential")
	}
	l.add("owner's key", block.Bytes)

	kinds := map[string]int{}
	for _, node := range nodes {
		for _, text := range l.files(node, `find /data/yarn -type f \( -name container_tokens -o -name '*.tokens' \)`+" -path '*"+a.id+"*'") {
			creds, err := token.Parse(text)
			if err != nil {
				l.Fatal(err)
			}
			for _, t := range creds.Tokens {
				kinds[t.Kind]++
				l.add("password of a token "+t.Kind, t.Password)
				l.add("identifier of a token "+t.Kind, t.Identifier)
			}
			for alias, key := range creds.Secrets {
				kinds[alias]++
				l.add("secret "+alias, key)
			}
		}
	}
	if kinds[token.KindHDFS] < 4 || kinds[token.KindAMRM] == 0 || kinds[token.KindRM] == 0 {
		l.Errorf("of tokens there are only %v", kinds)
	}
}

// lookAtNodes looks at what others see on the nodes, and at environments and logs, which they do not.
func (l *looker) lookAtNodes(a app) {
	l.Helper()
	for _, node := range nodes {
		l.look("environment", node, l.on(node, "root", "cat /proc/[0-9]*/environ 2>/dev/null"))
		l.look("command line", node, l.on(node, "nobody", "cat /proc/[0-9]*/cmdline 2>/dev/null"))
		l.look("log", node, l.on(node, "root", "find /data/yarn/logs /var/log -type f -size -4096k -exec cat {} +"))
		l.look("local file", node, l.on(node, "nobody", "find /data /tmp /var/tmp -xdev -type f -size -4096k -readable -exec cat {} + 2>/dev/null"))
		if images := l.on(node, "root", `find /data/yarn /tmp -type f -regex '.*/core\(\.[0-9]+\)?'`); len(images) > 0 {
			l.Errorf("core dumps on %s: %s", node, images)
		}
	}
}

// lookAtPages looks at the application master's page as the owner sees it, and as somebody whom the proxy does not name, and at what
// the ResourceManager says itself. Its web server on this cluster knows nobody, so the owner is named from its host instead.
func (l *looker) lookAtPages(a app) {
	l.Helper()
	node, _, _ := strings.Cut(a.masterNode(l.T), ".")
	ports := l.on(node, "root", `cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == "0A" {sub(".*:", "", $2); print $2}' | sort -u | while read -r p; do printf '%d ' "0x$p"; done`)
	named := func(url string) []byte { return l.on("rm", "root", "curl -s -m 5 -H 'Cookie: proxy-user=alice' "+url) }
	for port := range strings.FieldsSeq(string(ports)) {
		url := "http://" + node + ":" + port + "/"
		if !bytes.Contains(named(url), []byte(a.id)) {
			continue // another process's
		}
		for _, path := range []string{"", "healthz", "jobs", "conf"} {
			l.look("page", url+path, named(url+path))
		}
	}
	for _, path := range []string{"", "healthz", "jobs", "conf"} {
		url := strings.TrimSuffix(a.rm(l.T).TrackingURL, "/") + "/" + path
		_, text := get(l.T, l.c, url)
		l.look("page for others", url, text)
	}
	_, text := get(l.T, l.c, l.c.RMWeb()+"/ws/v1/cluster/apps/"+a.id)
	l.look("ResourceManager", "its REST API", text)
}

// fileInHDFS is a line of what FsShell lists: rights, replicas, owner, group, size, day, time, path.
var fileInHDFS = regexp.MustCompile(`(?m)^-\S+ +\d+ +\S+ +\S+ +(\d+) +\S+ +\S+ +(/.*)$`)

// lookIntoHDFS looks into all files that somebody else can read.
func (l *looker) lookIntoHDFS(who dockertest.Edge) {
	l.Helper()
	var args []string
	for _, m := range fileInHDFS.FindAllStringSubmatch(who.FS(l, "-ls", "-R", "/").Stdout, -1) {
		if size, err := strconv.Atoi(m[1]); err == nil && size > 0 && size < 1<<20 {
			args = append(args, m[2])
		}
	}
	for some := range slices.Chunk(args, 500) { // each is a Java that starts
		l.look("file in HDFS", fmt.Sprintf("what %s can read", who.User), []byte(who.FS(l, append([]string{"-cat"}, some...)...).Stdout))
	}
}
