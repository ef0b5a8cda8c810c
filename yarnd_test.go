package yarnd

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/executor"
)

var double = Define("yarnd_test.double", func(_ context.Context, n int) (int, error) { return 2 * n, nil })

// The containers of these tests, and the executors in them, are this test binary.
func TestMain(m *testing.M) {
	if executor.InChild() || roleOf(os.Args) != nil {
		Main(func(context.Context) error { return errors.New("a role returned") })
	}
	goleak.VerifyTestMain(m)
}

func TestRoles(t *testing.T) {
	for _, x := range []struct {
		args      []string
		container bool
		local     bool
		want      role
		task      string
	}{
		{[]string{"./yarnd"}, true, false, nil, ""},
		{[]string{"./yarnd", "worker"}, true, false, worker, ""},
		{[]string{"./yarnd", "scheduler"}, true, false, scheduler, ""},
		{[]string{"./yarnd", "appmaster"}, true, false, appMaster, ""},
		{[]string{"./yarnd", "appmaster"}, false, true, appMaster, ""},
		{[]string{"./yarnd", "appmaster"}, false, false, nil, ""},
		{[]string{"./yarnd", "worker"}, false, true, nil, ""},      // a program's own command
		{[]string{"./yarnd", "worker", "x"}, true, false, nil, ""}, // no role has arguments
		{[]string{"./yarnd", "submit"}, true, false, nil, ""},
		{[]string{"./prog", "worker"}, true, false, nil, "3/4"}, // a command that a worker runs, with its owner's tokens
	} {
		token, id, dir := "", "", ""
		if x.container {
			token, id = "/container/tokens", "container_1_0001_01_000001"
		}
		if x.local {
			dir = "/staging"
		}
		t.Setenv("HADOOP_TOKEN_FILE_LOCATION", token)
		t.Setenv("CONTAINER_ID", id)
		t.Setenv(executor.EnvTask, x.task)
		t.Setenv(edgeclient.LocalDirVar, dir)
		if got := roleOf(x.args); reflect.ValueOf(got).Pointer() != reflect.ValueOf(x.want).Pointer() {
			t.Errorf("%v in container %v, local %v: another role", x.args, x.container, x.local)
		}
	}
}

func TestExitCode(t *testing.T) {
	for _, x := range []struct {
		err  error
		want edgeclient.Code
	}{
		{errors.New("anything"), edgeclient.Internal},
		{&edgeclient.Fault{Code: edgeclient.Refused}, edgeclient.Refused},
		{fmt.Errorf("look up: %w", engine.ErrNotFound), edgeclient.NotFound},
		{engine.ErrAuth, edgeclient.Auth},
		{engine.ErrUnreachable, edgeclient.TimedOut},
		{engine.ErrMismatch, edgeclient.Mismatch},
		{fmt.Errorf("job 1 ended with its session: %w", engine.ErrLost), edgeclient.AppFailed},
	} {
		if got := ExitCode(x.err); got != x.want {
			t.Errorf("%v: %d, want %d", x.err, got, x.want)
		}
	}
}

// A cluster of this very program works, is found by another connection, and leaves
// nothing when it is closed.
func TestLocal(t *testing.T) {
	if !static(t) { // what is staged must be, however the tests were built
		again := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run=^TestLocal$", ".")
		again.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	t.Setenv("YARND_HOME", t.TempDir())
	t.Setenv("YARND_PROVIDER", "local")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cluster, err := Local(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			cluster.Close()
		}
	}()
	job, err := cluster.Job(ctx, "kept")
	if err != nil {
		t.Fatal(err)
	}
	got, err := double.Map(ctx, cluster.Client, slices.Values([]int{1, 2, 3}), engine.InJob(job)).Gather(ctx)
	if err != nil || !slices.Equal(got, []int{2, 4, 6}) {
		t.Errorf("got %v, %v", got, err)
	}
	t.Setenv("YARND_APP", "last") // as good as an id
	second, err := Connect(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	if second.ID != cluster.ID {
		t.Errorf("last is %s, not %s", second.ID, cluster.ID)
	}
	if job, err = second.AttachJob(ctx, "kept"); err != nil {
		t.Error(err)
	} else if n, err := engine.JobFuture[int](job, 2).Result(ctx); n != 6 || err != nil {
		t.Errorf("found again: %d, %v", n, err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	closed = true
	if err := cluster.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Connect(ctx, cluster.ID); ExitCode(err) != edgeclient.NotFound {
		t.Errorf("connected to what was ended: %v", err)
	}
	t.Setenv("YARND_APP", "")
	own, err := Connect(ctx, "") // where no application is current, and it is this machine that was said
	if err != nil {
		t.Fatal(err)
	}
	if n, err := double.Call(ctx, own.Client, 4); n != 8 || err != nil {
		t.Errorf("on a cluster of its own: %d, %v", n, err)
	}
	if err := own.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Connect(ctx, own.ID); ExitCode(err) != edgeclient.NotFound {
		t.Errorf("it outlives its program: %v", err)
	}
}

// static reports whether this program needs no libraries of its host.
func static(t *testing.T) bool {
	t.Helper()
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}
