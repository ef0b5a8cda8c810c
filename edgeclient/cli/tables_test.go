package cli

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/yarnd/yarnd/appmaster/ampb"
	"github.com/yarnd/yarnd/edgeclient"
	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/graph"
)

func TestShortContainer(t *testing.T) {
	for id, want := range map[string]string{
		"am": "am", "container_1795646439257_0001_01_000003": "000003", "container_e17_1795646439257_0001_02_000003": "02_000003",
	} {
		if got := shortContainer(id); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
	}
}

// golden compares what write writes in each form with a file.
func golden(t *testing.T, name string, write func(*bytes.Buffer, string) error) {
	t.Helper()
	for _, format := range outputs {
		var b bytes.Buffer
		if err := write(&b, format); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "golden", name+"."+format)
		if *update {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s: -want +got:\n%s", format, diff)
		}
	}
}

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestWorkerForms(t *testing.T) {
	info := &ampb.Info{Containers: []*ampb.Container{
		{Id: "c_01", Role: "scheduler", State: "running"},
		{Id: "c_02", Role: "worker", Pool: "worker", Node: "nm1", State: "running"},
		{Id: "c_03", Role: "worker", Pool: "worker", Node: "nm2", State: "running"},
		{Id: "c_04", Role: "worker", Pool: "worker", Node: "nm2", State: "draining"},
	}}
	rows := mergeWorkers(info, []client.WorkerInfo{
		{ID: 1, Name: "c_02", Pool: "worker", Host: "nm1", Slots: 2, Running: 1, Queued: 3, Done: 9, MemoryUsed: 1 << 20, Memory: 1 << 30, RSS: 5 << 20, CPU: 1.25, Joined: testTime, State: "running", Address: "nm1:7", PID: 12},
		{ID: 2, Name: "c_04", Pool: "worker", Host: "nm2", Slots: 1, Joined: testTime, State: "running"},
	})
	golden(t, "worker", func(b *bytes.Buffer, format string) error { return workerListing(rows).write(b, format) })
}

func TestTaskForms(t *testing.T) {
	ok := client.TaskRow{Task: graph.TaskID{Job: 1, Index: 0}, State: "done", Class: "count", Worker: 1, Attempt: 1, Started: testTime, Ended: testTime.Add(1500 * time.Millisecond)}
	bad := client.TaskRow{Task: graph.TaskID{Job: 1, Index: 1}, State: "failed", Class: "count", Worker: 1, Attempt: 2, Started: testTime, Ended: testTime.Add(time.Minute)}
	rows := []taskRow{newTaskRow(ok, "nightly", "c_02", "nm1"), newTaskRow(bad, "nightly", "", "")}
	golden(t, "task", func(b *bytes.Buffer, format string) error { return taskListing(rows).write(b, format) })
	d := newTaskDetail(client.TaskDetail{TaskRow: bad, JobName: "nightly", Kind: "go", Retries: 1, WorkerName: "c_02", WorkerHost: "nm1", Submitted: testTime,
		Failure: &graph.Failure{Kind: graph.FailUser, Message: "bo\x1bom", Stack: "at x\n\tat y", Output: []byte("out\xff"), ExitCode: 1, Task: bad.Task, Attempt: 2, Host: "nm1"}})
	golden(t, "taskdetail", func(b *bytes.Buffer, format string) error {
		c := &command{Streams: Streams{Out: b}, output: format}
		return c.showTask(d)
	})
}

func TestFindTask(t *testing.T) {
	jobs := []client.JobInfo{{ID: 1}, {ID: 2, Name: "a/b"}}
	for what, want := range map[string]graph.TaskID{"1/7": {Job: 1, Index: 7}, "a/b/3": {Job: 2, Index: 3}, "2/0": {Job: 2}} {
		if got, err := findTask("app", jobs, what); got != want || err != nil {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
	for _, what := range []string{"", "1", "/1", "1/", "1/x", "1/-1", "3/1", "1/4294967296"} {
		if _, err := findTask("app", jobs, what); err == nil {
			t.Errorf("%q is a task", what)
		}
	}
}

func TestEventForms(t *testing.T) {
	rows := []eventRow{
		{testTime, "appmaster", "container.exited", "c_02", "of pool worker on nm1: was killed by signal 9", nil},
		{testTime.Add(20 * time.Millisecond), "scheduler", "worker.left", "c_02", "bad\x1b[1m\ttext", nil},
		{testTime.Add(30 * time.Millisecond), "scheduler", "scale.hold", "worker", "from 4 to 4: 60 would be of use, the maximum is 4", &decisionRow{
			Time: testTime.Add(30 * time.Millisecond), Pool: "worker", Kind: "hold", Bound: "maximum", From: 4, To: 4, Reason: "60 would be of use, the maximum is 4",
			Inputs: inputsRow{Running: 4, Tasks: 90, Enough: 60, Delay: 2},
		}},
	}
	golden(t, "event", func(b *bytes.Buffer, format string) error { return eventListing(rows).write(b, format) })
	golden(t, "eventline", func(b *bytes.Buffer, format string) error {
		c := &command{Streams: Streams{Out: b}, output: format}
		return errors.Join(c.writeEvent(rows[1]), c.writeEvent(rows[2]))
	})
}

func TestTopForms(t *testing.T) {
	before := &topShot{Time: testTime.Add(-2 * time.Second), Tasks: taskCounts{Done: 4}}
	shot := &topShot{ID: "app", Time: testTime, Tasks: taskCounts{Waiting: 1, Ready: 2, Running: 3, Done: 8, Failed: 1},
		Workers: []workerRow{{ID: "c_02", Pool: "worker", Host: "nm1", State: "running", Slots: 2, Running: 1, Results: 1 << 20, RSS: 3 << 20}}}
	shot.rate(before)
	if shot.PerSecond != 2.5 {
		t.Errorf("%v a second", shot.PerSecond)
	}
	golden(t, "top", func(b *bytes.Buffer, format string) error {
		c := &command{Streams: Streams{Out: b}, output: format}
		return c.writeTop(shot)
	})
	lines := strings.Split(shot.screen(10, 3), "\r\n")
	if len(lines) != 3 || lines[0] != "\x1b[Happ  2026-\x1b[K" || !strings.HasSuffix(lines[2], "\x1b[J") {
		t.Errorf("%q", lines)
	}
	shot.rate(&topShot{Time: testTime.Add(-time.Second), Tasks: taskCounts{Done: 100}})
	if shot.PerSecond != 0 {
		t.Errorf("%v a second", shot.PerSecond)
	}
}

func TestScalingForms(t *testing.T) {
	held := client.Decision{Time: testTime, Pool: "worker", Kind: "hold", Bound: "maximum", Before: 4, Want: 4, Reason: "90 tasks can run, 3m of one worker's time; 60 would be of use, the maximum is 4",
		Inputs: client.Inputs{Running: 4, Tasks: 90, Work: 3 * time.Minute, Width: 90, Goal: 15 * time.Second, Finish: 45 * time.Second, Enough: 12, Peak: 12, Busy: 3.5, Delay: 2 * time.Second}}
	raised := held
	raised.Kind, raised.Bound, raised.Before, raised.Reason = "raise", "", 1, "nobody knows yet how long 90 tasks take: 4 workers try"
	s := &client.Scaling{
		Explanation: client.Explanation{Answer: "Pool worker shall have 4 workers, between 0 and 4: " + held.Reason + "."},
		Pools: []client.PoolNow{
			{Name: "worker", Adapts: true, Max: 4, Target: 4, Running: 3, Starting: 1, Latest: &held},
			{Name: "pinned", Target: 2, Running: 1, Requested: 1},
		},
		Decisions: []client.Decision{raised}, DrainedWorkers: 7,
	}
	golden(t, "scaling", func(b *bytes.Buffer, format string) error {
		c := &command{output: format, Streams: Streams{Out: b}}
		return c.showScaling(newScalingRow(s))
	})
	golden(t, "explained", func(b *bytes.Buffer, format string) error {
		c := &command{output: format, Streams: Streams{Out: b}}
		return c.showExplained(explained{Of: "1/7", State: "ready", Answer: "All 4 workers that can run it are busy.", Detail: []string{"it takes turns with 90 others"}})
	})
}

func TestExplainedContainer(t *testing.T) {
	began := []edgeclient.Event{
		{When: testTime, Kind: "container.allocated", Object: "c_01_07", Text: "for pool worker on nm1"},
		{When: testTime, Kind: "container.exited", Object: "c_01_08", Text: "another"},
	}
	x := explained{Of: "_07"}
	if err := addContainer(&x, "last", "_07", began); err != nil {
		t.Fatal(err)
	}
	if x.Of != "c_01_07" || x.State != "starting" || x.Answer != "Its container was allocated for pool worker on nm1; its worker has not joined." {
		t.Errorf("%+v", x)
	}
	ended := []edgeclient.Event{{When: testTime, Kind: "container.exited", Object: "c_01_07", Text: "of pool worker on nm1: was preempted"}}
	if err := addContainer(&x, "last", "_07", ended); err != nil {
		t.Fatal(err)
	}
	if x.State != "left" || len(x.Detail) != 2 || !strings.HasSuffix(x.Answer, "Its container: of pool worker on nm1: was preempted.") {
		t.Errorf("%+v", x)
	}
	// Who could be meant is said, whoever knows of them.
	other := []edgeclient.Event{{When: testTime, Kind: "container.exited", Object: "c_02_07", Text: "elsewhere"}}
	for _, tt := range []struct {
		x      explained
		end    string
		events []edgeclient.Event
	}{
		{explained{Of: "_07"}, "_07", append(other, began...)},
		{explained{Of: "c_01_07", Answer: "It is running."}, "_07", other},
	} {
		err := addContainer(&tt.x, "last", tt.end, tt.events)
		if err == nil || !strings.Contains(err.Error(), `"_07" is the end of 2 containers' ids, such as c_01_07, c_02_07`) {
			t.Errorf("%v", err)
		}
	}
	x = explained{Of: "c_02_07"}
	if err := addContainer(&x, "last", "c_02_07", append(other, began...)); err != nil || x.Answer != "Its container: elsewhere." {
		t.Errorf("%v, %+v", err, x)
	}
}
