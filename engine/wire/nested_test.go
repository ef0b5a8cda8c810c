package wire

import (
	"bytes"
	"testing"
)

// FuzzCut cuts a stream as it comes, in two pieces, and as a reader does.
func FuzzCut(f *testing.F) {
	hello, err := AppendFrame(nil, KindHello, &Hello{Build: "x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hello, 3)
	f.Add(append(hello, hello...), len(hello)+2)
	f.Add([]byte{0x7f, 0xff, 0xff, 0xff, 1}, 1)
	f.Add([]byte{0, 0, 0, 0, 1}, 5)
	const most = 1 << 10
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		r := NewReader(bytes.NewReader(data), most)
		at = min(max(at, 0), len(data))
		in := bytes.Clone(data[:at])
		for more := true; ; {
			k, body, rest, ok, err := Cut(in, most)
			if !ok && err == nil && more {
				in, more = append(bytes.Clone(in), data[at:]...), false
				continue
			}
			wantK, wantBody, wantErr := r.Next()
			if ok != (wantErr == nil) || ok && (k != wantK || !bytes.Equal(body, wantBody)) {
				t.Fatalf("cut %v %q (%v, %v), a reader reads %v %q, %v", k, body, ok, err, wantK, wantBody, wantErr)
			}
			if !ok {
				return
			}
			in = rest
		}
	})
}

func TestNestedCheck(t *testing.T) {
	good := &Nested{Job: 1, Stream: 1, Data: make([]byte, NestedPiece)}
	if got := pass(t, KindNested, good); len(got.Data) != NestedPiece {
		t.Errorf("%d bytes", len(got.Data))
	}
	for name, m := range map[string]*Nested{
		"too much":  {Stream: 1, Data: make([]byte, NestedPiece+1)},
		"no stream": {},
		"ack":       {Stream: 1, Ack: NestedWindow + 1},
		"text":      {Stream: 1, End: string(make([]byte, MaxText+1))},
	} {
		if m.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
