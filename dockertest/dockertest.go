package dockertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/dockertest/cache"
	"github.com/yarnd/yarnd/dockertest/cluster"
	"github.com/yarnd/yarnd/dockertest/layout"
)

// upTimeout bounds everything from an empty machine to a healthy cluster; commandTimeout one command on an edge node.
const (
	upTimeout      = 20 * time.Minute
	commandTimeout = 12 * time.Minute // MapReduce on a busy machine takes long
)

// Cluster is a running cluster in a test's hands. The embedded one has the faults (KillDaemon, StopHost, PauseHost …),
// AwaitHealth, Output and Exec, which run a command on any host as any account, and HTTP, a client that knows the
// cluster's host names.
type Cluster struct{ *cluster.Cluster }

// Running returns the cluster of that composition, healthy, having brought it up if need be. It stays up after the
// test. The test shares it with others, of other packages too, and must leave it as it was; one that breaks something
// calls Exclusive instead, and no test calls both. It fails the test if there can be no cluster.
//
// $HADOOP chooses the version, and $YARND_CLUSTER_PREFIX, such as "old-", another cluster beside the usual one.
func Running(t testing.TB, composition string) *Cluster {
	t.Helper()
	return use(t, composition, cache.Dir.RLock)
}

// Exclusive is Running for a test that breaks something: it waits until no other test uses the cluster, keeps others out
// until the end of this one, and then repairs the cluster.
func Exclusive(t testing.TB, composition string) *Cluster {
	t.Helper()
	c := use(t, composition, cache.Dir.Lock)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), upTimeout)
		defer cancel()
		if err := c.Repair(ctx); err != nil {
			t.Errorf("repair the cluster after the test: %v", err)
		}
	})
	return c
}

func use(t testing.TB, composition string, lock func(cache.Dir, context.Context, string) (func(), error)) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), upTimeout)
	defer cancel()
	description, err := layout.ByName(composition)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := cache.Find()
	if err != nil {
		t.Fatal(err)
	}
	name := os.Getenv("YARND_CLUSTER_PREFIX") + composition
	unlock, err := lock(dir, ctx, "use-"+name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	c, err := cluster.Up(ctx, cluster.Spec{Name: name, Composition: description}, log)
	if err != nil {
		t.Fatalf("there is no cluster: %v", err)
	}
	return &Cluster{c}
}

// RMWeb returns the base URL of the pages and the REST API of a ResourceManager, the active one where one is, without a
// slash at the end. Fetch it with any client; to follow links and redirects to other hosts take HTTP's.
func (c *Cluster) RMWeb() string {
	hosts := c.Composition().With(layout.ResourceManager)
	host := hosts[0].Name
	if len(hosts) > 1 {
		if active, err := c.ActiveRM(context.Background()); err == nil {
			host = active
		}
	}
	return c.Web(host, layout.ResourceManager)
}

// Edge returns edge1 as seen by a user: "alice" or "bob".
func (c *Cluster) Edge(user string) Edge { return Edge{Cluster: c, Node: "edge1", User: user} }

// Edge runs commands on an edge node, with everything in bin on the PATH. Its zero value is of no use; change Node to
// be on another host.
type Edge struct {
	Cluster *Cluster
	Node    string
	User    string

	cache string // file of tickets; "": the account's
}

// On returns the same user on another host.
func (e Edge) On(node string) Edge {
	e.Node = node
	return e
}

// Command returns the command, not started, for tests that feed or watch it while it runs. It is a process of this
// machine (dockertest/edge) that stands for the remote one: streams and exit code pass through, and so do os.Interrupt
// and SIGTERM sent to it. The end of ctx sends SIGTERM. To signal what it stands for with SIGKILL, name it with an id
// and call Signal.
func (e Edge) Command(ctx context.Context, id string, argv ...string) *exec.Cmd {
	if e.cache != "" {
		argv = append([]string{"env", "KRB5CCNAME=" + e.cache}, argv...)
	}
	args := []string{"-c", e.Cluster.Name(), "-n", e.Node, "-u", e.User}
	if id != "" {
		args = append(args, "-i", id)
	}
	cmd := exec.CommandContext(ctx, script(), append(append(args, "--"), argv...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// Signal sends a signal ("KILL", "STOP", …) to every process of the command that was started under that id.
func (e Edge) Signal(ctx context.Context, id, signal string) error {
	out, err := exec.CommandContext(ctx, script(), "-c", e.Cluster.Name(), "-n", e.Node, "-s", signal, "-i", id).CombinedOutput()
	if err != nil {
		return fmt.Errorf("signal %s to %s: %w: %s", signal, id, err, bytes.TrimSpace(out))
	}
	return nil
}

// script is the path of dockertest/edge, from whichever folder of the repository the test runs in.
func script() string {
	root, err := cache.Root()
	if err != nil {
		return "dockertest/edge" // and exec will say that it is not there
	}
	return filepath.Join(root, "dockertest", "edge")
}

// Result is how a command ended.
type Result struct {
	Argv           []string
	Code           int // as a shell's $?
	Stdout, Stderr string
	Took           time.Duration
}

// String shows all of it, for a test's failure message.
func (r Result) String() string {
	return fmt.Sprintf("%s: exit code %d after %v\nstdout:\n%s\nstderr:\n%s",
		strings.Join(r.Argv, " "), r.Code, r.Took.Round(time.Millisecond), r.Stdout, r.Stderr)
}

// Run runs a command to its end, without input, for five minutes at most. It fails the test only if the command could
// not be run: the exit code is the caller's to judge.
func (e Edge) Run(t testing.TB, argv ...string) Result {
	t.Helper()
	return e.RunInput(t, "", argv...)
}

// RunInput is Run with a standard input.
func (e Edge) RunInput(t testing.TB, stdin string, argv ...string) Result {
	t.Helper()
	// Not the test's context: that has ended when its Cleanup runs, and tests clean up with commands.
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := e.Command(ctx, "", argv...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	r := Result{Argv: argv, Stdout: stdout.String(), Stderr: stderr.String(), Took: time.Since(start)}
	if ctx.Err() != nil {
		t.Fatalf("%v: %v", context.Cause(ctx), r)
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		r.Code = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("%v: %v", err, r)
	}
	return r
}

// Must is Run for commands that prepare something: a code other than 0 fails the test. It returns the standard output.
func (e Edge) Must(t testing.TB, argv ...string) string {
	t.Helper()
	r := e.Run(t, argv...)
	if r.Code != 0 {
		t.Fatal(r)
	}
	return r.Stdout
}

// FS runs Hadoop's own file system shell: FS(t, "-ls", "/user").
func (e Edge) FS(t testing.TB, args ...string) Result {
	t.Helper()
	return e.Java(t, "org.apache.hadoop.fs.FsShell", args...)
}

// Logs returns the aggregated logs of an application as Hadoop's own LogsCLI prints them.
func (e Edge) Logs(t testing.TB, app string, args ...string) Result {
	t.Helper()
	return e.Java(t, "org.apache.hadoop.yarn.client.cli.LogsCLI", append([]string{"-applicationId", app}, args...)...)
}

// Java runs a class of Hadoop's, or on clusters with Kerberos of our own (jars/own).
func (e Edge) Java(t testing.TB, class string, args ...string) Result {
	t.Helper()
	return e.Run(t, append([]string{"hadoop-java", "-Dhadoop.root.logger=ERROR,console", class}, args...)...)
}
