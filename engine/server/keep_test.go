package server

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/journal/memstore"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// shelfLoop is a scheduler's loop whose time a test lets pass.
type shelfLoop struct {
	*loop
	t *testing.T
}

func newShelf(t *testing.T, keep time.Duration) *shelfLoop {
	l := newLoop(Options{Log: slog.New(slog.DiscardHandler), Keep: keep}, nil)
	t.Cleanup(func() {
		l.ticker.Stop()
		l.owing.timer.Stop()
		l.snapTimer.Stop()
	})
	l.now = time.Unix(1_000_000, 0)
	l.expireJobs()
	return &shelfLoop{l, t}
}

// pass lets time pass, a look at the jobs a minute.
func (l *shelfLoop) pass(d time.Duration) {
	for ; d > 0; d -= time.Minute {
		l.now = l.now.Add(time.Minute)
		l.expireJobs()
	}
}

func (l *shelfLoop) client(id graph.ClientID) *session {
	s := newSession(id, "alice")
	l.sessions[s.token] = s
	return s
}

// as handles a request as a client's.
func (l *shelfLoop) as(s *session, r *wire.Request) error {
	l.asking = s
	defer func() { l.asking = nil }()
	_, err := (&request{req: r}).do(l.loop, s, &wire.Reply{})
	return err
}

// done opens a job with a task that has ended.
func (l *shelfLoop) done(s *session, name string) *job {
	l.t.Helper()
	if err := l.as(s, openJob(name)); err != nil {
		l.t.Fatal(err)
	}
	j := l.jobs[l.lastJob]
	l.declare(j, []*wire.Class{wire.ClassToWire(0, &graph.Class{Name: "f", Kind: graph.KindGo})}) //nolint:errcheck // below
	m := batch(uint32(j.id), 0, 1)
	in := request{req: submit(m)}
	if err := in.prepare(); err != nil {
		l.t.Fatal(err)
	}
	if _, err := in.do(l.loop, s, &wire.Reply{}); err != nil {
		l.t.Fatal(err)
	}
	return j
}

func (l *shelfLoop) cancelAll(j *job) {
	l.step(sched.Cancel{Tasks: []graph.TaskID{j.taskID(0)}})
	l.core.Output()
}

func (l *shelfLoop) told() string {
	var said []string
	for _, e := range l.events.after(0) {
		said = append(said, e.Kind+" "+e.Object+" "+e.Text)
	}
	return strings.Join(said, "\n")
}

// A job of a name ends when nobody has used it for so long after its end, and what it
// published with it; not before, and not while anything of it runs or a client is there.
func TestJobsAreKeptForAWhile(t *testing.T) {
	l := newShelf(t, 24*time.Hour)
	alice := l.client(1)
	j := l.done(alice, "nightly")
	if err := l.as(alice, &wire.Request{Body: &wire.Request_Publish{Publish: &wire.Publish{Name: "model", Job: uint32(j.id)}}}); err != nil {
		t.Fatal(err)
	}
	own := l.done(alice, "") // of its session
	l.pass(48 * time.Hour)
	if l.jobs[j.id] == nil || j.unused != 0 {
		t.Fatal("it ended, or is not used, while its client is there")
	}
	l.endSession(alice, "bye")
	if !own.closed {
		t.Error("the unnamed job outlives its session")
	}
	l.pass(48 * time.Hour)
	if j.closed || l.keptFor(j) != 0 {
		t.Fatal("it ended before its task has")
	}
	l.cancelAll(j)
	l.pass(23 * time.Hour)
	if left := l.keptFor(j); j.closed || left != time.Hour || l.jobInfo(j).KeptMs != uint64(time.Hour.Milliseconds()) {
		t.Fatalf("closed %v, %v are left", j.closed, left)
	}
	for what, ask := range map[string]*wire.Request{
		"a task is looked at":    {Body: &wire.Request_GetTask{GetTask: &wire.GetTask{Job: uint32(j.id)}}},
		"a result is looked for": {Body: &wire.Request_Lookup{Lookup: &wire.Lookup{Name: "model"}}},
		"it is opened again":     openJob("nightly"),
	} {
		bob := l.client(2)
		if err := l.as(bob, ask); err != nil {
			t.Fatal(what, err)
		}
		l.pass(30 * time.Hour)
		l.endSession(bob, "bye")
		l.pass(23 * time.Hour)
		if j.closed || l.keptFor(j) != time.Hour {
			t.Fatalf("%s: closed %v, %v are left", what, j.closed, l.keptFor(j))
		}
	}
	l.pass(59 * time.Minute)
	if j.closed {
		t.Fatal("it ended too early")
	}
	l.pass(time.Minute)
	if !j.closed || l.names["model"] != nil || l.jobNames["nightly"] != nil {
		t.Errorf("closed %v, names %v", j.closed, l.names)
	}
	if want := `job.closed job "nightly" nobody has used its results for 24h0m0s; 1 published with it are gone, such as "model"; of 1 tasks`; !strings.Contains(l.told(), want) {
		t.Errorf("it is not told %q:\n%s", want, l.told())
	}
}

// What a client without a job of a name has published ends as well, and nothing ends where
// results are kept for ever.
func TestPublishedIsKeptForAWhile(t *testing.T) {
	for _, keep := range []time.Duration{time.Hour, -1} {
		l := newShelf(t, keep)
		alice := l.client(1)
		j := l.done(alice, "")
		l.cancelAll(j)
		l.as(alice, &wire.Request{Body: &wire.Request_Publish{Publish: &wire.Publish{Name: "model", Job: uint32(j.id)}}}) //nolint:errcheck // below
		l.endSession(alice, "bye")
		l.pass(59 * time.Minute)
		if !j.detached || j.closed {
			t.Fatalf("detached %v, closed %v", j.detached, j.closed)
		}
		l.pass(time.Minute)
		if gone := l.names["model"] == nil; gone != (keep > 0) || j.closed != gone {
			t.Errorf("kept for %v: closed %v, names %v", keep, j.closed, l.names)
		}
	}
}

// An actor, or a task that takes long, uses what it has looked up, as a client does.
func TestJobsOfWhatWorkersRunAreKept(t *testing.T) {
	l := newShelf(t, time.Hour)
	alice, inside := l.client(1), newSession(2, "alice")
	j := l.done(alice, "nightly")
	l.cancelAll(j)
	w := &worker{nests: map[sched.TaskAttempt]*nest{{}: {s: inside}, {Attempt: 1}: {}}}
	l.workers[1] = w
	if err := l.as(inside, &wire.Request{Body: &wire.Request_GetTask{GetTask: &wire.GetTask{Job: uint32(j.id)}}}); err != nil {
		t.Fatal(err)
	}
	l.endSession(alice, "bye")
	l.pass(10 * time.Hour)
	if j.closed {
		t.Fatal("it ended while a task used it")
	}
	clear(w.nests)
	l.pass(time.Hour)
	if !j.closed {
		t.Error("it did not end")
	}
}

// Who uses what is not known to the next scheduler: what was in use is, while anybody of then is there.
func TestWhatWasInUseIsKept(t *testing.T) {
	l := newShelf(t, time.Hour)
	alice, bob := l.client(1), l.client(2)
	j := l.done(alice, "nightly")
	l.cancelAll(j)
	old := l.done(alice, "older")
	l.cancelAll(old)
	l.endSession(alice, "bye")
	old.unused = time.Minute // nobody did
	l.carry()
	l.pass(10 * time.Hour)
	if j.closed || !old.closed {
		t.Fatalf("closed: %v, and %v what nobody used", j.closed, old.closed)
	}
	l.endSession(bob, "bye")
	l.workers[1] = &worker{nests: map[sched.TaskAttempt]*nest{{}: {s: newSession(3, "alice")}, {Attempt: 1}: {s: newSession(4, "alice"), carries: true}}}
	l.pass(10 * time.Hour)
	if j.closed {
		t.Fatal("an actor of then is there")
	}
	delete(l.workers[1].nests, sched.TaskAttempt{Attempt: 1}) // the other one came later
	l.pass(time.Hour)
	if !j.closed {
		t.Error("it did not end")
	}
}

// While the journal cannot be written nothing ends: workers let go of results at once then, and the next scheduler may not
// know of the end.
func TestNothingEndsWhileTheJournalIsAway(t *testing.T) {
	l := newShelf(t, time.Hour)
	alice := l.client(1)
	j := l.done(alice, "nightly")
	l.cancelAll(j)
	l.endSession(alice, "bye")
	l.pass(30 * time.Minute)
	why := "the disk says no"
	l.ledger = &ledger{}
	l.ledger.away.Store(&why)
	l.pass(10 * time.Hour)
	if j.closed || j.unused != 30*time.Minute {
		t.Fatalf("closed %v, not used for %v", j.closed, j.unused)
	}
	l.ledger = nil
	l.pass(30 * time.Minute)
	if !j.closed {
		t.Error("it did not end")
	}
}

// A clock that jumps ends nothing, nor does a process that was stopped.
func TestClockJumpsEndNoJob(t *testing.T) {
	l := newShelf(t, time.Hour)
	alice := l.client(1)
	j := l.done(alice, "nightly")
	l.cancelAll(j)
	l.endSession(alice, "bye")
	l.now = l.now.Add(1000 * time.Hour)
	l.expireJobs()
	l.now = l.now.Add(-3000 * time.Hour)
	l.expireJobs()
	if j.closed || j.unused > 2*time.Minute {
		t.Errorf("closed %v, not used for %v", j.closed, j.unused)
	}
}

// For how long nobody has used a job is known to the next scheduler, about, and that
// somebody has at once; with a snapshot as without.
func TestUnusedOutlivesTheScheduler(t *testing.T) {
	for growth, what := range map[int64]string{1: "from a snapshot", 1 << 30: "from the records"} {
		t.Run(what, func(t *testing.T) {
			dir := memstore.New(1, false)
			epoch := uint64(0)
			next := func() *cluster {
				epoch++
				return start(t, Options{Journal: dir.Process(nil), JournalGrowth: growth, Epoch: epoch, Keep: time.Hour})
			}
			c := next()
			cl := c.client("alice", "")
			cl.newJob("nightly")
			unused := func(pass time.Duration) time.Duration {
				got := make(chan time.Duration, 1)
				c.srv.loop.send(look(func(l *loop) {
					for _, s := range l.sessions { // as if they had ended
						s.uses, s.latest, s.carries = nil, nil, false
					}
					l.back.on, l.keptAt = false, l.now
					for ; pass > 0; pass -= time.Minute {
						l.now = l.now.Add(time.Minute)
						l.expireJobs()
					}
					got <- l.jobNames["nightly"].unused
				}))
				return <-got
			}
			again := func() {
				if growth == 1 {
					cl := c.client("bob", "")
					eventually(t, "a snapshot", func() bool {
						cl.newJob("")
						return c.srv.loop.ledger.journal.Size() > 0
					})
				}
				if err := c.srv.Close(); err != nil {
					t.Fatal(err)
				}
				c = next()
			}
			if d := unused(30 * time.Minute); d != 30*time.Minute {
				t.Fatalf("not used for %v", d)
			}
			again()
			if d := unused(0); d > 30*time.Minute || d < 30*time.Minute-time.Hour/keepParts {
				t.Errorf("the next scheduler says that it was not used for %v", d)
			}
			cl = c.client("alice", "")
			cl.newJob("nightly")
			again()
			if d := unused(0); d != 0 {
				t.Errorf("it was used, and the next scheduler says that it was not for %v", d)
			}
		})
	}
}

// A scheduler ends by itself what nobody uses, and says so to who asks for it.
func TestJobExpires(t *testing.T) {
	c := start(t, Options{Keep: time.Second})
	cl := c.client("alice", "")
	job := cl.newJob("nightly")
	cl.conn.Bye(t.Context(), "done") //nolint:errcheck // it closes
	bob := c.client("bob", "")
	eventually(t, "it ends", func() bool {
		return len(bob.call(&wire.Request{Body: &wire.Request_ListJobs{ListJobs: &wire.ListJobs{}}}).GetJobs().Job) == 0
	})
	bob.refused(&wire.Request{Body: &wire.Request_GetTask{GetTask: &wire.GetTask{Job: job}}}, wire.NotFound)
}
