package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// How often a batch is looked at, and how often that is told where there is no
// terminal.
const (
	lookEvery = 200 * time.Millisecond
	lineEvery = 10 * time.Second
)

// Progress writes to w how far the batch has come, until all its tasks have ended or
// ctx has: on a terminal a line that changes, elsewhere a line now and then and one at
// the end. It runs beside what reads the results:
//
//	go b.Progress(ctx, os.Stderr)
func (b *Batch[T]) Progress(ctx context.Context, w io.Writer) {
	erase, every, end := "", lineEvery, "\n"
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		erase, every, end = "\r\x1b[K", lookEvery, ""
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	began := time.Now()
	for said := began; ; {
		state, over := b.progress(time.Since(began))
		if over {
			end = "\n"
		}
		if over || time.Since(said) >= every {
			said = time.Now()
			fmt.Fprint(w, erase, state, end) //nolint:errcheck // it is only told
		}
		if over {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			fmt.Fprint(w, erase) //nolint:errcheck // it is only told
			return
		}
	}
}

// progress tells how far the batch has come since it began, and whether that is all.
func (b *Batch[T]) progress(since time.Duration) (state string, over bool) {
	b.mu.Lock()
	ended, n, all := b.ended.Len(), b.n, b.over
	b.mu.Unlock()
	of := fmt.Sprintf("%d submitted so far", n)
	if all {
		of = fmt.Sprintf("%d", n)
	}
	rate := float64(ended) / max(since.Seconds(), 1e-3)
	return fmt.Sprintf("%s: %d of %s, %.3g/s", b.kind.name, ended, of, rate), all && ended >= n
}
