package wire

import (
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// hotSamples are messages that hold nothing but columns, with values of every length.
func hotSamples() map[Kind]proto.Message {
	assign := samples()[KindAssign].(*Assign)
	done := &Done{}
	for i := range uint64(64) {
		done.Add(Result{Task: task(1, uint32(1<<(i/2))), Attempt: 1, Size: 1<<i + MaxInline, Duration: math.MaxUint32 >> (i / 2)})
	}
	submit := samples()[KindRequest].(*Request)
	submit.GetSubmit().Host, submit.GetSubmit().HostEnd = []uint32{0}, []uint32{0, 1}
	submit.GetSubmit().Loose = []byte{1}
	ended := &Ended{
		Job: 1, Index: []uint32{1, 1 << 31}, Kind: []uint32{0, 0}, Size: []uint64{5, 1 << 60}, Attempt: []uint32{1, 1}, Next: 300,
		InlineEnd: []uint32{5, 5}, Inline: []byte("hello"), HolderEnd: []uint32{0, 1}, Holder: []uint32{0}, Again: []uint32{7},
	}
	return map[Kind]proto.Message{KindAssign: assign, KindDone: done, KindRequest: submit, KindReply: &Reply{Id: 1 << 40, Body: &Reply_Ended{ended}}}
}

// TestHot: the bytes are those of the library, and what it writes is read.
func TestHot(t *testing.T) {
	for k, m := range hotSamples() {
		ours, ok := appendHot([]byte("before"), m)
		theirs, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil || !ok || string(ours) != "before"+string(theirs) {
			t.Errorf("%v: %v, %v:\n%x\n%x", k, ok, err, ours, theirs)
		}
		back := k.newMessage()
		if !parseHot(theirs, back) || !proto.Equal(m, back) {
			t.Errorf("%v: parsed as\n%v, want\n%v", k, back, m)
		}
	}
}

// TestNotHot: what holds more than columns is left to the library.
func TestNotHot(t *testing.T) {
	for k, m := range samples() {
		if k == KindAssign || k == KindDone || k == KindRequest {
			continue
		}
		if b, ok := appendHot([]byte("before"), m); ok || string(b) != "before" {
			t.Errorf("%v: %v, %q", k, ok, b)
		}
		body, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if parseHot(body, k.newMessage()) {
			t.Errorf("%v was parsed", k)
		}
	}
}

// FuzzHot holds the decoder, and the encoder, against the library.
func FuzzHot(f *testing.F) {
	for _, all := range []map[Kind]proto.Message{hotSamples(), samples()} {
		for k, m := range all {
			if body, err := proto.Marshal(m); err != nil {
				f.Fatal(err)
			} else {
				f.Add(uint8(k), body)
			}
		}
	}
	f.Add(uint8(KindDone), []byte{0x0a, 0x02, 0x80, 0x80}) // numbers without an end
	f.Add(uint8(KindDone), []byte{0x08, 0x01})             // not packed
	f.Add(uint8(KindDone), []byte{0x12, 0x01, 1, 0x0a, 0x01, 1})
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		k := Kind(kind)
		if !k.Known() {
			return
		}
		ours, theirs := k.newMessage(), k.newMessage()
		if !parseHot(body, ours) {
			return
		}
		if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, theirs); err != nil {
			t.Fatalf("the library refuses it: %v", err)
		}
		if !proto.Equal(ours, theirs) {
			t.Fatalf("parsed as\n%v, by the library as\n%v", ours, theirs)
		}
		again, ok := appendHot(nil, ours)
		back := k.newMessage()
		if err := proto.Unmarshal(again, back); !ok || err != nil || !proto.Equal(ours, back) {
			t.Fatalf("encoded as %x (%v), which the library reads as\n%v, %v", again, ok, back, err)
		}
	})
}

// TestHotKnowsEveryField: one that is forgotten would not be sent.
func TestHotKnowsEveryField(t *testing.T) {
	beside := map[protoreflect.Name]bool{"host_name": true, "peers": true, "failure": true} // what columns looks at
	for _, m := range []columnar{&Assign{}, &Done{}, &Submit{}, &Ended{}} {
		known := map[protowire.Number]bool{}
		columns, _ := m.columns()
		for _, c := range columns {
			known[c.num] = true
		}
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if f := fields.Get(i); !known[f.Number()] && !beside[f.Name()] {
				t.Errorf("%s has no column for %s", m.ProtoReflect().Descriptor().Name(), f.Name())
			}
		}
	}
}
