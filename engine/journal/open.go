package journal

import (
	"bytes"
	"cmp"
	"context"
	crand "crypto/rand"
	"errors"
	"io"
	"io/fs"
	"slices"
)

// Open marks the epoch, seals what earlier epochs have left, and looks at it. The epoch must be
// higher than any before, and no other process's: a *FencedError says that it is not. While the
// store fails Open tries again, until ctx ends. What was marked stays so: after an error the
// next Open takes a higher epoch. Other errors are a *DamageError and a *VersionError.
func Open(ctx context.Context, o Options) (*Journal, error) {
	j := newJournal(o)
	names, err := j.begin(ctx)
	if err != nil {
		return nil, err
	}
	files, err := j.sealed(ctx, names)
	if err == nil {
		j.plan, err = j.choose(ctx, files)
	}
	if err != nil {
		return nil, j.fencedRather(ctx, err)
	}
	if j.plan.base != nil {
		j.snapSize = j.plan.base.size
	}
	j.q = newQueue(j.plan.first, j.opts.BlockBytes)
	return j, nil
}

// try repeats an operation, each time with a bound.
func (j *Journal) try(ctx context.Context, what, file string, f func(context.Context) error) error {
	return j.repeat(ctx, what, file, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, j.opts.CallTimeout)
		defer cancel()
		defer j.state.watch(what, file)()
		return f(ctx)
	})
}

// begin puts the marker, lists, and returns the files of earlier epochs.
func (j *Journal) begin(ctx context.Context) ([]fileID, error) {
	mine := map[uint32]bool{} // markers; one whose Create failed may be there
	err := j.try(ctx, "create", "a marker", func(ctx context.Context) error {
		m := fileID{marker, j.opts.Epoch, j.opts.nonce()}
		mine[m.seq] = true
		f, err := j.opts.Store.Create(ctx, m.String())
		if err != nil {
			return err
		}
		return f.Close(ctx)
	})
	if err != nil {
		return nil, err
	}
	ids, err := j.list(ctx)
	if err != nil {
		return nil, err
	}
	if err := j.later(ids); err != nil {
		return nil, err
	}
	before := map[uint64]bool{}
	var earlier []fileID
	for _, f := range ids {
		switch {
		case f.epoch == j.opts.Epoch && !mine[f.seq]:
			return nil, &FencedError{Own: f.epoch, By: f.epoch}
		case f.epoch == j.opts.Epoch:
		case f.kind == marker:
			before[f.epoch] = true
		default:
			earlier = append(earlier, f)
		}
	}
	j.gen = uint32(len(before))
	return earlier, nil
}

func (j *Journal) list(ctx context.Context) (ids []fileID, err error) {
	err = j.try(ctx, "list", "", func(ctx context.Context) error {
		names, err := j.opts.Store.List(ctx)
		ids = parseNames(names)
		return err
	})
	return ids, err
}

// fencedRather looks for a later epoch, whose tidying explains an error, and makes a success none.
func (j *Journal) fencedRather(ctx context.Context, err error) error {
	ids, failed := j.list(ctx)
	if failed != nil {
		return cmp.Or(err, failed)
	}
	return cmp.Or(j.later(ids), err)
}

// later returns a *FencedError if one of the files is of a later epoch. Who takes the same number later sees this
// epoch's marker, and gives up.
func (j *Journal) later(ids []fileID) error {
	by := j.opts.Epoch
	for _, f := range ids {
		by = max(by, f.epoch)
	}
	if by == j.opts.Epoch {
		return nil
	}
	return &FencedError{Own: j.opts.Epoch, By: by}
}

// sealed seals the files of earlier epochs, and reads their headers. Files that are gone and
// those without a header are left out.
func (j *Journal) sealed(ctx context.Context, ids []fileID) ([]found, error) {
	var files []found
	for _, f := range ids {
		err := j.repeat(ctx, "seal", f.String(), func(ctx context.Context) error {
			defer j.state.watch("seal", f.String())()
			return j.opts.Store.Seal(ctx, f.String())
		})
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		var h header
		var blank bool
		err = j.repeat(ctx, "read", f.String(), func(ctx context.Context) error {
			h, blank, err = j.readHeader(ctx, f)
			return err
		})
		if errors.Is(err, fs.ErrNotExist) || err == nil && blank {
			continue
		} else if err != nil {
			return nil, err
		}
		files = append(files, found{header: h})
	}
	return files, nil
}

// readHeader reads how a file begins. blank is a file whose header was never flushed: it ends
// within it, or nothing was written behind it, for that is done when the header is safe.
func (j *Journal) readHeader(ctx context.Context, f fileID) (h header, blank bool, err error) {
	r, err := j.opts.Store.Open(ctx, f.String())
	if err != nil {
		return header{}, false, err
	}
	defer r.Close()
	p := make([]byte, headerLen)
	switch _, err := io.ReadFull(r, p); {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return header{}, true, nil
	case err != nil:
		return header{}, false, err
	}
	h, damage := parseHeader(f, p)
	if damage == nil {
		return h, false, nil
	}
	for { // zeroes may stand for what a disk has lost
		n, err := r.Read(p)
		switch {
		case len(bytes.Trim(p[:n], "\x00")) > 0:
			return header{}, false, damage
		case err == io.EOF:
			return header{}, true, nil
		case err != nil:
			return header{}, false, err
		}
	}
}

// choose finds the newest snapshot that is whole, and decides what is replayed.
func (j *Journal) choose(ctx context.Context, files []found) (plan, error) {
	slices.SortFunc(files, newest)
	for i := range files {
		f := &files[i]
		if f.kind != snapshot {
			continue
		}
		err := j.repeat(ctx, "read", f.String(), func(ctx context.Context) (err error) {
			f.whole, f.size, err = j.whole(ctx, f.header)
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return plan{}, err
		}
		if f.whole {
			break
		}
	}
	var id journalID
	_, _ = crand.Read(id[:]) // it never fails
	return decide(files, id)
}

// whole reads a snapshot to its end mark. Without one it was never finished.
func (j *Journal) whole(ctx context.Context, h header) (bool, int64, error) {
	end := false
	s, err := j.blocks(ctx, h, func(f frame, _ int64, _ []byte) error {
		end = end || f.end
		return nil
	})
	if err != nil {
		return false, 0, err
	}
	return end, s.off, nil
}
