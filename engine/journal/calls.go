package journal

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

// look lists the store's files, for the goroutines, and returns an error if this epoch is over.
func (j *Journal) look(call caller) (ids []fileID, err error) {
	err = call("list", "", func(ctx context.Context) error {
		names, err := j.opts.Store.List(ctx)
		ids = parseNames(names)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := j.later(ids); err != nil {
		j.fence(err)
		return nil, err
	}
	return ids, nil
}

// repeat does something again, with growing pauses, until it works or ctx ends. Errors that
// say something about a file are no failures of the store.
func (j *Journal) repeat(ctx context.Context, op, file string, f func(context.Context) error) error {
	b := j.backoff()
	for {
		began := time.Now()
		err := f(ctx)
		if err == nil || final(err) {
			j.state.well()
			return err
		}
		if ctx.Err() == nil {
			j.state.failed(began, op, file, err)
		}
		if !b.sleep(ctx) {
			return &callError{op, file, err}
		}
	}
}

// final tells answers from failures.
func final(err error) bool {
	return errors.Is(err, fs.ErrNotExist) ||
		errors.As(err, new(*DamageError)) || errors.As(err, new(*VersionError)) || errors.As(err, new(userError))
}

// caller is call or watched.
type caller func(op, file string, f func(context.Context) error) error

// call does one operation of the store for the goroutines.
func (j *Journal) call(op, file string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(j.ctx, j.opts.CallTimeout)
	defer cancel()
	err := f(ctx)
	if err == nil {
		return nil
	}
	j.opts.Log.Warn("the journal's store failed", "op", op, "file", file, "err", err)
	return &callError{op, file, err}
}

// watched is call, and OnState hears if it takes long.
func (j *Journal) watched(op, file string, f func(context.Context) error) error {
	defer j.state.watch(op, file)()
	return j.call(op, file, f)
}

func (j *Journal) backoff() backoff {
	return backoff{min: j.opts.RetryMin, max: j.opts.RetryMax, jitter: j.opts.jitter}
}
