package identity

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
)

// SeedSize is the length of a Seed in bytes.
const SeedSize = 32

// Seed is the secret from which an application's authority is derived. Whoever
// has it can be anybody in that application, so it is kept in owner-only files
// and never printed: every way of formatting it gives "[redacted]".
type Seed [SeedSize]byte

const redacted = "[redacted]"

// NewSeed returns a fresh random seed.
func NewSeed() Seed {
	var s Seed
	rand.Read(s[:]) // never fails: crypto/rand.Read ends the program instead
	return s
}

// ParseSeed reads what Encode wrote. Its error does not quote the input.
func ParseSeed(text []byte) (Seed, error) {
	var s Seed
	trimmed := strings.TrimSpace(string(text))
	if len(trimmed) != hex.EncodedLen(SeedSize) {
		return s, fmt.Errorf("identity: a seed is %d hexadecimal digits, this has %d characters", hex.EncodedLen(SeedSize), len(trimmed))
	}
	if _, err := hex.Decode(s[:], []byte(trimmed)); err != nil {
		return Seed{}, fmt.Errorf("identity: a seed is %d hexadecimal digits, this has something else in it", hex.EncodedLen(SeedSize))
	}
	return s, nil
}

// Encode returns the seed as text for an owner-only file. It is the only way to
// get a seed out of the program.
func (s Seed) Encode() []byte {
	return append(hex.AppendEncode(nil, s[:]), '\n')
}

// IsZero tells whether the seed was never set.
func (s Seed) IsZero() bool { return s == Seed{} }

// String hides the seed.
func (s Seed) String() string { return redacted }

// Format hides the seed from every verb, %x and %#v included.
func (s Seed) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue hides the seed from log/slog.
func (s Seed) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the seed from encoding/json and its like.
func (s Seed) MarshalText() ([]byte, error) { return []byte(redacted), nil }
