package rm

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/token"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// Who may see an application gets a token with his own name, whose password the master can tell by its key; who may not
// gets none; and the key outlives a restart with a state store.
func TestClientTokens(t *testing.T) {
	for _, sha := range []bool{false, true} {
		w := newWorld(t, Options{ACLs: true, ClientTokens: &ClientTokens{Realm: "EXAMPLE.COM", SHA256: sha}})
		w.submit(func(c *pb.ApplicationSubmissionContext) {
			c.AmContainerSpec.ApplicationAcls = yarn.ACLs{View: "bob"}.PB()
		})
		am := w.master(1)
		reg := w.register(am)
		if yarn.ACLsFromPB(reg.GetApplicationAcls()) != (yarn.ACLs{View: "bob"}) {
			t.Errorf("registered with %v", reg.GetApplicationAcls())
		}
		check := func(user string) {
			t.Helper()
			r, err := clientOf(t, w.m, user).Report(t.Context(), w.id)
			if err != nil {
				t.Fatal(err)
			}
			tok := yarn.TokenFromPB(r.GetClientToAmToken())
			var id pb.ClientToAMTokenIdentifier
			if err := proto.Unmarshal(tok.Identifier, &id); err != nil {
				t.Fatal(err)
			}
			at := yarn.AttemptID{App: w.id, Attempt: 1}
			if tok.Kind != token.KindClientToAM || id.GetClientName() != user+"@EXAMPLE.COM" || yarn.AttemptIDFromPB(id.GetAppAttemptId()) != at {
				t.Errorf("%v for %v", tok, &id)
			}
			h := map[bool]func() hash.Hash{false: sha1.New, true: sha256.New}[sha]
			mac := hmac.New(h, reg.GetClientToAmTokenMasterKey())
			mac.Write(tok.Identifier)
			if !bytes.Equal(mac.Sum(nil), tok.Password) {
				t.Errorf("the password of %s is not the identifier's under the master key", user)
			}
		}
		check("alice")
		check("bob")
		eve, err := clientOf(t, w.m, "eve").Report(t.Context(), w.id)
		if err != nil || eve.ClientToAmToken != nil || eve.GetHost() != "N/A" {
			t.Errorf("eve sees %v, %v", eve, err)
		}
		w.m.Stop()
		if err := w.m.Start(true); err != nil {
			t.Fatal(err)
		}
		again := w.register(am)
		if !bytes.Equal(again.GetClientToAmTokenMasterKey(), reg.GetClientToAmTokenMasterKey()) {
			t.Error("another key after the restart")
		}
		check("bob")
	}
	w := newWorld(t, Options{})
	w.submit()
	if reg := w.register(w.master(1)); reg.ClientToAmTokenMasterKey != nil {
		t.Error("a key, and nobody asked for it")
	}
	if r, err := w.c.Report(t.Context(), w.id); err != nil || r.ClientToAmToken != nil {
		t.Errorf("a token, and nobody asked for it: %v", err)
	}
}
