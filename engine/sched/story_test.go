package sched

import (
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

// tasksOf returns the tasks assigned, in order.
func tasksOf(out Output) (ids []uint32) {
	for _, a := range out.Assign {
		ids = append(ids, a.Task.Index)
	}
	return ids
}

func failed(w graph.WorkerID, i uint32, a graph.Attempt, kind graph.FailKind) Failed {
	return Failed{w, []FailedAttempt{{TaskAttempt: attempt(i, a), Kind: kind}}}
}

func started(w graph.WorkerID, at ...TaskAttempt) Started { return Started{w, at} }

func TestRetriesAreCountedAndFailureSpreads(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, []uint32{0}, []uint32{1})
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(failed(1, 0, 1, graph.FailUser))
	s.want("one retry is allowed", s.output().Assign, []Assign{{Worker: 1, Task: id(0), Attempt: 2}})
	s.step(failed(1, 0, 2, graph.FailUser))
	s.want("the end of all three, with the one cause", s.output().Ended, []Ended{
		{Task: id(0), Attempt: 2, Kind: graph.FailUser, Cause: id(0)},
		{Task: id(1), Kind: graph.FailUpstream, Cause: id(0)},
		{Task: id(2), Kind: graph.FailUpstream, Cause: id(0)},
	})
	s.submit([]uint32{2})
	s.want("who comes later fails at once", s.output().Ended, []Ended{{Task: id(3), Kind: graph.FailUpstream, Cause: id(0)}})
}

// The race that attempts exist for: a worker is given up, its task runs again
// elsewhere, and then the first result arrives after all.
func TestLateResultChangesNothing(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1}, WorkerJoined{Worker: 2, Slots: 1})
	s.output()
	s.step(started(1, attempt(0, 1)), WorkerLeft{Worker: 1})
	s.want("again elsewhere", s.output().Assign, []Assign{{Worker: 2, Task: id(0), Attempt: 2}})
	s.step(done(1, 0, 1), WorkerJoined{Worker: 3, Slots: 1}, done(3, 0, 1))
	out := s.output()
	s.want("no outcome", len(out.Ended), 0)
	s.want("the late result is freed where it is", out.Free, []Order{{3, id(0), 1}})
	s.step(done(2, 0, 2))
	s.want("the outcome", s.output().Ended, []Ended{{Task: id(0), Attempt: 2, Size: 1 << 20}})
}

func TestLostResultIsComputedAgainWithItsLineage(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, []uint32{0}, []uint32{1})
	s.step(WorkerJoined{Worker: 1, Slots: 1}, Release{[]graph.TaskID{id(0), id(1)}})
	var freed []Order
	s.output()
	for i := range uint32(3) {
		s.step(done(1, i, 1))
		out := s.output()
		freed = append(freed, out.Free...)
		s.want("nothing is forgotten", len(out.Forget), 0)
	}
	s.want("what was between is freed", freed, []Order{{1, id(0), 1}, {1, id(1), 1}})
	s.step(WorkerLeft{Worker: 1}, WorkerJoined{Worker: 2, Slots: 1})
	for i := range uint32(3) {
		s.want("again from the beginning", s.output().Assign[0].Task, id(i))
		s.step(done(2, i, 2))
	}
	s.want("told again", s.output().Ended, []Ended{{Task: id(2), Attempt: 2, Size: 1 << 20}})
}

// A machine that lost its connection comes back with a result that somebody has
// seen, while it is being computed again.
func TestSeenResultComesBack(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(done(1, 0, 1))
	s.output()
	s.step(WorkerLeft{Worker: 1}, WorkerJoined{Worker: 2, Slots: 1})
	s.output()
	s.step(WorkerJoined{Worker: 3, Slots: 1, Held: []Held{{attempt(0, 1), 1 << 20}}})
	out := s.output()
	s.want("the second attempt is stopped", out.Stop, []Order{{2, id(0), 2}})
	s.want("the first result counts", out.Ended, []Ended{{Task: id(0), Attempt: 1, Size: 1 << 20}})
	s.step(WorkerLeft{Worker: 3})
	s.want("attempts are never used twice", s.output().Assign[0].Attempt, graph.Attempt(3))
}

// A worker ends its attempt while it is cut off. It comes back, as a new worker,
// before or after the old one was given up.
func TestResultMadeWhileCutOffCounts(t *testing.T) {
	for _, noticed := range []bool{false, true} {
		s := tell(t, Config{})
		s.submit(nil)
		s.step(WorkerJoined{Worker: 1, Slots: 1})
		s.output()
		s.step(started(1, attempt(0, 1)))
		if noticed {
			s.step(WorkerLeft{Worker: 1})
		}
		s.step(WorkerJoined{Worker: 2, Slots: 1, Held: []Held{{attempt(0, 1), 1 << 20}}})
		if !noticed {
			s.step(WorkerLeft{Worker: 1})
		}
		out := s.output()
		s.want("it counts", out.Ended, []Ended{{Task: id(0), Attempt: 1, Size: 1 << 20}})
		s.want("nothing is done again", len(out.Assign)+len(out.Free)+len(out.Stop), 0)
	}
}

func TestPoisonIsFoundAloneAndBystandersGoFree(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 2}, WorkerJoined{Worker: 2, Slots: 2})
	s.step(WorkerLeft{Worker: 2})
	s.output()
	s.step(started(1, attempt(0, 1), attempt(1, 1)), WorkerLeft{Worker: 1, Blame: true})
	var ends []Ended
	for w := graph.WorkerID(3); w < 20; w++ {
		s.step(WorkerJoined{Worker: w, Slots: 2})
		for {
			out := s.output()
			ends = append(ends, out.Ended...)
			if len(out.Assign) == 0 {
				break
			}
			s.want("suspects run alone", len(out.Assign), 1)
			a := out.Assign[0]
			s.step(started(w, TaskAttempt{a.Task, a.Attempt}))
			if a.Task == id(0) {
				s.step(WorkerLeft{Worker: w, Blame: true})
				break
			}
			s.step(Done{w, []Finished{{TaskAttempt: TaskAttempt{a.Task, a.Attempt}, Inline: true}}})
		}
	}
	s.want("ends", len(ends), 2)
	for _, e := range ends {
		want := graph.FailNone
		if e.Task == id(0) {
			want = graph.FailDied
		}
		s.want("how it ended", e.Kind, want)
	}
	task, _ := s.c.Task(id(0))
	s.want("one death in company and three alone", task.Attempt, graph.Attempt(4))
}

// A task that kills its worker before anybody hears that it started is found out
// as well.
func TestPoisonThatKillsAtOnce(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil, nil)
	for w := graph.WorkerID(1); w < 20; w++ {
		s.step(WorkerJoined{Worker: w, Slots: 1})
		for range 4 {
			for _, a := range s.output().Assign {
				at := TaskAttempt{a.Task, a.Attempt}
				if a.Task == id(0) {
					s.step(WorkerLeft{Worker: w, Blame: true})
					break
				}
				s.step(started(w, at), Done{w, []Finished{{TaskAttempt: at, Inline: true}}})
			}
		}
	}
	s.output()
	for i, want := range []State{StateFailed, StateDone, StateDone} {
		task, _ := s.c.Task(id(uint32(i)))
		s.want("state", task.State, want)
	}
}

func TestPreemptionIsNobodysFault(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	for w := graph.WorkerID(1); w < 40; w++ {
		s.step(WorkerJoined{Worker: w, Slots: 1})
		out := s.output()
		s.want("tried again", len(out.Assign), 1)
		s.step(started(w, attempt(0, out.Assign[0].Attempt)), WorkerLeft{Worker: w})
	}
	task, _ := s.c.Task(id(0))
	s.want("still wanted", task.State, StateReady)
}

// Executors do not start on worker 1. It must not draw all tasks to itself.
func TestWorkerThatStartsNothingRests(t *testing.T) {
	s := tell(t, Config{})
	s.submit(make([][]uint32, 30)...)
	s.step(WorkerJoined{Worker: 1, Slots: 1}, WorkerJoined{Worker: 2, Slots: 1})
	attempts := 0
	for turn := range 200 {
		out := s.output()
		for _, a := range out.Assign {
			if a.Worker == 1 {
				attempts++
				s.step(failed(1, a.Task.Index, a.Attempt, graph.FailSetup))
			} else {
				s.step(Done{2, []Finished{{TaskAttempt: TaskAttempt{a.Task, a.Attempt}, Duration: 100_000}}})
			}
		}
		s.step(Tick{int64(turn) * 100})
	}
	j, _ := s.c.Job(1)
	s.want("all done", j.Counts[StateDone], uint32(30))
	if attempts > 8 {
		t.Errorf("%d attempts on a worker that starts nothing", attempts)
	}
	s.step(WorkerLeft{Worker: 2})
	s.want("the only worker does not rest", s.output().Assign[0].Worker, graph.WorkerID(1))
}

// What leaves a worker that is to go is not counted, however often; what says so elsewhere
// is not tried for ever.
func TestMoved(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	moves := 0
	for w := graph.WorkerID(1); w <= 2*maxOther; w++ {
		s.step(WorkerJoined{Worker: w, Slots: 1})
		a := s.output().Assign[0]
		s.want("where it goes on", a.Worker, w)
		s.step(started(w, attempt(0, a.Attempt)), Retire{Workers: []graph.WorkerID{w}}, failed(w, 0, a.Attempt, graph.FailMoved))
		s.output()
		s.step(WorkerLeft{Worker: w})
	}
	s.step(WorkerJoined{Worker: 99, Slots: 1})
	for out := s.output(); len(out.Assign) > 0; out = s.output() {
		moves++
		s.step(failed(99, 0, out.Assign[0].Attempt, graph.FailMoved))
	}
	s.want("moves without a reason", moves, maxOther+1)
	task, _ := s.c.Task(id(0))
	s.want("its end", []any{task.State, task.Kind}, []any{StateFailed, graph.FailMoved})
}

// Whatever a worker says about its inputs, a task is not tried for ever.
func TestInputsThatCannotBeHad(t *testing.T) {
	for _, k := range []struct {
		name   string
		inline bool
		holder graph.WorkerID
		tries  graph.Attempt
	}{
		{"the scheduler's own", true, 0, maxOther + 1},
		{"of nobody", false, 9, maxStray + 1},
	} {
		s := tell(t, Config{})
		s.submit(nil, []uint32{0})
		s.step(WorkerJoined{Worker: 1, Slots: 1})
		s.output()
		s.step(Done{1, []Finished{{TaskAttempt: attempt(0, 1), Size: 10, Inline: k.inline}}})
		for {
			out := s.output()
			if len(out.Assign) == 0 {
				break
			}
			f := failed(1, 1, out.Assign[0].Attempt, graph.FailInput)
			f.Tasks[0].Input, f.Tasks[0].Holder = id(0), k.holder
			s.step(f)
		}
		task, _ := s.c.Task(id(1))
		s.want(k.name, []any{task.State, task.Kind, task.Attempt}, []any{StateFailed, graph.FailInput, k.tries})
	}
}

// Suspects get a quarter of the workers, not more.
func TestSuspectsDoNotTakeOver(t *testing.T) {
	s := tell(t, Config{})
	s.submit(make([][]uint32, 80)...)
	s.step(WorkerJoined{Worker: 1, Slots: 6})
	var first []TaskAttempt
	for _, a := range s.output().Assign[:6] {
		first = append(first, TaskAttempt{a.Task, a.Attempt})
	}
	for w := graph.WorkerID(2); w < 10; w++ {
		s.step(WorkerJoined{Worker: w, Slots: 1})
	}
	s.output()
	s.step(started(1, first...), WorkerLeft{Worker: 1, Blame: true})
	s.want("six suspects", len(s.c.suspects), 6)
	s.output()
	s.want("two workers kept for them", s.c.solos, 2)
	for w := graph.WorkerID(2); w < 10; w++ {
		for _, a := range s.c.liveOn(s.c.workers[w]) {
			s.step(Done{w, []Finished{{TaskAttempt: a, Duration: 1_000_000}}})
		}
	}
	s.output()
	s.want("four left", len(s.c.suspects), 4)
	busy := 0
	for _, w := range s.c.crew.all {
		if !w.solo && w.queued > 0 {
			busy++
		}
	}
	s.want("the others work on", busy, 6)
}

// A worker is given one more task than it can run until the core knows how long
// they take, then as many as take 20 ms.
func TestPrefillFollowsDuration(t *testing.T) {
	for _, k := range []struct {
		micros uint32
		want   int
	}{{1_000_000, 2}, {10_000, 3}, {1_000, 20}, {100, 200}, {1, 1024}} {
		s := tell(t, Config{})
		s.submit(make([][]uint32, 3000)...)
		s.step(WorkerJoined{Worker: 1, Slots: 1})
		s.want("unknown", len(s.output().Assign), 2)
		s.step(Done{1, []Finished{{TaskAttempt: attempt(0, 1), Duration: k.micros}, {TaskAttempt: attempt(1, 1), Duration: k.micros}}})
		got := len(s.output().Assign)
		if got < k.want || got > k.want*5/4 {
			t.Errorf("tasks of %d µs: %d ahead, want about %d", k.micros, got, k.want)
		}
	}
}

func TestPriorityThenTurns(t *testing.T) {
	s := tell(t, Config{})
	for j, priority := range []int32{0, 0, 5} {
		id := graph.JobID(j + 1)
		s.step(OpenJob{id}, DeclareClass{id, 0, graph.Class{Priority: priority}}, Submit{batch(id, 0, make([][]uint32, 2))})
	}
	var order []graph.TaskID
	for w := range graph.WorkerID(6) {
		s.step(WorkerJoined{Worker: w + 1, Slots: 1})
		for _, a := range s.output().Assign {
			order = append(order, a.Task)
		}
	}
	s.want("the important job, then the others in turn", order, []graph.TaskID{{Job: 3}, {Job: 3, Index: 1}, {Job: 1}, {Job: 2}, {Job: 1, Index: 1}, {Job: 2, Index: 1}})
}

func TestBegunWorkComesBeforeNew(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil, []uint32{0, 1}, nil, nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(done(1, 0, 1), done(1, 1, 1))
	s.want("the one with inputs first", tasksOf(s.output())[0], uint32(2))
}

func TestLooseTasksRunWhenWanted(t *testing.T) {
	s := tell(t, Config{})
	s.step(OpenJob{1}, DeclareClass{1, 0, graph.Class{}}, WorkerJoined{Worker: 1, Slots: 1})
	b := batch(1, 0, make([][]uint32, 1))
	b.Loose = []byte{1}
	s.step(Submit{b})
	s.want("nobody wants it", len(s.output().Assign), 0)
	s.step(Submit{batch(1, 1, [][]uint32{{0}})})
	s.want("now somebody does", tasksOf(s.output()), []uint32{0})
	s.step(done(1, 0, 1))
	out := s.output()
	s.want("its end is not told", len(out.Ended), 0)
	s.step(done(1, 1, 1))
	s.want("its result goes with its consumer's end", s.output().Free, []Order{{1, id(0), 1}})
}

func TestIdleWorkerTakesFromLoadedOne(t *testing.T) {
	s := tell(t, Config{})
	s.submit(make([][]uint32, 9)...)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(Done{1, []Finished{{TaskAttempt: attempt(0, 1), Duration: 3000}, {TaskAttempt: attempt(1, 1), Duration: 3000}}})
	s.want("all the rest", len(s.output().Assign), 7)
	s.step(WorkerJoined{Worker: 2, Slots: 1}, started(1, attempt(2, 1)))
	out := s.output()
	s.want("half of the surplus is asked back, the last first", out.Retract, []Order{{1, id(8), 1}, {1, id(7), 1}, {1, id(6), 1}})
	s.want("once", len(s.output().Retract), 0)
	s.step(Retracted{1, []TaskAttempt{attempt(8, 1), attempt(7, 1), attempt(6, 1)}, []bool{true, true, false}})
	s.want("given to who asked", s.output().Assign, []Assign{{Worker: 2, Task: id(7), Attempt: 2}, {Worker: 2, Task: id(8), Attempt: 2}})
}

func TestRetiringWorkerHandsItsResultsOver(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(done(1, 0, 1), done(1, 1, 1), Release{[]graph.TaskID{id(1)}})
	s.output()
	s.step(started(1, attempt(2, 1)), WorkerJoined{Worker: 2, Slots: 1}, Retire{Workers: []graph.WorkerID{1}})
	out := s.output()
	s.want("it may finish what runs", len(out.Stop)+len(out.Copy)+len(out.Retired), 0)
	s.step(done(1, 2, 1))
	out = s.output()
	s.want("what is wanted is copied", out.Copy, []Copy{
		{To: 2, From: 1, Task: id(2), Attempt: 1, Size: 1 << 20}, {To: 2, From: 1, Task: id(0), Attempt: 1, Size: 1 << 20},
	})
	s.step(Copied{2, []Held{{attempt(0, 1), 1 << 20}}})
	s.want("not yet", len(s.output().Retired), 0)
	s.step(Copied{2, []Held{{attempt(2, 1), 1 << 20}}})
	s.want("now it may go", s.output().Retired, []graph.WorkerID{1})
	s.step(WorkerLeft{Worker: 1})
	s.want("nothing is computed again", len(s.output().Assign), 0)
}

func TestRetiringTheLastWorkerLeavesItToLineage(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(done(1, 0, 1), Retire{To: 0})
	s.want("nobody can take the result", s.output().Retired, []graph.WorkerID{1})
	s.step(WorkerLeft{Worker: 1}, WorkerJoined{Worker: 2, Slots: 1})
	s.want("computed again", tasksOf(s.output()), []uint32{0})
}

// The race of two workers that leave: one holds the only other copy of a result and
// goes while the copies of the second do not arrive. The second looks again before
// it goes.
func TestRetiringWorkerLooksAgainWhenAnotherHolderLeft(t *testing.T) {
	s := tell(t, Config{CopyTimeout: 100})
	s.submit(nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 2}, WorkerJoined{Worker: 2, Slots: 1})
	s.output()
	s.step(done(1, 0, 1), done(1, 1, 1), Copied{2, []Held{{attempt(0, 1), 1 << 20}}})
	s.step(Retire{Workers: []graph.WorkerID{1}}, WorkerJoined{Worker: 3, Slots: 1})
	out := s.output()
	s.want("only what nobody else has is copied", out.Copy, []Copy{{To: 3, From: 1, Task: id(1), Attempt: 1, Size: 1 << 20}})
	s.step(WorkerLeft{Worker: 2}, Tick{Now: 100})
	for try := range maxTries - 1 {
		s.want("another try", s.output().Copy, []Copy{{To: 3, From: 1, Task: id(1), Attempt: 1, Size: 1 << 20}})
		s.step(Tick{Now: int64(try+2) * 100})
	}
	out = s.output()
	s.want("what nobody else has by now", out.Copy, []Copy{{To: 3, From: 1, Task: id(0), Attempt: 1, Size: 1 << 20}})
	s.want("retired", len(out.Retired), 0)
	s.step(Copied{3, []Held{{attempt(0, 1), 1 << 20}}})
	s.want("retired", s.output().Retired, []graph.WorkerID{1})
}

// Of two that hold the only copies of a result and leave together, the second copies it.
func TestTheLastOfTheHoldersThatRetireTogetherCopies(t *testing.T) {
	for _, order := range [][]graph.WorkerID{{1, 2}, {2, 1}} {
		s := tell(t, Config{})
		s.submit(nil)
		s.step(WorkerJoined{Worker: 1, Slots: 1}, WorkerJoined{Worker: 2, Slots: 1})
		s.output()
		s.step(done(1, 0, 1), Copied{2, []Held{{attempt(0, 1), 1 << 20}}}, WorkerJoined{Worker: 3, Slots: 1})
		s.step(Retire{Workers: order})
		out := s.output()
		s.want("one may go", len(out.Retired), 1)
		s.want("copies", len(out.Copy), 1)
		s.want("to the one that stays", out.Copy[0].To, graph.WorkerID(3))
		s.want("of the one that is here", out.Copy[0].From != out.Retired[0], true)
		s.step(WorkerLeft{Worker: out.Retired[0]}, Copied{3, []Held{{attempt(0, 1), 1 << 20}}})
		s.want("the other goes", s.output().Retired, []graph.WorkerID{out.Copy[0].From})
	}
}

func TestCopyThatDoesNotArriveIsTriedElsewhere(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(done(1, 0, 1), WorkerJoined{Worker: 2, Slots: 1}, WorkerJoined{Worker: 3, Slots: 1}, Retire{Workers: []graph.WorkerID{1}})
	s.want("first", s.output().Copy[0].To, graph.WorkerID(2))
	s.step(Failed{2, []FailedAttempt{{TaskAttempt: attempt(0, 1), Kind: graph.FailInput, Holder: 1}}})
	s.want("then", s.output().Copy[0].To, graph.WorkerID(3))
	s.step(Tick{59_999})
	s.want("patience", len(s.output().Copy), 0)
	s.step(Tick{60_000})
	s.want("last", len(s.output().Copy), 1)
	s.step(Tick{120_000})
	s.want("it is left to lineage", s.output().Retired, []graph.WorkerID{1})
}

func TestClosedJobKeepsWhatIsPinned(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1}, Pin{id(0), 1})
	s.output()
	s.step(done(1, 0, 1), CloseJob{1})
	out := s.output()
	s.want("stopped", out.Stop, []Order{{1, id(1), 1}})
	s.want("kept", len(out.Free)+len(out.Gone), 0)
	s.step(Pin{id(0), -1})
	out = s.output()
	s.want("freed", out.Free, []Order{{1, id(0), 1}})
	s.want("gone", out.Gone, []graph.JobID{1})
}

// Lineage of a long chain is followed without recursion.
func TestDeepLineage(t *testing.T) {
	const n = 300_000
	c := New(Config{})
	c.Step(OpenJob{1})
	c.Step(DeclareClass{1, 0, graph.Class{}})
	b := shaped(n, func(i uint32) []uint32 {
		if i == 0 {
			return nil
		}
		return []uint32{i - 1}
	})
	c.Step(Submit{b})
	c.Step(WorkerJoined{Worker: 1, Slots: 1})
	for i := range uint32(n) {
		c.Output()
		c.Step(done(1, i, 1))
		if i < n-1 {
			c.Step(Release{[]graph.TaskID{id(i)}})
		}
	}
	j, _ := c.Job(1)
	if j.Counts[StateDone] != 1 || j.Counts[StateReleased] != n-1 {
		t.Fatalf("counts %v", j.Counts)
	}
	c.Step(WorkerLeft{Worker: 1})
	j, _ = c.Job(1)
	if j.Counts[StateWaiting] != n-1 || j.Counts[StateReady] != 1 {
		t.Fatalf("counts %v", j.Counts)
	}
	c.Step(Release{[]graph.TaskID{id(n - 1)}})
	j, _ = c.Job(1)
	if j.Counts[StateForgotten] != n {
		t.Fatalf("counts %v", j.Counts)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
}
