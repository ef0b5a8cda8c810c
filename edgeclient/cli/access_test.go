package cli_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster"
	"github.com/yarnd/yarnd/hadooprpc/hadooptest/rm"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// ran is what came of a command.
type ran struct {
	code     int
	out, err string
}

// person runs yarnd as a user of an embedded cluster.
type person struct {
	t    *testing.T
	name string
	env  []string
}

func (p person) yarnd(args ...string) ran {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), stepTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "yarnd"), args...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = p.env, &out, &errs
	err := cmd.Run()
	r := ran{0, out.String(), errs.String()}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		r.code = exit.ExitCode()
	} else if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// must runs a command that has to succeed.
func (p person) must(args ...string) string {
	p.t.Helper()
	r := p.yarnd(args...)
	if r.code != 0 {
		p.t.Fatalf("%s: yarnd %s: exit code %d\n%s", p.name, strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// refused runs a command that has to be refused, with a word of why, and without output.
func (p person) refused(code int, why string, args ...string) {
	p.t.Helper()
	if r := p.yarnd(args...); r.code != code || r.out != "" || !strings.Contains(r.err, why) {
		p.t.Errorf("%s: yarnd %s: exit code %d, want %d and %q\n%s%s", p.name, strings.Join(args, " "), r.code, code, why, r.out, r.err)
	}
}

// Beside the owner, those to whom access was given by name can look at an application,
// change it, or work with it, and no more; without any file of the owner's.
func TestAccessLists(t *testing.T) {
	if testing.Short() {
		t.Skip("a cluster is started")
	}
	people := map[string]person{}
	names := []string{"alice", "bob", "svc", "ann", "eve"}
	cluster, err := minicluster.Start(t.Context(), minicluster.Options{
		Dir: t.TempDir(), Users: names, ACLs: true, ClientTokens: &rm.ClientTokens{Realm: "EXAMPLE.COM"},
		Site: map[string]string{"hadoop.security.auth_to_local": "RULE:[1:$1@$0](.*@EXAMPLE.COM)s/@.*//"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cluster.Close() })
	for _, name := range names {
		home := t.TempDir()
		people[name] = person{t, name, append(os.Environ(), "HOME="+home, "YARND_HOME="+home+"/.yarnd", "HADOOP_CONF_DIR="+cluster.ConfDir(), "HADOOP_USER_NAME="+name)}
	}
	alice, bob, svc, ann, eve := people["alice"], people["bob"], people["svc"], people["ann"], people["eve"]

	alice.refused(2, "--submit-acl has groups (staff), and the application master does not know who is in a group. Name the users", "submit", "--submit-acl", "ann staff")
	alice.refused(2, "would let everybody run programs as you", "submit", "--submit-acl", "*")
	alice.refused(2, `--view-acl "bob@EXAMPLE.COM" has "bob@EXAMPLE.COM", which is no short name`, "submit", "--view-acl", "bob@EXAMPLE.COM")
	app := strings.TrimSpace(alice.must("submit", "--workers", "1", "--worker-memory", "256MiB", "--view-acl", "bob staff", "--modify-acl", "svc", "--submit-acl", "ann", "--wait", "workers:1"))
	// On this cluster everybody could read the owner's file.
	if err := os.Remove(filepath.Join(cluster.Home("alice"), ".yarnd", app, "client.pem")); err != nil {
		t.Fatal(err)
	}

	for _, p := range []person{bob, svc, ann} {
		if out := p.must("status", app); !strings.Contains(out, "CONTAINER") || !strings.Contains(out, "WORKERS") {
			t.Errorf("%s: status shows only\n%s", p.name, out)
		}
		if out := p.must("logs", app); !strings.Contains(out, "stderr on ") {
			t.Errorf("%s: logs are\n%s", p.name, out)
		}
		if out := p.must("events", app); !strings.Contains(out, "scheduler.attached") {
			t.Errorf("%s: events are\n%s", p.name, out)
		}
		if out := p.must("worker", "list", app, "-o", "jsonl"); !strings.Contains(out, `"state":"running"`) || !strings.Contains(out, `"slots":1`) {
			t.Errorf("%s: workers are\n%s", p.name, out)
		}
		if out := p.must("top", app, "--interval", "100ms", "-o", "jsonl"); !strings.Contains(out, `"slots":1`) {
			t.Errorf("%s: top shows\n%s", p.name, out)
		}
		if out := p.must("explain", app); !strings.Contains(out, "worker") {
			t.Errorf("%s: explained\n%s", p.name, out)
		}
	}
	view := "bob may look at " + app + " and not change it (VIEW access). Ask alice"
	bob.refused(4, view, "scale", app, "2")
	bob.refused(4, view, "adapt", app, "0:3")
	bob.refused(4, view, "kill", "--graceful", app)
	bob.refused(4, view, "worker", "retire", app, "000003")
	bob.refused(4, "User bob cannot perform operation MODIFY_APP", "kill", app)
	work := "bob may look at " + app + " and not submit work to it or read its results (VIEW access). Ask alice"
	bob.refused(4, work, "connect", app)
	bob.refused(125, work, "exec", app, "--", "true")
	bob.refused(4, work, "explain", app, "job/1")
	bob.refused(4, work, "map", app, "--", "true")

	svc.must("scale", app, "2")
	svc.refused(4, "svc may look at, scale and end "+app+" and not submit work to it or read its results (MODIFY access). Ask alice", "map", app, "--", "true")
	if out := ann.must("exec", app, "--", "echo", "by ann"); out != "by ann\n" {
		t.Errorf("ann's command said %q", out)
	}
	ann.must("connect", app)
	ann.refused(4, "it acts in the name of alice, and you are ann. Ask alice", "renew", app)
	for _, args := range [][]string{{"status"}, {"logs"}, {"events"}, {"scale"}, {"connect"}} {
		args = append(args, app)
		if args[0] == "scale" {
			args = append(args, "1")
		}
		if r := eve.yarnd(args...); args[0] != "status" && r.code != 4 || args[0] == "status" && strings.Contains(r.out, "CONTAINER") {
			t.Errorf("eve: %v: %+v", args, r)
		}
	}
	// The owner, whose file is gone, is known by the cluster's word as well.
	if out := alice.must("exec", app, "--", "echo", "by alice"); out != "by alice\n" {
		t.Errorf("alice's command said %q", out)
	}
	// Another ResourceManager, and another attempt of the application master with a key of its
	// own, know them as well.
	cluster.RM.Stop()
	if err := cluster.RM.Start(true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bob sees it after a restart of the ResourceManager", func() bool { return strings.Contains(bob.yarnd("status", app).out, "CONTAINER") })
	id, err := yarn.ParseApplicationID(app)
	if err != nil {
		t.Fatal(err)
	}
	client := yarn.NewClient(yarn.Options{Addresses: []string{cluster.RM.ClientAddr()}, IPC: ipc.Options{User: "alice"}})
	defer client.Close()
	if err := client.FailAttempt(t.Context(), yarn.AttemptID{App: id, Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bob sees the second attempt", func() bool {
		return strings.Contains(bob.yarnd("logs", app, "--container", "02_000001").out, "attempt=2")
	})
	bob.refused(4, view, "scale", app, "2")
	svc.must("kill", "--graceful", app)
	eventually(t, "it has ended", func() bool { return strings.Contains(alice.must("status", app), "FINISHED (SUCCEEDED)") })
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(stepTime); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
