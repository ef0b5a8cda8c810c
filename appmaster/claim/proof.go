package claim

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"hash"

	"github.com/yarnd/yarnd/identity"
)

// The labels keep apart what each side says, and this from whatever else the password is
// used for. That of the exporter keeps its bytes from other users of the connection.
const (
	clientLabel   = "yarnd session client 1"
	masterLabel   = "yarnd session master 1"
	exporterLabel = "EXPORTER-yarnd-session-1"
)

// Binding is what both sides of one TLS connection, and nobody else, have in common.
type Binding [32]byte

// BindingOf exports a connection's binding, once its handshake is over.
func BindingOf(cs tls.ConnectionState) (b Binding, err error) {
	if !cs.HandshakeComplete || cs.Version < tls.VersionTLS13 || cs.NegotiatedProtocol != identity.ClaimProtocol {
		return b, fmt.Errorf("claim: a connection of %s and protocol %q is none for a claim", tls.VersionName(cs.Version), cs.NegotiatedProtocol)
	}
	key, err := cs.ExportKeyingMaterial(exporterLabel, nil, len(b))
	if err != nil {
		return b, fmt.Errorf("claim: %w", err)
	}
	copy(b[:], key)
	return b, nil
}

// passwords are what a token with an identifier may have for its password under a master
// key: of HmacSHA1, which is Hadoop's default, and of HmacSHA256, to which newer ones can be
// set (hadoop.security.secret-manager.key-generator.algorithm). An application master does not
// see that setting of the ResourceManager's.
// Source: org.apache.hadoop.security.token.SecretManager.createPassword,
// org.apache.hadoop.yarn.security.client.BaseClientToAMTokenSecretManager.
func passwords(masterKey, identifier []byte) [2][]byte {
	var out [2][]byte
	for i, h := range []func() hash.Hash{sha1.New, sha256.New} {
		mac := hmac.New(h, masterKey)
		mac.Write(identifier)
		out[i] = mac.Sum(nil)
	}
	return out
}

// SignRequest puts the client's proof into a request.
func SignRequest(r *Request, password []byte, b Binding) { r.Proof = r.proof(password, b) }

func (r *Request) proof(password []byte, b Binding) Proof {
	return prove(password, clientLabel, b, nil, r.Identifier, r.CSR)
}

// Judge returns the password that a request's sender has shown to know; ok tells that he
// has. Without a master key nobody has. It takes the same time for whatever proof.
func Judge(masterKey []byte, r *Request, b Binding) (password []byte, ok bool) {
	if len(masterKey) == 0 {
		return nil, false
	}
	for _, candidate := range passwords(masterKey, r.Identifier) {
		if want := r.proof(candidate, b); hmac.Equal(want[:], r.Proof[:]) {
			password, ok = candidate, true
		}
	}
	return password, ok
}

// SignAnswer puts the master's proof into an answer.
func SignAnswer(a *Answer, password []byte, b Binding) { a.Proof = a.proof(password, b) }

func (a *Answer) proof(password []byte, b Binding) Proof {
	return prove(password, masterLabel, b, []byte{byte(a.Verdict)}, a.Text, a.Authority)
}

// Proven tells whether an answer is by one who knows the password.
func (a *Answer) Proven(password []byte, b Binding) bool {
	want := a.proof(password, b)
	return hmac.Equal(want[:], a.Proof[:])
}

// prove is HMAC-SHA256 over label, binding, fixed bytes, and parts, each with its length.
func prove(password []byte, label string, b Binding, fixed []byte, parts ...[]byte) (p Proof) {
	mac := hmac.New(sha256.New, password)
	mac.Write([]byte(label))
	mac.Write(b[:])
	mac.Write(fixed)
	for _, part := range parts {
		mac.Write(appendBytes(nil, part))
	}
	mac.Sum(p[:0])
	return p
}
