package executor

import (
	"bytes"
	"io"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/yarnd/yarnd/engine/graph"
)

var someRuns = &runs{
	limit: 3,
	classes: []runClass{
		{kind: graph.KindGo, slots: 2, limit: time.Second, name: "f", spec: []byte("spec")},
		{kind: graph.KindCommand, name: "g", spec: []byte{}},
	},
	rows: []runRow{
		{call: 7, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, class: 1, inputs: 2, payload: []byte("payload")},
		{call: 8, task: graph.TaskID{Job: 1, Index: 3}, attempt: 1, payload: []byte{}},
		{call: 1 << 40, task: graph.TaskID{Job: 1, Index: 4}, attempt: 1, class: 1, inputs: 1, payload: []byte("x")},
	},
	inputs: []runInput{
		{task: graph.TaskID{Job: 4, Index: 5}, size: 3, sent: true, data: []byte("abc")},
		{task: graph.TaskID{Job: 4, Index: 6}, size: 1 << 40},
		{task: graph.TaskID{Job: 4, Index: 7}, sent: true, data: []byte{}},
	},
}

var framesExported = cmp.AllowUnexported(runs{}, runClass{}, runRow{}, runInput{})

func TestRunsThereAndBack(t *testing.T) {
	got, err := parseRuns(appendRuns(nil, someRuns))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(someRuns, got, framesExported); d != "" {
		t.Error(d)
	}
	call, inputs, err := parseInputsOf(appendInputsOf(nil, 9, someRuns.inputs))
	if err != nil || call != 9 {
		t.Fatal(call, err)
	}
	if d := cmp.Diff(someRuns.inputs, inputs, framesExported); d != "" {
		t.Error(d)
	}
}

func TestDonesThereAndBack(t *testing.T) {
	want := []doneRow{{1, time.Second, 3, []byte("abc")}, {2, 0, 0, []byte{}}, {1 << 40, time.Microsecond, 1 << 33, []byte("z")}}
	got, err := donesThereAndBack(want)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(doneRow{})); d != "" {
		t.Error(d)
	}
}

func donesThereAndBack(rows []doneRow) (got []doneRow, err error) {
	var d dones
	for _, r := range rows {
		d.add(r.call, r.took, r.size, r.last)
	}
	err = parseDones(appendDones(nil, &d), func(r doneRow) { got = append(got, r) })
	return got, err
}

func TestFailureThereAndBack(t *testing.T) {
	want := &graph.Failure{Kind: graph.FailTime, Message: "m", Stack: "s", ExitCode: -1, Output: []byte{0, 255}}
	call, got, took, err := parseFailed(appendFailed(nil, 9, want, time.Millisecond))
	if err != nil || call != 9 || took != time.Millisecond {
		t.Fatal(call, took, err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// Texts that are too long or no text are cut, not refused.
	long := &graph.Failure{Kind: graph.FailUser, Message: string(bytes.Repeat([]byte{0xff}, 2*maxText)), Output: make([]byte, 2*maxText)}
	body := appendFailed(nil, 9, long, 0)
	if len(body) > maxToWorker {
		t.Errorf("a failure of %d bytes", len(body))
	}
	if _, got, _, err = parseFailed(body); err != nil || len(got.Message) > 3*maxText || len(got.Output) != maxText {
		t.Errorf("%d, %d, %v", len(got.Message), len(got.Output), err)
	}
	// User code cannot claim what only the worker can know.
	if _, got, _, _ = parseFailed([]byte(`{"kind":9}`)); got.Kind != graph.FailUser {
		t.Errorf("kind %v", got.Kind)
	}
}

func TestFramesAreJudgedBeforeMemoryIsTaken(t *testing.T) {
	for _, head := range [][]byte{{0, 0, 0, 0, 1}, {0xff, 0xff, 0xff, 0xff, 1}} {
		r := &frameReader{r: bytes.NewReader(head), max: maxToWorker}
		if _, _, err := r.next(nil); err == nil {
			t.Errorf("% x passed", head)
		}
	}
	// A frame that is only announced costs no memory.
	r := &frameReader{r: bytes.NewReader([]byte{0, 0, 0, 0x0f, 1, 'x'}), max: math.MaxInt32}
	if _, _, err := r.next(nil); err != io.ErrUnexpectedEOF {
		t.Errorf("%v", err)
	}
	if cap(r.buf) > firstRead {
		t.Errorf("%d bytes taken", cap(r.buf))
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(endFrame(appendRuns(beginFrame(nil, kindRuns), someRuns), 0))
	f.Add(endFrame(append(beginFrame(nil, kindReady), `{"version":1}`...), 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &frameReader{r: bytes.NewReader(data), max: 1 << 16}
		total := 0
		for {
			_, body, err := r.next(nil)
			if err != nil {
				break
			}
			total += len(body) + frameHead
		}
		if total > len(data) {
			t.Errorf("%d bytes of frames in %d", total, len(data))
		}
	})
}

func FuzzRuns(f *testing.F) {
	f.Add(appendRuns(nil, someRuns))
	f.Add(appendRuns(nil, &runs{}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRuns(data)
		if err != nil {
			return
		}
		again, err := parseRuns(appendRuns(nil, r))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, again, framesExported, cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	})
}

func FuzzInputs(f *testing.F) {
	f.Add(appendInputsOf(nil, 9, someRuns.inputs))
	f.Add(appendInputsOf(nil, 9, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		call, inputs, err := parseInputsOf(data)
		if err != nil {
			return
		}
		_, again, err := parseInputsOf(appendInputsOf(nil, call, inputs))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(inputs, again, framesExported); d != "" {
			t.Error(d)
		}
	})
}

func FuzzDones(f *testing.F) {
	var d dones
	d.add(1, time.Second, 3, []byte("abc"))
	d.add(2, 0, 1<<30, nil)
	f.Add(appendDones(nil, &d))
	f.Fuzz(func(t *testing.T, data []byte) {
		var rows []doneRow
		if err := parseDones(data, func(r doneRow) { rows = append(rows, r) }); err != nil {
			if len(rows) > 0 {
				t.Error("rows of a bad frame")
			}
			return
		}
		again, err := donesThereAndBack(rows)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(rows, again, cmp.AllowUnexported(doneRow{})); d != "" {
			t.Error(d)
		}
	})
}

func FuzzRecalled(f *testing.F) {
	f.Add(appendRecalled(nil, []uint64{1, 2}, []bool{true, false}))
	f.Add(appendCalls(nil, []uint64{1, 2}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if calls, ok, err := parseRecalled(data); err == nil {
			if again, _, err := parseRecalled(appendRecalled(nil, calls, ok)); err != nil || !slices.Equal(calls, again) {
				t.Errorf("%v, %v: %v", calls, again, err)
			}
		}
		if calls, err := parseCalls(data); err == nil {
			if again, err := parseCalls(appendCalls(nil, calls)); err != nil || !slices.Equal(calls, again) {
				t.Errorf("%v, %v: %v", calls, again, err)
			}
		}
	})
}

// FuzzFromExecutor feeds the worker's side what a hostile executor could send, with
// a call under way.
func FuzzFromExecutor(f *testing.F) {
	first := uint64(1) << 32
	var d dones
	d.add(first, time.Second, 1, []byte("x"))
	d.add(first, time.Second, 1, []byte("x"))
	f.Add(byte(kindBegan), appendBegan(nil, first, 99))
	f.Add(byte(kindRead), appendRead(nil, read{1, first, 0, 0, 3}))
	f.Add(byte(kindRead), appendRead(nil, read{1, first, stdinInput, 7, MaxStdinPiece}))
	f.Add(byte(kindRead), appendRead(nil, read{0, first, stdinInput, 0, 0}))
	f.Add(byte(kindChunk), appendChunk(nil, first, 2, []byte("x")))
	f.Add(byte(kindDone), appendDones(nil, &d))
	f.Add(byte(kindFailed), appendFailed(nil, first, &graph.Failure{Kind: graph.FailUser}, 0))
	f.Add(byte(kindRecalled), appendRecalled(nil, []uint64{first, first, 5}, []bool{true, true, false}))
	f.Add(byte(kindPark), appendStop(nil, first, 1))
	f.Add(byte(kindNest), appendNested(nil, first, Nested{Stream: 1, Data: []byte("x")}))
	f.Add(byte(kindResult), appendResultRead(nil, resultRead{read: read{1, first, 0, 0, 3}}))
	f.Fuzz(func(t *testing.T, k byte, body []byte) {
		ends := 0
		m := &Manager{opts: Options{MaxResult: 1000, Report: func(r []Report) {
			for i := range r {
				if w := r[i].What; w == Ended || w == Recalled {
					ends++
				}
			}
		}}}
		m.opts.setDefaults()
		task := goTask("f", "", []byte("abc"))
		p := &process{m: m, feed: make(chan read, 1)}
		p.hand(task, 1)
		for range 2 {
			if p.handle(kind(k), body) != nil || len(p.feed) == cap(p.feed) {
				break
			}
		}
		if p.calls.count+ends != 1 {
			t.Errorf("a call must be under way or ended: %d, %d", p.calls.count, ends)
		}
		if len(task.data) > 1000 {
			t.Errorf("%d bytes kept", len(task.data))
		}
	})
}

// FuzzToExecutor: a worker's frames must not make an executor panic.
func FuzzToExecutor(f *testing.F) {
	f.Add(byte(kindData), append(appendDataHead(nil, 1, true), "abc"...))
	f.Add(byte(kindStop), appendStop(nil, 1, stopMemory))
	f.Add(byte(kindRecall), appendCalls(nil, []uint64{1}))
	f.Add(byte(kindInputs), appendInputsOf(nil, 9, someRuns.inputs))
	f.Fuzz(func(_ *testing.T, k byte, body []byte) {
		if kind(k) == kindRuns {
			return // FuzzRuns; these would run
		}
		c := &child{reads: map[uint64]chan piece{1: make(chan piece, 1)}, inputs: map[uint64][]runInput{}, out: &reporter{pipe: frameWriter{w: io.Discard}}}
		c.handle(kind(k), body) //nolint:errcheck // it must not panic
	})
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("1 (a ) b) S 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24"))
	f.Fuzz(func(_ *testing.T, data []byte) { parseStat(1, data) })
}

func FuzzCommandSpec(f *testing.F) {
	f.Add([]byte(`{"argv":["echo","{}"],"ok":[1],"env":{"a":"b"}}`), []byte("x"))
	f.Fuzz(func(t *testing.T, data, item []byte) {
		s, err := ParseCommandSpec(data)
		if err != nil {
			return
		}
		if argv := s.Expand(item); len(argv) != len(s.Argv) {
			t.Error("the item made arguments")
		}
	})
}
