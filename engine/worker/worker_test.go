package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/local"
	"github.com/yarnd/yarnd/engine/wire"
)

func TestFunctionsAndDependencies(t *testing.T) {
	c := newCluster(t)
	c.worker("c2", Options{})
	c.worker("c3", Options{})
	cl := c.client()
	fill, sum, pid := cl.function("fill"), cl.function("sum"), cl.function("pid")
	if got := string(cl.result(cl.submit(pid, ""))); got == strconv.Itoa(os.Getpid()) {
		t.Error("a function of the own binary ran inside the worker")
	}
	small, large := cl.submit(fill, "100"), cl.submit(fill, "100000")
	var parts []uint32
	for range 8 {
		parts = append(parts, cl.submit(fill, "20000"))
	}
	total := cl.submit(sum, "", append(parts, small, large)...)
	if got := string(cl.result(total)); got != "260100" {
		t.Errorf("sum %s", got)
	}
	if got := cl.result(large); len(got) != 100000 || strings.Trim(string(got), "x") != "" {
		t.Errorf("large result: %d bytes", len(got))
	}
}

func TestFunctionsInsideTheWorker(t *testing.T) {
	c := newCluster(t)
	c.worker("c2", Options{Funcs: testFuncs})
	cl := c.client()
	if got := string(cl.result(cl.submit(cl.function("pid"), ""))); got != strconv.Itoa(os.Getpid()) {
		t.Errorf("it ran in process %s", got)
	}
}

func TestFailures(t *testing.T) {
	c := newCluster(t)
	c.worker("c2", Options{Host: "nm1"})
	cl := c.client()
	bad := cl.submit(cl.function("fail"), "")
	after := cl.submit(cl.function("sum"), "", bad)
	o := cl.outcome(bad)
	if f := o.Failure; f == nil || f.Kind != graph.FailUser || f.Message != "no luck" || f.Host != "nm1" {
		t.Errorf("%+v", f)
	}
	if f := cl.outcome(after).Failure; f == nil || f.Kind != graph.FailUpstream || f.Task.Index != bad {
		t.Errorf("%+v", f)
	}
	if f := cl.outcome(cl.submit(cl.function("no such function"), "")).Failure; f == nil || f.Kind != graph.FailSetup {
		t.Errorf("%+v", f)
	}
	// An executor that dies is started again, and the task is tried again.
	if got := string(cl.result(cl.submit(cl.function("once"), ""))); got == "1" {
		t.Errorf("attempt %s", got)
	}
}

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data"), []byte("shipped\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := newCluster(t)
	c.worker("c2", Options{WorkDir: dir})
	cl := c.client()
	spec, err := json.Marshal(executor.CommandSpec{Argv: []string{"sh", "-c", "cat data; echo {} $YARND_TASK"}})
	if err != nil {
		t.Fatal(err)
	}
	i := cl.submit(cl.class(graph.Class{Name: "sh", Kind: graph.KindCommand, Spec: spec}), "item")
	var r executor.CommandResult
	if err := cbor.Unmarshal(cl.result(i), &r); err != nil {
		t.Fatal(err)
	}
	if want := "shipped\nitem " + (graph.TaskID{Job: graph.JobID(cl.job), Index: i}).String() + "\n"; string(r.Stdout) != want {
		t.Errorf("stdout %q, want %q", r.Stdout, want)
	}
}

// A command that kills its parent, which runs the others too, is found out by its
// deaths alone: one is enough here, and none is held against those beside it.
func TestDeathsAreNotBlamedOnBystanders(t *testing.T) {
	c := newCluster(t)
	dir := t.TempDir()
	c.worker("c2", Options{WorkDir: dir, Slots: 4})
	cl := c.client()
	command := func(script string) graph.ClassID {
		spec, err := json.Marshal(executor.CommandSpec{Argv: []string{"sh", "-c", script}})
		if err != nil {
			t.Fatal(err)
		}
		return cl.class(graph.Class{Name: "sh", Kind: graph.KindCommand, Spec: spec, Deaths: 1})
	}
	beside := command("[ $YARND_ATTEMPT -gt 1 ] && exit; touch began-{}; sleep 60")
	poison := command("[ $YARND_ATTEMPT -gt 1 ] || until [ -e began-0 -a -e began-1 -a -e began-2 ]; do sleep 0.01; done; kill -9 $PPID; sleep 60")
	for i := range 3 {
		cl.submit(beside, strconv.Itoa(i))
	}
	bad := cl.submit(poison, "")
	for i := range uint32(3) {
		cl.result(i)
	}
	if f := cl.outcome(bad).Failure; f == nil || f.Kind != graph.FailDied || f.Attempt != 2 {
		t.Errorf("%+v", f)
	}
}

func TestFailedFrames(t *testing.T) {
	long := string(bytes.Repeat([]byte("x"), wire.MaxText))
	row := func(i int, kind graph.FailKind) local.Failed {
		return local.Failed{
			Key:     local.Key{Task: graph.TaskID{Job: 1, Index: uint32(i)}, Attempt: 1},
			Failure: &graph.Failure{Kind: kind, Message: long, Stack: long},
		}
	}
	var failed []local.Failed
	for i := range 200 {
		failed = append(failed, row(i, graph.FailUser))
	}
	for i := range 40 { // these ended together, and are told together
		failed = append(failed, row(200+i, graph.FailDied))
	}
	frames := failedFrames(failed, "h")
	next, deaths := uint32(0), 0
	for _, m := range frames {
		together := 0
		for _, f := range m.Failure {
			if f.Index != next || f.Host != "h" {
				t.Fatalf("row of task %d on %q, want %d", f.Index, f.Host, next)
			}
			next++
			if graph.FailKind(f.Kind) == graph.FailDied {
				together++
			}
		}
		if together > 0 {
			deaths++
		}
		if n := proto.Size(m); n > maxFailed+41*2*wire.MaxText {
			t.Errorf("a frame of %d bytes", n)
		}
	}
	if next != 240 || len(frames) < 6 || deaths != 1 {
		t.Errorf("%d rows in %d frames, deaths in %d", next, len(frames), deaths)
	}
}

func TestBundleOfAClient(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t)
	c.worker("c2", Options{Bundle: graph.Digest{1}})
	c.worker("c3", Options{Bundle: graph.Digest{1}})
	cl := c.client()
	d := cl.putBundle(self)
	class := cl.class(graph.Class{Name: "pid", Bundle: d})
	first := cl.many(20, class, "")
	for i := range uint32(20) {
		if got := string(cl.result(first + i)); got == strconv.Itoa(os.Getpid()) {
			t.Error("a bundle ran inside the worker")
		}
	}
}

func TestManyTasks(t *testing.T) {
	c := newCluster(t)
	c.worker("c2", Options{})
	c.worker("c3", Options{})
	cl := c.client()
	echo := cl.function("echo")
	cl.result(cl.submit(echo, "warm"))
	start := time.Now()
	const n = 10_000
	first := cl.many(n, echo, "hello")
	for i := range uint32(n) {
		if got := string(cl.result(first + i)); got != "hello" {
			t.Fatalf("task %d: %q", first+i, got)
		}
	}
	t.Logf("%d tasks in %v", n, time.Since(start))
}

// A task whose inputs fill several frames starts when all have come, and so do those
// behind it.
func TestManyInputs(t *testing.T) {
	c := newCluster(t)
	c.worker("c2", Options{Memory: 1})
	cl := c.client()
	sum := cl.function("sum")
	const n, size = 2500, 4000 // 10 MB: three frames
	first := cl.many(n, cl.function("echo"), strings.Repeat("x", size))
	parts := make([]uint32, n)
	for i := range parts {
		parts[i] = first + uint32(i)
	}
	large := cl.submit(sum, "", parts...)
	small := cl.submit(sum, "", first, first+1)
	if got := string(cl.result(large)); got != strconv.Itoa(size*n) {
		t.Errorf("sum %s", got)
	}
	if got := string(cl.result(small)); got != strconv.Itoa(2*size) {
		t.Errorf("sum %s", got)
	}
}

func TestSpill(t *testing.T) {
	c := newCluster(t)
	c.worker("c2", Options{Memory: 1 << 20})
	cl := c.client()
	fill := cl.function("fill")
	var parts []uint32
	for range 6 {
		parts = append(parts, cl.submit(fill, "400000"))
	}
	if got := string(cl.result(cl.submit(cl.function("sum"), "", parts...))); got != "2400000" {
		t.Errorf("sum %s", got)
	}
	for _, i := range parts {
		if got := cl.result(i); len(got) != 400000 {
			t.Errorf("%d bytes", len(got))
		}
	}
}

// A result that its disk has damaged is lost, and computed again: it is neither given to
// a task nor the task's failure.
func TestDamagedResult(t *testing.T) {
	c := newCluster(t)
	dir := c.worker("c2", Options{Memory: 1}).dir
	cl := c.client()
	large := cl.submit(cl.function("fill"), "300000")
	first := cl.outcome(large)
	files, err := filepath.Glob(filepath.Join(dir, "worker-*", "results", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	f, err := os.OpenFile(files[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("y"), 299_999); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := string(cl.result(cl.submit(cl.function("sum"), "", large))); got != "300000" {
		t.Errorf("sum %s", got)
	}
	waitFor(t, "the damaged file is gone", func() bool {
		_, err := os.Stat(files[0])
		return errors.Is(err, os.ErrNotExist)
	})
	if got := cl.result(large); first.Size != 300_000 || !bytes.Equal(got, bytes.Repeat([]byte("x"), 300_000)) {
		t.Errorf("%d bytes, of %d", len(got), first.Size)
	}
}

func TestCancelAndSlots(t *testing.T) {
	c := newCluster(t)
	c.worker("c2", Options{Slots: 2})
	cl := c.client()
	wait := cl.function("wait")
	a, b := cl.submit(wait, ""), cl.submit(wait, "")
	next := cl.submit(cl.function("echo"), "next")
	waitFor(t, "two run", func() bool { l := cl.load(); return l.Running == 2 && l.Rss > 0 })
	cl.ask(&wire.Request{Body: &wire.Request_Cancel{Cancel: &wire.Cancel{Job: cl.job, Index: []uint32{a}}}})
	if f := cl.outcome(a).Failure; f == nil || f.Kind != graph.FailCancelled {
		t.Errorf("%+v", f)
	}
	if got := string(cl.result(next)); got != "next" {
		t.Errorf("%q", got)
	}
	cl.ask(&wire.Request{Body: &wire.Request_Cancel{Cancel: &wire.Cancel{Job: cl.job, Index: []uint32{b}}}})
	cl.outcome(b)
	waitFor(t, "none run", func() bool { return cl.load().Running == 0 })
}

func TestLostWorker(t *testing.T) {
	c := newCluster(t)
	doomed := c.worker("c2", Options{})
	cl := c.client()
	large := cl.submit(cl.function("fill"), "50000")
	cl.outcome(large)
	c.worker("c3", Options{})
	waitFor(t, "both are there", func() bool { return len(cl.workers()) == 2 })
	doomed.stop()
	// The result went with the worker; whoever needs it has it computed again.
	if got := string(cl.result(cl.submit(cl.function("sum"), "", large))); got != "50000" {
		t.Errorf("sum %s", got)
	}
}

func TestDrain(t *testing.T) {
	c := newCluster(t)
	a, b := c.worker("c2", Options{}), c.worker("c3", Options{})
	cl := c.client()
	waitFor(t, "both are there", func() bool { return len(cl.workers()) == 2 })
	fill := cl.function("fill")
	var parts []uint32
	for range 20 {
		parts = append(parts, cl.submit(fill, "30000"))
	}
	for _, i := range parts {
		cl.outcome(i)
	}
	c.srv.Shrink("worker", 1)
	select {
	case <-a.done:
	case <-b.done:
	case <-time.After(patience):
		t.Fatal("no worker was retired")
	}
	if got := string(cl.result(cl.submit(cl.function("sum"), "", parts...))); got != "600000" {
		t.Errorf("sum %s", got)
	}
	waitFor(t, "one is left", func() bool { return len(cl.workers()) == 1 })
}

// TestSchedulerIsReplaced: workers outlive their scheduler, even one that says
// goodbye, and serve the next one with what they hold.
func TestSchedulerIsReplaced(t *testing.T) {
	c := newCluster(t)
	c.worker("c2", Options{})
	cl := c.client()
	cl.outcome(cl.submit(cl.function("fill"), "50000"))
	file := filepath.Join(t.TempDir(), "go on")
	cl.submit(cl.function("until"), file)
	waitFor(t, "it runs", func() bool { return cl.load().Running == 1 })
	c.stopServer()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.startServer()
	// Its first tasks have the numbers of those whose results the worker holds or
	// still computes: they must not be taken for each other.
	cl = c.client()
	echo := cl.function("echo")
	first, second := cl.submit(echo, "first"), cl.submit(echo, "second")
	if a, b := string(cl.result(first)), string(cl.result(second)); a != "first" || b != "second" {
		t.Errorf("%.20q, %.20q", a, b)
	}
	// The new scheduler knows nothing of the old results and frees them.
	waitFor(t, "old results are freed", func() bool { return cl.load().MemoryUsed == 0 })
}

// TestOldSchedulerIsRefused: a scheduler of a lower epoch never gets the worker, and
// whoever follows its tries hears why.
func TestOldSchedulerIsRefused(t *testing.T) {
	c := newCluster(t)
	c.stopServer()
	c.epoch = 8
	c.startServer()
	var joined, refused atomic.Int32
	c.worker("c2", Options{Tried: func(err error) {
		switch {
		case err == nil:
			joined.Add(1)
		case strings.Contains(err.Error(), "there has been one of epoch 9"):
			refused.Add(1)
		}
	}})
	cl := c.client()
	waitFor(t, "it joins", func() bool { return len(cl.workers()) == 1 })
	c.stopServer()
	c.epoch = 2
	c.startServer() // epoch 3
	cl = c.client()
	lonely := cl.submit(cl.function("echo"), "anybody?")
	asked := c.asked.Load()
	waitFor(t, "it tries", func() bool { return c.asked.Load() >= asked+3 })
	cl.mu.Lock()
	if o, ok := cl.ended[lonely]; ok {
		t.Errorf("it works for a scheduler of an older epoch: %+v", o)
	}
	cl.mu.Unlock()
	c.stopServer()
	c.epoch = 8
	c.startServer()
	cl = c.client()
	waitFor(t, "it joins the next", func() bool { return len(cl.workers()) == 1 })
	if joined.Load() != 2 || refused.Load() == 0 {
		t.Errorf("heard of %d that joined and %d that were refused", joined.Load(), refused.Load())
	}
}
