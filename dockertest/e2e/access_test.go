//go:build hadoop

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
)

// On a cluster with Kerberos and YARN's access lists others get to an application as far as its owner has let them, by the
// ResourceManager's word alone: they can read none of the owner's files.
func TestSecureAccess(t *testing.T) {
	c := dockertest.Running(t, "secure")
	alice := c.Edge("alice").Ticketed(t)
	bob, svc := c.Edge("bob").Ticketed(t), c.Edge("svc").Ticketed(t)
	refused := func(who dockertest.Edge, code int, why string, argv ...string) {
		t.Helper()
		if r := who.Run(t, argv...); r.Code != code || r.Stdout != "" || !strings.Contains(r.Stderr, why) {
			t.Errorf("%s: want exit code %d, no output, and %q: %v", who.User, code, why, r)
		}
	}
	closed := submit(t, alice, "--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1")
	for _, argv := range [][]string{{"yarnd", "logs", closed.id}, {"yarnd", "scale", closed.id, "2"}, {"yarnd", "kill", "--graceful", closed.id},
		{"yarnd", "events", closed.id}, {"yarnd", "connect", closed.id}} {
		refused(bob, 4, closed.id+" belongs to alice, and you are bob, to whom YARN does not show it", argv...)
	}
	refused(bob, 4, "User bob cannot perform operation MODIFY_APP on "+closed.id, "yarnd", "kill", closed.id)
	if r := bob.Run(t, "yarnd", "status", closed.id); r.Code != 0 || strings.Contains(r.Stdout, "CONTAINER") {
		t.Errorf("bob sees more than the list of applications shows: %v", r)
	}

	a := submit(t, alice, "--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1", "--view-acl", "bob", "--modify-acl", "svc")
	for _, who := range []dockertest.Edge{bob, svc} {
		if r := who.Run(t, "hdfs", "dfs", "-cat", "/user/alice/.yarnd/"+a.id+"/client.pem"); r.Code == 0 {
			t.Errorf("%s reads the owner's credential", who.User)
		}
		if out := who.Must(t, "yarnd", "status", a.id); !strings.Contains(out, "CONTAINER") || !strings.Contains(out, "WORKERS") {
			t.Errorf("%s: status shows only\n%s", who.User, out)
		}
		if out := who.Must(t, "yarnd", "logs", a.id); !strings.Contains(out, "stderr on ") || !strings.Contains(out, "registered") {
			t.Errorf("%s: logs are\n%s", who.User, out)
		}
		if out := who.Must(t, "yarnd", "worker", "list", a.id); !strings.Contains(out, "running") {
			t.Errorf("%s: workers are\n%s", who.User, out)
		}
	}
	view := "bob may look at " + a.id + " and not "
	refused(bob, 4, view+"change it (VIEW access). Ask alice", "yarnd", "scale", a.id, "2")
	refused(bob, 4, view+"change it (VIEW access). Ask alice", "yarnd", "kill", "--graceful", a.id)
	refused(bob, 4, "User bob cannot perform operation MODIFY_APP on "+a.id, "yarnd", "kill", a.id)
	refused(bob, 4, view+"submit work to it or read its results (VIEW access). Ask alice", "yarnd", "map", a.id, "--", "true")
	refused(bob, 125, view+"submit work to it or read its results (VIEW access). Ask alice", "yarnd", "exec", a.id, "--", "true")
	svc.Must(t, "yarnd", "scale", a.id, "2")
	a.must(t, "wait", "--for", "workers:2")
	refused(svc, 4, "svc may look at, scale and end "+a.id+" and not submit work to it or read its results (MODIFY access). Ask alice", "yarnd", "map", a.id, "--", "true")
	killOne(t, a, "appmaster")
	await(t, "the second attempt is there", time.Minute, func() bool { return len(a.attempts(t)) == 2 })
	a.seenBy(t, bob, "the second attempt", "_02_000001")
	refused(bob, 4, view+"change it (VIEW access). Ask alice", "yarnd", "scale", a.id, "1")
	svc.Must(t, "yarnd", "kill", "--graceful", a.id)
	if rm := a.rm(t); rm.State != "FINISHED" || rm.FinalStatus != "SUCCEEDED" {
		t.Errorf("after the end by svc the ResourceManager shows %+v", rm)
	}
	a.leftNothing(t)
	shared := submit(t, alice, "--workers", "1", "--worker-memory", "256MiB", "--wait", "workers:1", "--submit-acl", "bob")
	if out := bob.Must(t, "yarnd", "exec", shared.id, "--", "echo", "by bob"); out != "by bob\n" {
		t.Errorf("bob's command said %q", out)
	}
	refused(svc, 4, shared.id+" belongs to alice, and you are svc", "yarnd", "logs", shared.id)
}

// seenBy waits until somebody sees the containers of an application.
func (a app) seenBy(t *testing.T, who dockertest.Edge, what, mark string) {
	t.Helper()
	await(t, who.User+" sees "+what, 3*time.Minute, func() bool {
		r := who.Run(t, "yarnd", "status", a.id)
		return r.Code == 0 && strings.Contains(r.Stdout, mark)
	})
}
