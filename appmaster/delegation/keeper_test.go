package delegation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/yarnd/yarnd/hadooprpc/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func tokens(services ...string) *token.Credentials {
	c := &token.Credentials{}
	for i, s := range services {
		c.Add(s, token.Token{Kind: token.KindHDFS, Service: s, Identifier: []byte{byte(i)}, Password: []byte(s)})
	}
	return c
}

// issuer gives tokens that live for a time, and notes when it was asked.
type issuer struct {
	life  time.Duration
	fail  int // so many times first
	part  int // so many times it gives not all
	began time.Time
	asked []time.Duration
}

func (s *issuer) Get(context.Context) (Grant, error) {
	s.asked = append(s.asked, time.Since(s.began))
	if s.fail > 0 {
		s.fail--
		return Grant{}, errors.New("the KDC is away")
	}
	c := &token.Credentials{}
	c.Add("nn", token.Token{Kind: token.KindHDFS, Service: "nn", Password: fmt.Appendf(nil, "%d", len(s.asked))})
	g := Grant{Tokens: c, Until: time.Now().Add(s.life)}
	if s.part > 0 {
		s.part--
		g.Missing = errors.New("the KMS is away")
	}
	return g, nil
}

// With a keytab there are new ones when three quarters of the time have passed, for ever, and the first at once.
func TestNewOnesComeInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &issuer{life: time.Hour, began: time.Now()}
		told := 0
		k := NewKeeper(Options{First: Grant{Tokens: tokens("nn", "other"), Until: time.Now().Add(-time.Minute)}, Source: s, Changed: func(g Grant) {
			told++
			if len(g.Tokens.Tokens) != 2 || string(g.Tokens.Tokens["nn"].Password) != fmt.Sprint(told) {
				t.Errorf("change %d: %v", told, g.Tokens)
			}
		}})
		if err := k.Begin(ctx); err != nil || told != 1 || !k.Renews() {
			t.Fatalf("%v, %d changes", err, told)
		}
		ended := make(chan struct{})
		go func() { k.Run(ctx); close(ended) }()
		for range 1000 {
			time.Sleep(time.Minute)
			if left := time.Until(k.Now().Until); left < 14*time.Minute {
				t.Fatalf("%v are left after %v", left, time.Since(s.began))
			}
		}
		cancel()
		<-ended
		if n := len(s.asked); n != 1+1000/45 || told != n {
			t.Errorf("asked %d times, told %d times: %v", n, told, s.asked)
		}
	})
}

// Where none can be got it is tried again, more often as the end comes near, and no more often than every few seconds.
func TestTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := &issuer{life: time.Hour, fail: 41, began: time.Now()}
		k := NewKeeper(Options{First: Grant{Tokens: tokens("nn"), Until: time.Now().Add(5 * time.Minute)}, Source: s})
		if err := k.Begin(ctx); err == nil || k.Trouble() == nil || !k.Stale() {
			t.Fatalf("%v, trouble %v", err, k.Trouble())
		}
		done := make(chan struct{})
		go func() { k.Run(ctx); close(done) }()
		time.Sleep(40 * time.Minute)
		if k.Trouble() != nil || k.Stale() || k.Since().IsZero() {
			t.Errorf("trouble %v, since %v", k.Trouble(), k.Since())
		}
		if len(s.asked) != 42 {
			t.Errorf("asked %d times: %v", len(s.asked), s.asked)
		}
		for i, at := range s.asked[2:] {
			if gap := at - s.asked[i+1]; gap < Soon || gap > time.Minute {
				t.Errorf("try %d came %v after the one before", i+3, gap)
			}
		}
		cancel()
		<-done
	})
}

// files are an application's, in memory.
type files map[string][]byte

func (f files) Publish(_ context.Context, name string, data []byte) error {
	f[name] = bytes.Clone(data)
	return nil
}
func (f files) Read(_ context.Context, name string) ([]byte, error) {
	if b, ok := f[name]; ok {
		return b, nil
	}
	return nil, fs.ErrNotExist
}
func (f files) List(context.Context) ([]string, error)       { return nil, nil }
func (f files) Discard(_ context.Context, name string) error { delete(f, name); return nil }

// What was pushed takes the place of what it is for, and the next attempt begins with it.
// Where one gave none it is asked again, long before the others' end, and that is told; then things go their way.
func TestMissingOnesComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &issuer{life: 24 * time.Hour, part: 3, began: time.Now()}
		k := NewKeeper(Options{First: Grant{Tokens: tokens("nn")}, Source: s})
		if err := k.Begin(ctx); err != nil || k.Trouble() == nil {
			t.Fatalf("%v, %v", err, k.Trouble())
		}
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		time.Sleep(12 * time.Hour)
		synctest.Wait()
		if len(s.asked) != 4 || s.asked[3] > time.Hour || k.Trouble() != nil {
			t.Errorf("asked at %v, %v", s.asked, k.Trouble())
		}
		cancel()
		<-done
	})
}

// An attempt whose source fails begins with what the one before it had in the end, and goes on asking.
func TestRestartWithoutSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		dir, s := files{}, &issuer{life: 24 * time.Hour, began: time.Now()}
		first := Grant{Tokens: tokens("nn", "other"), Until: time.Now().Add(time.Hour)}
		k := NewKeeper(Options{First: first, Source: s, Files: dir})
		if err := k.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		had := k.Now()
		s.fail = 3
		next := NewKeeper(Options{First: first, Source: s, Files: dir})
		if err := next.Begin(ctx); err == nil || next.Trouble() == nil {
			t.Errorf("a failed source: %v, trouble %v", err, next.Trouble())
		}
		if got := next.Now(); !bytes.Equal(Digest(got.Tokens), Digest(had.Tokens)) || !got.Until.Equal(had.Until.Truncate(time.Second)) || next.Stale() {
			t.Errorf("it begins with %v until %v, the one before it had %v until %v", got.Tokens, got.Until, had.Tokens, had.Until)
		}
		done := make(chan struct{})
		go func() { defer close(done); next.Run(ctx) }()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if next.Trouble() != nil || string(next.Now().Tokens.Tokens["nn"].Password) != "5" {
			t.Errorf("after ten minutes: %v, %v, asked at %v", next.Trouble(), next.Now().Tokens, s.asked)
		}
		cancel()
		<-done
	})
}

// What YARN renews, and is taken, is better than what a source gave an earlier attempt and nobody renews; and when the latter
// ends while the source gives no others, the former is what there is again.
func TestSubmissionsTokensWithoutSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, dir := &issuer{life: 24 * time.Hour, began: time.Now()}, files{}
		o := Options{First: Grant{Tokens: tokens("nn"), Until: time.Now().Add(7 * 24 * time.Hour), AtMost: true}, Source: s, Files: dir,
			Refused: func(context.Context, *token.Credentials) bool { return false }}
		k := NewKeeper(o)
		if err := k.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		s.fail = 1 << 30
		next := NewKeeper(o)
		if err := next.Begin(ctx); err == nil || !next.Now().AtMost {
			t.Errorf("%v; it begins with %+v", err, next.Now())
		}
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if now := k.Now(); !now.AtMost || !now.Until.Equal(o.First.Until) {
			t.Errorf("after the source's have ended: %+v", now)
		}
		cancel()
		<-done
	})
}

func TestPush(t *testing.T) {
	ctx, dir, now := t.Context(), files{}, time.Now().Truncate(time.Second)
	k := NewKeeper(Options{First: Grant{Tokens: tokens("nn", "other"), Until: now.Add(time.Minute)}, Files: dir})
	if err := k.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	k.Run(ctx) // comes back at once
	if _, err := k.Push(ctx, Grant{Tokens: &token.Credentials{}, Until: now}, true); !errors.Is(err, ErrNothing) {
		t.Errorf("pushed nothing: %v", err)
	}
	newer := &token.Credentials{}
	newer.Add("x", token.Token{Kind: token.KindHDFS, Service: "nn", Password: []byte("newer")})
	before := Digest(k.Now().Tokens)
	if taken, err := k.Push(ctx, Grant{Tokens: newer, Until: now.Add(time.Hour)}, false); !taken || err != nil {
		t.Fatal(taken, err)
	}
	if bytes.Equal(before, Digest(k.Now().Tokens)) {
		t.Error("the digest is as it was")
	}
	next := NewKeeper(Options{First: Grant{Tokens: tokens("nn", "other"), Until: now.Add(time.Minute)}, Files: dir})
	if err := next.Begin(ctx); err != nil {
		t.Fatal(err)
	}
	for name, g := range map[string]Grant{"this attempt": k.Now(), "the next one": next.Now()} {
		if len(g.Tokens.Tokens) != 2 || string(g.Tokens.Tokens["nn"].Password) != "newer" || !g.Until.Equal(now.Add(time.Hour)) || len(g.Tokens.Secrets) != 0 {
			t.Errorf("%s: %v until %v", name, g.Tokens, g.Until)
		}
	}
	sooner := Grant{Tokens: tokens("nn"), Until: now.Add(time.Minute)}
	if taken, err := k.Push(ctx, sooner, false); taken || err != nil || string(k.Now().Tokens.Tokens["nn"].Password) != "newer" {
		t.Errorf("those that end sooner took the place of others: %v, %v", taken, err)
	}
	later := NewKeeper(Options{First: Grant{Tokens: tokens("nn"), Until: now.Add(2 * time.Hour)}, Files: dir})
	if err := later.Begin(ctx); err != nil || string(later.Now().Tokens.Tokens["nn"].Password) != "nn" {
		t.Errorf("older ones were taken: %v", err)
	}
	bound := NewKeeper(Options{First: Grant{Tokens: tokens("nn"), Until: now.Add(7 * 24 * time.Hour), AtMost: true}, Files: dir})
	if err := bound.Begin(ctx); err != nil || string(bound.Now().Tokens.Tokens["nn"].Password) != "newer" || bound.Now().AtMost {
		t.Errorf("those that were in force gave way to ones whose end nobody knows: %v, %+v", err, bound.Now())
	}
	if taken, err := k.Push(ctx, sooner, true); !taken || err != nil || !k.Now().Until.Equal(sooner.Until) {
		t.Errorf("those that a person has asked for were not taken: %v, %v, until %v", taken, err, k.Now().Until)
	}
	dir[fileName] = []byte("HDTS broken")
	if err := later.Begin(ctx); err == nil {
		t.Error("a broken file was taken")
	}
}

// Whoever asks as he is told to has new ones before the old ones end, whenever in the last quarter they come.
func TestCheckIn(t *testing.T) {
	for _, life := range []time.Duration{time.Minute, 10 * time.Minute, 24 * time.Hour, 7 * 24 * time.Hour} {
		now := time.Now()
		until := now.Add(life)
		for fresh := until.Add(-life / 4); now.Before(fresh); {
			now = now.Add(CheckIn(now, until))
		}
		if left := until.Sub(now); left < life/16 {
			t.Errorf("of %v, %v are left", life, left)
		}
	}
	if d := CheckIn(time.Now(), time.Now().Add(-time.Hour)); d != Soon {
		t.Errorf("after the end: %v", d)
	}
	if d := CheckIn(time.Now(), time.Time{}); d != latest {
		t.Errorf("without an end: %v", d)
	}
}
