package gssapi

import (
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/crypto/etype"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/types"
)

// Key is a Kerberos key: its encryption type's number, and its bytes.
type Key = types.EncryptionKey

// confounderSize is how many random bytes precede each encrypted message, and the block of the cipher.
const confounderSize = 16

var (
	errModified = errors.New("gssapi: a message was changed on its way, or another key was meant")
	// ErrKeyType is a key of another type than AES.
	ErrKeyType = errors.New("gssapi: only AES keys are accepted")
)

// Type is an encryption type: Kerberos' name and number.
type Type struct {
	Name string
	ID   int32
}

// SupportedTypes are the encryption types that are accepted, best first.
var SupportedTypes = []Type{
	{"aes256-cts-hmac-sha384-192", etypeID.AES256_CTS_HMAC_SHA384_192},
	{"aes128-cts-hmac-sha256-128", etypeID.AES128_CTS_HMAC_SHA256_128},
	{"aes256-cts-hmac-sha1-96", etypeID.AES256_CTS_HMAC_SHA1_96},
	{"aes128-cts-hmac-sha1-96", etypeID.AES128_CTS_HMAC_SHA1_96},
}

// cipherOf is the encryption type of k, if it is one of AES.
func cipherOf(k Key) (etype.EType, error) {
	for _, t := range SupportedTypes {
		if t.ID == k.KeyType {
			return crypto.GetEtype(t.ID)
		}
	}
	return nil, fmt.Errorf("%w: this one has encryption type %d", ErrKeyType, k.KeyType)
}

// keySize is how many bytes a key of one of the supported types has.
func keySize(keyType int32) int {
	if keyType == etypeID.AES128_CTS_HMAC_SHA1_96 || keyType == etypeID.AES128_CTS_HMAC_SHA256_128 {
		return 16
	}
	return 32
}

// newKey makes a key at random.
func newKey(keyType int32) Key {
	k := Key{KeyType: keyType, KeyValue: make([]byte, keySize(keyType))}
	rand.Read(k.KeyValue) // it never fails
	return k
}

// usageKey is a key for one usage, with what is derived from it. It is safe for concurrent use.
type usageKey struct {
	et  etype.EType
	ke  []byte // encrypts
	ki  []byte // proves what was encrypted
	kc  []byte // proves what was not
	mac int    // bytes of a proof
	iv  []byte // which the proof begins with; none for RFC 3962
}

// newUsageKey derives from k by RFC 3961 section 5.3 or RFC 8009 section 5.
func newUsageKey(k Key, usage uint32) (*usageKey, error) {
	et, err := cipherOf(k)
	if err != nil {
		return nil, err
	}
	if len(k.KeyValue) != keySize(k.KeyType) {
		return nil, fmt.Errorf("gssapi: a key of %d bytes for encryption type %d", len(k.KeyValue), k.KeyType)
	}
	u := &usageKey{et: et, mac: et.GetHMACBitLength() / 8}
	for last, key := range map[byte]*[]byte{0xAA: &u.ke, 0x55: &u.ki, 0x99: &u.kc} {
		if *key, err = et.DeriveKey(k.KeyValue, append(binary.BigEndian.AppendUint32(nil, usage), last)); err != nil {
			return nil, err
		}
	}
	if k.KeyType == etypeID.AES128_CTS_HMAC_SHA256_128 || k.KeyType == etypeID.AES256_CTS_HMAC_SHA384_192 {
		u.iv = make([]byte, confounderSize)
	}
	return u, nil
}

// overhead is by how much seal lengthens.
func (u *usageKey) overhead() int { return confounderSize + u.mac }

// seal appends the encryption of a confounder and parts to dst.
func (u *usageKey) seal(dst []byte, parts ...[]byte) ([]byte, error) {
	n := confounderSize
	for _, p := range parts {
		n += len(p)
	}
	plain := make([]byte, confounderSize, n)
	rand.Read(plain) // it never fails
	for _, p := range parts {
		plain = append(plain, p...)
	}
	_, sealed, err := u.et.EncryptData(u.ke, plain)
	if err != nil {
		return dst, err
	}
	proof := u.proof(u.ki, plain)
	if u.iv != nil {
		proof = u.proof(u.ki, u.iv, sealed)
	}
	return append(append(dst, sealed...), proof...), nil
}

// open is what was sealed, without the confounder.
func (u *usageKey) open(sealed []byte) ([]byte, error) {
	if len(sealed) < u.overhead() {
		return nil, errModified
	}
	body, proof := sealed[:len(sealed)-u.mac], sealed[len(sealed)-u.mac:]
	if u.iv != nil && !hmac.Equal(proof, u.proof(u.ki, u.iv, body)) {
		return nil, errModified
	}
	plain, err := u.et.DecryptData(u.ke, body)
	if err != nil {
		return nil, err
	}
	if u.iv == nil && !hmac.Equal(proof, u.proof(u.ki, plain)) {
		return nil, errModified
	}
	return plain[confounderSize:], nil
}

// sum is the checksum of parts.
func (u *usageKey) sum(parts ...[]byte) []byte { return u.proof(u.kc, parts...) }

func (u *usageKey) proof(key []byte, parts ...[]byte) []byte {
	h := hmac.New(u.et.GetHashFunc(), key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)[:u.mac]
}
