package journal

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"time"
)

// writer owns the present segment. It writes what gathers in the queue, a batch and a
// flush at a time.
//
//	     begin: create, list, header        turn: batch, flush
//	none ─────────────────────────► file ──────────────────────┐
//	 ▲  ▲                            │ ▲                       │
//	 │  └──── any error: all that is │ └──── told safe ◄───────┘
//	 │        not safe once more ◄───┤
//	 └──── a snapshot was taken, and all before it is safe
type writer struct {
	*Journal
	seed  uint32
	file  File // nil: a segment has to be begun
	name  string
	first uint64 // of the present segment
	fresh bool   // nothing but its header was flushed
	blank bool   // no record was written to it
	again bool   // the last step failed
	retry backoff
}

func newWriter(j *Journal) *writer {
	return &writer{Journal: j, seed: j.plan.id.seed(), retry: j.backoff()}
}

func (w *writer) run() {
	defer w.cancel() // of the snapshot that is being written
	defer w.abandon()
	for w.await() {
		began := time.Now()
		err := w.turn()
		if err == nil {
			w.again = false
			w.retry.reset()
			continue
		}
		w.abandon()
		if w.blank {
			w.discard()
		}
		if w.ctx.Err() != nil {
			return
		}
		if !w.again { // the file may be all that is wrong: another one, at once
			w.again = true
			continue
		}
		if c := (*callError)(nil); errors.As(err, &c) {
			w.state.failed(began, c.op, c.file, c.err)
		}
		if !w.retry.sleep(w.ctx) {
			return
		}
	}
}

// await waits until there is something to do. It returns false at the end.
func (w *writer) await() bool {
	for {
		w.mu.Lock()
		done := w.closing && w.q.safe >= w.wanted || w.fenced != nil
		work := w.file == nil || w.fresh || w.wanted > w.q.safe || w.rollDue()
		w.mu.Unlock()
		switch {
		case done:
			return false
		case work:
			return true
		}
		select {
		case <-w.kick:
		case <-w.ctx.Done():
			return false
		}
	}
}

// rollDue says that all records for the present segment are safe. Call it with mu held.
func (w *writer) rollDue() bool { return w.first < w.rollAt && w.q.safe >= w.rollAt }

// turn takes one step: to a new segment, or of records to safety.
func (w *writer) turn() error {
	w.mu.Lock()
	roll := w.file != nil && w.rollDue()
	w.mu.Unlock()
	if roll {
		w.abandon()
	}
	if w.file == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	w.mu.Lock()
	before := uint64(math.MaxUint64)
	if w.first < w.rollAt {
		before = w.rollAt
	}
	batch := w.q.take(before)
	safe, pos := w.q.safe, w.q.safe
	w.mu.Unlock()
	for _, b := range batch {
		pos, w.blank = b.end(), false
		if err := w.write(b.seal(safe, w.seed)); err != nil {
			return err
		}
	}
	if err := w.watched("flush", w.name, w.file.Flush); err != nil {
		return err
	}
	w.fresh = false
	w.mu.Lock()
	w.q.flushed(pos)
	if w.flushed != nil {
		close(w.flushed)
		w.flushed = nil
	}
	w.mu.Unlock()
	w.state.well()
	w.tellSafe(pos)
	return nil
}

// begin makes the next segment. Between its creation and its first byte lies the look for a later
// epoch: see doc.go.
func (w *writer) begin() error {
	w.mu.Lock()
	w.q.again()
	w.seq++
	id := fileID{segment, w.opts.Epoch, w.seq}
	w.first = w.q.safe
	w.mu.Unlock()
	w.name, w.blank = id.String(), true
	if err := w.watched("create", w.name, func(ctx context.Context) (err error) {
		w.file, err = w.opts.Store.Create(ctx, w.name)
		return err
	}); err != nil {
		return err
	}
	if _, err := w.look(w.watched); err != nil {
		return err
	}
	w.mu.Lock()
	w.own = append(w.own, ownFile{id.seq, w.first})
	if w.first >= w.rollAt {
		w.tellRolled()
	}
	w.mu.Unlock()
	w.fresh = true
	if err := w.write(appendHeader(nil, header{fileID: id, id: w.plan.id, epochFirst: w.begun, first: w.first})); err != nil {
		return err
	}
	return w.watched("flush", w.name, w.file.Flush)
}

func (w *writer) write(p []byte) error {
	return w.watched("write", w.name, func(ctx context.Context) error { return w.file.Write(ctx, p) })
}

// abandon leaves the present segment. All that counts in it is flushed, so nobody waits for it to close.
func (w *writer) abandon() {
	if w.file == nil {
		return
	}
	w.closeLater(w.file, w.name)
	w.file = nil
}

// discard removes the segment that was just given up, in which no record can be. Where others fill the
// disk it would be one of many, and when the epoch is over nobody else might.
func (w *writer) discard() {
	name := w.name
	w.tasks.Go(func() {
		ctx, cancel := context.WithTimeout(w.left, w.opts.CallTimeout)
		defer cancel()
		if err := w.opts.Store.Remove(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.opts.Log.Debug("an empty file of the journal stays for now", "file", name, "err", err)
		}
	})
}

// tellSafe tells a position, unless the epoch is over.
func (j *Journal) tellSafe(pos uint64) {
	j.tell.Lock()
	defer j.tell.Unlock()
	j.mu.Lock()
	over := j.fenced != nil
	j.mu.Unlock()
	if !over {
		j.opts.OnFlushed(pos)
	}
}
