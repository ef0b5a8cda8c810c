package journal

import (
	"context"
	"sync"
	"time"
)

// state tells whether the store can be reached, once for each change.
type state struct {
	tell func(error)
	slow time.Duration

	mu    sync.Mutex
	since time.Time // of the first failure; zero when well
	told  bool      // that it is away
}

// watch tells if an operation takes long. It is over when the function is called that watch returns.
func (s *state) watch(op, file string) (over func()) {
	began := time.Now()
	ended := false
	t := time.AfterFunc(s.slow, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !ended {
			s.away(began, op, file, nil)
		}
	})
	return func() {
		t.Stop()
		s.mu.Lock()
		ended = true
		s.mu.Unlock()
	}
}

// failed tells that an operation failed.
func (s *state) failed(began time.Time, op, file string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away(began, op, file, err)
}

// away is failed with mu held. Without an error the operation does not come back.
func (s *state) away(began time.Time, op, file string, err error) {
	if s.since.IsZero() {
		s.since = began
	}
	if !s.told {
		s.told = true
		s.tell(&AwayError{Op: op, File: file, Since: s.since, Err: err})
	}
}

// well tells that the store does what it shall again.
func (s *state) well() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since = time.Time{}
	if s.told {
		s.told = false
		s.tell(nil)
	}
}

// backoff is how long to wait after a failure: longer each time, up to a bound, and never the
// same for two processes.
type backoff struct {
	min, max time.Duration
	jitter   func() float64 // from 0 to 1
	n        int
}

func (b *backoff) reset() { b.n = 0 }

// next is how long to wait now.
func (b *backoff) next() time.Duration {
	d := min(b.max, b.min<<min(b.n, 20))
	b.n++
	return d/2 + time.Duration(b.jitter()*float64(d/2))
}

// sleep waits, or returns false when ctx ends.
func (b *backoff) sleep(ctx context.Context) bool {
	t := time.NewTimer(b.next())
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
