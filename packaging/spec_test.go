package packaging

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func hexOf(h [32]byte) string { return hex.EncodeToString(h[:]) }

func TestParseSpec(t *testing.T) {
	for in, want := range map[string]Spec{
		"env.tar.gz":          {Source: "env.tar.gz", Name: "env.tar.gz"},
		"/a/env.tar.gz#env":   {Source: "/a/env.tar.gz", Name: "env"},
		"hdfs://ns/x/y.zip#z": {Source: "hdfs://ns/x/y.zip", Name: "z"},
		"/with#hash/f":        {Source: "/with#hash/f", Name: "f"},
		"/with#hash/f#g":      {Source: "/with#hash/f", Name: "g"},
		"a b.txt#ab":          {Source: "a b.txt", Name: "ab"},
		"dir/":                {Source: "dir/", Name: "dir"},
	} {
		got, err := ParseSpec(in, File)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "#x", "f#", "a b.txt", "f#..", "f#.", "f#-x", "f#$(id)", "f#a'b", "f#a\"b", "f#a\nb",
		"f#launch_container.sh", "f#.container_tokens.crc", "f#" + strings.Repeat("x", 300), "f#ü"} {
		_, err := ParseSpec(in, File)
		if se := (*SpecError)(nil); !errors.As(err, &se) {
			t.Errorf("%q: error %v", in, err)
		}
	}
}

func TestPlainName(t *testing.T) {
	for in, want := range map[string]string{
		"/a/b.tar.gz": "b.tar.gz", "/a/ü $(x).tgz": "____x_.tgz", "/..": "file", "/.hidden": "hidden",
		"/" + strings.Repeat("x", 300) + ".zip": strings.Repeat("x", 96) + ".zip",
	} {
		if got := plainName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if why := badName(plainName(in)); why != "" {
			t.Errorf("%q: %s", in, why)
		}
	}
}

func TestLocalPath(t *testing.T) {
	for in, want := range map[string]string{"/a": "/a", "a:b": "a:b", "file:///x/y": "/x/y", "file:/x": "/x", "dir/a:/b": "dir/a:/b"} {
		if got, ok := localPath(in); !ok || got != want {
			t.Errorf("%q: %q, %v", in, got, ok)
		}
	}
	for _, in := range []string{"hdfs://n/x", "hdfs:/x", "s3a://b/x"} {
		if _, ok := localPath(in); ok {
			t.Errorf("%q was taken for a local path", in)
		}
	}
}
