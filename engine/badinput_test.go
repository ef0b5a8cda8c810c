package engine_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
	"github.com/yarnd/yarnd/engine/server"
)

// What is wrong is told to the one who caused it, with a type; the work of others goes on
// meanwhile; and scheduler and workers, which are processes of their own, take no more
// memory than is stated. That of executors is of the user's functions.

const mib = 1 << 20

// badInput is one thing that may be wrong.
type badInput struct {
	name string
	// scheduler and worker are bounds of VmHWM, in MiB. Each takes some 30 to begin with,
	// and a worker keeps 256 of results.
	scheduler, worker uint64
	outbox            int  // of the scheduler's connections, in bytes; 0 is as it comes
	long              bool // it takes long by its nature
	python            bool
	// run does it, and calls meanwhile while it lasts.
	run func(b *bad)
}

// bad is a cluster to which bad things happen.
type bad struct {
	*testing.T
	c        *enginetest.Cluster
	client   *engine.Client // of the one who causes them
	others   *engine.Client
	finished int
}

// meanwhile runs a whole job of somebody else.
func (b *bad) meanwhile() {
	b.Helper()
	ctx := deadline(b)
	got, err := square.Map(ctx, b.others, count(500)).Gather(ctx)
	if err != nil || len(got) != 500 || got[499] != 499*499 {
		b.Fatalf("somebody else's tasks: %d results, %v", len(got), err)
	}
	var blobs []engine.Ref[[]byte]
	for i := range 4 {
		f := blob.Submit(ctx, b.others, blobOf{Fill: byte(i), Size: 100_000})
		defer f.Release()
		blobs = append(blobs, f.Ref())
	}
	want(b, weigh.Submit(ctx, b.others, blobs), map[byte]int{0: 100_000, 1: 100_000, 2: 100_000, 3: 100_000})
	b.finished++
}

var badInputs = []badInput{
	{name: "a cycle", scheduler: 64, worker: 64, run: badCycle},
	{name: "an unknown dependency", scheduler: 64, worker: 64, run: badDependency},
	{name: "an index that is taken", scheduler: 64, worker: 64, run: badDuplicate},
	{name: "a result of 3 GiB", scheduler: 64, worker: 256 + 128, long: true, run: badGiant},
	{name: "a result beyond the limit", scheduler: 64, worker: 64, run: badTooLarge},
	{name: "a function that does not unpickle", scheduler: 64, worker: 64, python: true, run: badPickle},
	{name: "an interpreter that exits", scheduler: 64, worker: 64, python: true, run: badInterpreter},
	{name: "a result that was let go of", scheduler: 64, worker: 64, run: badReleased},
	{name: "a malformed frame", scheduler: 64, worker: 64, run: badFrame},
	{name: "a frame that claims 2 GiB", scheduler: 64, worker: 64, run: badClaim},
	{name: "clients that never read", scheduler: 320, worker: 64, outbox: 256 << 10, run: badReaders},
	{name: "a worker that stops reading", scheduler: 192, worker: 256, run: badWorker},
}

func TestBadInput(t *testing.T) {
	for _, k := range badInputs {
		t.Run(k.name, func(t *testing.T) {
			if k.long && (testing.Short() || underRace) {
				t.Skip("it takes long")
			}
			if _, err := exec.LookPath("python3"); k.python && err != nil {
				t.Skip("no python3 in the PATH")
			}
			c := enginetest.Start(t, enginetest.Options{
				Workers: 2, Slots: 1, Processes: true, Apart: true, Server: server.Options{Lease: 4 * time.Second, Outbox: k.outbox},
			})
			b := &bad{T: t, c: c, client: c.Client(), others: c.Client()}
			k.run(b)
			if b.finished == 0 {
				t.Error("nothing shows that others can work meanwhile")
			}
			b.meanwhile()
			scheduler, worker := peak(t, c.SchedulerPID), uint64(0)
			for _, w := range c.Workers() {
				worker = max(worker, peak(t, w.PID))
			}
			t.Logf("at most %d MiB in the scheduler, %d in a worker", scheduler/mib, worker/mib)
			if !underRace && (scheduler > k.scheduler*mib || worker > k.worker*mib) {
				t.Errorf("%d MiB in the scheduler and %d in a worker: the bounds are %d and %d", scheduler/mib, worker/mib, k.scheduler, k.worker)
			}
		})
	}
}

// peak returns the most resident memory that a process had: proc_pid_status(5).
func peak(t testing.TB, pid int) uint64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if f := strings.Fields(string(line)); len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.ParseUint(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// ---- tasks -----------------------------------------------------------------------

var (
	giant   = engine.Define("giant", func(_ context.Context, size int) ([]byte, error) { return make([]byte, size), nil })
	endless = engine.DefineStream("endless", func(_ context.Context, size int64) (*engine.Stream, error) {
		return engine.NewStream(zeros{}, size, nil), nil
	})
)

var length = engine.Define("length", func(_ context.Context, s string) (int, error) { return len(s), nil })

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

var _ io.Reader = zeros{}

// badGiant: results may be that large. It goes to the worker's disk as it comes, and whoever
// wants it reads it in pieces; only the function holds it whole.
func badGiant(b *bad) {
	f := giant.Submit(b.Context(), b.client, 3<<30)
	b.meanwhile()
	select {
	case <-f.Done():
	case <-time.After(5 * time.Minute):
		b.Fatal("no end")
	}
	if f.Status() != engine.Done {
		_, err := f.Result(b.Context())
		b.Fatalf("status %v: %v", f.Status(), err)
	}
	b.meanwhile() // it lies there
	want(b, tail.Submit(b.Context(), b.client, f.Ref()), 3<<30)
	f.Release()
}

// tail reads the end of a large result, and tells how long it is.
var tail = engine.DefineLazy("tail", func(ctx context.Context, r engine.Ref[[]byte]) (int, error) {
	p, err := engine.Open(ctx, r)
	if err != nil {
		return 0, err
	}
	var last [1 << 10]byte
	if _, err := p.ReadAt(last[:], p.Size()-int64(len(last))); err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	return int(p.Size()), nil
})

func badTooLarge(b *bad) {
	f := endless.Submit(b.Context(), b.client, 5<<30)
	b.meanwhile()
	if e := wantTaskError(b, f, engine.FailUser); !strings.Contains(e.Message, "return less") {
		b.Errorf("%v", e)
	}
}

func badPickle(b *bad) {
	broken := engine.PythonPickle[int, int]("broken", []byte("this is no pickle"))
	f := broken.Submit(b.Context(), b.client, 1)
	b.meanwhile()
	if e := wantTaskError(b, f, engine.FailUser); !strings.Contains(e.Message, "the function of broken does not unpickle") {
		b.Errorf("%v", e)
	}
	// One of a module that the workers do not have says where it was looked for.
	absent, err := base64.StdEncoding.DecodeString("Y25vd2hlcmUKZgou") // cnowhere\nf\n.
	if err != nil {
		b.Fatal(err)
	}
	e := wantTaskError(b, engine.PythonPickle[int, int]("absent", absent).Submit(b.Context(), b.client, 1), engine.FailUser)
	if !strings.Contains(e.Message, "nowhere") || !strings.Contains(e.Message, "--files") {
		b.Errorf("%v", e)
	}
}

func badInterpreter(b *bad) {
	leave := engine.Python[int, int]("os:_exit", engine.Deaths(2))
	f := leave.Submit(b.Context(), b.client, 7)
	b.meanwhile()
	e := wantTaskError(b, f, engine.FailDied)
	if e.ExitCode != 7 || !errors.Is(e, engine.ErrWorkerLost) {
		b.Errorf("exit code %d: %v", e.ExitCode, e)
	}
	want(b, engine.Python[float64, float64]("math:sqrt").Submit(b.Context(), b.client, 9), 3)
}

func badReleased(b *bad) {
	f := blob.Submit(b.Context(), b.client, blobOf{Fill: 1, Size: mib})
	if _, err := f.Result(deadline(b)); err != nil {
		b.Fatal(err)
	}
	f.Release()
	b.meanwhile()
	if _, err := f.Result(deadline(b)); !errors.Is(err, engine.ErrReleased) {
		b.Errorf("a result that was released: %v", err)
	}
	// One of a job that somebody else has closed.
	job, err := b.client.Job(b.Context(), "shared")
	if err != nil {
		b.Fatal(err)
	}
	held := blob.Submit(b.Context(), b.client, blobOf{Fill: 1, Size: mib}, engine.InJob(job))
	if _, err := held.Result(deadline(b)); err != nil {
		b.Fatal(err)
	}
	same, err := b.others.AttachJob(b.Context(), "shared")
	if err != nil {
		b.Fatal(err)
	}
	if err := same.Close(deadline(b)); err != nil {
		b.Fatal(err)
	}
	eventually(b, "the result is refused", func() bool {
		_, err := held.Result(deadline(b))
		return errors.Is(err, engine.ErrJobClosed)
	})
}

// badReaders: thirty clients watch a job with 24 MB of results, and none reads. What waits
// for each is its outbox and a frame of 1 MiB, and not the 24 MB.
func badReaders(b *bad) {
	const watchers, n, size = 30, 6000, 4000
	job, err := b.client.Job(b.Context(), "watched")
	if err != nil {
		b.Fatal(err)
	}
	var deaf []*rawPeer
	for range watchers {
		p := b.rawClient()
		id := p.open("watched")
		p.send(watchJob(id))
		deaf = append(deaf, p)
	}
	work := slices.Repeat([]blobOf{{Fill: 9, Size: size}}, n)
	batch := blob.Map(b.Context(), b.client, slices.Values(work), engine.InJob(job))
	got, err := batch.Gather(deadline(b))
	if err != nil || len(got) != n {
		b.Fatalf("the job that is watched: %d results, %v", len(got), err)
	}
	b.meanwhile()
	for _, p := range deaf {
		p.wantEnd()
	}
}
