package memory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
)

// Files is the application's staging directory. Methods may be called concurrently.
type Files interface {
	// Publish writes a file, owner-only, in one step, in place of an earlier one.
	Publish(ctx context.Context, name string, data []byte) error
	// Read reads a file; fs.ErrNotExist tells that there is none.
	Read(ctx context.Context, name string) ([]byte, error)
	// List names the files.
	List(ctx context.Context) ([]string, error)
	// Discard removes a file, if it is there.
	Discard(ctx context.Context, name string) error
}

// PastError tells that a later attempt has begun: this one must not act any more.
type PastError struct{ Attempt, Later int }

func (e *PastError) Error() string {
	return fmt.Sprintf("attempt %d of the application master is past: attempt %d has begun", e.Attempt, e.Later)
}

// Store keeps one attempt's state. It is for one goroutine.
type Store struct {
	files   Files
	attempt int
	below   []string // files of earlier attempts, of use until this one has written its own
}

// Open claims the application for an attempt and returns what the one before it left, nil
// if that was nothing. The error is *PastError when there is a later attempt already.
func Open(ctx context.Context, files Files, attempt int, log *slog.Logger) (*Store, *State, error) {
	s := &Store{files: files, attempt: attempt}
	if err := s.publish(ctx, &State{Claim: true}); err != nil {
		return nil, nil, err
	}
	attempts, err := s.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range slices.Backward(attempts) {
		if n >= attempt {
			continue
		}
		data, err := files.Read(ctx, fileName(n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read what attempt %d left: %w", n, err)
		}
		s.below = append(s.below, fileName(n))
		last, err := Decode(data)
		if err != nil {
			log.Error("what an earlier attempt left cannot be understood, and is passed over", "attempt", n, "err", err)
			continue
		}
		if !last.Claim {
			return s, last, nil
		}
	}
	return s, nil, nil
}

// Save writes the state of this attempt. Only when it returns nil will the next attempt
// know of it for certain.
func (s *Store) Save(ctx context.Context, state *State) error {
	if err := s.publish(ctx, state); err != nil {
		return err
	}
	if _, err := s.list(ctx); err != nil {
		return err
	}
	for len(s.below) > 0 {
		if err := s.files.Discard(ctx, s.below[0]); err != nil {
			return nil // they do no harm
		}
		s.below = s.below[1:]
	}
	return nil
}

func (s *Store) publish(ctx context.Context, state *State) error {
	state.Version, state.Attempt = Version, s.attempt
	data, err := state.Encode()
	if err == nil {
		err = s.files.Publish(ctx, fileName(s.attempt), data)
	}
	if err != nil {
		return fmt.Errorf("cannot save the application master's state: %w", err)
	}
	return nil
}

// list returns the attempts that have files, in order, or *PastError.
func (s *Store) list(ctx context.Context) ([]int, error) {
	names, err := s.files.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot see whether there is a later attempt: %w", err)
	}
	var attempts []int
	for _, name := range names {
		if n, ok := attemptOf(name); ok {
			attempts = append(attempts, n)
		}
	}
	slices.Sort(attempts)
	if n := len(attempts); n > 0 && attempts[n-1] > s.attempt {
		return nil, &PastError{s.attempt, attempts[n-1]}
	}
	return attempts, nil
}

func fileName(attempt int) string { return fmt.Sprintf("state-%d.json", attempt) }

func attemptOf(name string) (int, bool) {
	number, ok := strings.CutPrefix(name, "state-")
	number, json := strings.CutSuffix(number, ".json")
	n, err := strconv.Atoi(number)
	return n, ok && json && err == nil && n > 0 && fileName(n) == name
}
