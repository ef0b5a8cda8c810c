package delegation

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/token"
)

// cluster refuses some tokens, by their passwords.
type cluster struct {
	mu      sync.Mutex
	refuses map[string]bool
	asked   int
}

func (c *cluster) refused(_ context.Context, t *token.Credentials) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return slices.ContainsFunc(slices.Collect(maps.Values(t.Tokens)), func(t token.Token) bool { return c.refuses[string(t.Password)] })
}

// times is how often it was asked.
func (c *cluster) times() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

func (c *cluster) refuse(password string, yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuses[password] = yes
}

const week = 7 * 24 * time.Hour

// kept is a keeper of tokens that YARN renews, for a week at most, and runs.
func kept(t *testing.T, c *cluster) *Keeper {
	ctx, cancel := context.WithCancel(t.Context())
	k := NewKeeper(Options{First: Grant{Tokens: named("first"), Until: time.Now().Add(week), AtMost: true}, Refused: c.refused})
	done := make(chan struct{})
	go func() { k.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return k
}

func named(password string) *token.Credentials {
	c := &token.Credentials{}
	c.Add("nn", token.Token{Kind: token.KindHDFS, Service: "nn", Password: []byte(password)})
	return c
}

func inForce(k *Keeper) string { return string(k.Now().Tokens.Tokens["nn"].Password) }

// Tokens that YARN could not renew, or that somebody has cancelled, have ended: that is known within minutes, whatever
// their last day is, containers ask often, and those that a command brings, though for a day, are taken.
func TestRefusedTokensHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{refuses: map[string]bool{}}
		k := kept(t, c)
		time.Sleep(30 * time.Hour)
		if g, asked := k.Now(), c.times(); !g.AtMost || g.ended(time.Now()) || g.CheckIn(time.Now()) > Unsure || asked < 300 || asked > 1900 {
			t.Fatalf("good ones: %+v, asked %d times", g, asked)
		}
		c.refuse("first", true)
		time.Sleep(Unsure + time.Second)
		if g := k.Now(); !g.ended(time.Now()) || g.CheckIn(time.Now()) != Soon {
			t.Errorf("until %v, ask in %v", g.Until, g.CheckIn(time.Now()))
		}
		until := time.Now().Add(24 * time.Hour)
		if taken, err := k.Push(t.Context(), Grant{Tokens: named("second"), Until: until}, false); !taken || err != nil {
			t.Fatalf("a command's are not taken: %v", err)
		}
		time.Sleep(23 * time.Hour)
		if g := k.Now(); g.AtMost || !g.Until.Equal(until) || inForce(k) != "second" {
			t.Errorf("%+v", g)
		}
		c.refuse("second", true) // cancelled
		time.Sleep(Unsure + time.Second)
		if g := k.Now(); !g.ended(time.Now()) {
			t.Errorf("cancelled ones are good until %v", g.Until)
		}
	})
}

// Who brings tokens for a day does not shorten what YARN has kept good for a week.
func TestFirstTokensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{refuses: map[string]bool{}}
		k := kept(t, c)
		last := k.Now().Until
		if taken, err := k.Push(t.Context(), Grant{Tokens: named("second"), Until: time.Now().Add(24 * time.Hour)}, false); !taken || err != nil {
			t.Fatalf("where the end is a bound, a command's are not taken: %v", err)
		}
		time.Sleep(24*time.Hour - Soon) // before they end
		if g := k.Now(); inForce(k) != "first" || !g.AtMost || !g.Until.Equal(last) || !k.Since().IsZero() {
			t.Errorf("%s, %+v", inForce(k), g)
		}
		if _, err := k.Push(t.Context(), Grant{Tokens: named("third"), Until: time.Now().Add(24 * time.Hour)}, true); err != nil {
			t.Fatal(err)
		}
		c.refuse("first", true)
		time.Sleep(25 * time.Hour)
		if g := k.Now(); inForce(k) != "third" || !g.ended(time.Now()) {
			t.Errorf("to ones that are refused: %s, %+v", inForce(k), g)
		}
	})
}

// However short the time is for which somebody brings tokens, and whenever: the first ones are there again before it is over.
func TestFirstTokensAgainInTime(t *testing.T) {
	for _, life := range []time.Duration{2*Soon + time.Second, 3 * Soon, 30 * time.Second, time.Minute, 4 * time.Minute, time.Hour} {
		for _, after := range []time.Duration{time.Second, lookLeast - time.Second, Unsure, Unsure + time.Second} {
			synctest.Test(t, func(t *testing.T) {
				k := kept(t, &cluster{refuses: map[string]bool{}})
				time.Sleep(after)
				if taken, err := k.Push(t.Context(), Grant{Tokens: named("second"), Until: time.Now().Add(life)}, true); !taken || err != nil {
					t.Fatal(err)
				}
				if inForce(k) != "second" {
					t.Errorf("%s is in force", inForce(k))
				}
				time.Sleep(life - Soon*9/8) // when the last one asks who does so every few seconds
				if inForce(k) != "first" {
					t.Errorf("pushed after %v for %v: %s is in force", after, life, inForce(k))
				}
			})
		}
	}
}

// Where there is a source tokens that are refused before their time are replaced when that is noticed, not when they were to
// end; while the source gives none, and those of the submission are refused, too, it is asked again and again.
func TestRefusedTokensAreReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c, s := &cluster{refuses: map[string]bool{"first": true}}, &issuer{life: 24 * time.Hour, began: time.Now()}
		k := NewKeeper(Options{First: Grant{Tokens: named("first"), Until: time.Now().Add(week), AtMost: true}, Source: s, Refused: c.refused})
		if err := k.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); k.Run(ctx) }()
		time.Sleep(time.Hour)
		c.refuse("1", true)
		time.Sleep(Unsure + 2*Soon)
		synctest.Wait()
		if inForce(k) != "2" || len(s.asked) != 2 || k.Now().ended(time.Now()) {
			t.Errorf("%q is in force, until %v, asked at %v", inForce(k), k.Now().Until, s.asked)
		}
		s.fail = 3
		c.refuse("2", true)
		time.Sleep(Unsure + 6*Soon)
		synctest.Wait()
		if inForce(k) != "6" || len(s.asked) != 6 || k.Trouble() != nil {
			t.Errorf("after three that failed %q is in force, %v, asked at %v", inForce(k), k.Trouble(), s.asked)
		}
		time.Sleep(12 * time.Hour)
		synctest.Wait()
		if len(s.asked) != 6 {
			t.Errorf("good ones were replaced: asked at %v", s.asked)
		}
		cancel()
		<-done
	})
}

// Several sessions may bring tokens at the same time: one's are taken, and others' when an eighth of its time has passed.
func TestTokensOfSeveralAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kept(t, &cluster{refuses: map[string]bool{"first": true}})
		time.Sleep(Unsure + time.Second) // until it is known that the first ones are refused
		day := func(name string) Grant { return Grant{Tokens: named(name), Until: time.Now().Add(24 * time.Hour)} }
		for i, x := range []struct {
			after time.Duration
			must  bool
			taken bool
		}{{0, false, true}, {time.Second, false, false}, {time.Second, true, true}, {2 * time.Hour, false, false}, {2 * time.Hour, false, true}} {
			time.Sleep(x.after)
			if taken, err := k.Push(t.Context(), day(strconv.Itoa(i)), x.must); taken != x.taken || err != nil {
				t.Errorf("%d, %v after the one before: taken %v, %v", i, x.after, taken, err)
			}
		}
	})
}
