package token

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// golden is what testdata/CredentialsGolden.java put into the files.
func golden() *Credentials {
	fill := func(n, seed int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(seed + i*7)
		}
		return b
	}
	c := &Credentials{}
	sizes := [][2]int{{0, 0}, {1, 127}, {128, 255}, {256, 70000}}
	for i, kind := range []string{"", KindAMRM, KindHDFS, "Kind-ü€"} {
		c.Add(fmt.Sprintf("alias-%d", i), Token{
			Identifier: fill(sizes[i][0], i), Password: fill(sizes[i][1], 100+i),
			Kind: kind, Service: fmt.Sprintf("10.0.0.%d:8030", i),
		})
	}
	c.AddSecret("secret", fill(200, 9))
	c.AddSecret("", nil)
	return c
}

// equal compares contents; Token.Equal would hide a field that it forgets.
func equal(a, b *Credentials) string {
	type plain struct{ ID, Password, Kind, Service string }
	flat := func(c *Credentials) map[string]plain {
		m := map[string]plain{}
		for k, t := range c.Tokens {
			m[k] = plain{string(t.Identifier), string(t.Password), t.Kind, t.Service}
		}
		return m
	}
	return cmp.Diff(flat(a), flat(b), cmpopts.EquateEmpty()) + cmp.Diff(a.Secrets, b.Secrets, cmpopts.EquateEmpty())
}

func TestReadsJavasFiles(t *testing.T) {
	for name, want := range map[string]*Credentials{"v0.bin": golden(), "v1.bin": golden(), "empty.bin": {}} {
		c, err := ReadFile(filepath.Join("testdata/golden", name))
		if err != nil {
			t.Fatal(err)
		}
		if d := equal(want, c); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestWritesJavasSizes holds our files to the size of Java's: entries may come
// in another order, everything else is the same.
func TestWritesJavasSizes(t *testing.T) {
	for name, v := range map[string]Version{"v0.bin": V0, "v1.bin": V1} {
		want, err := os.ReadFile(filepath.Join("testdata/golden", name))
		if err != nil {
			t.Fatal(err)
		}
		got := golden().Append([]byte("head"), v)[4:]
		if len(got) != len(want) || !bytes.Equal(got[:6], want[:6]) {
			t.Errorf("%s: %d bytes % x…, Java has %d bytes % x…", name, len(got), got[:6], len(want), want[:6])
		}
		back, err := Parse(got)
		if err != nil {
			t.Fatal(err)
		}
		if d := equal(golden(), back); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	empty, err := os.ReadFile("testdata/golden/empty.bin")
	if err != nil {
		t.Fatal(err)
	}
	if got := new(Credentials).Append(nil, V0); !bytes.Equal(got, empty) {
		t.Errorf("empty credentials are % x, Java has % x", got, empty)
	}
}

func TestVInt(t *testing.T) {
	for _, tc := range []struct {
		n    int64
		want string
	}{
		{0, "00"}, {127, "7f"}, {-112, "90"}, {128, "8f80"}, {255, "8fff"}, {256, "8e0100"},
		{-113, "8770"}, {-256, "87ff"}, {-257, "860100"}, {1 << 31, "8c80000000"},
		{math.MaxInt64, "887fffffffffffffff"}, {math.MinInt64, "807fffffffffffffff"},
	} {
		got := appendVInt(nil, tc.n)
		if fmt.Sprintf("%x", got) != tc.want {
			t.Errorf("%d is %x, want %s", tc.n, got, tc.want)
		}
		if r := (reader{b: got}); r.vint() != tc.n || r.err != nil || len(r.b) != 0 {
			t.Errorf("%x does not read back as %d", got, tc.n)
		}
	}
}

func TestRefuses(t *testing.T) {
	whole := golden().Append(nil, V0)
	proto := golden().Append(nil, V1)
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"other file":      []byte("#!/bin/sh\n"),
		"version 2":       []byte("HDTS\x02"),
		"no body":         []byte("HDTS\x00"),
		"cut short":       whole[:len(whole)-1],
		"trailing":        append(bytes.Clone(whole), 0),
		"proto cut short": proto[:len(proto)-1],
		"proto trailing":  append(bytes.Clone(proto), 0),
		"many tokens":     append([]byte("HDTS\x00"), appendVInt(nil, math.MaxInt32)...),
		"negative count":  []byte("HDTS\x00\xff"),
		"long alias":      append([]byte("HDTS\x00\x01"), append(appendVInt(nil, 1<<40), "xxxxxxxxxx"...)...),
		"negative length": []byte("HDTS\x00\x01\xff\x00\x00\x00\x00\x00\x00"),
	} {
		_, err := Parse(b)
		if fe := (*FormatError)(nil); !errors.As(err, &fe) {
			t.Errorf("%s: error %v, want a FormatError", name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("ReadFile's error %v does not name the file", err)
	}
}

func TestSelectsAndStrips(t *testing.T) {
	c := golden()
	am, ok := c.Select(KindAMRM)
	if !ok || am.Service != "10.0.0.1:8030" {
		t.Fatalf("Select found %v, %v", am, ok)
	}
	if _, ok := c.Select(KindNM); ok {
		t.Error("Select found a kind that is not there")
	}
	d := c.Without(KindAMRM)
	if _, ok := d.Select(KindAMRM); ok || len(d.Tokens) != 3 || len(d.Secrets) != 2 {
		t.Errorf("Without left %v", d)
	}
	if len(c.Tokens) != 4 {
		t.Error("Without changed the original")
	}
}

func TestPrintsNoSecret(t *testing.T) {
	c := &Credentials{}
	c.Add("a", Token{Identifier: []byte("IDENTITY"), Password: []byte("CANARY"), Kind: "k", Service: "s"})
	c.AddSecret("b", []byte("CANARY"))
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "credentials", c, "value", *c, "token", c.Tokens["a"])
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "credentials", c, "value", *c, "token", c.Tokens["a"])
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&out, f, c)
		fmt.Fprintf(&out, f, c.Tokens["a"])
		fmt.Fprintf(&out, f, c.Tokens)
		fmt.Fprintf(&out, f, *c)
	}
	for _, secret := range []string{"CANARY", "IDENTITY", "67 65 78", "[67", fmt.Sprintf("%x", "CANARY"), "Q0FOQVJZ"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the output has %q: %s", secret, out.String())
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(golden().Append(nil, V0)[:600])
	f.Add(new(Credentials).Append(nil, V0))
	f.Add(new(Credentials).Append(nil, V1))
	small := &Credentials{}
	small.Add("a", Token{Identifier: []byte{1}, Password: []byte{2}, Kind: "k", Service: "s"})
	small.AddSecret("b", []byte{3})
	f.Add(small.Append(nil, V0))
	f.Add(small.Append(nil, V1))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		for _, v := range []Version{V0, V1} {
			back, err := Parse(c.Append(nil, v))
			if err != nil {
				t.Fatalf("version %d of parsed credentials does not parse: %v", v, err)
			}
			if d := equal(c, back); d != "" {
				t.Fatal(d)
			}
		}
	})
}
