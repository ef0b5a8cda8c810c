package wall

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A wait ends in time whatever becomes of the clock on the wall.
func TestWait(t *testing.T) {
	for name, tt := range map[string]struct {
		jump        time.Duration // of the clock, after ten hours of forty
		least, most time.Duration
	}{
		"no jump":            {0, 40 * time.Hour, 40 * time.Hour},
		"forwards":           {5 * time.Hour, 35 * time.Hour, 35 * time.Hour},
		"forwards, past it":  {100 * time.Hour, 10 * time.Hour, 10*time.Hour + look},
		"back":               {-20 * time.Hour, 40 * time.Hour, 40 * time.Hour},
		"back, out of sight": {-1000 * time.Hour, 40 * time.Hour, 40 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var jump atomic.Int64
				now := func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
				time.AfterFunc(10*time.Hour, func() { jump.Store(int64(tt.jump)) })
				began := time.Now()
				if !Wait(t.Context(), began.Add(40*time.Hour), now) {
					t.Error("it did not come")
				}
				if took := time.Since(began); took < tt.least || took > tt.most {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if Wait(ctx, time.Now().Add(2*time.Hour), time.Now) {
			t.Error("it came")
		}
		if Wait(ctx, time.Now().Add(-time.Hour), time.Now) {
			t.Error("what is past came after the end")
		}
		if !Wait(t.Context(), time.Now().Add(-time.Hour), time.Now) {
			t.Error("what is past does not come")
		}
	})
}
