//go:build hadoop

package e2e

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// An application with its owner's keytab works on after its tokens have ended three times over: it reads and writes files,
// starts containers, and survives the death of its master, all without anybody there. In the end its logs are there.
func TestSecureLongLife(t *testing.T) {
	t.Parallel()
	c := dockertest.Running(t, "secure-short")
	alice := c.Edge("alice").Ticketed(t)
	a := submit(t, alice, "--workers", "2", "--worker-memory", "256MiB", "--wait", "workers:2", "--principal", "alice@EXAMPLE.TEST", "--keytab", layout.KeytabDir+"/alice.keytab")
	begun := time.Now()
	if keys := alice.Must(t, "klist", "-e"); !strings.Contains(keys, "aes256-cts-hmac-sha384-192") {
		t.Errorf("keys are to be of AES with SHA-2: %s", keys)
	}
	if r := alice.Run(t, "yarnd", "doctor"); r.Code != 0 || !strings.Contains(r.Stdout, "outlives its first tokens") {
		t.Errorf("that the cluster helps is not told: %v", r)
	}
	countWords(t, alice, a)
	if tokens := a.tokens(t); !tokens.Renews || tokens.Limit != "" || time.Until(tokens.Until) > layout.TokenRenewal+time.Second {
		t.Errorf("%+v", tokens)
	}
	time.Sleep(time.Until(begun.Add(3 * layout.TokenLife))) // that is what is tested
	countWords(t, alice, a)
	a.must(t, "scale", "3")
	a.must(t, "wait", "--for", "workers:3")
	t.Logf("3 workers %v after the start, with tokens of %v", time.Since(begun).Round(time.Second), layout.TokenLife)
	for range 3 { // each next one may begin on a node that has nothing of it
		before := a.masterNode(t)
		a.survives(t, "the application master is killed", "appmaster")
		t.Logf("the application master was on %s, the next one is on %s", before, a.masterNode(t))
	}
	a.survives(t, "the scheduler is killed", "scheduler")
	countWords(t, alice, a)
	if left := time.Until(a.tokens(t).Until); left < time.Second {
		t.Errorf("%v are left", left)
	}
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
	await(t, "the logs of four containers and more", time.Minute, func() bool {
		r := alice.Run(t, "yarnd", "logs", a.id)
		return r.Code == 0 && strings.Count(r.Stdout, "container_") >= 4
	})
}

// masterNode is the host on which the application master is.
func (a app) masterNode(t *testing.T) string {
	t.Helper()
	for _, k := range a.status(t).Containers {
		if k.Pool == "appmaster" {
			return k.Node
		}
	}
	t.Fatal("there is no application master")
	return ""
}

// survives kills a process and waits until all workers are with the scheduler again.
func (a app) survives(t *testing.T, what, role string) {
	t.Helper()
	before := a.status(t).Work.Workers
	a.delayOnly(t, what, func() {
		was := a.roles(t)
		killOne(t, a, role)
		await(t, what+": another one is there", time.Minute, func() bool {
			n := 0
			for _, p := range a.roles(t) {
				if isRole(p, role) && !slices.Contains(was, p) {
					n++
				}
			}
			return n == 1
		})
	})
	if now := a.status(t).Work.Workers; now < before {
		t.Errorf("%s: %d workers of %d", what, now, before)
	}
}

// Without a keytab an application's tokens end. Then it computes on, and can do nothing with files, until its owner's
// ticket gives it new ones; and nothing that was done is lost.
func TestSecureRenew(t *testing.T) {
	t.Parallel()
	c := dockertest.Running(t, "secure-short")
	owner := c.Edge("svc").Ticketed(t)
	words := someText(t, owner) // before there are tokens: they are good for a minute and a half
	a := submit(t, owner, "--workers", "2", "--worker-memory", "256MiB", "--wait", "workers:2")
	a.count(t, owner, words)
	time.Sleep(layout.TokenLife + layout.TokenRenewal) // that is what is tested
	r := owner.Run(t, "yarnd", "renew", a.id)
	if r.Code != 0 || !strings.Contains(r.Stderr, "has tokens until") {
		t.Fatal(r)
	}
	t.Log(r.Stderr)
	a.count(t, owner, words)
	bob := c.Edge("bob").Ticketed(t)
	if r := bob.Run(t, "yarnd", "renew", a.id); r.Code != 4 || !strings.Contains(r.Stderr, "svc") {
		t.Errorf("bob may not: %v", r)
	}
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
}

// While a program with a ticket is connected, it brings new tokens: what it runs reads files after the last day of the first ones,
// and nobody else has come by.
func TestSecureConnected(t *testing.T) {
	t.Parallel()
	alice := dockertest.Running(t, "secure-short").Edge("alice").Ticketed(t)
	alice.FS(t, "-touchz", "still-there")
	a := submit(t, alice, "--workers", "1", "--worker-memory", "512MiB", "--wait", "workers:1") // a JVM is in it
	// Tokens are good for half a minute here: one that is read from the file may end before Java comes to use it. Others come then.
	const later = "sleep $1; for i in 1 2 3 4; do " + layout.BinDir + "/hadoop-java org.apache.hadoop.fs.FsShell -ls /user/alice/still-there && exit; sleep 7; done; exit 1"
	r := alice.Run(t, "yarnd", "exec", a.id, "--", "sh", "-c", later, "sh", strconv.Itoa(int((layout.TokenLife + layout.TokenRenewal).Seconds())))
	if r.Code != 0 || !strings.Contains(r.Stdout, "still-there") {
		t.Errorf("%v\n%s", r, alice.Run(t, "yarnd", "events", a.id))
	}
	a.must(t, "kill", "--graceful")
	a.leftNothing(t)
}

type tokenStatus struct {
	Until   time.Time
	Renews  bool
	Limit   string
	Warning string
}

// tokens is what yarnd status says of an application's tokens.
func (a app) tokens(t *testing.T) tokenStatus {
	t.Helper()
	var doc struct {
		Items []struct{ Tokens *tokenStatus }
	}
	text := a.must(t, "status", "-o", "json")
	if err := json.Unmarshal([]byte(text), &doc); err != nil || len(doc.Items) != 1 || doc.Items[0].Tokens == nil {
		t.Fatalf("status: %v\n%s", err, text)
	}
	return *doc.Items[0].Tokens
}
