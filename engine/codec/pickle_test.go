package codec

import (
	"bytes"
	"testing"
)

// pickled is an object of 3 bytes: None.
var pickled = []byte{0xd9, 0x79, 0x65, 0x5b, 0, 0, 0, 0, 0, 0, 0, 3, 0x80, 5, 'N'}

// TestPyObject: an object goes on as it came, and nothing else is one.
func TestPyObject(t *testing.T) {
	c, err := For[PyObject]()
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range [][]byte{pickled, {0xf6}} {
		o, err := c.Decode(data, false)
		if err != nil || o.Size() != len(data) {
			t.Fatalf("%x: %v, %v", data, o, err)
		}
		if back, _, err := c.Append(nil, nil, o); err != nil || !bytes.Equal(back, data) {
			t.Errorf("%x came back as %x, %v", data, back, err)
		}
	}
	for _, data := range [][]byte{{}, {1}, {0x41, 2}, {0xd9, 0x79, 0x64, 0x41, 2}, {0xd9, 0x79, 0x65, 2}, pickled[:14]} {
		if o, err := c.Decode(data, false); err == nil {
			t.Errorf("%x is %v", data, o)
		}
	}
}

func FuzzPyObject(f *testing.F) {
	f.Add(pickled)
	f.Add([]byte{0xf6})
	f.Add([]byte{0xd9, 0x79, 0x65, 0x5f, 0x41, 1, 0xff})
	c, err := For[PyObject]()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := c.Decode(data, false)
		if err != nil {
			return
		}
		back, _, err := c.Append(nil, nil, o)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := c.Decode(back, false); err != nil || again.Size() != o.Size() {
			t.Fatalf("%x gave %v, then %v, %v", data, o, again, err)
		}
	})
}
