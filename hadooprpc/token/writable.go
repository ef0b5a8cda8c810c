package token

import "fmt"

// appendVInt appends n as Hadoop's WritableUtils.writeVLong does.
//
//	-112 ≤ n ≤ 127   one byte, n itself
//	n > 127          one byte -112-k, then the k bytes of n, big-endian
//	n < -112         one byte -120-k, then the k bytes of ^n, big-endian
//
// with k the fewest bytes that hold the number.
func appendVInt(dst []byte, n int64) []byte {
	if n >= -112 && n <= 127 {
		return append(dst, byte(n))
	}
	marker := -112
	if n < 0 {
		n, marker = ^n, -120
	}
	k := 0
	for rest := n; rest != 0; rest >>= 8 {
		k++
	}
	dst = append(dst, byte(marker-k))
	for i := k - 1; i >= 0; i-- {
		dst = append(dst, byte(n>>(8*i)))
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	return append(appendVInt(dst, int64(len(b))), b...)
}

func appendText(dst []byte, s string) []byte {
	return append(appendVInt(dst, int64(len(s))), s...)
}

// reader takes Writable values off the front of b. The first failure is kept
// in err and makes every later read return a zero value.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.b = nil
}

// vint reads what appendVInt wrote. Like Java it accepts more bytes than are
// needed for the number.
func (r *reader) vint() int64 {
	if len(r.b) == 0 {
		r.fail("cut short in a number")
		return 0
	}
	first := int8(r.b[0])
	if first >= -112 {
		r.b = r.b[1:]
		return int64(first)
	}
	k, negative := -112-int(first), false
	if first < -120 {
		k, negative = -120-int(first), true
	}
	if len(r.b) < 1+k {
		r.fail("cut short in a number")
		return 0
	}
	var n int64
	for _, c := range r.b[1 : 1+k] {
		n = n<<8 | int64(c)
	}
	r.b = r.b[1+k:]
	if negative {
		n = ^n
	}
	return n
}

// count reads a number of entries, each of which takes at least size bytes of
// what is left; so a wrong count costs no memory.
func (r *reader) count(size int) int {
	n := r.vint()
	if n < 0 || n > int64(len(r.b)/size) {
		r.fail("%d entries do not fit the %d bytes left", n, len(r.b))
		return 0
	}
	return int(n)
}

// bytes reads a length and a copy of so many bytes.
func (r *reader) bytes() []byte {
	n := r.vint()
	if n < 0 || n > int64(len(r.b)) {
		r.fail("a field of %d bytes with %d bytes left", n, len(r.b))
		return nil
	}
	v := append([]byte{}, r.b[:n]...)
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string { return string(r.bytes()) }
