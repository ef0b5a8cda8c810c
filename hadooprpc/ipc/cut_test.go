package ipc

import (
	"errors"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/hadooptest"
)

// Who is cut off hears nothing, not even that the token is good for nothing; others go on.
func TestCutOff(t *testing.T) {
	s, _ := server(t, hadooptest.Options{TokenOnly: true, Passwords: func(id []byte) ([]byte, error) {
		if string(id) == "gone" {
			return nil, &hadooptest.Exception{Class: "org.apache.hadoop.security.token.SecretManager$InvalidToken", Message: "gone"}
		}
		return passwords(id)
	}})
	fresh := func(id string) *Client { return newTestClient(t, s.Addr(), Options{Token: tokenFor(id)}) }
	connected, other := fresh("one"), fresh("two")
	mustSay(t, connected, "before")
	mustSay(t, other, "before")
	if _, err := say(t.Context(), fresh("gone"), echo, ""); !Is(err, "InvalidToken") {
		t.Errorf("not cut off: %v", err)
	}
	s.Cut(func(id []byte) bool { return string(id) != "two" })
	for what, c := range map[string]*Client{"connected": connected, "new": fresh("one"), "refused": fresh("gone")} {
		var answer *RemoteError
		if _, err := say(t.Context(), c, echo, ""); err == nil || errors.As(err, &answer) {
			t.Errorf("%s, cut off: %v", what, err)
		}
	}
	mustSay(t, other, "meanwhile")
	s.Cut(nil)
	mustSay(t, connected, "after")
}
