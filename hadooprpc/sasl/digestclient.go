package sasl

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// defaultMaxBuf is the longest wrapped message we take, and what a peer that says nothing takes (RFC 2831, maxbuf).
const defaultMaxBuf = 65536

// TokenMechanism authenticates by a Hadoop token: DIGEST-MD5 with the base64 of the token's identifier as user name
// and the base64 of its password as password. Source: SaslRpcClient.SaslClientCallbackHandler (3.4.2).
type TokenMechanism struct {
	Identifier, Password []byte
	// MinQOP is the weakest protection to accept; 0 accepts all. The strongest that the server offers is taken.
	MinQOP QOP

	cnonce func() string // tests fix it
}

// Method is Token.
func (m *TokenMechanism) Method() Method { return Token }

// SASLName is DIGEST-MD5.
func (m *TokenMechanism) SASLName() string { return DigestMD5 }

// Begin starts an exchange.
func (m *TokenMechanism) Begin(o Offer) (Exchange, error) {
	return newDigestClient(o, base64.StdEncoding.EncodeToString(m.Identifier), m.Password, m.MinQOP, m.cnonce), nil
}

// NewDigest starts an exchange with a name that is no token's identifier: user names it, and the base64 of secret is the
// password.
func NewDigest(o Offer, user string, secret []byte, least QOP) Exchange {
	return newDigestClient(o, user, secret, least, nil)
}

func newDigestClient(o Offer, user string, secret []byte, least QOP, cnonce func() string) *digestClient {
	if cnonce == nil {
		cnonce = rand.Text
	}
	return &digestClient{
		cred: credentials{user: user, password: base64.StdEncoding.EncodeToString(secret)},
		// For a token the server sends protocol "" and id "default", so this is "/default".
		d:      digest{uri: o.Protocol + "/" + o.ServerID, cnonce: cnonce()},
		minQOP: max(least, QOPAuth),
	}
}

// digestClient is the client's half of one DIGEST-MD5 exchange: challenge → response, rspauth → done.
type digestClient struct {
	cred   credentials
	minQOP QOP

	d        digest
	cipher   string
	peerMax  int
	key      [16]byte
	answered bool
	done     bool
}

func (x *digestClient) ClientFirst() bool { return false }
func (x *digestClient) Done() bool        { return x.done }

func (x *digestClient) Step(challenge []byte) ([]byte, error) {
	dirs, err := parseDirectives(string(challenge))
	if err != nil {
		return nil, err
	}
	if !x.answered {
		x.answered = true
		return x.answer(dirs)
	}
	return nil, x.verify(dirs)
}

func (x *digestClient) answer(dirs map[string][]string) ([]byte, error) {
	if err := checkAlgorithm(dirs); err != nil {
		return nil, &Error{Reason: "DIGEST-MD5", Err: err}
	}
	var err error
	if x.d.nonce, err = single(dirs, "nonce"); err != nil {
		return nil, err
	}
	if x.d.nonce == "" {
		return nil, failf("DIGEST-MD5: the challenge has no nonce")
	}
	if err := x.chooseProtection(dirs); err != nil {
		return nil, err
	}
	if realms := dirs["realm"]; len(realms) > 0 {
		x.cred.realm = realms[0]
	}
	x.key = x.d.key(x.cred)

	var b strings.Builder
	b.WriteString("charset=utf-8,username=" + quote(x.cred.user))
	if _, ok := dirs["realm"]; ok {
		b.WriteString(",realm=" + quote(x.cred.realm))
	}
	b.WriteString(",nonce=" + quote(x.d.nonce) + ",nc=" + firstNonceCount + ",cnonce=" + quote(x.d.cnonce))
	b.WriteString(",digest-uri=" + quote(x.d.uri) + ",maxbuf=" + strconv.Itoa(defaultMaxBuf))
	b.WriteString(",response=" + x.d.response(x.key, false) + ",qop=" + x.d.qop.String())
	if x.d.qop == QOPConf {
		b.WriteString(",cipher=" + quote(x.cipher))
	}
	return []byte(b.String()), nil
}

// chooseProtection takes the strongest protection that the server offers, and refuses to go below the minimum: the
// list travels in clear, so a middleman may have shortened it.
func (x *digestClient) chooseProtection(dirs map[string][]string) error {
	list, err := single(dirs, "qop")
	if err != nil {
		return err
	}
	offered := parseQOPs(list)
	if len(offered) == 0 {
		return failf("DIGEST-MD5: no known quality of protection in %q", clip(list))
	}
	x.d.qop = slices.Max(offered)
	if x.d.qop < x.minQOP {
		return failf("the server offers protection %s at best, this client is configured to insist on %s", x.d.qop, x.minQOP)
	}
	if x.d.qop == QOPConf {
		ciphers, err := single(dirs, "cipher")
		if err != nil {
			return err
		}
		if x.cipher = chooseCipher(ciphers); x.cipher == "" {
			return failf("DIGEST-MD5: none of the server's ciphers %q is acceptable", clip(ciphers))
		}
	}
	x.peerMax = defaultMaxBuf
	maxbuf, err := single(dirs, "maxbuf")
	if err == nil && maxbuf != "" {
		x.peerMax, err = parseMaxBuf(maxbuf)
	}
	return err
}

func parseMaxBuf(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n <= digestOverhead || n > 1<<24 {
		return 0, failf("DIGEST-MD5: impossible maxbuf %q", clip(s))
	}
	return n, nil
}

// verify checks the server's proof that it knows the token's password as well.
func (x *digestClient) verify(dirs map[string][]string) error {
	got, err := single(dirs, "rspauth")
	if err != nil {
		return err
	}
	want := x.d.response(x.key, true)
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return failf("DIGEST-MD5: the server does not know the token's password")
	}
	x.done = true
	return nil
}

func (x *digestClient) Layer() Layer {
	if x.d.qop == QOPAuth {
		return nil
	}
	return newDigestLayer(x.key, x.cipher, x.peerMax, true)
}
