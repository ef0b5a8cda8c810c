package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/engine/client"
	"github.com/yarnd/yarnd/engine/transfer"
)

// sayEvery is how often a command's worker hears where its input stands while none
// comes: so a command that has to begin elsewhere does not wait for the next line.
const sayEvery = time.Second

// Feed gives a command made with [Interactive] on standard input what in gives, as it
// comes, straight to the worker; the end of in is the end of the command's input. What
// the command does not read is not read here: at most two pieces of 64 KiB are ahead. It
// returns nil when the command has ended, however that was; an error of in, or the end of
// ctx, ends it before, and not the command. A read of in that is under way then is left
// to itself.
//
// A command whose worker is lost begins again elsewhere only if none of its input was
// taken; if not, it fails and says so.
func Feed(ctx context.Context, f *Future[CommandResult], in io.Reader) error {
	if err := f.err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := feeder{f: f, pieces: make(chan piece)}
	go readPieces(ctx, in, w.pieces)
	return w.run(ctx)
}

// piece is a part of an input.
type piece struct {
	data []byte
	last bool
	err  error // nothing follows, and not because it is the end
}

// readPieces reads until the end of in, or of ctx.
func readPieces(ctx context.Context, in io.Reader, to chan<- piece) {
	for {
		p := piece{data: make([]byte, transfer.MaxInput)}
		n, err := in.Read(p.data)
		p.data, p.last = p.data[:n:n], err != nil
		if err != nil && !errors.Is(err, io.EOF) {
			p.err = err
		}
		if n == 0 && err == nil {
			continue
		}
		select {
		case to <- p:
		case <-ctx.Done():
			return
		}
		if p.last {
			return
		}
	}
}

// feeder gives a command its input.
type feeder struct {
	f      *Future[CommandResult]
	pieces chan piece
	now    *piece        // being given
	given  uint64        // bytes that were taken before now
	at     *client.Place // where the command runs; nil: not known
	over   bool          // it wants no more there
}

// run gives pieces until the command has ended.
func (w *feeder) run(ctx context.Context) error {
	say := time.NewTicker(sayEvery)
	defer say.Stop()
	for pause := firstLook; ; {
		if w.at == nil && !w.begin(ctx) {
			if ended, err := w.pause(ctx, pause); ended {
				return err
			}
			pause = min(pause*3/2, lastLook)
			continue
		}
		pieces := w.pieces
		if w.now != nil {
			if !w.over {
				pause = w.giveNow(ctx, pause)
				if ended, err := w.pause(ctx, pause); ended {
					return err
				}
				continue
			}
			pieces = nil
		}
		pause = firstLook
		select {
		case p := <-pieces:
			if p.err != nil {
				return fmt.Errorf("read the input of a command: %w", p.err)
			}
			w.now = &p
		case <-say.C:
			w.give(ctx, piece{})
		case <-w.f.Done():
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// pause waits, and reports whether it is over.
func (w *feeder) pause(ctx context.Context, d time.Duration) (over bool, err error) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-w.f.Done():
		return true, nil
	case <-ctx.Done():
		return true, context.Cause(ctx)
	case <-t.C:
		return false, nil
	}
}

// begin finds out where the command runs, and says there where its input stands.
func (w *feeder) begin(ctx context.Context) bool {
	at, err := w.f.job.Where(ctx, w.f.index)
	if err != nil || at == nil {
		return false // it waits, or the scheduler does not answer: Done tells when that matters
	}
	w.at, w.over = at, false
	w.give(ctx, piece{})
	return w.at != nil
}

// give offers a piece that begins at given. It returns how many bytes of it were taken.
func (w *feeder) give(ctx context.Context, p piece) uint64 {
	have, over, err := w.f.job.Give(ctx, w.f.index, w.at, w.given, p.data, p.last)
	if err != nil {
		w.at = nil
		return 0
	}
	w.over = over
	return min(max(have, w.given)-w.given, uint64(len(p.data)))
}

// giveNow offers what is being given, and returns how long to wait before more. Its
// last piece is kept, also when it was taken: a command that has had nothing but an end
// of input can begin again.
func (w *feeder) giveNow(ctx context.Context, pause time.Duration) time.Duration {
	n := w.give(ctx, *w.now)
	w.given += n
	w.now.data = w.now.data[n:]
	if len(w.now.data) == 0 && !w.now.last {
		w.now = nil
	}
	if n == 0 && !w.over {
		return max(firstLook, min(pause*3/2, lastLook))
	}
	return 0
}

// Signal sends a signal to the process group of a command that runs. The error is
// [ErrState] when it does not run at present.
func Signal(ctx context.Context, f *Future[CommandResult], sig syscall.Signal) error {
	if err := f.err(); err != nil {
		return err
	}
	at, err := f.job.Where(ctx, f.index)
	if err == nil && at != nil {
		err = f.job.Signal(ctx, f.index, at, sig)
	}
	if te, ok := errors.AsType[*transfer.Error](err); ok && te.Missing() || err == nil && at == nil {
		return fmt.Errorf("signal: %w: the command does not run", ErrState)
	}
	return err
}
