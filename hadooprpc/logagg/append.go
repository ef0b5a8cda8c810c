package logagg

import (
	"encoding/binary"
	"math"
	"unicode/utf16"
)

// appendVLong appends a number as [source.vlong] reads it, in the fewest bytes.
// Source: org.apache.hadoop.io.file.tfile.Utils.writeVLong.
func appendVLong(dst []byte, n int64) []byte {
	switch {
	case n >= -32 && n < 128:
		return append(dst, byte(n))
	case n>>8 >= -20 && n>>8 < 20:
		return append(dst, byte(n>>8-52), byte(n))
	case n>>16 >= -16 && n>>16 < 16:
		return append(dst, byte(n>>16-88), byte(n>>8), byte(n))
	case n>>24 >= -8 && n>>24 < 8:
		return append(dst, byte(n>>24-112), byte(n>>16), byte(n>>8), byte(n))
	}
	size := 4
	for size < 8 && (n>>(8*size-1) != 0 && n>>(8*size-1) != -1) {
		size++
	}
	dst = append(dst, byte(size-129))
	for i := size - 1; i >= 0; i-- {
		dst = append(dst, byte(n>>(8*i)))
	}
	return dst
}

// appendSized appends bytes after their length.
func appendSized(dst, b []byte) []byte { return append(appendVLong(dst, int64(len(b))), b...) }

// appendText appends a string of TFile's.
func appendText(dst []byte, s string) []byte { return appendSized(dst, []byte(s)) }

func appendRegion(dst []byte, r region) []byte {
	return appendVLong(appendVLong(appendVLong(dst, r.offset), r.size), r.raw)
}

// appendUTF appends a string as DataOutput.writeUTF does. What does not fit its two bytes of length is cut off.
func appendUTF(dst []byte, s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		switch {
		case u != 0 && u < 0x80:
			b = append(b, byte(u))
		case u < 0x800:
			b = append(b, 0xc0|byte(u>>6), 0x80|byte(u&0x3f))
		default:
			b = append(b, 0xe0|byte(u>>12), 0x80|byte(u>>6&0x3f), 0x80|byte(u&0x3f))
		}
		if len(b) > math.MaxUint16-3 {
			break
		}
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b)))
	return append(dst, b...)
}
