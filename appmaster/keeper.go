package appmaster

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/yarnd/yarnd/appmaster/memory"
)

// keeper saves the application master's state in the staging directory. One goroutine
// writes; the loop gives it the latest state and goes on. What nobody waits for is
// written once in keepPause at most.
type keeper struct {
	store *memory.Store
	log   *slog.Logger
	wake  chan struct{}
	past  chan struct{} // closed when a later attempt has begun
	over  chan struct{} // closed when nothing is written any more

	mu      sync.Mutex
	next    *memory.State // not written yet; nil: all is
	seq     uint64        // of the latest state that was given
	saved   uint64        // of the latest that is written
	urgent  bool          // somebody waits
	err     error         // why the last attempt to write failed, or that nothing will be written any more
	changed chan struct{} // closed and replaced when saved or err changes
}

var errKeeperOver = errors.New("the application master ends")

const (
	keepPause = time.Second
	keepTime  = 30 * time.Second // of one attempt to write
)

func newKeeper(store *memory.Store, log *slog.Logger) *keeper {
	return &keeper{store: store, log: log, wake: make(chan struct{}, 1), past: make(chan struct{}), over: make(chan struct{}), changed: make(chan struct{})}
}

// put gives the keeper the latest state, which nobody changes any more, and returns its
// number.
func (k *keeper) put(s *memory.State, urgent bool) uint64 {
	k.mu.Lock()
	k.seq++
	k.next, k.urgent = s, k.urgent || urgent
	seq := k.seq
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return seq
}

// wait waits until the state of a number, or a later one, is saved.
func (k *keeper) wait(ctx context.Context, seq uint64) error {
	var last error
	for {
		k.mu.Lock()
		saved, err, changed := k.saved, k.err, k.changed
		k.mu.Unlock()
		if saved >= seq {
			return nil
		}
		if err != nil {
			last = err
		}
		if _, past := errors.AsType[*memory.PastError](err); past {
			return err
		}
		select {
		case <-changed:
		case <-k.over:
			return errKeeperOver
		case <-ctx.Done():
			return errors.Join(ctx.Err(), last)
		}
	}
}

// run writes until the context ends or a later attempt has begun.
func (k *keeper) run(ctx context.Context) {
	defer close(k.over)
	var rest <-chan time.Time // nil: it has passed
	failures := 0
	for {
		state, seq, urgent := k.latest()
		if state == nil || rest != nil && (!urgent || failures > 0) {
			select {
			case <-k.wake:
			case <-rest:
				rest = nil
			case <-ctx.Done():
				return
			}
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, keepTime)
		err := k.store.Save(bounded, state)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if failures++; err == nil {
			failures = 0
		}
		if past := k.note(seq, err); past {
			return
		}
		rest = time.After(min(keepPause<<min(failures, 10), keepTime))
	}
}

// latest returns what is to be written, nil when all is, and whether somebody waits.
func (k *keeper) latest() (state *memory.State, seq uint64, urgent bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next, k.seq, k.urgent
}

// note notes what became of writing the state of a number, and tells whether a later
// attempt has begun.
func (k *keeper) note(seq uint64, err error) (past bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
	if err == nil {
		k.saved = seq
		if k.seq == seq {
			k.next, k.urgent = nil, false
		}
	} else {
		k.log.Warn("the state is not saved", "err", err)
	}
	close(k.changed)
	k.changed = make(chan struct{})
	if _, past = errors.AsType[*memory.PastError](err); past {
		close(k.past)
	}
	return past
}
