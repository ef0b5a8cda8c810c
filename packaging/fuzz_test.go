package packaging

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzELF: whatever the bytes, readELF returns.
func FuzzELF(f *testing.F) {
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := readELF(bytes.NewReader(b), int64(len(b)))
		if err == nil && info.arch == "" {
			t.Errorf("%+v", info)
		}
	})
}

// FuzzSpec: a name that is accepted can stand in a node manager's script.
func FuzzSpec(f *testing.F) {
	for _, s := range []string{"a#b", "hdfs://n/x.zip#y", "#", "a#$(id)", "a/#b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		spec, err := ParseSpec(s, Archive)
		if err == nil && (badName(spec.Name) != "" || spec.Source == "") {
			t.Errorf("%q: %+v", s, spec)
		}
	})
}

// FuzzManifest: what is read can be written and read again.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"kind":"yarnd-environment","version":1,"source":"venv","contentSha256":"ab","python":"3.12.1","packages":[{"name":"six","version":"1"}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		again, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseManifest(again); err != nil {
			t.Errorf("%s: %v", again, err)
		}
	})
}

// FuzzVenv: programs lose nothing but their first lines.
func FuzzVenv(f *testing.F) {
	f.Add([]byte("#!/v/bin/python3\nx"))
	f.Add([]byte("#!/bin/sh\n'''exec' \"/v/bin/python\" \"$0\" \"$@\"\n' '''\nx"))
	f.Add([]byte("VIRTUAL_ENV=\"/v\"\nversion = 3.1\n"))
	v := &venv{prefixes: []string{"/v"}}
	f.Fuzz(func(t *testing.T, b []byte) {
		out := v.script(bytes.Clone(b))
		if !bytes.Equal(out, b) && (!bytes.HasPrefix(out, []byte("#!/bin/sh\n")) || !bytes.HasSuffix(b, out[bytes.Index(out, []byte("' '''\n"))+6:])) {
			t.Errorf("%q became %q", b, out)
		}
		v.activate(b)
		v.config(b)
		pyvenv(b)
		pathsOutside(b)
	})
}

// FuzzIndex: a damaged index is an empty one.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"version":1,"files":{"/a":{"stat":{"size":1},"sha256":"00"}},"remote":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		x := index{path: write(t, t.TempDir()+"/index.json", b)}
		d := x.load()
		if d.Files == nil || d.Remote == nil || d.Version != indexVersion {
			t.Errorf("%+v", d)
		}
		d.find("/a", fileStat{Size: 1})
	})
}

// FuzzInspect: whatever an archive holds, the two ways to look at it agree on
// whether it is sound, and the survey can be written.
func FuzzInspect(f *testing.F) {
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file := t.TempDir() + "/a.tgz"
		if bytes.HasPrefix(b, []byte("PK")) {
			file = strings.TrimSuffix(file, ".tgz") + ".zip"
		}
		write(t, file, b)
		limits := Limits{Entries: 1000, Unpacked: 1 << 20}
		i, err := Inspect(t.Context(), file, limits)
		if _, other := InspectArchive(t.Context(), file, limits); (err == nil) != (other == nil) {
			t.Errorf("%v and %v", err, other)
		}
		if _, err := json.Marshal(i.Survey); err != nil {
			t.Error(err)
		}
	})
}

// FuzzProbe: whatever a Python prints, it is read or refused.
func FuzzProbe(f *testing.F) {
	f.Add([]byte("warning\n{\"python\":\"3.12.1\"}\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := ParseProbe(b); err == nil && p.Python == "" {
			t.Errorf("%+v", p)
		}
	})
}
