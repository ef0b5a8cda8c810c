package delegation

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/token"
)

// Grant is tokens and until when they are good.
type Grant struct {
	Tokens *token.Credentials // delegated ones alone; not changed once they are here
	Until  time.Time          // when the first of them ends; zero: nobody knows, or there are none
	// AtMost tells that Until is a bound: YARN renews them, and nobody here hears of it if it cannot. The ResourceManager
	// tries once at 90 % of the interval, and gives a token up that it could not renew.
	// Source: DelegationTokenRenewer.RenewalTimerTask.
	AtMost bool
	// Missing is who gave none: what there is of him stays, and may end before. nil: nobody.
	Missing error
}

// Digest tells one set of tokens from another.
func Digest(c *token.Credentials) []byte {
	d := sha256.Sum256(c.Delegated().Append(nil, token.V0))
	return d[:]
}

// When the next ones are got and asked for.
const (
	// Soon is the shortest time after which anybody asks again.
	Soon   = 5 * time.Second
	latest = time.Hour
)

// refreshIn is how long after now those that were got at a time, and end at another, are replaced: when a quarter of their
// time is left. got is zero where none were got yet.
func refreshIn(now, got, until time.Time) time.Duration {
	switch {
	case got.IsZero():
		return 0
	case until.IsZero():
		return latest
	}
	return max(Soon, until.Add(-until.Sub(got)/4).Sub(now))
}

// retryIn is how long to wait after new ones could not be got, while the present ones are good until then.
func retryIn(now, until time.Time) time.Duration {
	return min(max(until.Sub(now)/8, Soon), latest/60)
}

// completeIn is how long to wait before those that are missing are asked for again, and with them all others anew.
func completeIn(now, until time.Time) time.Duration {
	return min(max(until.Sub(now)/8, Soon), latest/4)
}

// CheckIn is how long after now who has tokens that end at a time asks for newer ones: sooner and sooner, so that he has
// asked in time whenever they come, and after they have ended still.
func CheckIn(now, until time.Time) time.Duration {
	if until.IsZero() {
		return latest
	}
	return min(max(until.Sub(now)/4, Soon), latest)
}

// Unsure is the longest time after which those that may end before their bound are asked for, and looked at.
const Unsure = 5 * time.Minute

// CheckIn is how long after now who has these asks for newer ones.
func (g Grant) CheckIn(now time.Time) time.Duration {
	in := CheckIn(now, g.Until)
	if g.AtMost {
		return min(in, Unsure)
	}
	return in
}

// ended tells that they are no longer good, as far as is known.
func (g Grant) ended(now time.Time) bool { return !g.Until.IsZero() && !g.Until.After(now) }

// secretUntil is where a saved grant has its end.
const secretUntil = "yarnd.delegation.until"

// encode is a grant as a file of tokens.
func (g Grant) encode() []byte {
	c := &token.Credentials{Tokens: g.Tokens.Tokens}
	c.AddSecret(secretUntil, []byte(g.Until.UTC().Format(time.RFC3339)))
	return c.Append(nil, token.V0)
}

// decode reads what encode wrote.
func decode(b []byte) (Grant, error) {
	c, err := token.Parse(b)
	if err != nil {
		return Grant{}, err
	}
	until, err := time.Parse(time.RFC3339, string(c.Secrets[secretUntil]))
	return Grant{Tokens: c.Delegated(), Until: until}, err
}

// ErrNothing tells that a push has no token.
var ErrNothing = errors.New("there is no token in it")

// short is a digest for logs.
func short(c *token.Credentials) string {
	return base64.RawURLEncoding.EncodeToString(Digest(c)[:6])
}
