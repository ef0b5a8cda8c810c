package main

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// However a text is cut into spans, each word is counted once.
func TestCountWords(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		text := randomText(rnd)
		want := map[string]int64{}
		for _, w := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\n' }) {
			want[w]++
		}
		got := map[string]int64{}
		for begin := 0; begin <= len(text); {
			end := begin + rnd.IntN(6)
			if begin == len(text) || end > len(text) {
				end = len(text)
			}
			words, err := countWords(strings.NewReader(text), int64(begin), int64(end))
			if err != nil {
				t.Fatal(err)
			}
			for w, n := range words {
				got[w] += *n
			}
			if begin == len(text) {
				break
			}
			begin = end
		}
		if !maps.Equal(got, want) {
			t.Fatalf("text %q: %v, want %v", text, got, want)
		}
	}
}

// A word that lies in several pieces is one.
func TestFeedPieces(t *testing.T) {
	text := "one two  three\nfour\n\n one"
	c := &wordCounter{words: tallies{}, end: int64(len(text))}
	for i := range len(text) {
		c.feed([]byte(text[i : i+1]))
	}
	c.flush()
	if len(c.words) != 4 || *c.words["one"] != 2 || *c.words["three"] != 1 {
		t.Errorf("%v", c.words)
	}
}

func randomText(rnd *rand.Rand) string {
	var b strings.Builder
	for range rnd.IntN(30) {
		b.WriteString([]string{"a", "bb", "ccc", " ", "\n", "é"}[rnd.IntN(6)])
	}
	return b.String()
}

// A text is the same each time, has about the size that was asked for, and is left alone
// when it is there.
func TestMakeText(t *testing.T) {
	dir := t.TempDir()
	var texts [2][]byte
	for i := range texts {
		path := filepath.Join(dir, string(rune('a'+i)))
		if err := makeText(path, 100_000); err != nil {
			t.Fatal(err)
		}
		var err error
		if texts[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(texts[0], texts[1]) || len(texts[0]) < 100_000 || len(texts[0]) > 101_000 {
		t.Errorf("texts of %d and %d bytes", len(texts[0]), len(texts[1]))
	}
	if err := makeText(filepath.Join(dir, "a"), 5); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
	info, err := os.Stat(filepath.Join(dir, "a"))
	if err != nil || info.Size() != int64(len(texts[0])) {
		t.Errorf("it was written again: %v", err)
	}
}

func TestTextSum(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("b a\n\na  c"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := textSum(path)
	if want := wordShare([]byte("a"), 2) + wordShare([]byte("b"), 1) + wordShare([]byte("c"), 1); err != nil || got != want {
		t.Errorf("%x, %v; want %x", got, err, want)
	}
}
