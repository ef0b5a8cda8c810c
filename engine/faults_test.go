package engine_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
	"github.com/yarnd/yarnd/identity"
)

// User code that ends its process takes neither the worker nor the work of others
// with it.
func TestExitInUserCode(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Processes: true})
	client, ctx := c.Client(), t.Context()
	before, err := client.Workers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e := wantTaskError(t, exit.Submit(ctx, client, gate{Dir: t.TempDir(), N: 3}), engine.FailDied)
	if !errors.Is(e, engine.ErrWorkerLost) || e.Attempt != 3 {
		t.Errorf("attempt %d: %v", e.Attempt, e)
	}
	want(t, square.Submit(ctx, client, 9), 81)
	after, err := client.Workers(ctx)
	if err != nil || len(after) != 1 || after[0].ID != before[0].ID || after[0].PID != c.Workers()[0].PID {
		t.Errorf("the worker was %+v, is %+v, %v", before, after, err)
	}
	inside, err := pid.Call(ctx, client, struct{}{})
	if err != nil || inside == c.Workers()[0].PID || inside == os.Getpid() {
		t.Errorf("user code runs in process %d, %v", inside, err)
	}
}

// A worker is killed in the middle of a graph: what it ran and what it held is
// computed again, and the results are those that they would have been.
func TestKillWorker(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 3, Processes: true})
	client, ctx := c.Client(), t.Context()
	const n, size = 30, 100_000
	var blobs []engine.Ref[[]byte]
	var weights []*engine.Future[map[byte]int]
	for i := range n {
		f := blob.Submit(ctx, client, blobOf{Fill: byte(i), Size: size})
		blobs = append(blobs, f.Ref())
		if i >= 3 {
			weights = append(weights, weigh.Submit(ctx, client, blobs[i-3:i+1]))
		}
	}
	g := gate{Dir: t.TempDir()}
	var waiting []*engine.Future[int]
	for i := range 12 { // six slots are busy, and as many tasks queue
		waiting = append(waiting, wait.Submit(ctx, client, gate{Dir: g.Dir, N: i}))
	}
	eventually(t, "all slots are busy", func() bool { return g.arrived() == 6 })
	c.Workers()[1].Kill()
	all := weigh.Submit(ctx, client, blobs)
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	for i, f := range weights {
		want(t, f, map[byte]int{byte(i): size, byte(i + 1): size, byte(i + 2): size, byte(i + 3): size})
	}
	for i, f := range waiting {
		want(t, f, i)
	}
	total := map[byte]int{}
	for i := range n {
		total[byte(i)] = size
	}
	want(t, all, total)
	eventually(t, "the dead worker is gone", func() bool {
		workers, err := client.Workers(ctx)
		return err == nil && len(workers) == 2
	})
}

// The only worker is killed; the work goes on when another one comes.
func TestLastWorkerKilled(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Processes: true})
	client, ctx := c.Client(), t.Context()
	f := blob.Submit(ctx, client, blobOf{Fill: 1, Size: 1 << 20})
	if _, err := f.Result(deadline(t)); err != nil {
		t.Fatal(err)
	}
	c.Workers()[0].Kill()
	after := weigh.Submit(ctx, client, []engine.Ref[[]byte]{f.Ref()})
	c.AddWorker()
	want(t, after, map[byte]int{1: 1 << 20})
	if data, err := f.Result(deadline(t)); err != nil || len(data) != 1<<20 {
		t.Errorf("the lost result, asked for again: %d bytes, %v", len(data), err)
	}
}

// secondProgram is a function that runs a program which the cluster has never seen.
func secondProgram(t *testing.T, c *enginetest.Cluster) func(args ...string) (string, error) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "second")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/second")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the second program: %v\n%s", err, out)
	}
	pem, err := c.Identity(identity.Client, "second").PEM()
	if err != nil {
		t.Fatal(err)
	}
	credential := filepath.Join(t.TempDir(), "client.pem")
	if err := os.WriteFile(credential, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), program, append([]string{c.Addr(), credential}, args...)...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
}

// Another program than the cluster's comes later and runs its own functions, under
// names that the cluster's program has too.
func TestSecondProgram(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 2, Processes: true})
	client, ctx := c.Client(), t.Context()
	run := secondProgram(t, c)
	want(t, square.Submit(ctx, client, 3), 9)
	for range 2 {
		if out, err := run(); err != nil || out != "1*1;2*2;3*3;" {
			t.Fatalf("the second program: %v\n%s", err, out)
		}
	}
	want(t, square.Submit(ctx, client, 4), 16)
}

// A program is killed as soon as the scheduler has its tasks: they go on, in that
// program's executors, and their results are found again.
func TestKillClient(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 2, Processes: true})
	out, err := secondProgram(t, c)("left")
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != -1 {
		t.Fatalf("the second program was not killed: %v\n%s", err, out)
	}
	left, err := c.Client().AttachJob(t.Context(), "left")
	if err != nil {
		t.Fatal(err)
	}
	want(t, engine.JobFuture[string](left, 3), "1;2;3;")
}
