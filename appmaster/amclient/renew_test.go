package amclient

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/identity"
)

// A certificate is renewed before it ends by the clock on the wall, whatever somebody sets
// that to, and not all the time where our clock is ahead of the other side's.
func TestRenewedWhateverTheClock(t *testing.T) {
	for name, tt := range map[string]struct {
		jump          time.Duration // of our clock, after an hour
		first         time.Duration // when the first renewal is due at the latest
		least, atMost int           // renewals within 30 days, of certificates of 30 days
	}{
		"no jump":                     {0, 20 * 24 * time.Hour, 1, 1},
		"forwards":                    {19 * 24 * time.Hour, 24 * time.Hour, 2, 30},
		"forwards, past the end":      {31 * 24 * time.Hour, time.Hour + time.Minute, 2, 100},
		"back":                        {-24 * time.Hour, 20 * 24 * time.Hour, 1, 1},
		"back to before it was there": {-1000 * 24 * time.Hour, 20 * 24 * time.Hour, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca, err := identity.NewCA(identity.Seed{1}, "application_1_0001")
				if err != nil {
					t.Fatal(err)
				}
				who := identity.Subject{App: ca.App(), Role: identity.Worker, Name: "container_1_0001_01_000002"}
				id, err := ca.NewIdentity(who, identity.DefaultTTL)
				if err != nil {
					t.Fatal(err)
				}
				var jump atomic.Int64
				time.AfterFunc(time.Hour, func() { jump.Store(int64(tt.jump)) })
				began, first, n := time.Now(), time.Duration(0), 0
				done := make(chan struct{})
				go func() {
					defer close(done)
					keepRenewed(t.Context(), id, renewPause, func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }, func() bool {
						if n++; n == 1 {
							first = time.Since(began)
						}
						csr, err := id.CSR()
						if err != nil {
							t.Error(err)
							return false
						}
						cert, err := ca.Sign(csr, who, identity.DefaultTTL) // by the other side's clock, which is right
						if err == nil {
							err = id.Renew(cert)
						}
						if err != nil {
							t.Error(err)
						}
						return err == nil
					})
				}()
				time.Sleep(30 * 24 * time.Hour)
				synctest.Wait()
				if first == 0 || first > tt.first || n < tt.least || n > tt.atMost {
					t.Errorf("%d renewals, the first after %v", n, first)
				}
			})
		})
	}
}
