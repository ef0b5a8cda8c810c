package shuffle

import (
	"cmp"
	"math/bits"
	"slices"
)

// entry is a record of a batch.
type entry struct {
	prefix uint64
	part   uint32
	at     uint32 // in data, or in vals
}

const (
	digit     = 11 // bits that are looked at at once
	digitMask = 1<<digit - 1
	digits    = 3   // of a prefix that are looked at
	few       = 512 // entries, for which that does not pay
)

// sortEntries sorts by part and prefix, and what is equal in that by compare. All but a few
// entries go by the first bits in which prefixes differ, digit by digit from the last one
// on, to and fro between a and spare, which is as long, and returns the one with the result.
func sortEntries(a, spare []entry, compare func(x, y entry) int) []entry {
	if len(a) < few {
		slices.SortFunc(a, compare)
		return a
	}
	var prefixes uint64
	var parts uint32
	for _, e := range a {
		prefixes |= e.prefix ^ a[0].prefix
		parts |= e.part
	}
	low := max(0, bits.Len64(prefixes)-digits*digit)
	for shift := low; shift < bits.Len64(prefixes); shift += digit {
		scatter(a, spare, false, shift)
		a, spare = spare, a
	}
	for shift := 0; shift < bits.Len32(parts); shift += digit {
		scatter(a, spare, true, shift)
		a, spare = spare, a
	}
	for from, i := 0, 1; i <= len(a); i++ {
		if i < len(a) && a[i].part == a[from].part && a[i].prefix>>low == a[from].prefix>>low {
			continue
		}
		if i-from > 1 {
			slices.SortFunc(a[from:i], compare)
		}
		from = i
	}
	return a
}

// scatter puts from into to, by one digit of the part or the prefix; equal ones stay in
// their order.
func scatter(from, to []entry, part bool, shift int) {
	var next [1 << digit]uint32
	for i := range from {
		next[from[i].digit(part, shift)]++
	}
	sum := uint32(0)
	for i, n := range next {
		next[i], sum = sum, sum+n
	}
	for i := range from {
		p := &next[from[i].digit(part, shift)]
		to[*p] = from[i]
		*p++
	}
}

func (e *entry) digit(part bool, shift int) uint {
	if part {
		return uint(e.part>>(shift&31)) & digitMask
	}
	return uint(e.prefix>>(shift&63)) & digitMask
}

// compareEntries orders records: by their parts, their keys, then their arrival.
func compareEntries(x, y entry, keyAt func(at uint32) []byte) int {
	if x.part != y.part {
		return cmp.Compare(x.part, y.part)
	}
	if c := cmp.Compare(x.prefix, y.prefix); c != 0 {
		return c
	}
	if c := compareKeys(0, 0, keyAt(x.at), keyAt(y.at)); c != 0 {
		return c
	}
	return cmp.Compare(x.at, y.at)
}
