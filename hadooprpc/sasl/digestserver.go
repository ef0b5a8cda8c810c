package sasl

import (
	"cmp"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
)

// DigestServer is the server's half of one DIGEST-MD5 exchange for tokens: Challenge, then Step with the client's
// response. It is used by one goroutine.
type DigestServer struct {
	// Password finds the password of a token by its identifier. Its error is returned by Step as it is.
	Password func(identifier []byte) ([]byte, error)
	// Secret, where it is set, takes the place of Password for names that are no tokens' identifiers (see NewDigest).
	Secret func(name string) ([]byte, error)
	// QOPs are the protections to offer, none for auth alone.
	QOPs []QOP
	// URI is what clients must say they speak to; "" is "/default", as for tokens of RPC.
	URI string

	d          digest
	cipher     string
	peerMax    int
	key        [16]byte
	identifier []byte
	done       bool
}

const (
	digestRealm   = "default" // what Hadoop's servers announce for tokens, as realm and as server id
	serverCiphers = "3des,rc4"
)

// Challenge opens the exchange.
func (x *DigestServer) Challenge() []byte {
	if x.d.nonce == "" {
		x.d.nonce = rand.Text()
	}
	if len(x.QOPs) == 0 {
		x.QOPs = []QOP{QOPAuth}
	}
	names := make([]string, len(x.QOPs))
	for i, q := range x.QOPs {
		names[i] = q.String()
	}
	s := "realm=" + quote(digestRealm) + ",nonce=" + quote(x.d.nonce) + ",qop=" + quote(strings.Join(names, ","))
	if slices.Contains(x.QOPs, QOPConf) {
		s += ",cipher=" + quote(serverCiphers)
	}
	return []byte(s + ",charset=utf-8,algorithm=md5-sess")
}

// Step checks the client's response and returns the server's own proof.
func (x *DigestServer) Step(response []byte) ([]byte, error) {
	if x.done {
		return nil, failf("DIGEST-MD5: the exchange is complete")
	}
	dirs, err := parseDirectives(string(response))
	if err != nil {
		return nil, err
	}
	v := make(map[string]string, len(dirs))
	for k := range dirs {
		if v[k], err = single(dirs, k); err != nil {
			return nil, err
		}
	}
	if v["nonce"] != x.d.nonce || v["nc"] != firstNonceCount || v["cnonce"] == "" {
		return nil, failf("DIGEST-MD5: not an answer to this challenge")
	}
	if uri := cmp.Or(x.URI, "/"+digestRealm); v["digest-uri"] != uri {
		return nil, failf("DIGEST-MD5: digest-uri %q is not %s", clip(v["digest-uri"]), uri)
	}
	if err := x.acceptProtection(v); err != nil {
		return nil, err
	}
	x.d.cnonce, x.d.uri = v["cnonce"], v["digest-uri"]
	password, err := x.password(v["username"])
	if err != nil {
		return nil, err
	}
	x.key = x.d.key(credentials{user: v["username"], realm: v["realm"], password: base64.StdEncoding.EncodeToString(password)})
	if subtle.ConstantTimeCompare([]byte(v["response"]), []byte(x.d.response(x.key, false))) != 1 {
		return nil, failf("DIGEST-MD5: digest response format violation or wrong password")
	}
	x.done = true
	return []byte("rspauth=" + x.d.response(x.key, true)), nil
}

func (x *DigestServer) password(name string) (password []byte, err error) {
	if x.Secret != nil {
		x.identifier = []byte(name)
		return x.Secret(name)
	}
	if x.identifier, err = base64.StdEncoding.DecodeString(name); err != nil {
		return nil, failf("DIGEST-MD5: the user name is not base64")
	}
	return x.Password(x.identifier)
}

func (x *DigestServer) acceptProtection(v map[string]string) error {
	qops := parseQOPs(v["qop"])
	if len(qops) != 1 || !slices.Contains(x.QOPs, qops[0]) {
		return failf("DIGEST-MD5: protection %q was not offered", clip(v["qop"]))
	}
	x.d.qop = qops[0]
	if x.d.qop == QOPConf {
		if x.cipher = v["cipher"]; chooseCipher(x.cipher) != x.cipher {
			return failf("DIGEST-MD5: cipher %q was not offered", clip(x.cipher))
		}
	}
	x.peerMax = defaultMaxBuf
	if s := v["maxbuf"]; s != "" {
		var err error
		if x.peerMax, err = parseMaxBuf(s); err != nil {
			return err
		}
	}
	return nil
}

// Done tells whether the client has proven itself.
func (x *DigestServer) Done() bool { return x.done }

// Identifier is the token's identifier, or the name. Valid once Done.
func (x *DigestServer) Identifier() []byte { return x.identifier }

// Layer is the protection agreed on, nil for none. Valid once Done.
func (x *DigestServer) Layer() Layer {
	if x.d.qop == QOPAuth {
		return nil
	}
	return newDigestLayer(x.key, x.cipher, x.peerMax, false)
}
