package main

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// Records are those of TeraGen, which are those of gensort -a's binary form: a key of 10
// random bytes, 0x0011, the row's number as 32 hexadecimal digits, 0x8899AABB, 12 random
// digits four times each, 0xCCDDEEFF.
const (
	recordLen = 100
	keyLen    = 10
)

// number is one of 128 bits.
type number struct{ hi, lo uint64 }

func (a number) add(b number) number {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return number{hi, lo}
}

func (a number) mul(b number) number {
	hi, lo := bits.Mul64(a.lo, b.lo)
	return number{hi + a.hi*b.lo + a.lo*b.hi, lo}
}

// The generator is a linear congruential one of 128 bits: x' = x·factor + term.
var (
	factor = number{0x2360ed051fc65da4, 0x4385df649fccf645}
	term   = number{0x4a696d4772617952, 0x4950202020202001}
)

func next(x number) number { return x.mul(factor).add(term) }

// skip returns the generator's state after n steps from 0.
func skip(n uint64) number {
	a, c := number{0, 1}, number{} // what has been composed: x·a + c
	f, t := factor, term           // 2^i steps
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			a, c = a.mul(f), c.mul(f).add(t)
		}
		f, t = f.mul(f), t.mul(f).add(t)
	}
	return c
}

const digits = "0123456789ABCDEF"

// fill writes row's record, for the generator's state x.
func fill(b *[recordLen]byte, x number, row uint64) {
	var r [16]byte
	binary.BigEndian.PutUint64(r[:], x.hi)
	binary.BigEndian.PutUint64(r[8:], x.lo)
	copy(b[:], r[:keyLen])
	b[10], b[11] = 0x00, 0x11
	for i := range 32 {
		b[12+i] = '0'
		if i >= 16 {
			b[12+i] = digits[row>>(4*(31-i))&0xf]
		}
	}
	copy(b[44:], "\x88\x99\xaa\xbb")
	for i := range 12 {
		nibble := r[10+i/2]
		if i%2 == 0 {
			nibble >>= 4
		}
		for k := range 4 {
			b[48+4*i+k] = digits[nibble&0xf]
		}
	}
	copy(b[96:], "\xcc\xdd\xee\xff")
}

// sum is what TeraGen and TeraValidate tell of records: how many, and the sum of their
// CRC-32.
type sum struct {
	Rows     uint64
	Checksum uint64
}

func (s *sum) add(record []byte) {
	s.Rows++
	s.Checksum += uint64(crc32.ChecksumIEEE(record))
}

func (s *sum) join(t sum) {
	s.Rows += t.Rows
	s.Checksum += t.Checksum
}
