package tracker

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
)

// Key is a master key: the password of a token is the HMAC-SHA1 of its identifier under the key that it names.
// Source: org.apache.hadoop.security.token.SecretManager.
type Key struct {
	ID     int32
	Secret []byte
}

// NewKey makes a key.
func NewKey(id int32) Key {
	secret := make([]byte, 20)
	rand.Read(secret) // never fails
	return Key{ID: id, Secret: secret}
}

// Password is that of the token with this identifier.
func (k Key) Password(identifier []byte) []byte {
	mac := hmac.New(sha1.New, k.Secret)
	mac.Write(identifier)
	return mac.Sum(nil)
}

// Ring holds a key and its predecessor, under which tokens are still good. The zero value holds none.
type Ring struct{ Current, Previous Key }

// Roll makes a new current key.
func (r *Ring) Roll() { r.Current, r.Previous = NewKey(r.Current.ID+1), r.Current }

// Find returns the key with an id.
func (r Ring) Find(id int32) (Key, bool) {
	switch {
	case len(r.Current.Secret) > 0 && r.Current.ID == id:
		return r.Current, true
	case len(r.Previous.Secret) > 0 && r.Previous.ID == id:
		return r.Previous, true
	}
	return Key{}, false
}

// Keys are what a NodeManager needs to check tokens: those of containers, inside start requests, and NMTokens, with
// which application masters connect.
type Keys struct{ Container, NM Ring }
