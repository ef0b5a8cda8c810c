package main

import (
	"bytes"
	"math/big"
	"testing"
)

func TestSkipIsManySteps(t *testing.T) {
	x := number{}
	for n := range uint64(2000) {
		if got := skip(n); got != x {
			t.Fatalf("after %d steps %x, want %x", n, got, x)
		}
		x = next(x)
	}
}

// The arithmetic is that of numbers modulo 2^128.
func TestNumbers(t *testing.T) {
	of := func(n number) *big.Int {
		b := new(big.Int).SetUint64(n.hi)
		return b.Add(b.Lsh(b, 64), new(big.Int).SetUint64(n.lo))
	}
	mod := new(big.Int).Lsh(big.NewInt(1), 128)
	x := number{1, 2}
	for range 100 {
		want := new(big.Int).Mul(of(x), of(factor))
		want.Mod(want.Add(want, of(term)), mod)
		x = next(x)
		if of(x).Cmp(want) != 0 {
			t.Fatalf("%x, want %x", of(x), want)
		}
	}
}

func TestRecord(t *testing.T) {
	var b [recordLen]byte
	fill(&b, number{0x0102030405060708, 0x090a0b0c0d0e0f10}, 0xabc)
	want := "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x00\x1100000000000000000000000000000ABC\x88\x99\xaa\xbb" +
		"0000BBBB0000CCCC0000DDDD0000EEEE0000FFFF11110000\xcc\xdd\xee\xff"
	if !bytes.Equal(b[:], []byte(want)) {
		t.Errorf("got %q\nwant %q", b[:], want)
	}
}
