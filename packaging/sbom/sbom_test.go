package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func parse(t *testing.T, doc []byte) bom {
	t.Helper()
	var b bom
	if err := json.Unmarshal(doc, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func info() *debug.BuildInfo {
	return &debug.BuildInfo{
		GoVersion: "go1.26.8",
		Path:      "example.com/it/cmd/prog",
		Main:      debug.Module{Path: "example.com/it", Version: "(devel)"},
		Deps: []*debug.Module{
			{Path: "example.com/a", Version: "v1.0.0", Sum: "h1:a="},
			{Path: "example.com/b", Version: "v2.0.0+incompatible", Replace: &debug.Module{Path: "example.com/fork", Version: "v2.0.1", Sum: "h1:f="}},
		},
		Settings: []debug.BuildSetting{{Key: "GOARCH", Value: "arm64"}},
	}
}

func TestDocument(t *testing.T) {
	licences := map[string][]string{"example.com/a": {"Apache-2.0", "MIT"}, stdlib: {"BSD-3-Clause"}}
	doc, err := document(info(), "1.0.0+1.gabc", []byte{0xab}, licences)
	if err != nil {
		t.Fatal(err)
	}
	b := parse(t, doc)
	prog := b.Metadata.Component
	if prog.Name != "prog" || prog.Purl != "pkg:golang/example.com/it@1.0.0%2B1.gabc#cmd/prog" || prog.Hashes[0].Content != "ab" {
		t.Errorf("the program is %+v", prog)
	}
	var purls []string
	for _, c := range b.Components {
		purls = append(purls, c.Purl)
	}
	want := "pkg:golang/example.com/a@v1.0.0 pkg:golang/example.com/fork@v2.0.1 pkg:golang/stdlib@1.26.8"
	if got := strings.Join(purls, " "); got != want {
		t.Errorf("components %s, want %s", got, want)
	}
	if got := strings.Join(b.Dependencies[0].On, " "); got != want {
		t.Errorf("the program depends on %s, want %s", got, want)
	}
	if l := b.Components[0].Licences; len(l) != 2 || l[1].Licence.ID != "MIT" {
		t.Errorf("licences of a: %+v", l)
	}
	if p := b.Components[1].Properties; len(p) != 1 || p[0] != (property{"go:sum", "h1:f="}) {
		t.Errorf("the fork's properties: %+v", p)
	}
}

// TestSerial has the number follow the content, and nothing else.
func TestSerial(t *testing.T) {
	number := func(sum byte) string {
		doc, err := document(info(), "1.0.0", []byte{sum}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, doc).Serial
	}
	s := number(1)
	if again := number(1); again != s {
		t.Errorf("two numbers for the same binary: %s, %s", s, again)
	}
	if number(2) == s {
		t.Error("one number for two binaries")
	}
	if len(s) != len("urn:uuid:")+36 || s[len("urn:uuid:")+14] != '8' {
		t.Errorf("%s is no UUID of version 8", s)
	}
}

// TestRecognize has what is wrongly taken for one licence elsewhere: several in a text.
func TestRecognize(t *testing.T) {
	text, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	bsd, err := licenceTexts(goroot(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(recognize(append(bsd, text, text)), " "); got != "Apache-2.0 BSD-3-Clause" {
		t.Errorf("%s: want Apache-2.0 BSD-3-Clause", got)
	}
	joined := bytes.Join(append(bsd, text), []byte("\n\n"))
	if got := strings.Join(recognize([][]byte{joined}), " "); got != "Apache-2.0 BSD-3-Clause" {
		t.Errorf("two in one text: %s", got)
	}
	if got := recognize([][]byte{[]byte("All rights reserved. See https://www.apache.org/licenses/LICENSE-2.0 for another program's.")}); len(got) != 0 {
		t.Errorf("a text that is no licence: %v", got)
	}
}

func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestItself writes the bill of this test's own binary.
func TestItself(t *testing.T) {
	var once, twice bytes.Buffer
	for _, out := range []*bytes.Buffer{&once, &twice} {
		if err := run(out, os.Args[0], "1.0.0"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(once.Bytes(), twice.Bytes()) {
		t.Error("not the same twice")
	}
	found := false
	for _, c := range parse(t, once.Bytes()).Components {
		if len(c.Licences) == 0 {
			t.Errorf("%s without a licence", c.Name)
		}
		found = found || c.Name == "github.com/google/licensecheck" && c.Licences[0].Licence.ID == "BSD-3-Clause"
	}
	if !found {
		t.Errorf("licensecheck is not in the bill: %s", &once)
	}
}

func TestErrors(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no binary"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(&bytes.Buffer{}, text, "1"); err == nil || !strings.Contains(err.Error(), "Give it a binary that Go has built") {
		t.Errorf("no binary: %v", err)
	}
	own := &debug.BuildInfo{Main: debug.Module{Path: "github.com/yarnd/yarnd"}, Deps: []*debug.Module{{Path: "github.com/google/licensecheck", Version: "v0.0.1"}}}
	if _, err := folders(own); err == nil || !strings.Contains(err.Error(), "build it of this commit") {
		t.Errorf("another version in go.mod: %v", err)
	}
	own.Deps[0].Path = "example.com/unknown"
	if _, err := folders(own); err == nil || !strings.Contains(err.Error(), "Run it in that module") {
		t.Errorf("an unknown module: %v", err)
	}
}

// Everything that goes with a binary is there with its own words, notices too, and the program's own licence is not.
func TestNotices(t *testing.T) {
	dirs := map[string]string{}
	for path, files := range map[string]map[string]string{
		"example.com/it": {"LICENSE": "mine"},
		"example.com/a":  {"LICENSE.md": "be kind", "NOTICE": "made by a", "README": "not this"},
		"example.com/b":  {"COPYING": "copy it"},
		stdlib:           {"LICENSE": "go's", "PATENTS": "and patents"},
	} {
		dirs[path] = t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dirs[path], name), []byte(text+"\n\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := notices(info(), dirs)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(string(text), strings.Repeat("=", 100), "==")
	want := `What example.com/it/cmd/prog is made of, by whom, and on what terms. Each part is followed by its own words.

==
example.com/a v1.0.0

be kind

made by a

==
example.com/b v2.0.0+incompatible

copy it

==
stdlib go1.26.8

go's

and patents
`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
