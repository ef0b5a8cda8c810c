package krb5

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// files writes files into a folder and returns it.
func files(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func env(vars ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(vars); i += 2 {
			if vars[i] == name {
				return vars[i+1]
			}
		}
		return ""
	}
}

// What the library alone does not read, or panics on.
func TestConfig(t *testing.T) {
	dir := files(t, map[string]string{
		"krb5.conf": "include\tDIR/tab\n" + `# as Red Hat's
includedir DIR/d/
[logging]
 kdc = FILE:/var/log/krb5kdc.log
[libdefaults]
  dns_lookup_realm = false
  default_realm = FIRST.EXAMPLE   ; the first counts
  default_realm = SECOND.EXAMPLE
  ticket_lifetime = 24h
  default_ccache_name = FILE:/tmp/mine_%{uid}
  preferred_preauth_types = nonsense
  pkinit_anchors = { a b }
[realms]
  FIRST.EXAMPLE = {
    kdc = kdc1.example
    kdc = kdc2.example:1088
    auth_to_local = RULE:[2:$1;$2](^.*;admin$)s/;admin$//
    auth_to_local_names = {
      root = admin
    }
    unknown thing
  }
  ONE.LINE = { kdc = one.example }
[domain_realm]
  .example = FIRST.EXAMPLE
`,
		"d/other":      "[realms]\nOTHER.EXAMPLE = {\n kdc = other.example\n admin_server = other.example\n}\n[domain_realm]\nhost.other = OTHER.EXAMPLE\n",
		"d/types.conf": "[libdefaults]\n permitted_enctypes = aes128-cts-hmac-sha1-96\n",
		"d/no.rpmsave": "this is not read",
		"tab":          "# nothing\n",
		"second.conf":  "[realms]\n FIRST.EXAMPLE = {\n kdc = kdc3.example\n}\n THIRD.EXAMPLE = {\n kdc = [::1]\n }\n",
	})
	c, err := LoadConfig(env("KRB5_CONFIG", dir+"/krb5.conf:"+dir+"/missing:"+dir+"/second.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if c.DefaultRealm != "FIRST.EXAMPLE" || !strings.HasPrefix(c.CacheName, "FILE:/tmp/mine_") || strings.Contains(c.CacheName, "%") {
		t.Errorf("default realm %s, cache %s", c.DefaultRealm, c.CacheName)
	}
	for realm, want := range map[string][]string{
		"FIRST.EXAMPLE": {"kdc1.example:88", "kdc2.example:1088", "kdc3.example:88"},
		"OTHER.EXAMPLE": {"other.example:88"}, "ONE.LINE": {"one.example:88"}, "THIRD.EXAMPLE": {"[::1]:88"},
	} {
		var got []string
		for _, r := range c.lib.Realms {
			if r.Realm == realm {
				got = append(got, r.KDC...)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("KDCs of %s: %v, want %v", realm, got, want)
		}
	}
	for host, want := range map[string]string{"a.example": "FIRST.EXAMPLE", "host.other": "OTHER.EXAMPLE", "else": ""} {
		if got := c.lib.ResolveRealm(host); got != want {
			t.Errorf("%s is in %q, want %q", host, got, want)
		}
	}
	if got := c.lib.LibDefaults.PermittedEnctypeIDs; !slices.Equal(got, []int32{17}) {
		t.Errorf("permitted types %v", got)
	}
	if got := c.lib.LibDefaults.DefaultTGSEnctypeIDs; !slices.Equal(got, []int32{18, 17, 20, 19}) {
		t.Errorf("types for tickets %v: all of AES", got)
	}
	if len(c.Files) != 5 {
		t.Errorf("files read: %v", c.Files)
	}
}

func TestConfigErrors(t *testing.T) {
	dir := files(t, map[string]string{
		"loop":    "include DIR/loop\n",
		"early":   "default_realm = X\n",
		"bracket": "[libdefaults\n",
		"brace":   "[realms]\nX = {\n",
		"closing": "[realms]\n}\n",
		"number":  "[libdefaults]\nticket_lifetime = soon\n",
		"gone":    "include DIR/nowhere\n",
	})
	for name, want := range map[string]string{
		"loop": "include each other", "early": "before any section", "bracket": "bracket", "brace": "not closed",
		"closing": "without an opening", "number": "ticket_lifetime", "gone": "nowhere", "missing": "copy it from a machine",
	} {
		_, err := LoadConfig(env("KRB5_CONFIG", filepath.Join(dir, name)))
		if KindOf(err) != BadConfig || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func FuzzProfile(f *testing.F) {
	f.Add("[libdefaults]\ndefault_realm = A\n[realms]\nA = {\n kdc = b\n}\n")
	f.Add("[realms]\nA = { kdc = b }\nB = {\n auth_to_local_names = {\n x = y\n }\n}\n")
	path := filepath.Join(f.TempDir(), "krb5.conf")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Skip()
		}
		c, err := LoadConfig(env("KRB5_CONFIG", path))
		if err == nil && c.lib == nil {
			t.Error("nothing was read, and nothing said")
		}
		if err != nil && strings.Contains(err.Error(), "malformed:") {
			t.Errorf("the library panics: %v", err)
		}
	})
}
