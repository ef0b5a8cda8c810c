package logagg

import (
	"bufio"
	"encoding/binary"
	"io"
)

// source reads Java's and TFile's primitive values from a stream.
type source struct{ *bufio.Reader }

func newSource(r io.Reader) source { return source{bufio.NewReaderSize(r, 64<<10)} }

// vlong reads TFile's variable-length number
// (org.apache.hadoop.io.file.tfile.Utils.readVLong). With f the first byte as
// a signed number:
//
//	f ≥ -32         f itself
//	-72 … -33       (f+52)<<8  | next byte
//	-104 … -73      (f+88)<<16 | next 2 bytes
//	-120 … -105     (f+112)<<24 | next 3 bytes
//	-128 … -121     the next f+129 bytes as a signed number; 1 to 3 are not used
func (s source) vlong() (int64, error) {
	b, err := s.ReadByte()
	if err != nil {
		return 0, err
	}
	f := int64(int8(b))
	switch {
	case f >= -32:
		return f, nil
	case f >= -72:
		return s.tail(f+52, 1)
	case f >= -104:
		return s.tail(f+88, 2)
	case f >= -120:
		return s.tail(f+112, 3)
	}
	n := int(f + 129)
	if n < 4 {
		return 0, corrupt("a number of %d bytes", n)
	}
	b, err = s.ReadByte()
	if err != nil {
		return 0, unexpected(err)
	}
	return s.tail(int64(int8(b)), n-1)
}

// tail appends n bytes, big-endian, to v.
func (s source) tail(v int64, n int) (int64, error) {
	for range n {
		b, err := s.ReadByte()
		if err != nil {
			return 0, unexpected(err)
		}
		v = v<<8 | int64(b)
	}
	return v, nil
}

// size reads a VInt that counts something and may not pass max.
func (s source) size(what string, max int64) (int64, error) {
	n, err := s.vlong()
	if err != nil {
		return 0, unexpected(err)
	}
	if n < 0 || n > max {
		return 0, corrupt("%s of %d, at most %d are possible", what, n, max)
	}
	return n, nil
}

// text reads a string of TFile's: a VInt length and so many bytes.
func (s source) text() (string, error) {
	n, err := s.size("a text length", maxText)
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(s, b)
	return string(b), unexpected(err)
}

const maxText = 1 << 16

// utf reads a string as DataInput.readUTF does: two bytes of length and
// modified UTF-8. io.EOF means that there was nothing more.
func (s source) utf() (string, error) {
	var head [2]byte
	if _, err := io.ReadFull(s, head[:1]); err != nil {
		return "", err
	}
	if _, err := io.ReadFull(s, head[1:]); err != nil {
		return "", unexpected(err)
	}
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(s, b); err != nil {
		return "", unexpected(err)
	}
	return fromModifiedUTF(b), nil
}

// fromModifiedUTF decodes Java's modified UTF-8, in which U+0000 has two bytes
// and characters beyond the BMP are two surrogates of three bytes each.
func fromModifiedUTF(b []byte) string {
	plain := true
	for _, c := range b {
		if c >= 0x80 {
			plain = false
			break
		}
	}
	if plain {
		return string(b)
	}
	return decodeSurrogates(b)
}

// unexpected makes io.EOF in the middle of something an error.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
