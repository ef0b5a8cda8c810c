//go:build hadoop

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest"
	"github.com/yarnd/yarnd/dockertest/cluster"
)

// An application computes while the ResourceManagers take over from each other and a NodeManager is killed and
// started again: the results are right, and no process and no container of it is another than before.
func TestFailoverChangesNothing(t *testing.T) { surviveFailovers(t, 1) }

func surviveFailovers(t *testing.T, rounds int) {
	c := dockertest.Exclusive(t, "ha")
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rounds+5)*2*time.Minute)
	defer cancel()
	a := submit(t, c.Edge("alice"), "--workers", "3", "--worker-memory", "256MiB", "--wait", "workers:3")
	job := a.squares(t, 60)
	before := a.roles(t)
	if len(before) != 5 {
		t.Fatalf("running are %q", before)
	}
	containers := a.containers(t)
	same := func(what string) {
		t.Helper()
		await(t, what+": the ResourceManager knows five containers", time.Minute, func() bool {
			rm := a.rm(t)
			return rm.State == "RUNNING" && rm.RunningContainers == 5
		})
		if now := a.roles(t); !slices.Equal(now, before) {
			t.Errorf("%s: running were\n%q, and are\n%q", what, before, now)
		}
		if now := a.containers(t); !slices.Equal(now, containers) {
			t.Errorf("%s: containers were\n%q, and are\n%q", what, containers, now)
		}
	}
	for i := range rounds {
		active, gap, err := c.Failover(ctx)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		same(fmt.Sprintf("failover %d", i+1))
		t.Logf("failover %d: %s is active after %v, and knows all of the application %v later",
			i+1, active, gap.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
		node := nodes[i%len(nodes)]
		start = time.Now()
		if err := c.KillDaemon(ctx, node, "nodemanager"); err != nil {
			t.Fatal(err)
		}
		if err := c.StartDaemon(ctx, node, "nodemanager"); err != nil {
			t.Fatal(err)
		}
		if err := c.AwaitHealth(ctx, 2*time.Minute); err != nil {
			t.Fatal(err)
		}
		t.Logf("the NodeManager on %s was away for %v", node, time.Since(start).Round(time.Millisecond))
		same("after the NodeManager on " + node + " was killed")
	}
	job.finish(t)
	// The node managers that were killed hear the application master again.
	a.must(t, "scale", "0")
	await(t, "two containers run and no more", time.Minute, func() bool { return a.rm(t).RunningContainers == 2 })
	a.must(t, "kill", "--graceful")
	if rm := a.rm(t); rm.FinalStatus != "SUCCEEDED" {
		t.Errorf("in the end the ResourceManager shows %+v", rm)
	}
	a.leftNothing(t)
}

// A slice of make chaos-hadoop: one fault after the other on Hadoop's own daemons while jobs run, of which none may cost an
// acknowledged task, change a result or leave something behind. It takes the cluster for itself, as Exclusive does.
func TestFaultsOnHadoop(t *testing.T) {
	build(t, "../../survive/chaos", "chaos")
	kinds := "application master killed,scheduler killed,worker killed,process stopped,ResourceManager fails over,partition,HDFS away,disk full,client killed in gather"
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "../../bin/test/chaos", "-hadoop", "ha", "-each", "-v", "-seed", "3", "-tasks", "20000", "-faults", kinds)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it puts the cluster in order
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// roles lists an application's processes of ours, each with its node and process id, in order.
func (a app) roles(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, p := range a.processes(t) {
		for _, role := range []string{"appmaster", "scheduler", "worker"} {
			if isRole(p, role) {
				all = append(all, strings.Join(strings.Fields(p)[:4], " "))
			}
		}
	}
	slices.Sort(all)
	return all
}

// squares is a job under way: n commands, of which all but the first 20 wait for a file on their node. Each notes beside
// it that it ran.
type squares struct {
	app  app
	n    int
	done chan error
	out  bytes.Buffer
	err  bytes.Buffer
}

func (a app) gate() string { return "/tmp/gate-" + a.id }

func (a app) squares(t *testing.T, n int) *squares {
	t.Helper()
	const command = `echo $1 >> %[1]s.ran; [ "$1" -le 20 ] || until [ -e %[1]s ]; do sleep 0.2; done; echo $(($1 * $1))`
	j := &squares{app: a, n: n, done: make(chan error, 1)}
	cmd := a.edge.Command(t.Context(), "", "yarnd", "map", "-q", a.id, "--", "sh", "-c", fmt.Sprintf(command, a.gate()), "sh", "{}")
	var items strings.Builder
	for i := range n {
		fmt.Fprintln(&items, i+1)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(items.String()), &j.out, &j.err
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { j.done <- cmd.Wait() }()
	return j
}

// open lets the commands end.
func (j *squares) open(ctx context.Context) error {
	for _, n := range nodes {
		if _, err := j.app.edge.Cluster.Output(ctx, n, "yarn", "touch", j.app.gate()); err != nil {
			return err
		}
	}
	return nil
}

// finish lets the job end and looks at its results.
func (j *squares) finish(t *testing.T) {
	t.Helper()
	if err := j.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		t.Cleanup(func() {
			j.app.edge.Cluster.Exec(context.Background(), cluster.Command{Host: n, Argv: []string{"rm", "-f", j.app.gate(), j.app.gate() + ".ran"}})
		})
	}
	select {
	case err := <-j.done:
		if err != nil {
			t.Fatalf("the job: %v\n%s", err, &j.err)
		}
	case <-time.After(3 * time.Minute):
		t.Fatalf("the job does not end; so far\n%s", &j.err)
	}
	var want strings.Builder
	for i := range j.n {
		fmt.Fprintln(&want, (i+1)*(i+1))
	}
	if got := j.out.String(); got != want.String() {
		t.Errorf("the job's results are\n%s", got)
	}
}

// runs counts how often each command was begun, on all nodes.
func (j *squares) runs(t *testing.T) map[int]int {
	t.Helper()
	all := map[int]int{}
	for _, n := range nodes {
		text, err := j.app.edge.Cluster.Output(t.Context(), n, "root", "sh", "-c", "cat "+j.app.gate()+".ran 2>/dev/null || true")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(text) {
			i, err := strconv.Atoi(line)
			if err != nil {
				t.Fatalf("%q on %s: %v", line, n, err)
			}
			all[i]++
		}
	}
	return all
}
