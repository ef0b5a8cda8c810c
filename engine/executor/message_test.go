package executor

import (
	"bytes"
	"io"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/yarnd/yarnd/engine/graph"
)

var someRun = &run{
	call: 7, kind: graph.KindGo, task: graph.TaskID{Job: 1, Index: 2}, attempt: 3, limit: time.Second,
	name: "f", spec: []byte("spec"), payload: []byte("payload"),
	inputs: []runInput{
		{task: graph.TaskID{Job: 4, Index: 5}, size: 3, sent: true, data: []byte("abc")},
		{task: graph.TaskID{Job: 4, Index: 6}, size: 1 << 40},
		{task: graph.TaskID{Job: 4, Index: 7}, sent: true, data: []byte{}},
	},
}

func TestRunThereAndBack(t *testing.T) {
	got, err := parseRun(appendRun(nil, someRun))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(someRun, got, cmp.AllowUnexported(run{}, runInput{})); d != "" {
		t.Error(d)
	}
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
	r := &frameReader{r: bytes.NewReader([]byte{0x0f, 0, 0, 0, 1, 'x'}), max: math.MaxInt32}
	if _, _, err := r.next(nil); err != io.ErrUnexpectedEOF {
		t.Errorf("%v", err)
	}
	if cap(r.buf) > firstRead {
		t.Errorf("%d bytes taken", cap(r.buf))
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(endFrame(appendRun(beginFrame(nil, kindRun), someRun), 0))
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

func FuzzRun(f *testing.F) {
	f.Add(appendRun(nil, someRun))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRun(data)
		if err != nil {
			return
		}
		again, err := parseRun(appendRun(nil, r))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, again, cmp.AllowUnexported(run{}, runInput{})); d != "" {
			t.Error(d)
		}
	})
}

// FuzzFromExecutor feeds the worker's side what a hostile executor could send, with
// a call under way.
func FuzzFromExecutor(f *testing.F) {
	f.Add(byte(kindBegan), appendBegan(nil, 1, 99))
	f.Add(byte(kindRead), appendRead(nil, read{1, 1, 0, 0, 3}))
	f.Add(byte(kindRead), appendRead(nil, read{1, 1, stdinInput, 7, MaxStdinPiece}))
	f.Add(byte(kindRead), appendRead(nil, read{0, 1, stdinInput, 0, 0}))
	f.Add(byte(kindChunk), appendChunk(nil, 1, 2, []byte("x")))
	f.Add(byte(kindDone), appendDone(nil, 1, time.Second, 1, []byte("x")))
	f.Add(byte(kindFailed), appendFailed(nil, 1, &graph.Failure{Kind: graph.FailUser}, 0))
	f.Fuzz(func(t *testing.T, k byte, body []byte) {
		m := &Manager{}
		m.opts.setDefaults()
		m.opts.MaxResult = 1000
		c := &call{task: goTask("f", "", []byte("abc")), end: make(chan Result, 1)}
		p := &process{m: m, calls: map[uint64]*call{1: c}, feed: make(chan read, 1)}
		for range 2 {
			if p.handle(kind(k), body) != nil || len(p.feed) == cap(p.feed) {
				break
			}
		}
		if _, open := p.calls[1]; open == (len(c.end) == 1) {
			t.Error("a call must be under way or ended")
		}
		if len(c.data) > 1000 {
			t.Errorf("%d bytes kept", len(c.data))
		}
	})
}

func FuzzData(f *testing.F) {
	f.Add(append(appendDataHead(nil, 1, true), "abc"...))
	f.Add(appendStop(nil, 1, stopMemory))
	f.Fuzz(func(_ *testing.T, data []byte) {
		c := &child{reads: map[uint64]chan piece{1: make(chan piece, 1)}}
		c.handle(kindData, data) //nolint:errcheck // it must not panic
		c.handle(kindStop, data) //nolint:errcheck
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
