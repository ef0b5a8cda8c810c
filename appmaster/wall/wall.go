// Package wall waits for moments on the clock on the wall, which somebody may set at any time:
// ends of certificates and tokens are such moments. All other waits and leases of yarnd count time as
// it passes, and do not notice.
package wall

import (
	"context"
	"time"
)

// look is how often it is looked at the clock.
const look = time.Minute

// Wait waits until a moment, by a clock that may jump (time.Now), or until as much time has
// passed as lay before the moment when the waiting began, whatever is sooner: a jump forwards is noticed within
// a minute, and one back makes nobody late. It reports whether it was that, and not the end of the context.
func Wait(ctx context.Context, at time.Time, now func() time.Time) bool {
	at = at.Round(0)
	began, first := time.Now(), at.Sub(now().Round(0))
	for {
		wait := min(at.Sub(now().Round(0)), first-time.Since(began))
		if wait <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(min(wait, look))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}
