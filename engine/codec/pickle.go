package codec

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// pickleTag is the CBOR tag of a Python object: the one behind refTag.
const pickleTag = 0x7965

// PyObject is a Python object, as its pickle: a Go program can hold it and hand it on,
// not look into it. The zero PyObject is None.
type PyObject struct{ item []byte }

// Size returns how many bytes it has when it is sent.
func (o PyObject) Size() int { return max(1, len(o.item)) }

// String tells what it is, not what it holds.
func (o PyObject) String() string { return fmt.Sprintf("PyObject(%d bytes)", o.Size()) }

// MarshalCBOR is for the codec.
func (o PyObject) MarshalCBOR() ([]byte, error) {
	if len(o.item) == 0 {
		return []byte{0xf6}, nil
	}
	return o.item, nil
}

// UnmarshalCBOR is for the codec.
func (o *PyObject) UnmarshalCBOR(data []byte) error {
	if len(data) == 1 && (data[0] == 0xf6 || data[0] == 0xf7) {
		*o = PyObject{}
		return nil
	}
	var tag cbor.RawTag
	if err := decMode.Unmarshal(data, &tag); err != nil {
		return err
	}
	if tag.Number != pickleTag || len(tag.Content) == 0 || tag.Content[0] != majorBytes|27 { // a length of 8 bytes
		return errors.New("it is no pickle of a Python object")
	}
	o.item = append([]byte(nil), data...)
	return nil
}
