package token

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
)

// Kinds of the tokens that YARN and HDFS issue.
const (
	KindAMRM       = "YARN_AM_RM_TOKEN"
	KindNM         = "NMToken"
	KindContainer  = "ContainerToken"
	KindClientToAM = "YARN_CLIENT_TOKEN"
	KindRM         = "RM_DELEGATION_TOKEN"
	KindHDFS       = "HDFS_DELEGATION_TOKEN"
	KindKMS        = "kms-dt"
)

// Token is one token: who its bearer is (Identifier, in the issuer's own
// encoding), the proof (Password), and where it is good for. Source:
// org.apache.hadoop.security.token.Token.
type Token struct {
	Identifier []byte
	Password   []byte
	Kind       string
	Service    string
}

// String describes the token without its identifier and password.
func (t Token) String() string {
	return fmt.Sprintf("token(kind %q, service %q, %d+%d bytes)", t.Kind, t.Service, len(t.Identifier), len(t.Password))
}

// GoString is String, so that %#v does not print the password either.
func (t Token) GoString() string { return t.String() }

// LogValue is String.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// Equal reports whether two tokens are the same in every field.
func (t Token) Equal(u Token) bool {
	return t.Kind == u.Kind && t.Service == u.Service &&
		bytes.Equal(t.Identifier, u.Identifier) && bytes.Equal(t.Password, u.Password)
}

// Credentials holds tokens and secret keys by alias. A token's alias is by
// custom its service. The zero value is empty and ready for reading; use
// [Credentials.Add] to fill it. It is not safe for concurrent change.
type Credentials struct {
	Tokens  map[string]Token
	Secrets map[string][]byte
}

// Add puts a token under an alias, in place of the one that was there.
func (c *Credentials) Add(alias string, t Token) {
	if c.Tokens == nil {
		c.Tokens = make(map[string]Token)
	}
	c.Tokens[alias] = t
}

// AddSecret puts a secret key under an alias.
func (c *Credentials) AddSecret(alias string, secret []byte) {
	if c.Secrets == nil {
		c.Secrets = make(map[string][]byte)
	}
	c.Secrets[alias] = secret
}

// All yields the tokens of a kind with their aliases, sorted by alias. An
// empty kind stands for every kind.
func (c Credentials) All(kind string) iter.Seq2[string, Token] {
	return func(yield func(string, Token) bool) {
		for _, alias := range sortedKeys(c.Tokens) {
			if t := c.Tokens[alias]; (kind == "" || t.Kind == kind) && !yield(alias, t) {
				return
			}
		}
	}
}

// Select returns the token of a kind whose alias sorts first. It suits kinds
// that occur once: an AMRM token's service may be empty, so that only its kind
// identifies it.
func (c *Credentials) Select(kind string) (Token, bool) {
	for _, t := range c.All(kind) {
		return t, true
	}
	return Token{}, false
}

// Without returns a copy that lacks the tokens of the given kinds. The
// application master strips its AMRM token this way from what it gives to
// workers. Byte slices are shared with the original.
func (c *Credentials) Without(kinds ...string) *Credentials {
	d := &Credentials{Tokens: maps.Clone(c.Tokens), Secrets: maps.Clone(c.Secrets)}
	maps.DeleteFunc(d.Tokens, func(_ string, t Token) bool { return slices.Contains(kinds, t.Kind) })
	return d
}

// String lists the tokens without what is secret in them.
func (c Credentials) String() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "credentials(%d secret keys", len(c.Secrets))
	for _, t := range c.All("") {
		fmt.Fprintf(&b, ", %v", t)
	}
	b.WriteByte(')')
	return b.String()
}

// GoString is String.
func (c Credentials) GoString() string { return c.String() }

// LogValue is String.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.String()) }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
