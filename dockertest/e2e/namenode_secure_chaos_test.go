//go:build hadoop && chaos

package e2e

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// Kerberos, two NameNodes and two ResourceManagers: what a cluster in earnest has. By one token, which is the nameservice's,
// whatever is the application's goes to whichever NameNode is active, Hadoop's own client too. The active one is killed -9,
// then the scheduler, then the application master; the NameNodes change their parts once more, and so do the
// ResourceManagers. Meanwhile tokens end again and again, unless they are renewed: by the ResourceManager those of alice, who
// had a ticket when she submitted, and by the application master those of svc, who gave it a keytab.
func TestChaosSecureNameNodes(t *testing.T) {
	c := dockertest.Exclusive(t, "secure-ha-nn")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	alice, svc := c.Edge("alice").Ticketed(t), c.Edge("svc").Ticketed(t)
	words := someText(t, alice)
	a := submit(t, alice, "--workers", "4", "--worker-memory", "512MiB", "--wait", "workers:4")
	begun := time.Now()
	k := submit(t, svc, "--workers", "1", "--worker-memory", "512MiB", "--wait", "workers:1", "--principal", "svc@EXAMPLE.TEST", "--keytab", layout.KeytabDir+"/svc.keytab")
	a.hasNameServiceToken(t)
	a.count(t, alice, words)
	a.readsFiles(t)
	job := a.squares(t, 22) // two wait for the end
	await(t, "20 tasks are done", time.Minute, func() bool { return a.tasksDone(t) >= 20 })

	old := a.losesNameNode(t, ctx)
	saysWell(t, alice)
	a.refuses(t, c.Edge("bob").Ticketed(t))
	ids, first := a.every(t), a.schedulerLog(t)
	a.survives(t, "the scheduler is killed", "scheduler")
	a.survives(t, "the application master is killed", "appmaster")
	a.must(t, "scale", "5")
	a.must(t, "wait", "--for", "workers:5", "--timeout", "2m")
	a.readsFiles(t)
	k.renewed(t, "by the other NameNode")
	time.Sleep(time.Until(begun.Add(layout.RenewedEvery + 5*time.Second))) // that is what is tested
	a.count(t, alice, words)

	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.StartDaemon(ctx, old, layout.NameNode.Name))
	must(c.AwaitHealth(ctx, 3*time.Minute))
	active, gap, err := c.FailoverNN(ctx)
	must(err)
	t.Logf("%s, which was killed, is active again after %v", active, gap.Round(time.Millisecond))
	active, gap, err = c.Failover(ctx)
	must(err)
	t.Logf("the ResourceManager on %s is active after %v", active, gap.Round(time.Millisecond))
	for _, x := range []app{a, k} {
		await(t, "the application master has registered with it", time.Minute, func() bool { return x.rm(t).State == "RUNNING" })
	}
	k.renewed(t, "by the first NameNode again")
	a.readsFiles(t)
	must(c.AwaitHealth(ctx, 3*time.Minute))

	job.finish(t)
	for i, n := range job.runs(t) {
		if i <= 20 && n != 1 {
			t.Errorf("task %d was done before the fault, and ran %d times", i, n)
		}
	}
	ids = append(ids, a.every(t)...)
	for _, x := range []app{a, k} {
		x.must(t, "kill", "--graceful")
		if rm := x.rm(t); rm.FinalStatus != "SUCCEEDED" {
			t.Errorf("in the end the ResourceManager shows %+v", rm)
		}
		x.leftNothing(t)
		if left := staged(t, x.edge); len(left) > 0 {
			t.Errorf("left in the staging root of %s: %q", x.edge.User, left)
		}
		x.logged(t)
	}
	a.toldAll(t, ids, first)
}

// hasNameServiceToken looks at the tokens of a command as Hadoop prints them: one, for both NameNodes.
func (a app) hasNameServiceToken(t *testing.T) {
	t.Helper()
	r := a.edge.Run(t, "yarnd", "exec", a.id, "--", "sh", "-c", layout.BinDir+`/hadoop-java org.apache.hadoop.security.token.DtUtilShell print "$HADOOP_TOKEN_FILE_LOCATION"`)
	if strings.Count(r.Stdout, "HDFS_DELEGATION_TOKEN ") != 1 || !strings.Contains(r.Stdout, " ha-hdfs:"+layout.NameService+" ") {
		t.Errorf("a command's tokens: %v", r)
	}
}

// losesNameNode kills the active NameNode while a command and a new container need it, and returns its host.
func (a app) losesNameNode(t *testing.T, ctx context.Context) string {
	t.Helper()
	c := a.edge.Cluster
	old, err := c.ActiveNN(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const file = "/user/alice/read-while-it-is-away" // a container is yarn on its node, and so would be its home
	if r := a.edge.RunInput(t, "it is there", "sh", "-c", fsShell+" -put -f - "+file); r.Code != 0 {
		t.Fatal(r)
	}
	if err := c.KillDaemon(ctx, old, layout.NameNode.Name); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	a.must(t, "scale", "5") // the files of the fifth come from HDFS
	r := a.edge.Run(t, "yarnd", "exec", a.id, "--", layout.BinDir+"/hadoop-java", "org.apache.hadoop.fs.FsShell", "-cat", file)
	if r.Code != 0 || r.Stdout != "it is there" {
		t.Errorf("Hadoop's client by the token, while no NameNode is active: %v", r)
	}
	read := time.Since(killed)
	if active, err := c.AwaitActiveNN(ctx, old); err != nil || active == old {
		t.Fatalf("%q is active, %v", active, err)
	}
	a.must(t, "wait", "--for", "workers:5", "--timeout", "2m")
	t.Logf("%s was killed; a command that began then had read HDFS by its token after %v, and another worker was there after %v", old,
		read.Round(time.Millisecond), time.Since(killed).Round(time.Millisecond))
	a.must(t, "scale", "4")
	await(t, "four workers are left", time.Minute, func() bool { return a.status(t).Work.Workers == 4 })
	return old
}

// saysWell has doctor look at the cluster: what it says of HDFS is good.
func saysWell(t *testing.T, e dockertest.Edge) {
	t.Helper()
	r := e.Run(t, "yarnd", "doctor", "-o", "json")
	var doc struct {
		Items []struct{ Check, Verdict string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &doc); err != nil || r.Code != 0 {
		t.Fatalf("%v: %v", err, r)
	}
	for _, check := range []string{"file system", "home directory", "staging directory"} {
		if !slices.Contains(doc.Items, struct{ Check, Verdict string }{check, "ok"}) {
			t.Errorf("%s is not ok: %v", check, r)
		}
	}
}

// every are the containers that there are, by id.
func (a app) every(t *testing.T) (ids []string) {
	t.Helper()
	for _, b := range a.status(t).Containers {
		ids = append(ids, b.ID)
	}
	return ids
}

// renewed waits until an application with a keytab has got other tokens, and reads by them.
func (a app) renewed(t *testing.T, by string) {
	t.Helper()
	before := a.tokens(t)
	if !before.Renews || time.Until(before.Until) > layout.RenewedEvery {
		t.Fatalf("%+v", before)
	}
	await(t, "new tokens, given "+by, layout.RenewedEvery, func() bool { return a.tokens(t).Until.After(before.Until) })
	a.readsFiles(t)
}

// schedulerLog is what the scheduler that lives has said, and its container.
func (a app) schedulerLog(t *testing.T) [2]string {
	t.Helper()
	boxes := a.ofPool(t, "scheduler", "running")
	if len(boxes) != 1 {
		t.Fatalf("schedulers: %v", boxes)
	}
	text := a.must(t, "logs", "--container", boxes[0].ID, "--file", "stderr")
	if !strings.Contains(text, "worker joined") {
		t.Fatalf("the scheduler says %q", text)
	}
	return [2]string{boxes[0].ID, text}
}

// toldAll looks at the logs of an application that has ended: each container's is there, and what a log was seen to have.
func (a app) toldAll(t *testing.T, ids []string, seen [2]string) {
	t.Helper()
	all := a.must(t, "logs")
	for _, id := range ids {
		if !strings.Contains(all, "==> "+id+" stderr") {
			t.Errorf("there is no log of %s", id)
		}
	}
	_, said, _ := strings.Cut(seen[1], "\n") // before that is the node, whose port is known of what is collected
	text := a.must(t, "logs", "--container", seen[0], "--file", "stderr")
	if _, text, _ = strings.Cut(text, "\n"); said == "" || !strings.HasPrefix(text, said) {
		t.Errorf("%s had said\n%s\nand collected is\n%s", seen[0], said, text)
	}
}
