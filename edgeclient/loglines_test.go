package edgeclient

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// However a log comes in pieces, each that is passed on is whole lines, and all of them
// are the log.
func TestLogLines(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var text []byte
		for range rng.IntN(30) {
			text = append(text, strings.Repeat("x", rng.IntN(60))...)
			text = append(text, "\n"[:rng.IntN(2)]...)
		}
		var got bytes.Buffer
		f := &logFollower{yield: func(p LogPiece) error {
			if !bytes.HasSuffix(p.Data, []byte("\n")) {
				t.Fatalf("seed %d: %q has no end", seed, p.Data)
			}
			got.Write(p.Data)
			return nil
		}}
		s := &logSource{}
		for left := text; len(left) > 0; {
			n := 1 + rng.IntN(len(left))
			if err := f.give(s, left[:n]); err != nil {
				t.Fatal(err)
			}
			left = left[n:]
		}
		if err := f.flush(s); err != nil {
			t.Fatal(err)
		}
		want := text
		if len(text) > 0 && text[len(text)-1] != '\n' {
			want = append(bytes.Clone(text), '\n')
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Fatalf("seed %d: %q, want %q", seed, got.Bytes(), want)
		}
	}
}

// A line without an end does not gather for ever, and a receiver's error is passed on.
func TestLogLineWithoutEnd(t *testing.T) {
	var sizes []int
	f := &logFollower{yield: func(p LogPiece) error {
		sizes = append(sizes, len(p.Data))
		if len(sizes) == 3 {
			return fmt.Errorf("enough")
		}
		return nil
	}}
	s := &logSource{}
	var err error
	for range 100 {
		if err = f.give(s, bytes.Repeat([]byte("x"), 10_000)); err != nil {
			break
		}
	}
	if fmt.Sprint(sizes) != fmt.Sprint([]int{maxLogLine + 1, maxLogLine + 1, maxLogLine + 1}) || err == nil || err.Error() != "enough" {
		t.Errorf("%v, %v", sizes, err)
	}
}
