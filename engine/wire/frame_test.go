package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"
)

func TestReader(t *testing.T) {
	var stream []byte
	sizes := []int{0, 10, firstRead, firstRead + 1, 3 * firstRead, 1 << 21, 5}
	for _, n := range sizes {
		var err error
		if stream, err = AppendFrame(stream, KindBye, &Bye{Reason: strings.Repeat("x", n)}); err != nil {
			t.Fatal(err)
		}
	}
	r := NewReader(iotest.HalfReader(bytes.NewReader(stream)), MaxFrame)
	for _, n := range sizes {
		k, body, err := r.Next()
		if err != nil || k != KindBye {
			t.Fatalf("Next = %v, %v", k, err)
		}
		m, err := Unmarshal(k, body)
		if err != nil || len(m.(*Bye).Reason) != n {
			t.Fatalf("frame of %d: %v", n, err)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
	if cap(r.buf) > keepBuffer {
		t.Errorf("keeps %d bytes after a large frame", cap(r.buf))
	}
}

func TestReaderRefuses(t *testing.T) {
	cases := map[string]struct {
		stream []byte
		want   func(error) bool
	}{
		"length 0":    {[]byte{0, 0, 0, 0, 1}, violation},
		"over limit":  {[]byte{0, 0, 4, 1, 1}, violation},
		"2 GiB":       {[]byte{0x80, 0, 0, 0, 1}, violation},
		"cut header":  {[]byte{0, 0, 0}, func(err error) bool { return err == io.ErrUnexpectedEOF }},
		"cut message": {[]byte{0, 0, 0, 9, 1, 'x'}, func(err error) bool { return err == io.ErrUnexpectedEOF }},
		"no message":  {[]byte{0, 0, 0, 9, 1}, func(err error) bool { return err == io.ErrUnexpectedEOF }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, _, err := NewReader(bytes.NewReader(c.stream), 1<<10).Next(); !c.want(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func violation(err error) bool { _, ok := errors.AsType[*ProtocolError](err); return ok }

// A frame that is announced and does not come costs no memory.
func TestAnnouncedFrameIsCheap(t *testing.T) {
	var hdr [headerLen]byte
	binary.BigEndian.PutUint32(hdr[:], MaxFrame)
	hdr[4] = byte(KindBye)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := NewReader(bytes.NewReader(hdr[:]), MaxFrame).Next(); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("took %d bytes", took)
	}
}

func TestKinds(t *testing.T) {
	if KindAssign.From(SideWorker) || !KindDone.From(SideWorker) || KindDone.From(SideClient) || !KindPing.From(SideClient) || Kind(200).From(SideScheduler) {
		t.Error("who may send what is wrong")
	}
	for k := range 256 {
		if k := Kind(k); k.Known() && (k.String() == "" || strings.HasPrefix(k.String(), "kind(")) {
			t.Errorf("kind %d has no name", uint8(k))
		}
	}
}

func FuzzReader(f *testing.F) {
	whole, _ := AppendFrame(nil, KindBye, &Bye{Reason: "done"})
	f.Add(whole)
	f.Add(append(whole, whole[:7]...))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream), 1<<20)
		for {
			k, body, err := r.Next()
			if err != nil {
				return
			}
			if m, err := Unmarshal(k, body); err == nil {
				read(m)
			}
		}
	})
}

// FuzzUnmarshal feeds every kind: what is accepted can be read, and is accepted
// again after encoding.
func FuzzUnmarshal(f *testing.F) {
	for k, m := range samples() {
		frame, err := AppendFrame(nil, k, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(k), frame[headerLen:])
	}
	for _, m := range []proto.Message{
		&Reply{Body: &Reply_Task{&TaskDetail{Job: 1, State: "failed", Holder: []string{"c"}, Failure: &Failure{Kind: 1, Message: "boom"}}}},
		&Reply{Body: &Reply_Tasks{&TaskRows{Index: []uint32{1}, State: []string{"done"}, Class: []string{"f"}, Worker: []uint32{1}, Attempt: []uint32{1}, StartedMs: []int64{1}, EndedMs: []int64{2}}}},
		&Reply{Body: &Reply_Answered{&Answered{Result: []byte("r"), Failure: &Failure{Kind: 1, Message: "boom"}, Ended: true}}},
		&Reply{Body: &Reply_Delivery{&Delivery{Call: []*Delivered{{Id: 1, Method: "m", Payload: []byte("p")}}, Withdrawn: []uint64{1}, Leave: true, Round: 1}}},
		&Reply{Body: &Reply_Events{&Events{Event: []*Event{{Number: 1, AtUs: 2, Kind: "k", Object: "o", Text: "t"}}, Next: 1}}},
	} {
		body, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(KindReply), body)
	}
	for _, m := range []proto.Message{
		&Request{Id: 1, Body: &Request_SubmitRange{&SubmitRange{Job: 1, First: 3, Count: 1 << 31, Class: 2, Payload: []byte("p"), Base: -7}}},
		&Request{Id: 2, Body: &Request_Release{&Release{Job: 1, Index: []uint32{1}, From: []uint32{5}, Count: []uint32{1<<32 - 1}}}},
		&Request{Id: 3, Body: &Request_Cancel{&Cancel{Job: 1, From: []uint32{5}, Count: []uint32{9}}}},
		&Request{Body: &Request_Call{&Call{Job: 1, Index: 2, Actor: "a", Method: "m", Payload: []byte("p"), Idempotent: true}}},
		&Request{Body: &Request_Answer{&Answer{Id: 1, Result: []byte("r"), Failure: &Failure{Kind: 1}, Last: true, Window: 9, Round: 1}}},
		&Request{Body: &Request_Checkpoint{&Checkpoint{Data: []byte("state")}}},
	} {
		body, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(KindRequest), body)
	}
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		k := Kind(kind)
		m, err := Unmarshal(k, body)
		if err != nil {
			if !violation(err) {
				t.Fatalf("error %T is no ProtocolError", err)
			}
			return
		}
		read(m)
		frame, err := AppendFrame(nil, k, m)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Unmarshal(k, frame[headerLen:])
		if err != nil {
			t.Fatalf("refused after encoding: %v", err)
		}
		if !proto.Equal(m, again) {
			t.Fatal("changed by encoding")
		}
	})
}

// read looks at every row of a checked message.
func read(m proto.Message) {
	switch m := m.(type) {
	case *Assign:
		for i := range m.Len() {
			a := m.At(i)
			for j := range a.Inputs() {
				a.Input(j)
			}
		}
	case *Done:
		for i := range m.Len() {
			m.At(i)
		}
	case *Tasks:
		for i := range m.Len() {
			m.At(i)
			m.OKAt(i)
		}
	case *Held:
		for i := range m.Len() {
			m.At(i)
		}
	case *Copy:
		for i := range m.Len() {
			m.At(i)
		}
	case *Peers:
		for i := range m.Len() {
			m.At(i)
		}
	case *Classes:
		for _, c := range m.Class {
			ClassFromWire(c)
		}
	case *Failed:
		for _, f := range m.Failure {
			FailureFromWire(f)
		}
	case *Request:
		if s := m.GetSubmit(); s != nil {
			if b, err := BatchFromWire(s, 4); err == nil {
				for i := range b.Len() {
					b.DepsOf(i)
					b.PayloadOf(i)
					b.HostsOf(i)
					b.IsLoose(i)
				}
			}
		}
		if r := m.GetSubmitRange(); r != nil {
			if r, err := RangeFromWire(r, 4); err == nil && (r.N == 0 || r.End() != r.First+r.N) {
				panic("a range that was checked is empty, or ends elsewhere")
			}
		}
		if r := m.GetRelease(); r != nil {
			for _, r := range RunsFromWire(1, r.From, r.Count) {
				r.End()
			}
		}
	case *Reply:
		if e := m.GetEnded(); e != nil {
			for range e.Outcomes {
			}
		}
	}
}

// samples yields a message of each kind.
func samples() map[Kind]proto.Message {
	assign := &Assign{}
	assign.Add(task(1, 7), 2, 3, []byte("payload"))
	assign.AddInput(Input{Task: task(1, 2), Attempt: 1, Size: 3, Inline: []byte("abc")})
	assign.AddInput(Input{Task: task(2, 5), Attempt: 9, Size: 1 << 40, Holders: []uint32{4, 0}})
	done := &Done{}
	done.Add(Result{Task: task(1, 1), Attempt: 1, IsInline: true, Inline: []byte("abc")})
	done.Add(Result{Task: task(1, 2), Attempt: 1, Size: 10000})
	tasks := &Tasks{}
	tasks.Add(task(1, 1), 2)
	retracted := &Tasks{}
	retracted.AddOK(task(1, 1), 2, true)
	held := &Held{}
	held.Add(task(1, 1), 2, 300)
	cp := &Copy{}
	cp.Add(task(1, 1), 2, 300, 4)
	peers := &Peers{Id: []uint32{1}, Address: []string{"nm1:1"}, Name: []string{"c"}}
	classes := &Classes{Job: 1, Class: []*Class{{Kind: 1, Name: "f"}}}
	failed := &Failed{Failure: []*Failure{{Kind: 1, Message: "boom"}}}
	ended := &Ended{
		Job: 1, Index: []uint32{1, 2}, Kind: []uint32{0, 1}, Size: []uint64{5, 0}, Attempt: []uint32{1, 1},
		InlineEnd: []uint32{0, 0}, HolderEnd: []uint32{1, 1}, Holder: []uint32{1}, Peers: peers, Failure: failed.Failure,
	}
	submit := &Submit{Job: 1, Class: []uint32{0, 1}, DepEnd: []uint32{0, 1}, DepJob: []uint32{1}, DepIndex: []uint32{0}, PayEnd: []uint32{1, 1}, Payload: []byte("p")}
	return map[Kind]proto.Message{
		KindHello:   &Hello{Protocol: 1, ProtocolMin: 1, Who: &Hello_Client{&ClientHello{User: "alice"}}},
		KindWelcome: &Welcome{Id: 1}, KindPing: &Ping{}, KindBye: &Bye{Reason: "r"},
		KindClasses: classes, KindAssign: assign, KindPeers: peers,
		KindStop: tasks, KindRetract: tasks, KindFree: tasks, KindCopy: cp, KindRetire: &Retire{},
		KindInventory: held, KindDone: done, KindStarted: tasks, KindRetracted: retracted, KindMissing: tasks,
		KindCopied: held, KindFailed: failed, KindLoad: &Load{Cpu: 0.5},
		KindParked: tasks, KindUnparked: tasks, KindKept: tasks, KindNested: &Nested{Job: 1, Index: 2, Attempt: 3, Stream: 1, Ack: 9, Data: []byte{1}, End: "over", Code: 5},
		KindRequest: &Request{Id: 1, Body: &Request_Submit{submit}},
		KindReply:   &Reply{Id: 1, Body: &Reply_Ended{ended}},
	}
}

func TestSamplesCoverKinds(t *testing.T) {
	have := samples()
	for k := range Kind(255) {
		if _, ok := have[k]; k.Known() && !ok {
			t.Errorf("no sample of %v", k)
		}
	}
}
