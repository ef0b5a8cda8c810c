package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/yarnd/yarnd/engine/shuffle"
)

// The shape wordcount counts the words of a text: runs of bytes other than space and
// newline. The share of a word in the checksum is splitmix64(CRC-32 of it · 2³² + how
// often it comes); peers/on_spark.py computes the same.

// textSpan is the part of a file that one map task counts: the words that begin in it.
type textSpan struct {
	Path       string
	Begin, End int64
}

// tallies are words with how often each comes.
type tallies map[string]*int64

var wordShuffle = shuffle.Define("bench-words", shuffle.Spec[string, int64]{
	Key: shuffle.String, Value: shuffle.Int64, Combine: func(a, b int64) int64 { return a + b }, Memory: shuffleMemory,
}, emitWords, takeWords)

func emitWords(_ context.Context, in textSpan, out *shuffle.Emitter[string, int64]) error {
	f, err := os.Open(in.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	words, err := countWords(f, in.Begin, in.End)
	if err != nil {
		return fmt.Errorf("%s: %w", in.Path, err)
	}
	for w, n := range words {
		if err := out.Emit(w, *n); err != nil {
			return err
		}
	}
	return nil
}

func takeWords(_ context.Context, _ shuffle.Part[struct{}], groups *shuffle.Groups[string, int64]) (t tallied, err error) {
	for w, n := range groups.Combined() {
		t.Records += uint64(n)
		t.Sum += wordShare([]byte(w), n)
	}
	return t, groups.Err()
}

func wordShare(w []byte, n int64) uint64 {
	return splitmix64(uint64(crc32.ChecksumIEEE(w))<<32 + uint64(n))
}

func separates(b byte) bool { return b == ' ' || b == '\n' }

// countWords counts the words that begin in [begin, end).
func countWords(f io.ReaderAt, begin, end int64) (tallies, error) {
	from := max(0, begin-1) // a word begins behind a separator
	c := &wordCounter{words: tallies{}, at: from, end: end, skip: begin > 0, full: begin >= end}
	buf := make([]byte, 1<<20)
	for !c.full {
		n, err := f.ReadAt(buf, c.at)
		c.feed(buf[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	c.flush()
	return c.words, nil
}

// wordCounter is fed the bytes of a text from at on, until it is full.
type wordCounter struct {
	words   tallies
	at, end int64
	part    []byte // of a word that goes on in the next piece
	skip    bool   // what has begun before
	full    bool
}

func (c *wordCounter) feed(b []byte) {
	for len(b) > 0 && !c.full {
		n := 0
		for n < len(b) && !separates(b[n]) {
			n++
		}
		switch {
		case c.skip:
		case n == len(b):
			c.part = append(c.part, b...)
		case len(c.part) > 0:
			c.part = append(c.part, b[:n]...)
			c.flush()
		case n > 0:
			c.words.add(b[:n])
		}
		if n < len(b) {
			c.skip = false
			n++
		}
		c.at += int64(n)
		b = b[n:]
		c.full = c.at >= c.end && len(c.part) == 0
	}
}

func (c *wordCounter) flush() {
	if len(c.part) > 0 {
		c.words.add(c.part)
		c.part = c.part[:0]
	}
}

func (t tallies) add(w []byte) {
	if n, ok := t[string(w)]; ok { // no allocation for a word that was there before
		*n++
		return
	}
	t[string(w)] = new(int64(1))
}

// textSum is what the checksum of a text must come to.
func textSum(path string) (sum uint64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	words := tallies{}
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 1<<20), math.MaxInt32)
	for s.Scan() {
		for w := range bytes.SplitSeq(s.Bytes(), []byte(" ")) {
			if len(w) > 0 {
				words.add(w)
			}
		}
	}
	for w, n := range words {
		sum += wordShare([]byte(w), *n)
	}
	return sum, s.Err()
}

// countText runs the shape wordcount on one of so many parts of the text.
func (d *driver) countText(ctx context.Context, part int64) (*run, error) {
	path, err := filepath.Abs(d.o.input) // tasks have other working directories
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	size := info.Size() / part
	maps, parts := halves(d.o.tasks)
	inputs := make([]textSpan, maps)
	for i := range inputs {
		n := int64(maps)
		inputs[i] = textSpan{path, int64(i) * size / n, int64(i+1) * size / n}
	}
	began := time.Now()
	counted := wordShuffle.Run(ctx, d.typed, inputs, struct{}{}, shuffle.Hash(parts))
	defer counted.Release()
	r, err := tally(ctx, counted)
	if err != nil {
		return nil, err
	}
	r.Wall, r.Tasks, r.Bytes = time.Since(began).Seconds(), maps+parts, uint64(size)
	return r, nil
}

// ---- a text ----------------------------------------------------------------------

const (
	vocabulary   = 100_000 // different words, at most
	wordsPerLine = 10
)

// makeText writes a text of at least size bytes, the same for each size, unless there is
// a file of that name. Words are as frequent as in languages: of the k most frequent
// ones, each decade comes as often.
func makeText(path string, size int64) (err error) {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	writeText(w, size)
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// writeText writes to a writer that keeps its error.
func writeText(w *bufio.Writer, size int64) {
	words := make([][]byte, vocabulary)
	for i := range words {
		words[i] = strconv.AppendUint(nil, splitmix64(uint64(i))>>(64-10-i%40), 36)
	}
	var line []byte
	for i, done := uint64(0), int64(0); done < size; done += int64(len(line)) {
		line = line[:0]
		for range wordsPerLine {
			u := float64(splitmix64(i)>>11) / (1 << 53)
			line = append(append(line, words[int(math.Pow(vocabulary, u))-1]...), ' ')
			i++
		}
		line[len(line)-1] = '\n'
		_, _ = w.Write(line) // Flush tells
	}
}
