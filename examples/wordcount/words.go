package main

import (
	"bytes"
	"unicode/utf8"
)

// A word is what Java's StringTokenizer makes of a line that Hadoop's Text has
// decoded: a run of bytes other than space, tab, newline, carriage return and
// form feed, in which each malformed piece of UTF-8 has become U+FFFD.
//
// The separators are ASCII, and ASCII ends every malformed piece, so that words
// can be cut from the bytes and decoded one by one: the result is the same as
// decoding whole lines first.

func isSpace(b byte) bool {
	return b == ' ' || b == '\t' || b == '\n' || b == '\r' || b == '\f'
}

// cutWord returns the first word of b and what follows it. ok is false when b
// holds nothing but separators.
func cutWord(b []byte) (word, rest []byte, ok bool) {
	i := 0
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	j := i
	for j < len(b) && !isSpace(b[j]) {
		j++
	}
	return b[i:j], b[j:], j > i
}

// decoded returns a word as Java writes it back. Valid words, nearly all, are
// returned as they are.
func decoded(word []byte) []byte {
	if utf8.Valid(word) {
		return word
	}
	out := make([]byte, 0, len(word)+8)
	for len(word) > 0 {
		r, n := utf8.DecodeRune(word)
		if r != utf8.RuneError || n > 1 {
			out, word = append(out, word[:n]...), word[n:]
			continue
		}
		out, word = append(out, "\uFFFD"...), word[malformed(word):]
	}
	return out
}

// malformed says how many bytes at the start of b, which do not begin a valid
// sequence, Java's decoder replaces at once (sun.nio.cs.UTF_8, malformedN and
// the shorter cases at the end of the input).
func malformed(b []byte) int {
	at := func(i int) byte { // 0 is no continuation byte, as the end is none
		if i < len(b) {
			return b[i]
		}
		return 0
	}
	switch first := at(0); {
	case first&0xf0 == 0xe0: // of three bytes
		second := at(1)
		if !continues(second) || first == 0xe0 && second&0xe0 == 0x80 {
			return 1
		}
		if !continues(at(2)) {
			return 2
		}
		return 3 // a surrogate, whole
	case first&0xf8 == 0xf0: // of four bytes
		second := at(1)
		if first > 0xf4 || !continues(second) || first == 0xf0 && second < 0x90 || first == 0xf4 && second&0xf0 != 0x80 {
			return 1
		}
		if !continues(at(2)) {
			return 2
		}
		return 3
	}
	return 1
}

func continues(b byte) bool { return b&0xc0 == 0x80 }

// tally counts words.
type tally map[string]*int64

func (t tally) add(word []byte, n int64) {
	if c, ok := t[string(word)]; ok { // no allocation for a word seen before
		*c += n
		return
	}
	t[string(word)] = &n
}

// span says which words of a file one task counts: those that begin in
// [Offset, Offset+Length). A span that is not the file's last has at least four
// bytes, so that a byte order mark lies in the first one.
type span struct {
	Offset, Length int64
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// counter is fed the bytes of a file from one byte before the span's beginning
// (or its beginning, when that is 0) until it is full.
type counter struct {
	tally tally
	span  span
	pos   int64  // of the next byte to be fed
	word  []byte // begun in an earlier piece
	skip  bool   // inside a word that began before the span
	full  bool
}

func newCounter(s span) *counter {
	return &counter{tally: tally{}, span: s, pos: max(0, s.Offset-1), skip: s.Offset > 0}
}

// feed counts the words of the next piece.
func (c *counter) feed(b []byte) {
	if c.pos == 0 && bytes.HasPrefix(b, byteOrderMark) {
		b = b[len(byteOrderMark):] // as LineRecordReader does
		c.pos += int64(len(byteOrderMark))
	}
	if c.skip { // to the first separator: the byte before the span is one when a word begins there
		i := 0
		for i < len(b) && !isSpace(b[i]) {
			i++
		}
		c.pos += int64(i)
		b = b[i:]
		c.skip = len(b) == 0
		c.full = c.skip && c.pos >= c.span.Offset+c.span.Length // one word goes on beyond the span
	}
	for len(b) > 0 && !c.full {
		b = c.next(b)
	}
}

// next counts one word, or keeps the part of it that has come.
func (c *counter) next(b []byte) []byte {
	end := c.span.Offset + c.span.Length
	if len(c.word) == 0 {
		i := 0
		for i < len(b) && isSpace(b[i]) {
			i++
		}
		c.pos += int64(i)
		b = b[i:]
		if c.pos >= end {
			c.full = true
			return nil
		}
	}
	word, rest, ok := cutWord(b)
	switch {
	case len(c.word) > 0 && (len(b) > 0 && isSpace(b[0])): // it ended with the piece before
		c.flush()
		return b
	case !ok:
		return nil
	}
	c.pos += int64(len(word))
	if len(rest) == 0 { // it may go on
		c.word = append(c.word, word...)
		return nil
	}
	if len(c.word) > 0 {
		c.word = append(c.word, word...)
		c.flush()
	} else {
		c.tally.add(decoded(word), 1)
	}
	return rest
}

func (c *counter) flush() {
	c.tally.add(decoded(c.word), 1)
	c.word = c.word[:0]
}

// done counts a word that the end of the file ended.
func (c *counter) done() tally {
	if len(c.word) > 0 {
		c.flush()
	}
	return c.tally
}
