package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	headerLen = 5
	// firstRead is how much memory a frame gets before any of it has arrived.
	firstRead = 64 << 10
	// keepBuffer is the largest buffer that is kept from frame to frame.
	keepBuffer = 1 << 20
)

// A ProtocolError says how the peer broke the protocol. The connection cannot be
// used after it.
type ProtocolError struct {
	Kind Kind   // of the frame, if that far was read
	What string // what is wrong
}

func (e *ProtocolError) Error() string {
	if e.Kind == 0 {
		return "protocol violation: " + e.What
	}
	return fmt.Sprintf("protocol violation: %s frame: %s", e.Kind, e.What)
}

// AppendFrame appends a frame of kind k that holds m, which must be the kind's
// message; nil is an empty one.
func AppendFrame(dst []byte, k Kind, m proto.Message) ([]byte, error) {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, byte(k))
	if done, ok := appendHot(dst, m); ok {
		dst = done
	} else if m != nil {
		var err error
		if dst, err = (proto.MarshalOptions{}).MarshalAppend(dst, m); err != nil {
			return dst[:start], fmt.Errorf("encode %s: %w", k, err)
		}
	}
	length := len(dst) - start - headerLen + 1
	if length > math.MaxUint32 {
		return dst[:start], fmt.Errorf("encode %s: %d bytes do not fit a frame", k, length)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(length))
	return dst, nil
}

// Reader cuts a stream into frames. It is not safe for concurrent use.
type Reader struct {
	r   io.Reader
	max int
	hdr [headerLen]byte
	buf []byte
}

// NewReader returns a reader of frames of at most max bytes (kind and message). r
// should be buffered.
func NewReader(r io.Reader, max int) *Reader { return &Reader{r: r, max: max} }

// SetMax changes the limit for frames not yet begun.
func (r *Reader) SetMax(max int) { r.max = max }

// Next returns the next frame's kind and message bytes, which are valid until the
// next call. The error is io.EOF at a clean end between frames,
// io.ErrUnexpectedEOF within one, a *ProtocolError for a frame of impossible
// length, or the stream's own.
func (r *Reader) Next() (Kind, []byte, error) {
	if _, err := io.ReadFull(r.r, r.hdr[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(r.hdr[:])
	k := Kind(r.hdr[4])
	if length == 0 {
		return 0, nil, &ProtocolError{What: "frame of length 0"}
	}
	if uint64(length) > uint64(r.max) {
		return 0, nil, &ProtocolError{Kind: k, What: fmt.Sprintf("%d bytes: the limit is %d", length, r.max)}
	}
	body, err := r.body(int(length) - 1)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return k, body, err
}

// body reads n bytes. Memory doubles with what has arrived, so that a frame which
// is only announced costs nothing.
func (r *Reader) body(n int) ([]byte, error) {
	if cap(r.buf) > keepBuffer && n <= keepBuffer {
		r.buf = nil
	}
	for have := 0; have < n; {
		want := min(n, max(2*have, firstRead, cap(r.buf)))
		if cap(r.buf) < want {
			grown := make([]byte, want)
			copy(grown, r.buf[:have])
			r.buf = grown
		}
		got, err := io.ReadFull(r.r, r.buf[have:want])
		have += got
		if err != nil {
			return nil, err
		}
	}
	return r.buf[:n], nil
}

// checker is a message that knows what makes it unusable.
type checker interface{ Check() error }

// Unmarshal decodes and checks a frame's message; after that its columns agree
// with one another and all values are in range. The message keeps no reference to
// body. Every error is a *ProtocolError.
func Unmarshal(k Kind, body []byte) (proto.Message, error) {
	if !k.Known() {
		return nil, &ProtocolError{Kind: k, What: "not a kind of this protocol version"}
	}
	m := k.newMessage()
	if parseHot(body, m) {
		return checked(k, m)
	}
	proto.Reset(m)
	if kinds[k].nested {
		left := maxElements
		if err := countElements(m.ProtoReflect().Descriptor(), body, &left); err != nil {
			return nil, &ProtocolError{Kind: k, What: err.Error()}
		}
	}
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, m); err != nil {
		return nil, &ProtocolError{Kind: k, What: err.Error()}
	}
	return checked(k, m)
}

func checked(k Kind, m proto.Message) (proto.Message, error) {
	if c, ok := m.(checker); ok {
		if err := c.Check(); err != nil {
			return nil, &ProtocolError{Kind: k, What: err.Error()}
		}
	}
	return m, nil
}

// nested reports whether a message of this type can hold many strings or messages.
func nested(d protoreflect.MessageDescriptor) bool {
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		switch {
		case f.IsList() && (f.Kind() == protoreflect.StringKind || f.Kind() == protoreflect.BytesKind):
			return true
		case f.Kind() == protoreflect.MessageKind && (f.IsList() || nested(f.Message())):
			return true
		}
	}
	return false
}

var errElements = fmt.Errorf("more than %d strings and messages", maxElements)

// countElements takes one from left for each repeated string or message, however
// deep. Every occurrence of a message counts, repeated or not: merging them takes
// time if not memory.
func countElements(d protoreflect.MessageDescriptor, b []byte, left *int) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		f := d.Fields().ByNumber(num)
		if typ != protowire.BytesType || f == nil {
			if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
				return protowire.ParseError(n)
			}
			b = b[n:]
			continue
		}
		v, n := protowire.ConsumeBytes(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if f.Kind() == protoreflect.MessageKind || f.IsList() {
			if *left--; *left < 0 {
				return errElements
			}
		}
		if f.Kind() == protoreflect.MessageKind {
			if err := countElements(f.Message(), v, left); err != nil {
				return err
			}
		}
	}
	return nil
}
