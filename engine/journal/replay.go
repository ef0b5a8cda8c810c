package journal

import (
	"context"
	"errors"
	"io"
	"io/fs"
)

// Replay gives the records of the newest snapshot, then all that were appended after it, in
// order, each once. It is called once, before Start. A record is valid during the call; an error of
// f ends the replay and is returned. While the store fails Replay tries again, until ctx ends.
// A *FencedError says that a later epoch has opened the journal meanwhile, a *DamageError or a *GapError
// that records that were safe cannot be had.
func (j *Journal) Replay(ctx context.Context, f func(rec []byte) error) error {
	j.mu.Lock()
	first := j.phase == opened
	j.phase = broken
	j.mu.Unlock()
	if !first {
		return errors.New("the journal was replayed already: Open it anew, with a higher epoch")
	}
	r := &replay{Journal: j, f: f}
	err := r.all(ctx)
	if user := (userError{}); errors.As(err, &user) {
		return user.error
	}
	// A later epoch may have removed what was to be read, at any time since Open listed it. Its marker
	// was there before.
	if err := j.fencedRather(ctx, err); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.q = newQueue(r.have, j.opts.BlockBytes)
	j.begun, j.wanted, j.phase, j.grown = r.have, r.have, replayed, r.bytes
	return nil
}

// replay is how far it came.
type replay struct {
	*Journal
	f     func(rec []byte) error
	have  uint64 // the next position
	last  string // the file read last, and how much of it could be read
	off   int64
	bytes int64 // of segments
}

// userError is an error of Replay's caller.
type userError struct{ error }

func (r *replay) all(ctx context.Context) error {
	if b := r.plan.base; b != nil {
		given := uint64(0)
		if err := r.file(ctx, b.header, func(pos uint64, rec []byte) error {
			if pos < given { // read for the second time
				return nil
			}
			given++
			return r.f(rec)
		}); err != nil {
			return err
		}
		r.have = r.plan.first
	}
	for _, s := range r.plan.segments {
		if err := r.segment(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) segment(ctx context.Context, s part) error {
	if s.first > r.have {
		return &GapError{Have: r.have, File: s.String(), First: s.first, Before: r.last, Offset: r.off}
	}
	return r.file(ctx, s.header, func(pos uint64, rec []byte) error {
		if pos < r.have || pos >= s.limit {
			return nil
		}
		r.have++
		return r.f(rec)
	})
}

// file reads a file, from its begin again when the store fails.
func (r *replay) file(ctx context.Context, h header, f func(pos uint64, rec []byte) error) error {
	name := h.fileID.String()
	err := r.repeat(ctx, "read", name, func(ctx context.Context) error {
		s, err := r.blocks(ctx, h, func(fr frame, off int64, body []byte) error {
			return records(name, off, fr, body, func(pos uint64, rec []byte) error {
				if err := f(pos, rec); err != nil {
					return userError{err}
				}
				return nil
			})
		})
		if err == nil {
			r.last, r.off = name, s.off
			if h.kind == segment {
				r.bytes += s.off
			}
		}
		return err
	})
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case h.kind == snapshot:
		return &DamageError{File: name, Why: "it is not there any more"}
	}
	return nil // unless a later epoch has removed it nothing was in it: see writer.discard
}

// blocks reads a file's blocks up to its end, torn or not.
func (j *Journal) blocks(ctx context.Context, h header, f func(fr frame, off int64, body []byte) error) (*scanner, error) {
	r, err := j.opts.Store.Open(ctx, h.fileID.String())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if _, err := io.CopyN(io.Discard, r, headerLen); err != nil {
		return nil, readError{err}
	}
	s := newScanner(h, r, headerLen)
	for {
		off := s.off
		fr, body, err := s.block()
		if err == io.EOF || err == errTorn {
			return s, nil
		}
		if err == nil {
			err = f(fr, off, body)
		}
		if err != nil {
			return s, err
		}
	}
}
