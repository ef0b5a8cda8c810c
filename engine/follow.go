package engine

import (
	"context"
	"io"
	"time"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/executor"
	"github.com/yarnd/yarnd/engine/graph"
)

// How often a command is asked for output, at first and when it has none for long.
const (
	firstLook = 20 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// Follow writes what a command made with [Live] writes, as it comes, and returns its
// result when all is written. Output comes straight from the worker; while that cannot
// be reached it comes with the result. A command that has to start again elsewhere has
// its output written again: again, if it is not nil, is told before. An error of a
// writer ends it, and not the command.
func Follow(ctx context.Context, f *Future[CommandResult], stdout, stderr io.Writer, again func()) (CommandResult, error) {
	if err := f.err(); err != nil {
		return CommandResult{}, err
	}
	w := follower{f: f, again: again, streams: []stream{{id: executor.Stdout, to: stdout}, {id: executor.Stderr, to: stderr}}}
	if err := w.run(ctx); err != nil {
		return CommandResult{}, err
	}
	result, err := f.Result(ctx)
	if err != nil {
		return result, err
	}
	if out, ok := f.job.Peek(f.index); ok {
		w.moved(out.Attempt)
	}
	for i, all := range [][]byte{result.Stdout, result.Stderr} {
		s := &w.streams[i]
		if _, err := s.to.Write(all[min(s.done, uint64(len(all))):]); err != nil {
			return result, err
		}
	}
	return result, nil
}

// follower copies a running command's output.
type follower struct {
	f       *Future[CommandResult]
	streams []stream
	attempt graph.Attempt // whose output was written; 0 is none's
	again   func()
}

type stream struct {
	id   byte
	to   io.Writer
	done uint64 // bytes written
}

// run copies until the task has ended or ctx has.
func (w *follower) run(ctx context.Context) error {
	var at *client.Place
	for pause := firstLook; ; pause = min(pause*3/2, lastLook) {
		select {
		case <-w.f.Done():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		if at == nil {
			now, err := w.f.job.Where(ctx, w.f.index)
			if err != nil || now == nil {
				continue // it waits, or the scheduler does not answer: Done tells when that matters
			}
			at = now
		}
		n, reached, err := w.copy(ctx, at)
		if err != nil {
			return err
		}
		if n > 0 {
			pause = firstLook
		}
		if !reached {
			at = nil
		}
	}
}

// copy writes what is new. The error is a writer's.
func (w *follower) copy(ctx context.Context, at *client.Place) (n int, reached bool, err error) {
	for i := range w.streams {
		s := &w.streams[i]
		for more := true; more; {
			from := s.done
			if w.attempt != at.Attempt {
				from = 0
			}
			data, err := w.f.job.Output(ctx, w.f.index, at, s.id, from)
			if err != nil {
				return n, false, nil
			}
			if len(data) > 0 {
				w.moved(at.Attempt)
			}
			if _, err := s.to.Write(data); err != nil {
				return n, true, err
			}
			s.done += uint64(len(data))
			n += len(data)
			more = len(data) > 0
		}
	}
	return n, true, nil
}

// moved notes whose output is written from here on.
func (w *follower) moved(to graph.Attempt) {
	if w.attempt == to {
		return
	}
	if w.attempt != 0 && w.again != nil {
		w.again()
	}
	w.attempt = to
	for i := range w.streams {
		w.streams[i].done = 0
	}
}
