package sched

import (
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
)

func (s *story) demand() graph.Demand {
	s.Helper()
	d := s.c.Demand(nil)
	if len(d) != 1 {
		s.Fatalf("%d classes have something to do: %+v", len(d), d)
	}
	return d[0]
}

// took2s ends the first attempt of a task after 2 s.
func took2s(w graph.WorkerID, i uint32) Done {
	return Done{w, []Finished{{TaskAttempt: attempt(i, 1), Size: 1, Inline: true, Duration: 2_000_000}}}
}

// Ten tasks wait for one.
func TestDemandLooksAhead(t *testing.T) {
	s := tell(t, Config{})
	deps := [][]uint32{nil}
	for range 10 {
		deps = append(deps, []uint32{0})
	}
	s.submit(deps...)
	d := s.demand()
	s.want("one is ready", []int{d.Ready, d.Given, d.Waiting, d.Soon}, []int{1, 0, 10, 0})
	s.want("nobody knows how long it takes", d.Took+d.Path, time.Duration(0))
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	d = s.demand()
	s.want("ten are ready when it has ended", []int{d.Ready, d.Given, d.Waiting, d.Soon}, []int{0, 1, 10, 10})
	s.step(took2s(1, 0))
	s.output()
	d = s.demand()
	s.want("all ten can run", []int{d.Ready + d.Given, d.Waiting}, []int{10, 0})
	s.want("it took 2 s", d.Took, 2*time.Second)
	s.step(CloseJob{1})
	s.output()
	s.want("nothing is left", len(s.c.Demand(nil)), 0)
}

func TestDemandKnowsChains(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, []uint32{0}, []uint32{1}, []uint32{2})
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(took2s(1, 0))
	s.output()
	d := s.demand()
	s.want("three of 2 s are left, one after the other", d.Path, 6*time.Second)
	s.want("the next comes in 2 s", []any{d.Soon, d.SoonIn}, []any{1, 2 * time.Second})
}

func TestDemandOfARange(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	s.step(SubmitRange{Job: 1, First: 1, N: 3 * chunkLen, Class: 0})
	s.want("all are ready", s.demand().Ready, 3*chunkLen+1)
	s.step(WorkerJoined{Worker: 1, Slots: 2})
	s.output()
	d := s.demand()
	s.want("some are given", []bool{d.Given > 0, d.Given+d.Ready == 3*chunkLen+1}, []bool{true, true})
	s.step(CancelRun{graph.Run{Job: 1, First: 0, N: 3*chunkLen + 1}})
	s.output()
	s.want("none is left", len(s.c.Demand(nil)), 0)
}

// What waits for tasks of its own takes no worker.
func TestParkedIsNoDemand(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(started(1, attempt(0, 1)), Parked{1, []TaskAttempt{attempt(0, 1)}})
	s.want("given, but for those parked", s.demand().Given, 0)
}

// Who is parked is counted however many others are looked at before.
func TestParkedBeyondTheSample(t *testing.T) {
	s := tell(t, Config{})
	s.submit(make([][]uint32, sampledTasks+1)...)
	s.step(WorkerJoined{Worker: 1, Slots: sampledTasks + 1})
	s.output()
	s.step(WorkerJoined{Worker: 2, Slots: 1})
	s.submit(nil)
	s.output()
	k, _ := s.c.Task(graph.TaskID{Job: 1, Index: sampledTasks + 1})
	s.want("the last one is with the second worker", k.Worker, graph.WorkerID(2))
	last := attempt(sampledTasks+1, 1)
	s.step(started(2, last), Parked{2, []TaskAttempt{last}})
	s.want("given", s.demand().Given, sampledTasks+1)
	s.want("running", s.demand().Running, 0)
}

// What is taken back from a worker, or lost with it, has not ended: whoever counts on ends to learn how long tasks take
// would think that they are short.
func TestTakenBackIsNoEnd(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(took2s(1, 0))
	s.want("the last is given ahead of time", tasksOf(s.output()), []uint32{2})
	s.want("one has ended", s.demand().Ended, uint64(1))
	s.step(started(1, attempt(1, 1)), WorkerJoined{Worker: 2, Slots: 1})
	back := s.output().Retract
	s.want("the one that waits is asked back", back, []Order{{1, id(2), 1}})
	s.step(Retracted{Worker: 1, Tasks: []TaskAttempt{attempt(2, 1)}, OK: []bool{true}})
	s.output()
	s.step(WorkerLeft{Worker: 1})
	s.output()
	d := s.demand()
	s.want("still one, and two to do", []int{int(d.Ended), d.Ready + d.Given}, []int{1, 2})
	s.step(failed(2, 2, 2, graph.FailUser))
	s.output()
	s.want("a failure that is tried again is no end", s.demand().Ended, uint64(1))
	s.step(failed(2, 2, 3, graph.FailUser))
	s.output()
	s.want("but the last one is", s.demand().Ended, uint64(2))
}

// A pool that shrinks and then shall not takes back whom it has not let go of.
func TestShrinkIsTakenBack(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1}, WorkerJoined{Worker: 2, Slots: 1}, WorkerJoined{Worker: 3, Slots: 1})
	s.output()
	for w := range graph.WorkerID(3) {
		s.step(started(w+1, attempt(uint32(w), 1)))
	}
	s.step(Retire{To: 1})
	s.want("nobody goes while it runs something", s.output().Retired, []graph.WorkerID(nil))
	s.step(Retire{To: 2})
	phases := map[string]int{}
	for w := range graph.WorkerID(3) {
		k, _ := s.c.Worker(w + 1)
		phases[k.Phase]++
	}
	s.want("one of two is back", phases, map[string]int{"working": 2, "leaving": 1})
	s.step(Retire{Workers: []graph.WorkerID{1, 2, 3}}, Retire{To: 9})
	k, _ := s.c.Worker(1)
	s.want("who was named is not", k.Phase, "leaving")
}

// What drained workers still had is counted, and it is nothing.
func TestShrunkIsCounted(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil, nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1}, WorkerJoined{Worker: 2, Slots: 1})
	s.output()
	s.step(done(1, 0, 1), Retire{Workers: []graph.WorkerID{1}})
	out := s.output()
	s.want("its result is copied first", len(out.Copy), 1)
	s.step(Copied{2, []Held{{attempt(0, 1), 1 << 20}}})
	s.want("then it may go", s.output().Retired, []graph.WorkerID{1})
	s.step(WorkerLeft{Worker: 1}, WorkerLeft{Worker: 2})
	s.want("nothing went with the one that was drained", s.c.Shrunk(), Shrunk{Workers: 1})
}

// The last worker takes with it what nobody is there to hold.
func TestShrunkCountsWhatNobodyTakes(t *testing.T) {
	s := tell(t, Config{})
	s.submit(nil)
	s.step(WorkerJoined{Worker: 1, Slots: 1})
	s.output()
	s.step(done(1, 0, 1), Retire{To: 0})
	s.want("it may go", s.output().Retired, []graph.WorkerID{1})
	s.step(WorkerLeft{Worker: 1})
	s.want("one result went", s.c.Shrunk(), Shrunk{Workers: 1, Results: 1})
}
