package token

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// URLString is the token as it stands in URLs and in answers over HTTP. It holds the password.
// Source: Token.encodeToUrlString.
func (t Token) URLString() string {
	b := appendBytes(nil, t.Identifier)
	b = appendBytes(b, t.Password)
	b = appendText(b, t.Kind)
	return base64.RawURLEncoding.EncodeToString(appendText(b, t.Service))
}

// FromURLString is the token that URLString wrote. The error holds nothing of it. Source: Token.decodeFromUrlString.
func FromURLString(s string) (Token, error) {
	if len(s) > maxSize {
		return Token{}, fmt.Errorf("token: more than %d characters", maxSize)
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return Token{}, errors.New("token: not in base 64 as URLs have it")
	}
	r := &reader{b: b}
	t := Token{Identifier: r.bytes(), Password: r.bytes(), Kind: r.text(), Service: r.text()}
	if r.err == nil && len(r.b) > 0 {
		r.fail("%d bytes after its end", len(r.b))
	}
	if r.err != nil {
		return Token{}, fmt.Errorf("token: %w", r.err)
	}
	return t, nil
}
