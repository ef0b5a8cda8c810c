package appmaster

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/yarnd/yarnd/appmaster/amclient"
	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/appmaster/join"
	"github.com/yarnd/yarnd/appmaster/provider"
	"github.com/yarnd/yarnd/appmaster/provider/local"
	"github.com/yarnd/yarnd/appmaster/provider/providertest"
	"github.com/yarnd/yarnd/appmaster/reconcile"
	"github.com/yarnd/yarnd/appmaster/spec"
	"github.com/yarnd/yarnd/identity"
)

// The whole life of an application, with real processes.
func TestLife(t *testing.T) {
	w := prepare(t, 3)
	w.begin()
	info := w.until("3 workers", running(3))
	if info.State != ampb.State_RUNNING || info.User != "alice" || info.Attempt != 1 || info.Provider != "local" || info.Pid != int32(os.Getpid()) {
		t.Errorf("%v", info)
	}
	if info.Scheduler.Epoch>>32 != 1 || info.Scheduler.Container != containers(info, "scheduler")[0].Id {
		t.Errorf("scheduler %v", info.Scheduler)
	}
	var pids []int
	for _, c := range info.Containers {
		pids = append(pids, int(c.Pid))
		if !providertest.Alive(int(c.Pid)) {
			t.Errorf("no process %d", c.Pid)
		}
	}

	// Up: five more.
	reply, err := w.client.Scale(t.Context(), "", 8)
	if err != nil || reply.Before != 3 || reply.Wanted != 8 || reply.Pool != "worker" {
		t.Fatalf("%v, %v", reply, err)
	}
	w.until("8 workers", running(8))

	// Down: the scheduler chooses, and it chooses the oldest.
	if _, err := w.client.ScaleBy(t.Context(), "worker", -6); err != nil {
		t.Fatal(err)
	}
	info = w.until("2 workers", running(2))
	for _, c := range containers(info, "worker") {
		if c.Id < "container_1700000000000_0001_01_000008" {
			t.Errorf("%s was kept", c.Id)
		}
	}
	for _, exit := range info.Exits {
		if !exit.Blameless || exit.Cause != "stopped on request (0)" {
			t.Errorf("exit %v", exit)
		}
	}

	// A worker is killed, and replaced.
	victim := containers(info, "worker")[0]
	syscall.Kill(int(victim.Pid), syscall.SIGKILL)
	info = w.until("another worker", func(i *ampb.Info) bool { return running(2)(i) && containers(i, "worker")[0].Id != victim.Id })
	if last := info.Exits[len(info.Exits)-1]; last.Container != victim.Id || last.Cause != "was killed by signal 9" || last.Blameless {
		t.Errorf("exit %v", last)
	}
	sched := containers(info, "scheduler")[0]
	w.readLog(sched.Id, "stdout", func(s string) bool {
		return strings.Contains(s, "shrink worker to 2\n") && strings.Contains(s, "exited: "+victim.Id+", killed by a signal, blameless false\n")
	})

	// The scheduler is killed, and the next one has a higher epoch.
	// What the last one has reported of workers is not held for true until then.
	epoch, report := info.Scheduler.Epoch, info.Report
	syscall.Kill(int(sched.Pid), syscall.SIGKILL)
	stale := false
	info = w.until("another scheduler", func(i *ampb.Info) bool {
		gone := i.Scheduler == nil || i.Scheduler.Epoch > epoch
		stale = stale || gone && i.Report.When.AsTime().Equal(report.When.AsTime()) && (i.Report.Workers != 0 || i.Report.Done != report.Done)
		return running(2)(i) && i.Scheduler.Epoch > epoch && i.Report.Workers == report.Workers
	})
	if stale || report.Workers == 0 {
		t.Errorf("a scheduler is gone, and its report counts: %v", report)
	}
	worker := containers(info, "worker")[0]
	w.readLog(worker.Id, "stdout", func(s string) bool { return strings.Count(s, "scheduler of epoch 0x") >= 2 })

	// One is named and goes; the pool has one fewer. Another goes, and is replaced.
	named := containers(info, "worker")[1].Id
	out, err := w.client.Retire(t.Context(), []string{named}, false)
	if err != nil || len(out.Pools) != 1 || out.Pools[0].Before != 2 || out.Pools[0].Wanted != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	info = w.until("1 worker", running(1))
	if _, err := w.client.Retire(t.Context(), []string{named}, false); err == nil {
		t.Error("a worker that is gone was retired")
	}
	if _, err := w.client.Retire(t.Context(), []string{info.Scheduler.Container}, true); err == nil {
		t.Error("the scheduler was retired")
	}
	if _, err := w.client.Retire(t.Context(), []string{worker.Id}, true); err != nil {
		t.Error(err)
	}
	w.until("its replacement", func(i *ampb.Info) bool { return running(1)(i) && containers(i, "worker")[0].Id != worker.Id })
	w.client.Scale(t.Context(), "worker", 2)
	info = w.until("2 workers again", running(2))
	worker = containers(info, "worker")[0]

	// A person kills a worker.
	if err := w.client.Kill(t.Context(), worker.Id); err != nil {
		t.Fatal(err)
	}
	w.until("another worker", func(i *ampb.Info) bool { return running(2)(i) && containers(i, "worker")[0].Id != worker.Id })

	// The end.
	if err := w.client.Stop(t.Context(), "", "that was all", false); err != nil {
		t.Fatal(err)
	}
	info = w.until("the end", func(i *ampb.Info) bool { return i.State == ampb.State_ENDED })
	if info.Final != "SUCCEEDED" || info.Why != "that was all" || len(info.Containers) != 0 {
		t.Errorf("%v", info)
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(w.staging); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the staging directory is still there: %v", err)
	}
	for _, pid := range pids {
		if providertest.Alive(pid) {
			t.Errorf("process %d is still there", pid)
		}
	}
}

func TestCrashLoopEndsTheApplication(t *testing.T) {
	w := prepare(t, 2)
	w.spec.Pools[1].Env["TEST_CRASH"] = "no such thing as a \x1b[31mfree lunch"
	w.spec.Pools[1].MaxRestarts = 1
	w.begin()
	err := w.end()
	var end *EndError
	if !errors.As(err, &end) || end.Status != reconcile.Failed {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{"pool worker: 2 containers in a row did not stay up", "exited with code 1", "the end of its stderr:\nerror: cannot go on: no such thing as a [31mfree lunch"} {
		if !strings.Contains(end.Why, want) {
			t.Errorf("no %q in %q", want, end.Why)
		}
	}
}

func TestIdleApplicationEnds(t *testing.T) {
	w := prepare(t, 1)
	// Before that the client must be there, on a busy machine too, on which connecting took more than half a second.
	w.spec.IdleTimeout = spec.Duration(2 * time.Second)
	w.begin()
	// Watching keeps it alive for longer than it would live by itself.
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	for info, err := range w.client.Watch(ctx) {
		if err == nil && info.State >= ampb.State_STOPPING {
			t.Errorf("it ended after %v while somebody watched", time.Since(began))
		}
	}
	if err := w.end(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.log.String(), "idle for 2s") {
		t.Error("it did not end for idleness")
	}
}

func TestBusyApplicationIsNotIdle(t *testing.T) {
	w := prepare(t, 1)
	w.spec.IdleTimeout = spec.Duration(3 * time.Second) // the scheduler, a process, is to have begun and told before
	w.spec.Pools[0].Env["TEST_BUSY"] = "yes"
	w.begin()
	w.until("a report", func(i *ampb.Info) bool { return i.Report.GetBusy() })
	select {
	case <-w.done:
		t.Fatalf("it ended: %v", w.err)
	case <-time.After(4500 * time.Millisecond):
	}
}

// The scheduler's word counts between the limits that a person has set, until a person
// says how many.
func TestSchedulerScales(t *testing.T) {
	w := prepare(t, 0)
	w.spec.Pools[0].Env["TEST_WANT"] = "2"
	w.spec.Pools[1].Adapt = &spec.Limits{Max: 4}
	w.begin()
	info := w.until("2 workers", running(2))
	if l := pool(info, "worker").Adapt; l.GetMin() != 0 || l.GetMax() != 4 {
		t.Errorf("limits %v", l)
	}
	w.readLog(containers(info, "scheduler")[0].Id, "stdout", func(s string) bool { return strings.Contains(s, "pool worker of 0 to 4 has 2\n") })

	reply, err := w.client.Adapt(t.Context(), "", &ampb.Limits{Min: 3, Max: 5})
	if err != nil || reply.Before.GetMax() != 4 || reply.Wanted != 3 || reply.Pool != "worker" {
		t.Fatalf("%v, %v", reply, err)
	}
	w.until("3 workers", running(3))
	for _, bad := range []*ampb.Limits{nil, {Min: 3, Max: 2}, {Min: -1, Max: 2}, {Max: 1_000_000}} {
		if _, err := w.client.Adapt(t.Context(), "", bad); err == nil {
			t.Errorf("limits %v were taken", bad)
		}
	}

	if _, err := w.client.Scale(t.Context(), "", 1); err != nil {
		t.Fatal(err)
	}
	info = w.until("1 worker, as a person said", running(1))
	if pool(info, "worker").Adapt != nil {
		t.Errorf("it scales by itself: %v", pool(info, "worker"))
	}
	w.readLog(containers(info, "scheduler")[0].Id, "stdout", func(s string) bool { return strings.Contains(s, "pool worker is a person's and has 1\n") })
}

// What a person said outlives the application master, as long as the scheduler lives; what
// is said to the new one counts more.
func TestNextAttemptIsTold(t *testing.T) {
	w := prepare(t, 5)
	w.opt.Attempt = 2
	l, err := newLoop(Options{Spec: w.spec, Seed: w.seed, Provider: noProvider{}, Attempt: 2, Node: "here"})
	if err != nil {
		t.Fatal(err)
	}
	told := &ampb.Pools{Attempt: 1, Pool: []*ampb.PoolState{{Pool: "worker", Adapt: &ampb.Limits{Min: 1, Max: 9}, Round: 3, Wanted: 7}, {Pool: "nobody's", Wanted: 3}}}
	l.remembered(told)
	if n := l.wanted("worker"); n != 7 || l.limits("worker").GetMax() != 9 {
		t.Errorf("%d wanted, limits %v", n, l.limits("worker"))
	}
	l.pin("worker")
	l.step(reconcile.Want{Pool: "worker", N: 2})
	l.remembered(told)
	if n := l.wanted("worker"); n != 2 || l.limits("worker") != nil {
		t.Errorf("%d wanted, limits %v, after a person said 2", n, l.limits("worker"))
	}
	l.scaling["worker"].said = false
	told.Attempt = 2 // it is we who said so
	l.remembered(told)
	if n := l.wanted("worker"); n != 2 {
		t.Errorf("%d wanted after hearing our own words", n)
	}
}

// A container that has its certificate is not ended to have fewer, but by the scheduler; one that has not is, and gets none
// from then on.
func TestCertificateBeforeTheEnd(t *testing.T) {
	w := prepare(t, 2)
	l, err := newLoop(Options{Spec: w.spec, Seed: w.seed, Provider: noProvider{}, Attempt: 1, Node: "here"})
	if err != nil {
		t.Fatal(err)
	}
	l.step(reconcile.Tick{})
	for _, id := range []string{"c1", "c2"} {
		l.step(reconcile.Allocated{ID: id, Pool: "worker", Node: "n"})
		l.step(reconcile.Launched{ID: id})
	}
	admit := func(id string) join.Answer {
		req, err := identity.NewRequest()
		if err != nil {
			t.Fatal(err)
		}
		return l.admit(&join.Request{Container: id, CSR: req.CSR()})
	}
	if a := admit("c1"); a.Verdict != join.Granted {
		t.Fatalf("%+v", a)
	}
	l.step(reconcile.SchedulerAttached{})
	l.step(reconcile.Want{Pool: "worker", N: 0})
	if a := admit("c2"); l.core.Stopping("c1") || !l.core.Stopping("c2") || a.Verdict != join.Later || !strings.Contains(string(a.Text), "c2 is told to end") {
		t.Errorf("c1 stops: %v, c2: %v, which is answered %+v", l.core.Stopping("c1"), l.core.Stopping("c2"), a)
	}
}

// noProvider takes all orders and does nothing.
type noProvider struct{ provider.Provider }

func (noProvider) Name() string                             { return "none" }
func (noProvider) Ask(string, int, int)                     {}
func (noProvider) Avoid([]string)                           {}
func (noProvider) Start(string, map[string][]byte)          {}
func (noProvider) Stop(string)                              {}
func (noProvider) Describe(string) (d provider.Description) { return d }

// Told to end, the application master ends the application, quickly.
func TestCancel(t *testing.T) {
	w := prepare(t, 2)
	w.begin()
	info := w.until("2 workers", running(2))
	w.cancel()
	var end *EndError
	if err := w.end(); !errors.As(err, &end) || end.Status != reconcile.Killed {
		t.Errorf("%v", err)
	}
	for _, c := range info.Containers {
		if providertest.Alive(int(c.Pid)) {
			t.Errorf("process %d is still there", c.Pid)
		}
	}
}

// Told to end under YARN, it leaves everything to the next attempt.
func TestLeave(t *testing.T) {
	w := prepare(t, 1)
	w.opt.LeaveOnCancel = true
	w.begin()
	w.until("a worker", running(1))
	w.cancel()
	if err := w.end(); !errors.Is(err, ErrLeft) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(w.staging); err != nil {
		t.Errorf("the staging directory is gone: %v", err)
	}
}

// A client of the first attempt finds the second, wherever that is.
func TestNextAttempt(t *testing.T) {
	w := prepare(t, 1)
	w.opt.LeaveOnCancel = true
	w.begin()
	first := w.until("a worker", running(1))
	client := w.client
	w.cancel()
	w.end()

	w.opt.Provider, w.opt.Attempt, w.done = nil, 2, make(chan struct{})
	w.begin()
	w.client = client
	second := w.until("a worker of the next attempt", running(1))
	if second.Attempt != 2 || second.Scheduler.Epoch <= first.Scheduler.Epoch {
		t.Errorf("first %v, second %v", first, second)
	}
}

func TestLogs(t *testing.T) {
	w := prepare(t, 1)
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.dir+"/stderr", []byte(strings.Repeat("master's own log\n", 20000)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.begin()
	id := containers(w.until("a worker", running(1)), "worker")[0].Id
	// Read on from an offset, a log is complete when the container has ended.
	hello := "worker " + id + " of " + w.spec.ID + " says hello\n"
	w.readLog(id, "stdout", func(text string) bool { return strings.HasPrefix(text, hello) })
	if err := w.client.Kill(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	whole := w.readLog(id, "stdout", func(text string) bool { return strings.HasSuffix(text, "worker ends\n") })
	var rest strings.Builder
	for chunk, err := range w.client.Logs(t.Context(), &ampb.LogsRequest{Container: id, File: "stdout", Offset: int64(len(hello))}) {
		if err != nil {
			t.Fatal(err)
		}
		if chunk.Offset != int64(len(hello)+rest.Len()) {
			t.Errorf("offset %d after %d bytes", chunk.Offset, len(hello)+rest.Len())
		}
		rest.Write(chunk.Data)
	}
	if hello+rest.String() != whole {
		t.Errorf("%q and the rest %q, want %q", hello, rest.String(), whole)
	}
	// The application master's own, more than fits into one message.
	if own := w.readLog("am", "", func(string) bool { return true }); len(own) != 20000*len("master's own log\n") {
		t.Errorf("%d bytes", len(own))
	}
}

func TestPoolTooLarge(t *testing.T) {
	large := spec.Pool{Name: "w", Count: 1, Resource: spec.Resource{VCores: 2, MemoryMiB: 5000}}
	err := fits([]spec.Pool{large}, spec.Resource{VCores: 8, MemoryMiB: 4096})
	if err == nil || !strings.Contains(err.Error(), "pool w: containers of 5000 MiB and 2 vcores are larger than the cluster's maximum of 4096 MiB") {
		t.Errorf("%v", err)
	}
	if err := fits([]spec.Pool{large}, spec.Resource{}); err != nil {
		t.Errorf("%v", err)
	}
	large.Count = 0 // the node may come back that has room for it
	if err := fits([]spec.Pool{large}, spec.Resource{VCores: 8, MemoryMiB: 4096}); err != nil {
		t.Errorf("%v", err)
	}
}

func TestPrintable(t *testing.T) {
	if got := printable([]byte("a\x00b\x1b[1m\xff\r\n\tc\n\n")); got != "ab[1m\uFFFD\n\tc" {
		t.Errorf("%q", got)
	}
}

// hiding is a provider whose nodes show logs to persons alone.
type hiding struct{ provider.Provider }

func (hiding) ReadLog(context.Context, string, string, int64, []byte) (int, int64, error) {
	return 0, 0, &provider.LogElsewhereError{Server: "nm1:8042", Err: errors.New("it wants a ticket")}
}

// Where the cluster shows a log to persons alone, a client is told where, and why.
func TestLogElsewhere(t *testing.T) {
	w := prepare(t, 1)
	p, err := local.New(local.Options{App: w.spec.ID, Dir: w.dir, Grace: 5 * time.Second, Log: w.opt.Log})
	if err != nil {
		t.Fatal(err)
	}
	w.opt.Provider = hiding{p}
	w.begin()
	id := containers(w.until("a worker", running(1)), "worker")[0].Id
	failed := 0
	for _, err := range w.client.Logs(t.Context(), &ampb.LogsRequest{Container: id, File: "stdout"}) {
		failed++
		e, ok := errors.AsType[*amclient.Error](err)
		if !ok || e.Elsewhere() != "nm1:8042" || e.Unreachable() || e.NotFound() || !strings.Contains(e.Error(), "it wants a ticket") {
			t.Errorf("%v", err)
		}
	}
	if failed != 1 {
		t.Errorf("%d errors", failed)
	}
}

// Where nobody can read the log of the container that explains a failure, it is told by what the cluster says of it.
func TestLastWordsOfALogThatIsHidden(t *testing.T) {
	l := &loop{prov: hiding{}, log: slog.New(slog.DiscardHandler)}
	for said, want := range map[string]string{"": "", "Last 4096 bytes of stderr :\nno such\x1b day\n": ": Last 4096 bytes of stderr :\nno such day"} {
		if got := l.lastWords(t.Context(), reconcile.Finish{Culprit: "c1", Said: said}); got != want {
			t.Errorf("of %q: %q, want %q", said, got, want)
		}
	}
}
