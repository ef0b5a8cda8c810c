//go:build hadoop

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// The whole story on a cluster with Kerberos: nothing without a ticket; with one workers, words counted, and the same from
// another host by a ticket there alone. Another user is refused at each step.
func TestSecureMainJob(t *testing.T) { secureMainJob(t, "secure") }

func secureMainJob(t *testing.T, composition string) {
	c := dockertest.Running(t, composition)
	alice := c.Edge("alice").Ticketless(t)
	for _, argv := range [][]string{{"yarnd", "submit", "--workers", "1"}, {"yarnd", "list"}} {
		if r := alice.Run(t, argv...); r.Code != 4 || r.Stdout != "" || !strings.Contains(r.Stderr, "kinit") {
			t.Errorf("without a ticket: want exit code 4 and what to run: %v", r)
		}
	}
	alice = alice.Ticketed(t)
	t.Log(alice.Run(t, "yarnd", "doctor").Stdout)
	start := time.Now()
	a := submit(t, alice, "--workers", "4", "--worker-memory", "512MiB", "--name", "secure job") // one runs a JVM
	a.must(t, "wait", "--for", "workers:4")
	t.Logf("4 workers after %v", time.Since(start).Round(time.Millisecond))
	if rm := a.rm(t); rm.User != "alice" || rm.State != "RUNNING" {
		t.Errorf("the ResourceManager shows %+v", rm)
	}
	countWords(t, alice, a)

	a.readsFiles(t)
	there := alice.On("edge2").Ticketed(t)
	there.Must(t, "sh", "-c", "rm -rf ~/.yarnd") // by the ticket alone
	alice.Must(t, "later", "start", "--app", a.id, "answer", "200000")
	if got := strings.TrimSpace(there.Must(t, "later", "fetch", "--app", a.id, "answer")); got != "1709600813" {
		t.Errorf("the sum of the primes below 200000 is 1709600813, fetched %q", got)
	}
	a.refuses(t, c.Edge("bob").Ticketed(t))
	a.must(t, "kill", "--graceful", "--message", "that will do")
	if rm := a.rm(t); rm.State != "FINISHED" || rm.FinalStatus != "SUCCEEDED" || !strings.Contains(rm.Diagnostics, "that will do") {
		t.Errorf("after a graceful end the ResourceManager shows %+v", rm)
	}
	a.leftNothing(t)
}

// refuses has somebody else try whatever there is.
func (a app) refuses(t *testing.T, bob dockertest.Edge) {
	t.Helper()
	for _, argv := range [][]string{{"yarnd", "connect", a.id}, {"later", "fetch", "--app", a.id, "answer"}, {"yarnd", "scale", a.id, "1"},
		{"yarnd", "logs", a.id}, {"yarnd", "kill", a.id}, {"yarnd", "exec", a.id, "--", "true"}} {
		if r := bob.Run(t, argv...); r.Code != 4 && !(argv[1] == "exec" && r.Code == 125) || r.Stdout != "" || !strings.Contains(r.Stderr, a.edge.User) && !strings.Contains(r.Stderr, "Ask the owner") {
			t.Errorf("%s may not; want exit code 4, no output, and whose it is: %v", bob.User, r)
		}
	}
}

// readsFiles has a command on a worker read a file of HDFS by Hadoop's own client, with its owner's tokens alone: no ticket is
// there, the file of tokens is the owner's alone, and has nothing that is the application's own.
func (a app) readsFiles(t *testing.T) {
	t.Helper()
	file, text := "/user/"+a.edge.User+"/read-by-a-command", "what only "+a.edge.User+" may read"
	if r := a.edge.RunInput(t, text, "sh", "-c", fsShell+" -put -f - "+file+" && "+fsShell+" -chmod 600 "+file); r.Code != 0 {
		t.Fatal(r)
	}
	r := a.edge.Run(t, "yarnd", "exec", a.id, "--", "sh", "-c", "if klist -s; then echo a ticket is here; fi; "+layout.BinDir+"/hadoop-java org.apache.hadoop.fs.FsShell -cat "+file)
	if r.Code != 0 || r.Stdout != text {
		t.Errorf("a command cannot read its owner's file: %v", r)
	}
	mine := a.edge.Run(t, "yarnd", "exec", a.id, "--", "sh", "-c", `stat -c %a "$HADOOP_TOKEN_FILE_LOCATION"; grep -c -a -e yarnd "$HADOOP_TOKEN_FILE_LOCATION"`)
	if mine.Stdout != "600\n0\n" {
		t.Errorf("the file of tokens should be the owner's alone, and have nothing of yarnd's: %v", mine)
	}
}

// countWords runs the word count on the application and compares it with what is counted without.
func countWords(t *testing.T, alice dockertest.Edge, a app) {
	t.Helper()
	a.count(t, alice, someText(t, alice))
}

// count is countWords for text that is there, whose words were counted.
func (a app) count(t *testing.T, alice dockertest.Edge, want string) {
	t.Helper()
	const out = "counted"
	alice.FS(t, "-rm", "-r", "-f", "-skipTrash", out)
	r := alice.Run(t, "wordcount", "--app", a.id, lifeText, out)
	if r.Code != 0 {
		t.Fatal(r)
	}
	t.Logf("wordcount took %v: %s", r.Took.Round(time.Millisecond), strings.TrimSpace(r.Stderr))
	if got := alice.Must(t, "sh", "-c", fsShell+" -cat '"+out+"/part-r-*' | LC_ALL=C sort | sha256sum"); got != want {
		t.Errorf("the words counted have hash %s, and %s without a cluster", got, want)
	}
}

// A program that the application runs is a client of it and of the cluster, in its owner's name, without any ticket: as a step of
// a workflow has them, by tokens in a file alone, it also submits another application.
func TestSecureDriver(t *testing.T) {
	c := dockertest.Running(t, "secure")
	alice := c.Edge("alice").Ticketed(t)
	alice.Must(t, "sh", "-c", `cat > secure-driver <<'END' && chmod +x secure-driver
#!/bin/sh
set -e
[ -z "$(ls /tmp/krb5cc_$(id -u) 2>/dev/null)" ] || echo "a ticket is here"
echo "listed $(yarnd list -o name)"
yarnd exec "$YARND_APP" -- echo from a worker
inner=$(yarnd submit --workers 1 --worker-memory 128MiB --wait workers:1 --name inner)
yarnd exec "$inner" -- echo from a worker of another application
yarnd kill --graceful "$inner"
echo "ended $(yarnd list --all -o name | grep -c "$inner")"
END`)
	r := alice.Run(t, "yarnd", "submit", "--workers", "1", "--worker-memory", "256MiB", "--wait", "finished", "secure-driver")
	a := app{strings.TrimSpace(r.Stdout), alice}
	if r.Code != 0 {
		t.Fatal(r, alice.Run(t, "yarnd", "logs", a.id))
	}
	if rm := a.rm(t); rm.FinalStatus != "SUCCEEDED" {
		t.Errorf("in the end the ResourceManager shows %+v", rm)
	}
	a.leftNothing(t)
	await(t, "what the program said", time.Minute, func() bool {
		out := alice.Run(t, "yarnd", "logs", a.id, "--file", "stdout").Stdout
		return strings.Contains(out, "listed "+a.id) && strings.Contains(out, "from a worker\n") &&
			strings.Contains(out, "from a worker of another application\n") && strings.Contains(out, "ended 1\n")
	})
}

// Who the cluster lets act for somebody else submits in his name, by his own ticket or keytab, which stays with him: the
// application is the other's alone, and for nobody else he may.
func TestSecureProxyUser(t *testing.T) {
	c := dockertest.Running(t, "secure")
	alice, svc := c.Edge("alice").Ticketed(t), c.Edge("svc").Ticketed(t)
	for _, by := range [][]string{nil, {"--principal", "svc@EXAMPLE.TEST", "--keytab", layout.KeytabDir + "/svc.keytab"}} {
		r := svc.Run(t, append([]string{"yarnd", "submit", "--proxy-user", "alice", "--workers", "1", "--worker-memory", "512MiB", "--wait", "workers:1"}, by...)...)
		if r.Code != 0 {
			t.Fatal(r)
		}
		a := app{strings.TrimSpace(r.Stdout), alice}
		if rm := a.rm(t); rm.User != "alice" || rm.State != "RUNNING" {
			t.Errorf("the ResourceManager shows %+v", rm)
		}
		a.readsFiles(t) // as alice, from her own edge node, by her own ticket
		a.refuses(t, svc)
		if r := svc.Run(t, "yarnd", "logs", "--proxy-user", "alice", a.id); r.Code != 4 || !strings.Contains(r.Stderr, "who acts for another (--proxy-user) can read logs when the application has ended") {
			t.Errorf("logs that run, by who has no ticket of alice's: %v", r)
		}
		if now := a.tokens(t); now.Renews || now.Warning != "" {
			t.Errorf("tokens: %+v", now)
		}
		if r := svc.Run(t, "yarnd", "kill", "--graceful", "--proxy-user", "alice", a.id); r.Code != 0 {
			t.Error(r)
		}
		a.leftNothing(t)
	}
	if r := svc.Run(t, "yarnd", "submit", "--proxy-user", "bob", "--workers", "1"); r.Code != 4 || r.Stdout != "" || !strings.Contains(r.Stderr, "svc") || !strings.Contains(r.Stderr, "impersonate bob") {
		t.Errorf("for bob: %v", r)
	}
	if r := svc.Run(t, "yarnd", "doctor", "--proxy-user", "alice"); r.Code != 0 || !strings.Contains(r.Stdout, "alice, for whom we act as svc@EXAMPLE.TEST by a ticket that ends ") {
		t.Errorf("doctor, for alice: %v", r)
	}
	if r := svc.Run(t, "yarnd", "doctor", "--proxy-user", "bob"); r.Code == 0 || !strings.Contains(r.Stdout, "impersonate bob") {
		t.Errorf("doctor, for bob: %v", r)
	}
}

// Where the application master needs a token to ask for the nodes it has one.
func TestSecureWorkersPerNode(t *testing.T) {
	alice := dockertest.Running(t, "secure").Edge("alice").Ticketed(t)
	a := submit(t, alice, "--worker-memory", "128MiB", "--pool", "wide=5,memory=128MiB,max-per-node=1", "--wait", "workers:3",
		"--principal", "alice@EXAMPLE.TEST", "--keytab", layout.KeytabDir+"/alice.keytab")
	if tokens := a.tokens(t); !tokens.Renews || !strings.Contains(tokens.Limit, "yarn.resourcemanager.proxy-user-privileges.enabled is ") {
		t.Errorf("that this cluster helps nobody after a week is not told: %+v", tokens)
	}
	const waits = "2 workers wait: at most 1 of pool wide on a node, and 3 nodes have one"
	await(t, "each node has one, and two wait", time.Minute, func() bool { return strings.Contains(a.must(t, "status"), waits) })
	on := map[string]bool{}
	for _, k := range a.status(t).Containers {
		if k.Pool == "wide" {
			on[k.Node] = true
		}
	}
	if len(on) != 3 {
		t.Errorf("on %v", on)
	}
}
