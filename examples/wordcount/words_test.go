package main

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

// What Java 17 prints for new String(bytes, UTF_8), one row for each branch of
// its decoder.
func TestDecodedAsJava(t *testing.T) {
	const r = "\uFFFD"
	for in, want := range map[string]string{
		"plain":              "plain",
		"grün":               "grün",
		"a\xffb":             "a" + r + "b",
		"\x80\x80":           r + r,
		"\xc0\xaf":           r + r,     // overlong: two
		"\xc3":               r,         // cut
		"\xc3(":              r + "(",   //
		"\xe2\x82":           r,         // cut after two of three: one
		"\xe2\x82x":          r + "x",   //
		"\xe2x":              r + "x",   //
		"\xe0\x80\x80":       r + r + r, // overlong
		"\xed\xa0\x80":       r,         // surrogate: one
		"\xf0\x9f\x98":       r,         // cut after three of four: one
		"\xf0\x9f\x98x":      r + "x",
		"\xf0\x9fx":          r + "x",
		"\xf0\x80\x80\x80":   r + r + r + r,
		"\xf4\x90\x80\x80":   r + r + r + r, // above U+10FFFF
		"\xf5\x80\x80":       r + r + r,
		"\xf8\x88\x80\x80":   r + r + r + r,
		"\xf0\x9f\x98\x80ok": "😀ok",
	} {
		if got := string(decoded([]byte(in))); got != want {
			t.Errorf("decoded(%q) = %q, want %q", in, got, want)
		}
	}
}

// However a file is cut into spans, and a span's bytes into pieces, each word is
// counted once: compared with cutting the whole file at once.
func TestSpansCountEachWordOnce(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		text := randomText(rnd)
		want := plain(text)
		got := map[string]int64{}
		for off := int64(0); off < int64(len(text)) || off == 0; {
			n := int64(4 + rnd.IntN(20))
			for w, k := range countSpan(rnd, text, span{off, n}) {
				got[w] += *k
			}
			off += n
		}
		if !maps.Equal(got, want) {
			t.Fatalf("text %q: got %v, want %v", text, got, want)
		}
	}
}

// A word that goes on through many spans is read to its end by the first only.
func TestSpanWithinAWord(t *testing.T) {
	c := newCounter(span{100, 10})
	c.feed(bytes.Repeat([]byte("x"), 11))
	if !c.full || len(c.done()) != 0 {
		t.Errorf("full %v, %v", c.full, c.tally)
	}
}

func plain(text string) map[string]int64 {
	text = strings.TrimPrefix(text, string(byteOrderMark))
	m := map[string]int64{}
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r < 0x80 && isSpace(byte(r)) }) {
		m[string(decoded([]byte(w)))]++
	}
	return m
}

func countSpan(rnd *rand.Rand, text string, s span) tally {
	c := newCounter(s)
	b := []byte(text[min(c.pos, int64(len(text))):])
	first := 3 // a reader gives the byte order mark whole
	for len(b) > 0 && !c.full {
		n := min(first+rnd.IntN(7), len(b))
		first = 1
		c.feed(b[:n])
		b = b[n:]
	}
	return c.done()
}

func randomText(rnd *rand.Rand) string {
	parts := []string{"a", "bb", "word", "\xff", "\xe2\x82", "é", " ", " ", "\n", "\t", "\r\n", "\f", "\u00a0"}
	var b strings.Builder
	if rnd.IntN(5) == 0 {
		b.Write(byteOrderMark)
	}
	for range rnd.IntN(40) {
		b.WriteString(parts[rnd.IntN(len(parts))])
	}
	return b.String()
}
