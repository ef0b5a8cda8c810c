package token

import (
	"testing"
	"time"
)

func identifier(owner, renewer, real string, issued, max int64) []byte {
	b := appendText(appendText(appendText([]byte{0}, owner), renewer), real)
	for _, n := range []int64{issued, max, 7, 3} {
		b = appendVInt(b, n)
	}
	return b
}

func TestParseDelegation(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	b := identifier("alice@EXAMPLE.COM", "yarn", "oozie", now.UnixMilli(), now.Add(time.Hour).UnixMilli())
	d, err := ParseDelegation(b)
	if err != nil || d != (Delegation{"alice@EXAMPLE.COM", "yarn", "oozie", now, now.Add(time.Hour), 7}) {
		t.Errorf("%+v, %v", d, err)
	}
	if back, err := ParseDelegation(d.Append(nil)); err != nil || back != d {
		t.Errorf("%+v, %v, want %+v", back, err, d)
	}
	for n := range b {
		if _, err := ParseDelegation(b[:n]); err == nil {
			t.Errorf("%d bytes of %d were enough", n, len(b))
		}
	}
	b[0] = 1
	if _, err := ParseDelegation(b); err == nil {
		t.Error("another version was taken")
	}
}

func FuzzParseDelegation(f *testing.F) {
	f.Add(identifier("a", "b", "", 1, 2))
	f.Add([]byte{0, 0x8f, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := ParseDelegation(b); err == nil && len(d.Owner)+len(d.Renewer)+len(d.RealUser) > len(b) {
			t.Errorf("%d bytes hold more than that", len(b))
		}
	})
}

func TestDelegatedAndMerge(t *testing.T) {
	c := &Credentials{}
	c.Add("am", Token{Kind: KindAMRM})
	c.Add("nn", Token{Kind: KindHDFS, Service: "1.2.3.4:8020", Password: []byte("old")})
	c.Add("nn again", Token{Kind: KindHDFS, Service: "1.2.3.4:8020", Password: []byte("older")})
	c.Add("other", Token{Kind: "HIVE", Service: "hive"})
	c.AddSecret("s", []byte("secret"))
	d := c.Delegated()
	if len(d.Tokens) != 3 || len(d.Secrets) != 0 || len(c.Tokens) != 4 {
		t.Errorf("%v of %v", d, c)
	}
	newer := &Credentials{}
	newer.Add("1.2.3.4:8020", Token{Kind: KindHDFS, Service: "1.2.3.4:8020", Password: []byte("new")})
	newer.Add("x", Token{Kind: KindRM, Service: "rm"})
	d.Merge(newer)
	if len(d.Tokens) != 3 || string(d.Tokens["nn again"].Password) != "new" || d.Tokens["x"].Service != "rm" {
		t.Errorf("%v", d.Tokens)
	}
}
