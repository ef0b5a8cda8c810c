package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/shuffle"
	"github.com/yarnd/yarnd/examples/internal/files"
)

// A map task for each split counts its words, a reduce task for each part adds up the
// counts of a word and writes the part's file, sorted.

var words = shuffle.Define("wordcount", shuffle.Spec[string, int64]{
	Key: shuffle.String, Value: shuffle.Int64, Combine: func(a, b int64) int64 { return a + b },
}, countSplit, writePart).Near(func(in countIn) []string { return in.Split.Blocks })

type countIn struct {
	Split split
	Pause time.Duration
}

type output struct {
	Dir   string // URL
	Pause time.Duration
}

type counted struct {
	Words, Different int64
	Local            int64 // splits that were read on a node that holds them
}

// localSplits is the key under which splits that were read locally are counted: it is no
// word.
const localSplits = ""

// countWords runs the shuffle and waits for it.
func countWords(ctx context.Context, cluster *yarnd.Cluster, work []split, out string, o options) (counted, error) {
	inputs := make([]countIn, len(work))
	for i, s := range work {
		inputs[i] = countIn{s, o.pause}
	}
	run := words.Run(ctx, cluster.Client, inputs, output{out, o.pause}, shuffle.Hash(o.parts))
	defer run.Release()
	var total counted
	parts, err := run.Results(ctx)
	for _, r := range parts {
		total.Words += r.Words
		total.Different += r.Different
		total.Local += r.Local
	}
	return total, err
}

func countSplit(ctx context.Context, in countIn, out *shuffle.Emitter[string, int64]) error {
	fs, err := files.Of(ctx, in.Split.Path)
	if err != nil {
		return err
	}
	t, err := count(ctx, fs, in.Split)
	if err != nil {
		return err
	}
	for word, n := range t {
		if err := out.Emit(word, *n); err != nil {
			return err
		}
	}
	info, _ := engine.Info(ctx)
	if files.IsLocal(in.Split.Path) || slices.Contains(in.Split.Blocks, info.Host) {
		if err := out.Emit(localSplits, 1); err != nil {
			return err
		}
	}
	return rest(ctx, in.Pause)
}

func writePart(ctx context.Context, p shuffle.Part[output], groups *shuffle.Groups[string, int64]) (r counted, err error) {
	fs, err := files.Of(ctx, p.Arg.Dir)
	if err != nil {
		return r, err
	}
	if err := rest(ctx, p.Arg.Pause); err != nil {
		return r, err
	}
	err = files.Write(ctx, fs, fmt.Sprintf("%s/part-r-%05d", p.Arg.Dir, p.Index), func(w io.Writer) error {
		var line []byte
		for word, n := range groups.Combined() {
			if word == localSplits {
				r.Local = n
				continue
			}
			r.Different++
			r.Words += n
			line = append(append(line[:0], word...), '\t')
			line = append(strconv.AppendInt(line, n, 10), '\n')
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		return groups.Err()
	})
	return r, err
}

// rest holds a task back.
func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
