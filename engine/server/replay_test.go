package server

import (
	"log/slog"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/sched"
	"github.com/yarnd/yarnd/engine/wire"
)

// sampleRecords is the journal of a small cluster.
func sampleRecords() []*wire.Record {
	class := wire.ClassToWire(0, &graph.Class{Name: "work", Kind: graph.KindGo})
	task := func(rows ...uint32) *wire.Facts {
		m := &wire.Facts{}
		for _, i := range rows {
			m.Kind, m.Job, m.Index = append(m.Kind, byte(sched.FactDone)|factInline|factTold), append(m.Job, 1), append(m.Index, i)
			m.Attempt, m.Size = append(m.Attempt, 1), append(m.Size, 1)
			m.Inline = append(m.Inline, byte(i))
			m.InlineEnd = append(m.InlineEnd, uint32(len(m.Inline)))
		}
		return m
	}
	failed := &wire.Facts{
		Kind: []byte{byte(sched.FactFailed) | factTold}, Job: []uint32{1}, Index: []uint32{2}, Attempt: []uint32{1}, Size: []uint64{0},
		Failure: []*wire.Failure{{Kind: uint32(graph.FailUser), Message: "no"}},
	}
	return []*wire.Record{
		{Client: 1, Body: &wire.Record_Session{Session: &wire.SessionRecord{Token: "t", User: "alice", Host: "edge"}}},
		{Client: 1, Body: &wire.Record_Job{Job: &wire.JobRecord{Job: 1, Name: "a", Owner: "alice", OpenedMs: 1000}}},
		{Body: &wire.Record_Classes{Classes: &wire.Classes{Job: 1, Class: []*wire.Class{class}}}},
		{Client: 1, Body: &wire.Record_Submit{Submit: &wire.Submit{
			Job: 1, Class: []uint32{0, 0, 0, 0}, DepEnd: []uint32{0, 1, 1, 2}, DepJob: []uint32{1, 1}, DepIndex: []uint32{0, 2}, PayEnd: []uint32{1, 2, 3, 4}, Payload: []byte("abcd"),
		}}},
		{Body: &wire.Record_Facts{Facts: task(0, 1)}},
		{Body: &wire.Record_Facts{Facts: failed}},
		{Client: 1, Body: &wire.Record_SubmitRange{SubmitRange: &wire.SubmitRange{Job: 1, First: 4, Count: 9, Payload: []byte("x")}}},
		{Body: &wire.Record_Facts{Facts: &wire.Facts{Kind: []byte{byte(sched.FactCancelled) | factTold}, Job: []uint32{1}, Index: []uint32{5}, Attempt: []uint32{0}, Size: []uint64{3}}}},
		{Body: &wire.Record_Publish{Publish: &wire.Publish{Name: "n", Job: 1, Index: 1}}},
		{Body: &wire.Record_Release{Release: &wire.Release{Job: 1, Index: []uint32{0}}}},
		{Body: &wire.Record_Member{Member: &wire.MemberRecord{Name: "w1"}}},
		{Body: &wire.Record_Checkpoint{Checkpoint: &wire.CheckpointRecord{Job: 1, Index: 3, Data: []byte("c")}}},
		{Client: 1, Body: &wire.Record_Retried{Retried: &wire.RetriedRecord{Request: 3, Retried: &wire.Retried{}}}},
		{Body: &wire.Record_Log{Log: &wire.LogRecord{Job: 1, From: []uint32{0}, Count: []uint32{2}}}},
		{Body: &wire.Record_Took{Took: &wire.TookRecord{Job: []uint32{1, 9}, Class: []uint32{0, 3}, Micros: []uint64{5_000_000, 1}}}},
		{Body: &wire.Record_Unused{Unused: &wire.UnusedRecord{Job: 1, Millis: 90_000}}},
		{Body: &wire.Record_Counters{Counters: &wire.CountersRecord{Job: 5, Client: 7}}},
		{Body: &wire.Record_CloseJob{CloseJob: &wire.CloseJob{Job: 1}}},
		{Client: 1, Body: &wire.Record_SessionEnded{SessionEnded: true}},
	}
}

// replayLoop is a loop that reads a journal.
func replayLoop(t testing.TB) *loop {
	l := newLoop(Options{Log: slog.New(slog.DiscardHandler)}, nil)
	t.Cleanup(func() {
		l.ticker.Stop()
		l.owing.timer.Stop()
		l.snapTimer.Stop()
	})
	l.core = sched.New(sched.Config{Durable: true, Restore: true, Generation: 1})
	l.replaying, l.ids = true, map[graph.ClientID]*session{}
	return l
}

// replayAll reads a whole journal.
func (l *loop) replayAll(t *testing.T, records []*wire.Record) {
	t.Helper()
	for _, r := range records {
		b, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.replay(b); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
	}
	l.step(sched.Restored{})
	if err := l.core.Check(); err != nil {
		t.Fatal(err)
	}
}

// Whatever a journal's records hold: they are taken, or refused with an error.
func FuzzReplay(f *testing.F) {
	for _, r := range sampleRecords() {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, b)
	}
	var records [][]byte
	for _, r := range sampleRecords()[:13] {
		b, _ := proto.Marshal(r)
		records = append(records, b)
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		l := replayLoop(t)
		for _, rec := range records {
			if err := l.replay(rec); err != nil {
				t.Fatal(err)
			}
		}
		for _, rec := range [][]byte{a, b} {
			if l.replay(rec) != nil {
				return
			}
		}
		l.step(sched.Restored{})
		if err := l.core.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

// What the records say is there.
func TestReplay(t *testing.T) {
	l := replayLoop(t)
	l.replayAll(t, sampleRecords()[:13])
	j := l.jobNames["a"]
	if j == nil || j.tasks != 13 || len(l.sessions) != 1 || l.names["n"] == nil || !l.back.expected["w1"] {
		t.Fatalf("%+v", j)
	}
	if n := j.ends.log.Len(); n != 6 {
		t.Errorf("%d ends", n)
	}
	if o, _, present, ok := l.outcome(j, 1); !ok || !present || string(o.Inline) != "\x01" {
		t.Errorf("task 1: %+v %v %v", o, present, ok)
	}
	if o, _, _, _ := l.outcome(j, 2); o.Failure == nil || o.Failure.Message != "no" {
		t.Errorf("task 2: %+v", o)
	}
	for index, want := range map[uint32]sched.State{0: sched.StateForgotten, 1: sched.StateDone, 2: sched.StateFailed, 4: sched.StateReady, 6: sched.StateCancelled} {
		if info, _ := l.core.Task(j.taskID(index)); info.State != want {
			t.Errorf("task %d is %v, want %v", index, info.State, want)
		}
	}
}

// facts are some of one kind, of job 1.
func facts(kind byte, size uint64, rows ...uint32) *wire.Record {
	m := &wire.Facts{}
	for _, i := range rows {
		m.Kind, m.Job, m.Index, m.Attempt, m.Size = append(m.Kind, kind), append(m.Job, 1), append(m.Index, i), append(m.Attempt, 1), append(m.Size, size)
	}
	return &wire.Record{Body: &wire.Record_Facts{Facts: m}}
}

// A snapshot is of all the time in which it was written: what it knows already may happen again in the records.
func TestReplayOfWhatASnapshotKnew(t *testing.T) {
	sample := sampleRecords()
	publish := func(remove bool) *wire.Record {
		return &wire.Record{Body: &wire.Record_Publish{Publish: &wire.Publish{Name: "x", Job: 1, Index: 2, Remove: remove}}}
	}
	const many = 2*4096 + 9
	for name, records := range map[string][]*wire.Record{
		"a failed task was taken back, and is published before that": append(sample[:6:6],
			facts(byte(sched.FactBuried), 0, 2), publish(false), publish(true)),
		"a task runs again that was cancelled with its whole page": append(sample[:3:3],
			&wire.Record{Client: 1, Body: &wire.Record_SubmitRange{SubmitRange: &wire.SubmitRange{Job: 1, Count: many, Payload: []byte("x")}}},
			facts(byte(sched.FactCancelled), many, 0), facts(byte(sched.FactAgain)|factTold, 0, 7)),
	} {
		t.Run(name, func(t *testing.T) {
			l := replayLoop(t)
			l.replayAll(t, records)
		})
	}
}

// A name of a job that is not in the journal is not either: it could not be read.
func TestSnapshotLeavesOutNamesOfQuietJobs(t *testing.T) {
	l := replayLoop(t)
	l.replayAll(t, sampleRecords()[:9])
	for quiet, want := range map[bool]int{false: 1, true: 0} {
		l.jobs[1].quiet = quiet
		s := &snapshot{l: l}
		s.begin()
		if len(s.names) != want || len(s.jobs) != want {
			t.Errorf("quiet %t: %d names, %d jobs", quiet, len(s.names), len(s.jobs))
		}
	}
}

// An actor that failed and was retried begins anew, not where an earlier life of it was.
func TestReplayOfARetriedActor(t *testing.T) {
	sample := sampleRecords()
	for again, want := range map[bool]bool{false: true, true: false} {
		l := replayLoop(t)
		records := sample[:12:12] // task 3 has a checkpoint
		if again {
			failed := facts(byte(sched.FactFailed)|factTold, 0, 3)
			failed.GetFacts().Failure = []*wire.Failure{{Kind: uint32(graph.FailUser), Message: "no"}}
			records = append(records, failed, facts(byte(sched.FactAgain)|factTold, 0, 3))
		}
		l.replayAll(t, records)
		b := l.mail.find(graph.TaskID{Job: 1, Index: 3})
		if has := b != nil && b.checkpoint != nil; has != want {
			t.Errorf("retried %t: there is a checkpoint: %t", again, has)
		}
	}
}
