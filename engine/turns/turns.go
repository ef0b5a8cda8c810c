// Package turns lets who brings news to a loop do the loop's work, instead of waking a
// goroutine for it: that takes longer than most of the work does.
//
//	reader A ──Due──► turn ────────────► (nothing more is due: it goes on reading)
//	reader B ──Due──► counted: A sees to it, in the same turn or the next
//	loop     ◄──Mine── where A has done its share and more is due
//
// As with one goroutine that owns a state, one turn is done at a time, and each sees what
// those before it did. When much happens, the loop's goroutine does all of it, and looks at
// its timers and whatever else it waits for between turns.
package turns

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// share is how many turns one who brings news does before the loop goes on with it, and how
// many the loop does before it looks at what else it waits for.
const share = 4

// Turns are those of one loop. Due is safe for concurrent use; the other methods are for
// the loop's goroutine.
type Turns struct {
	turn func() bool
	due  atomic.Int64  // pieces of news that no turn that has ended saw; 0: no turn is under way
	mine chan struct{} // capacity 1: the next turn is the loop's
	take atomic.Bool   // the loop waits in Take
	// panicked is what a turn of another goroutine ended with.
	panicked error
}

// New returns the turns of a loop: turn sees to all that is there, without waiting. It
// returns true to have the loop's goroutine go on alone, for good. It must not call Take
// or Run; what it does may call Due.
func New(turn func() bool) *Turns {
	return &Turns{turn: turn, mine: make(chan struct{}, 1)}
}

// Due says that there is something to see to, which the caller has put where turn looks.
// It is seen to when Due returns, unless a turn was under way.
func (t *Turns) Due() {
	if t.due.Add(1) > 1 {
		return
	}
	for range share {
		seen := t.due.Load()
		if t.elsewhere() || t.take.Load() {
			break
		}
		if t.due.Add(-seen) == 0 {
			return
		}
	}
	t.mine <- struct{}{}
}

// elsewhere does a turn outside the loop's goroutine. A panic is the loop's.
func (t *Turns) elsewhere() (keep bool) {
	defer func() {
		if p := recover(); p != nil {
			t.panicked, keep = fmt.Errorf("%v\n%s", p, debug.Stack()), true
		}
	}()
	return t.turn()
}

// Mine is received from by the loop's goroutine, which then calls Run.
func (t *Turns) Mine() <-chan struct{} { return t.mine }

// Run does turns until there is nothing to see to, or a few: Mine says then that there is
// more. It returns true when turn did: nobody else does one any more.
func (t *Turns) Run() bool {
	t.rethrow()
	for range share {
		seen := t.due.Load()
		if t.turn() {
			return true
		}
		if t.due.Add(-seen) == 0 {
			return false
		}
	}
	t.mine <- struct{}{}
	return false
}

// Take waits for the end of the turn that is under way. Nobody does one any more.
func (t *Turns) Take() {
	t.take.Store(true) // before due: whoever counts that as seen looks here
	if t.due.Add(1) > 1 {
		<-t.mine
		t.rethrow()
	}
}

func (t *Turns) rethrow() {
	if t.panicked != nil {
		panic(t.panicked)
	}
}
