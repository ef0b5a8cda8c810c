package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/token"
)

var secret = []byte("\xfb\xef\xbeThe secret that \x00 nobody sees\xff\xfe")

func TestSetFindsEachForm(t *testing.T) {
	var s Set
	s.Add("secret", secret)
	s.Add("another", []byte("what is nowhere"))
	forms := map[string]string{
		"as it is":  string(secret),
		"hex":       hex.EncodeToString(secret),
		"HEX":       strings.ToUpper(hex.EncodeToString(secret)),
		"base 64":   base64.StdEncoding.EncodeToString(secret),
		"for URLs":  base64.URLEncoding.EncodeToString(secret),
		"unpadded":  base64.RawURLEncoding.EncodeToString(secret),
		"in a file": base64.StdEncoding.EncodeToString([]byte("HDTS" + string(secret) + "more")),
		"a token":   token.Token{Identifier: []byte("someone"), Password: secret, Kind: "K", Service: "s"}.URLString(),
		"a name":    token.Token{Identifier: secret, Password: []byte("p"), Kind: "K", Service: "s"}.URLString(),
	}
	for before := range 6 {
		forms["behind "+strings.Repeat("x", before)] = base64.RawURLEncoding.EncodeToString(append(bytes.Repeat([]byte{0xaa}, before), secret...))
	}
	for name, form := range forms {
		found := s.In([]byte("before " + form + " behind"))
		if len(found) == 0 {
			t.Errorf("%s: not found in %q", name, form)
		}
		for _, f := range found {
			if !strings.HasPrefix(f, "secret ") {
				t.Errorf("%s: found %s", name, f)
			}
		}
	}
	for _, text := range []string{"", "nothing", string(secret[:len(secret)-1]), hex.EncodeToString(secret)[1:], base64.StdEncoding.EncodeToString(secret[1:])} {
		if found := s.In([]byte(text)); len(found) > 0 {
			t.Errorf("in %q there is %v", text, found)
		}
	}
}

func TestSetOfCredentials(t *testing.T) {
	c := &token.Credentials{}
	c.Add("nn", token.Token{Kind: token.KindHDFS, Identifier: []byte("identifier of it"), Password: []byte("password of it")})
	c.AddSecret("join", []byte("a token of ours"))
	var s Set
	s.Credentials("file", c)
	for _, text := range []string{"identifier of it", "password of it", "a token of ours"} {
		if found := s.In([]byte("=" + text)); len(found) != 1 || !strings.Contains(found[0], "in file") {
			t.Errorf("%s: %v", text, found)
		}
	}
	if n := len(s.Names()); n != 3 {
		t.Errorf("%d secrets", n)
	}
	defer func() {
		if recover() == nil {
			t.Error("seven bytes are a secret")
		}
	}()
	s.Add("short", []byte("7 bytes"))
}

func TestKerberosFiles(t *testing.T) {
	key := bytes.Repeat([]byte{0xa5}, 32)
	short := func(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }
	long := func(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	text := func(s string) []byte { return []byte(s) }

	entry := join([]byte{0, 2}, short(text("R")), short(text("nn")), short(text("host")), make([]byte, 9), []byte{0, 18}, short(key), make([]byte, 4))
	keytab := join([]byte{5, 2}, long(entry), []byte{0xff, 0xff, 0xff, 0xfd}, text("old"), long(entry))
	who := join([]byte{0, 0, 0, 1, 0, 0, 0, 1}, long(text("R")), long(text("alice")))
	list := join([]byte{0, 0, 0, 1, 0, 2}, long(text("data")))
	ticket := join(who, who, []byte{0, 18}, long(key), make([]byte, 21), list, list, long(text("ticket")), long(nil))
	note := join(who, who, []byte{0, 0}, long(nil), make([]byte, 21), list, list, long(text("yes")), long(nil))
	cache := join([]byte{5, 4}, short(text("header")), who, ticket, note, ticket)

	for name, x := range map[string]struct {
		file  []byte
		parse func([]byte) ([][]byte, error)
	}{"keytab": {keytab, Keytab}, "cache": {cache, Cache}} {
		keys, err := x.parse(x.file)
		if err != nil || len(keys) != 2 || !bytes.Equal(keys[0], key) || !bytes.Equal(keys[1], key) {
			t.Errorf("%s: %x, %v", name, keys, err)
		}
		for n := range len(x.file) { // cut anywhere it is no good, or has the one key
			if keys, err := x.parse(x.file[:n]); err == nil && (len(keys) != 1 || !bytes.Equal(keys[0], key)) {
				t.Errorf("%s cut at %d: %x", name, n, keys)
			}
		}
	}
}

func FuzzKerberosFiles(f *testing.F) {
	f.Add([]byte{5, 2, 0, 0, 0, 0})
	f.Add([]byte{5, 4, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, file []byte) {
		Keytab(file) //nolint:errcheck // it ends, and that is all
		Cache(file)  //nolint:errcheck
	})
}
