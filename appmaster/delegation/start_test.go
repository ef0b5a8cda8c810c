package delegation

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/token"
)

// shown is the token of the application's own file system.
func shown(c *token.Credentials) (token.Token, bool) {
	t, ok := c.Tokens["nn"]
	return t, ok
}

// Containers are started with the submission's tokens while these last longer than the newest and are taken.
func TestContainersStartWithWhatLastsLonger(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &issuer{life: day, began: time.Now()}
		var refused atomic.Bool
		var starts atomic.Value
		k := NewKeeper(Options{
			First: Grant{Tokens: tokens("nn", "other"), Until: time.Now().Add(7 * day), AtMost: true}, Source: s,
			Start: func(c *token.Credentials) { starts.Store(string(c.Tokens["nn"].Password)) },
			Refused: func(_ context.Context, c *token.Credentials) bool {
				return refused.Load() && string(c.Tokens["nn"].Password) == "nn"
			},
			Shown: shown,
		})
		if err := k.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		after := func(d time.Duration, what, want string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			now := string(k.Now().Tokens.Tokens["nn"].Password)
			if now == "nn" {
				t.Errorf("%s: those that run get the first ones", what)
			}
			if want == "newest" {
				want = now
			}
			if got := starts.Load(); got != want {
				t.Errorf("%s: containers start with %q, want %q", what, got, want)
			}
		}
		after(time.Second, "at the beginning", "nn")
		after(day, "after others came", "nn")
		refused.Store(true)
		after(2*Unsure, "when the ResourceManager has not renewed them", "newest")
		refused.Store(false)
		after(2*Unsure, "when it has", "nn")
		after(4*day, "on the sixth day", "nn")
		after(46*time.Hour, "when those that came last longer", "newest")
		after(2*day, "after their end", "newest")
		cancel()
		<-done
	})
}

// Where nobody can look, where they are refused, and where the first ones end sooner, they start with the newest.
func TestContainersStartWithTheNewest(t *testing.T) {
	never := func(context.Context, *token.Credentials) bool { return false }
	for what, c := range map[string]struct {
		refused func(context.Context, *token.Credentials) bool
		first   time.Duration
		life    time.Duration // of the newest
	}{
		"nobody looks":           {nil, 7 * 24 * time.Hour, time.Hour},
		"refused":                {func(context.Context, *token.Credentials) bool { return true }, 7 * 24 * time.Hour, time.Hour},
		"end before next looked": {never, Unsure, time.Minute},
		"end sooner":             {never, time.Hour, 2 * time.Hour},
	} {
		starts := ""
		k := NewKeeper(Options{First: Grant{Tokens: tokens("nn"), Until: time.Now().Add(c.first)}, Source: &issuer{life: c.life}, Refused: c.refused, Shown: shown,
			Start: func(c *token.Credentials) { starts = string(c.Tokens["nn"].Password) }})
		if err := k.Begin(t.Context()); err != nil || starts != "1" {
			t.Errorf("%s: %v, with %q", what, err, starts)
		}
	}
}

// Who brings tokens because those of the submission are refused has containers start with his, at once.
func TestContainersStartWithWhatIsBrought(t *testing.T) {
	starts := ""
	k := NewKeeper(Options{First: Grant{Tokens: tokens("nn"), Until: time.Now().Add(7 * 24 * time.Hour), AtMost: true},
		Refused: func(_ context.Context, c *token.Credentials) bool { return string(c.Tokens["nn"].Password) == "nn" }, Shown: shown,
		Start: func(c *token.Credentials) { starts = string(c.Tokens["nn"].Password) }})
	brought, err := (&issuer{life: 24 * time.Hour}).Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if taken, err := k.Push(t.Context(), brought, true); err != nil || !taken || starts != "1" {
		t.Errorf("taken %v, %v, with %q", taken, err, starts)
	}
}

// Of other services than the one that was asked it is not known whether they take the first ones: a KMS may have lost them,
// or they could not be renewed. Containers start with the newest for these.
func TestContainersStartWithTheNewestOfWhatWasNotAsked(t *testing.T) {
	start := func(first *token.Credentials) string {
		var got *token.Credentials
		k := NewKeeper(Options{First: Grant{Tokens: first, Until: time.Now().Add(7 * 24 * time.Hour), AtMost: true}, Shown: shown,
			Refused: func(context.Context, *token.Credentials) bool { return false },
			Start:   func(c *token.Credentials) { got = c }})
		newer := &token.Credentials{}
		for _, s := range []string{"nn", "kms"} {
			newer.Add(s, token.Token{Kind: token.KindHDFS, Service: s, Password: []byte("newer")})
		}
		if taken, err := k.Push(t.Context(), Grant{Tokens: newer, Until: time.Now().Add(24 * time.Hour)}, true); err != nil || !taken {
			t.Fatalf("taken %v, %v", taken, err)
		}
		if len(got.Tokens) != 3 {
			t.Errorf("they start with %v", got)
		}
		var each []string
		for _, s := range []string{"nn", "kms", "other"} {
			each = append(each, string(got.Tokens[s].Password))
		}
		return strings.Join(each, " ")
	}
	if got := start(tokens("nn", "kms", "other")); got != "nn newer other" {
		t.Errorf("they start with %q", got)
	}
	if got := start(tokens("kms", "other")); got != "newer newer other" {
		t.Errorf("where the first ones have none for who was asked: with %q", got)
	}
}
