package wire

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/engine/graph"
)

// pass sends m through a frame.
func pass[M proto.Message](t testing.TB, k Kind, m M) M {
	t.Helper()
	frame, err := AppendFrame(nil, k, m)
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(strings.NewReader(string(frame)), MaxFrame)
	got, body, err := r.Next()
	if err != nil || got != k {
		t.Fatalf("Next = %v, %v", got, err)
	}
	out, err := Unmarshal(k, body)
	if err != nil {
		t.Fatal(err)
	}
	return out.(M)
}

func task(job, index uint32) graph.TaskID { return graph.TaskID{Job: graph.JobID(job), Index: index} }

func TestBatch(t *testing.T) {
	batches := map[string]*graph.Batch{
		"bare": {Job: 3, First: 9, Class: []graph.ClassID{0, 1}},
		"full": {
			Job: 3, First: 9, Class: []graph.ClassID{0, 1, 1},
			DepEnd: []uint32{0, 1, 3}, Deps: []graph.TaskID{task(3, 8), task(3, 9), task(1, 1<<31)},
			PayEnd: []uint32{2, 2, 5}, Payload: []byte("abcde"),
			HostEnd: []uint32{1, 1, 2}, Hosts: []uint32{1, 0}, HostNames: []string{"nm1", "nm2"},
			Loose: []byte{5},
		},
		"ends without values": {Job: 1, Class: []graph.ClassID{0}, DepEnd: []uint32{0}, PayEnd: []uint32{0}, HostEnd: []uint32{0}},
	}
	for name, b := range batches {
		t.Run(name, func(t *testing.T) {
			got, err := BatchFromWire(pass(t, KindRequest, &Request{Body: &Request_Submit{BatchToWire(b)}}).GetSubmit(), 2)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(b, got, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		})
	}
	bad := BatchToWire(batches["full"])
	if _, err := BatchFromWire(bad, 1); !errors.Is(err, Invalid) {
		t.Errorf("undeclared class: %v", err)
	}
}

func TestClass(t *testing.T) {
	c := graph.Class{
		Name: "count", Kind: graph.KindCommand, Bundle: graph.Digest{1, 2}, Spec: []byte("{}"),
		Resources: graph.Resources{Slots: 2, Memory: 1 << 40}, Priority: -7, Retries: 3, Deaths: 4,
		TimeLimit: 1500 * time.Millisecond, Pool: "gpu",
	}
	m := pass(t, KindClasses, &Classes{Job: 1, Class: []*Class{ClassToWire(5, &c)}})
	id, got := ClassFromWire(m.Class[0])
	if id != 5 || cmp.Diff(c, got) != "" {
		t.Errorf("class %d: %s", id, cmp.Diff(c, got))
	}
}

func TestAssign(t *testing.T) {
	m := &Assign{}
	m.Add(task(1, 7), 2, 3, []byte("payload"))
	m.AddInput(Input{Task: task(1, 2), Attempt: 1, Size: 3, Inline: []byte("abc")})
	m.AddInput(Input{Task: task(2, 5), Attempt: 9, Size: 1 << 40, Holders: []uint32{4, 0}})
	m.Add(task(1, 8), 1, 0, nil)
	m = pass(t, KindAssign, m)
	a, b := m.At(0), m.At(1)
	if a.Task != task(1, 7) || a.Attempt != 2 || a.Class != 3 || string(a.Payload) != "payload" || a.Inputs() != 2 {
		t.Errorf("row 0: %+v", a)
	}
	if in := a.Input(0); in.Task != task(1, 2) || in.Attempt != 1 || string(in.Inline) != "abc" || in.Holders != nil {
		t.Errorf("input 0: %+v", in)
	}
	if in := a.Input(1); in.Task != task(2, 5) || in.Size != 1<<40 || !cmp.Equal(in.Holders, []uint32{4, 0}) || in.Inline != nil {
		t.Errorf("input 1: %+v", in)
	}
	if b.Task != task(1, 8) || len(b.Payload) != 0 || b.Inputs() != 0 {
		t.Errorf("row 1: %+v", b)
	}
}

func TestDone(t *testing.T) {
	rows := []Result{
		{Task: task(1, 1), Attempt: 1, Size: 3, Duration: 12, IsInline: true, Inline: []byte("abc")},
		{Task: task(1, 2), Attempt: 2, Size: 9000},
		{Task: task(1, 3), Attempt: 3, IsInline: true},
	}
	m := &Done{}
	for _, r := range rows {
		m.Add(r)
	}
	m = pass(t, KindDone, m)
	for i, want := range rows {
		if d := cmp.Diff(want, m.At(i), cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	}
}

func TestSmallColumns(t *testing.T) {
	tasks := &Tasks{}
	tasks.AddOK(task(1, 2), 3, true)
	tasks.AddOK(task(1, 3), 1, false)
	tasks = pass(t, KindRetracted, tasks)
	if id, a := tasks.At(0); id != task(1, 2) || a != 3 || !tasks.OKAt(0) || tasks.OKAt(1) || tasks.Len() != 2 {
		t.Errorf("tasks %v", tasks)
	}
	held := &Held{More: true}
	held.Add(task(4, 5), 6, 1<<50)
	held = pass(t, KindInventory, held)
	if id, a, size := held.At(0); id != task(4, 5) || a != 6 || size != 1<<50 || !held.More {
		t.Errorf("held %v", held)
	}
	cp := &Copy{}
	cp.Add(task(4, 5), 6, 77, 9)
	cp = pass(t, KindCopy, cp)
	if id, a, size, from := cp.At(0); id != task(4, 5) || a != 6 || size != 77 || from != 9 {
		t.Errorf("copy %v", cp)
	}
	peers := &Peers{}
	peers.Add(graph.Location{Worker: 3, Address: "nm1:1", Name: "c_3"})
	if l := pass(t, KindPeers, peers).At(0); l != (graph.Location{Worker: 3, Address: "nm1:1", Name: "c_3"}) {
		t.Errorf("peers %v", l)
	}
}

func TestEnded(t *testing.T) {
	here := graph.Location{Worker: 3, Address: "nm1:1", Name: "c_3"}
	there := graph.Location{Worker: 4, Address: "nm2:1", Name: "c_4"}
	want := []graph.Outcome{
		{Task: task(1, 0), Size: 2, Inline: []byte("ok")},
		{Task: task(1, 1), Failure: &graph.Failure{Kind: graph.FailUser, Message: "boom", Stack: "at x", ExitCode: -1, Output: []byte{0xff}, Task: task(1, 1), Attempt: 4, Host: "nm1"}},
		{Task: task(1, 2), Size: 1 << 33, Holders: []graph.Location{here, there}},
		{Task: task(1, 3), Failure: &graph.Failure{Kind: graph.FailUpstream, Message: "boom", Task: task(1, 1), Attempt: 4}},
		{Task: task(1, 4), Size: 1 << 33, Holders: []graph.Location{there}},
		{Task: task(1, 5), Size: 1 << 33}, // nowhere just now
	}
	m := &Ended{Job: 1, Next: 6}
	for i := range want {
		m.Add(&want[i], 4)
	}
	m = pass(t, KindReply, &Reply{Body: &Reply_Ended{m}}).GetEnded()
	if m.Peers.Len() != 2 {
		t.Errorf("%d peers, want each once", m.Peers.Len())
	}
	var got []graph.Outcome
	for o, a := range m.Outcomes {
		got = append(got, o)
		if a != 4 {
			t.Errorf("attempt %d", a)
		}
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}

// Texts of user code need not be UTF-8 nor short, but a frame must hold them.
func TestFailureText(t *testing.T) {
	f := &graph.Failure{Kind: graph.FailUser, Message: strings.Repeat("\xff", MaxText), Stack: strings.Repeat("é", MaxText), Output: make([]byte, MaxOutput+7)}
	m := pass(t, KindFailed, &Failed{Failure: []*Failure{FailureToWire(task(1, 1), 1, f)}})
	if got := FailureFromWire(m.Failure[0]); len(got.Message) > MaxText || len(got.Stack) > MaxText || len(got.Output) != MaxOutput || got.Task != task(1, 1) {
		t.Errorf("message %d, stack %d, output %d bytes, task %v", len(got.Message), len(got.Stack), len(got.Output), got.Task)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	assign := &Assign{}
	assign.Add(task(1, 1), 1, 0, nil)
	assign.AddInput(Input{Task: task(1, 0), Attempt: 1, Size: 5, Inline: []byte("four")})
	manyFailures := &Failed{}
	for range maxElements + 1 {
		manyFailures.Failure = append(manyFailures.Failure, &Failure{Kind: 1})
	}
	cases := map[string]struct {
		k    Kind
		m    proto.Message
		says string
	}{
		"rows":            {KindStarted, &Tasks{Job: []uint32{1}, Index: []uint32{1, 2}, Attempt: []uint32{1}}, "column index has 2 rows, not 1"},
		"ok rows":         {KindRetracted, &Tasks{Job: []uint32{1}, Index: []uint32{1}, Attempt: []uint32{1}, Ok: []bool{true, true}}, "column ok"},
		"ends back":       {KindDone, &Done{Job: []uint32{1, 1}, Index: []uint32{1, 1}, Attempt: []uint32{1, 1}, Size: []uint64{1, 1}, DurationUs: []uint32{1, 1}, InlineEnd: []uint32{1, 0}, Inline: []byte("a")}, "goes back"},
		"ends far":        {KindDone, &Done{Job: []uint32{1}, Index: []uint32{1}, Attempt: []uint32{1}, Size: []uint64{9}, DurationUs: []uint32{1}, InlineEnd: []uint32{9}, Inline: []byte("a")}, "ends at 9 of 1"},
		"part inline":     {KindDone, &Done{Job: []uint32{1}, Index: []uint32{1}, Attempt: []uint32{1}, Size: []uint64{9}, DurationUs: []uint32{1}, InlineEnd: []uint32{1}, Inline: []byte("a")}, "1 of 9 bytes inline"},
		"large inline":    {KindDone, &Done{Job: []uint32{1}, Index: []uint32{1}, Attempt: []uint32{1}, Size: []uint64{MaxInline + 1}, DurationUs: []uint32{1}, InlineEnd: []uint32{MaxInline + 1}, Inline: make([]byte, MaxInline+1)}, "limit"},
		"input nowhere":   {KindAssign, assign, "nobody who holds it"},
		"failure kind":    {KindFailed, &Failed{Failure: []*Failure{{Kind: 99}}}, "kind 99"},
		"no failure":      {KindFailed, &Failed{Failure: []*Failure{{}}}, "kind 0"},
		"failure text":    {KindFailed, &Failed{Failure: []*Failure{{Kind: 1, Message: strings.Repeat("x", MaxText+1)}}}, "limit"},
		"failures":        {KindFailed, manyFailures, "strings and messages"},
		"class kind":      {KindClasses, &Classes{Class: []*Class{{Kind: 257}}}, "kind 257"},
		"class digest":    {KindClasses, &Classes{Class: []*Class{{Kind: 1, Bundle: []byte("x")}}}, "digest of 1 bytes"},
		"hello of nobody": {KindHello, &Hello{}, "neither"},
		"locate":          {KindRequest, &Request{Body: &Request_Locate{&Locate{Index: make([]uint32, MaxLocate+1)}}}, "limit"},
		"range payload":   {KindRequest, &Request{Body: &Request_SubmitRange{&SubmitRange{Payload: make([]byte, MaxRangePayload+1)}}}, "limit"},
		"release runs":    {KindRequest, &Request{Body: &Request_Release{&Release{From: []uint32{1}}}}, "column count"},
		"cancel runs":     {KindRequest, &Request{Body: &Request_Cancel{&Cancel{Count: []uint32{1}}}}, "column count"},
		"dep rows":        {KindRequest, &Request{Body: &Request_Submit{&Submit{DepJob: []uint32{1}}}}, "dep_job"},
		"unknown holder":  {KindReply, &Reply{Body: &Reply_Ended{&Ended{Index: []uint32{1}, Kind: []uint32{0}, Size: []uint64{1}, Attempt: []uint32{1}, InlineEnd: []uint32{0}, HolderEnd: []uint32{1}, Holder: []uint32{7}}}}, "not introduced"},
		"task rows":       {KindReply, &Reply{Body: &Reply_Tasks{&TaskRows{Index: []uint32{1}, State: []string{"done"}, Class: []string{"f"}, Worker: []uint32{1}, Attempt: []uint32{1}}}}, "column started_ms"},
		"task failure":    {KindReply, &Reply{Body: &Reply_Task{&TaskDetail{Failure: &Failure{Kind: 99}}}}, "kind 99"},
		"task holders":    {KindReply, &Reply{Body: &Reply_Task{&TaskDetail{Holder: make([]string, maxElements+1)}}}, "strings and messages"},
		"unknown kind":    {Kind(99), &Ping{}, "not a kind"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			frame, err := AppendFrame(nil, c.k, c.m)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Unmarshal(c.k, frame[headerLen:])
			if _, ok := errors.AsType[*ProtocolError](err); !ok || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want a ProtocolError about %q", err, c.says)
			}
		})
	}
}

// TestRange passes ranges to the other side, or has them refused.
func TestRange(t *testing.T) {
	good := graph.Range{Run: graph.Run{Job: 3, First: 7, N: 1 << 31}, Class: 1, Payload: []byte{1, 2}, Base: -5}
	for says, change := range map[string]func(*graph.Range){
		"":                                  func(*graph.Range) {},
		"without tasks":                     func(r *graph.Range) { r.N = 0 },
		"a job has at most 2³²-1":           func(r *graph.Range) { r.First = 1<<32 - 1<<31 },
		"which is not declared (2 are)":     func(r *graph.Range) { r.Class = 2 },
		"numbers from 9223372034707292161 ": func(r *graph.Range) { r.Base = 1<<63 - 1<<31 + 1 },
	} {
		r := good
		change(&r)
		got, err := RangeFromWire(pass(t, KindRequest, &Request{Body: &Request_SubmitRange{RangeToWire(&r)}}).GetSubmitRange(), 2)
		switch {
		case says == "":
			if err != nil || cmp.Diff(&r, got) != "" {
				t.Errorf("%+v came as %+v: %v", r, got, err)
			}
		case !errors.Is(err, Invalid) || !strings.Contains(err.Error(), says):
			t.Errorf("%+v: %v, want one about %q", r, err, says)
		}
	}
}

func TestErrorCodes(t *testing.T) {
	err := error(Errorf(NotFound, "no job %q", "x"))
	if !errors.Is(err, NotFound) || errors.Is(err, Conflict) || err.Error() != `no job "x"` {
		t.Errorf("%v", err)
	}
	if e := AsError(errors.New("odd")); !errors.Is(e, Internal) || AsError(err) != err {
		t.Errorf("%v", e)
	}
}
