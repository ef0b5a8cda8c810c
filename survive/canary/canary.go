package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/token"
)

// shortest is how many bytes a secret has at least: fewer are found by chance.
const shortest = 8

// Set is a set of secrets. The zero value is empty. It is not safe for concurrent change.
type Set struct {
	names []string
	forms []form
}

type form struct {
	name string // of the secret
	how  string
	text []byte
}

// Add adds a secret. It panics when that is shorter than eight bytes.
func (s *Set) Add(name string, secret []byte) {
	if len(secret) < shortest {
		panic(fmt.Sprintf("canary: %s has %d bytes, and fewer than %d are found everywhere", name, len(secret), shortest))
	}
	s.names = append(s.names, name)
	add := func(how string, text []byte) {
		s.forms = append(s.forms, form{name, how, text})
	}
	add("as it is", slices.Clone(secret))
	lower := hex.EncodeToString(secret)
	add("in hex", []byte(lower))
	add("in capital hex", []byte(strings.ToUpper(lower)))
	for offset := range 3 {
		standard, url := encoded(base64.RawStdEncoding, secret, offset), encoded(base64.RawURLEncoding, secret, offset)
		add("in base 64", standard)
		if !bytes.Equal(standard, url) {
			add("in base 64 for URLs", url)
		}
	}
}

// encoded are the characters of base 64 that depend on the secret alone, where it begins so many bytes behind a multiple of three.
func encoded(e *base64.Encoding, secret []byte, offset int) []byte {
	text := e.EncodeToString(append(make([]byte, offset), secret...))
	const bits = 6 // of a character
	return []byte(text[(8*offset+bits-1)/bits : 8*(offset+len(secret))/bits])
}

// Credentials adds the passwords, identifiers and secret keys of a credentials file.
func (s *Set) Credentials(name string, c *token.Credentials) {
	for alias, t := range c.Tokens {
		s.Token(fmt.Sprintf("%q in %s", alias, name), t)
	}
	for alias, key := range c.Secrets {
		s.Add(fmt.Sprintf("secret key %q in %s", alias, name), key)
	}
}

// Token adds a token's password and its identifier.
func (s *Set) Token(name string, t token.Token) {
	s.Add(fmt.Sprintf("password of %s token %s", t.Kind, name), t.Password)
	s.Add(fmt.Sprintf("identifier of %s token %s", t.Kind, name), t.Identifier)
}

// Names are the secrets, in the order in which they were added.
func (s *Set) Names() []string { return s.names }

// In tells which secrets are in a text, and how.
func (s *Set) In(text []byte) (found []string) {
	for _, f := range s.forms {
		if bytes.Contains(text, f.text) {
			found = append(found, f.name+" "+f.how)
		}
	}
	return found
}
