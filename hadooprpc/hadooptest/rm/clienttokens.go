package rm

import (
	"crypto/hmac"
	"crypto/sha256"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest/tracker"
	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// ClientTokens says how a ResourceManager vouches for its clients: each report that somebody may see has a token with
// which he can show the application master who he is. Source: RMAppImpl.createAndGetApplicationReport,
// ClientToAMTokenSecretManagerInRM.
type ClientTokens struct {
	Realm  string // of the names in them: "bob@REALM"; "" for names alone
	SHA256 bool   // hadoop.security.secret-manager.key-generator.algorithm is HmacSHA256, not HmacSHA1
}

// clientKey is the master key of an attempt's tokens, nil where there are none. It is in the state store, as that of a
// real one is (RMAppAttemptImpl.recoverAppAttemptCredentials).
func (m *RM) clientKey(id yarn.AttemptID) []byte {
	if m.opts.ClientTokens == nil {
		return nil
	}
	k, ok := m.clients[id]
	if !ok {
		k = tracker.NewKey(0)
		m.clients[id] = k
	}
	return k.Secret
}

// clientToken is a user's for an attempt's application master.
func (m *RM) clientToken(id yarn.AttemptID, user string) token.Token {
	if realm := m.opts.ClientTokens.Realm; realm != "" {
		user += "@" + realm
	}
	key := m.clientKey(id)
	t := sign(&pb.ClientToAMTokenIdentifier{AppAttemptId: id.PB(), ClientName: &user}, tracker.Key{Secret: key}, token.KindClientToAM, "")
	if m.opts.ClientTokens.SHA256 {
		mac := hmac.New(sha256.New, key)
		mac.Write(t.Identifier)
		t.Password = mac.Sum(nil)
	}
	return t
}
