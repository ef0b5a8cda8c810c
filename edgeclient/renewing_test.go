package edgeclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/yarnd/yarnd/appmaster/ampb"
)

// master is an application as a session that is open for long sees it.
type master struct {
	start time.Time

	mu   sync.Mutex
	d    *ampb.Delegation
	away bool // it does not answer
	over bool // it has ended
	fail bool // there is no ticket
	kms  error
	met
}

// met is what an application has met with: when it was asked, and when tokens were brought, or nearly, since the start.
type met struct {
	asked, brought, failed []time.Duration
	warned                 int
}

func (m met) String() string {
	return fmt.Sprintf("asked %d times, brought %v, failed %d times, warned %d times", len(m.asked), m.brought, len(m.failed), m.warned)
}

// open is a session with it that began when it was started. Its end is the test's.
func (m *master) open(t *testing.T) {
	m.start = time.Now()
	r := &renewing{
		started: m.start, log: slog.New(slog.DiscardHandler),
		warn: func(*ampb.Delegation, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.warned++
		},
		info: func(context.Context) (*ampb.Delegation, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.asked = append(m.asked, time.Since(m.start))
			switch {
			case m.over:
				return nil, errOver
			case m.away:
				return nil, errors.New("away")
			}
			return m.d, nil
		},
		bring: func(context.Context, bool) (brought, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.fail {
				m.failed = append(m.failed, time.Since(m.start))
				return brought{}, errors.New("no ticket")
			}
			m.brought = append(m.brought, time.Since(m.start))
			until := time.Now().Add(days)
			m.d = &ampb.Delegation{Since: timestamppb.Now(), Until: timestamppb.New(until)}
			return brought{taken: true, until: until, missing: m.kms}, nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	d := m.d
	go func() { defer close(done); r.run(ctx, d) }()
	t.Cleanup(func() { cancel(); <-done })
}

// after waits, and tells what was met with meanwhile.
func (m *master) after(d time.Duration) (seen met) {
	m.mu.Lock()
	before := m.met
	m.mu.Unlock()
	time.Sleep(d)
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	news := func(now, was []time.Duration) []time.Duration { return slices.Clone(now[len(was):]) }
	return met{news(m.asked, before.asked), news(m.brought, before.brought), news(m.failed, before.failed), m.warned - before.warned}
}

func (m *master) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

const days = 24 * time.Hour

func firstTokens() *ampb.Delegation {
	return &ampb.Delegation{Until: timestamppb.New(time.Now().Add(7 * days)), AtMost: true}
}

func refusedTokens() *ampb.Delegation {
	return &ampb.Delegation{Until: timestamppb.Now(), AtMost: true}
}

// A session that is open for three weeks brings tokens before the last day of the first ones, and then twice a day.
func TestOpenSessionRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &master{d: firstTokens()}
		m.open(t)
		seen := m.after(21 * days)
		if n := len(seen.brought); n < 25 || n > 32 || seen.brought[0] < 6*days || seen.brought[0] > 7*days-time.Hour {
			t.Errorf("%v", seen)
		}
		for i := 1; i < len(seen.brought); i++ {
			if gap := seen.brought[i] - seen.brought[i-1]; gap > 23*time.Hour || gap < 11*time.Hour {
				t.Errorf("%v after %v", seen.brought[i], seen.brought[i-1])
			}
		}
	})
}

// Tokens that YARN could not renew have new ones in their place some minutes after that is known, also where the application could
// not be asked for a day before. One that has ended is asked no more.
func TestOpenSessionSeesTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &master{d: firstTokens()}
		m.open(t)
		m.after(30 * time.Hour)
		m.set(func() { m.d = refusedTokens() })
		if seen := m.after(6 * time.Minute); len(seen.brought) != 1 {
			t.Errorf("%v", seen)
		}
		m.set(func() { m.away, m.d = true, firstTokens() })
		if seen := m.after(days); len(seen.brought) != 0 || len(seen.asked) > 400 {
			t.Errorf("while it was away: %v", seen)
		}
		m.set(func() { m.away, m.d = false, refusedTokens() })
		if seen := m.after(6 * time.Minute); len(seen.brought) != 1 || seen.warned != 0 {
			t.Errorf("after that: %v", seen)
		}
		m.set(func() { m.over = true })
		if seen := m.after(3 * days); len(seen.asked) != 1 {
			t.Errorf("after its end: %v", seen)
		}
	})
}

// What comes by itself is left alone; where that fails, ours helps.
func TestOpenSessionBesideAKeytab(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := ampb.Delegation{Renews: true, Since: timestamppb.Now(), Until: timestamppb.New(time.Now().Add(days))}
		m := &master{d: &ampb.Delegation{Renews: true, Since: d.Since, Until: d.Until}}
		m.open(t)
		if seen := m.after(23 * time.Hour); len(seen.brought) != 0 {
			t.Errorf("%v", seen)
		}
		m.set(func() { m.d = &ampb.Delegation{Renews: true, Trouble: "no KDC", Since: d.Since, Until: d.Until} })
		if seen := m.after(time.Hour); len(seen.brought) != 1 {
			t.Errorf("where it fails: %v", seen)
		}
	})
}

// Without a ticket it is tried again, some ten times in the last half day, and then every few minutes, so that kinit helps soon. A
// person hears of it once.
func TestOpenSessionWaitsForATicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &master{d: firstTokens(), fail: true}
		m.open(t)
		if seen := m.after(7 * days); len(seen.failed) < 10 || len(seen.failed) > 60 || seen.warned != 1 {
			t.Errorf("%v", seen)
		}
		if seen := m.after(10 * time.Hour); len(seen.failed) < 90 || len(seen.failed) > 130 || seen.warned != 0 {
			t.Errorf("after the end tried %d times, warned %d times", len(seen.failed), seen.warned)
		}
		m.set(func() { m.fail = false })
		if seen := m.after(7 * time.Minute); len(seen.brought) != 1 {
			t.Errorf("with a ticket: %v", seen)
		}
	})
}

// A token of a KMS that was away is there a quarter of an hour after it is back, not with the next ones.
func TestOpenSessionBringsWhatWasMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &master{d: &ampb.Delegation{Since: timestamppb.Now(), Until: timestamppb.New(time.Now().Add(days))}, kms: errors.New("away")}
		m.open(t)
		if seen := m.after(14 * time.Hour); len(seen.brought) < 2 || len(seen.brought) > 10 {
			t.Errorf("%v", seen)
		}
		m.set(func() { m.kms = nil })
		if seen := m.after(20 * time.Minute); len(seen.brought) == 0 {
			t.Errorf("when it is back: %v", seen)
		}
		if seen := m.after(5 * time.Hour); len(seen.brought) != 0 {
			t.Errorf("when nothing is missing: %v", seen)
		}
	})
}
