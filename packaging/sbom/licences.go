package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// known is how much of a text, in percent, has to be a licence's for it to be taken for
// one: as pkg.go.dev has it.
const known = 75

// licencesOf is the SPDX identifiers of the licences of a binary's modules, the program's
// own and the standard library's, by path. A module without a licence that is recognized
// is an error: what nobody may pass on must not be released.
func licencesOf(info *debug.BuildInfo) (map[string][]string, error) {
	dirs, err := folders(info)
	if err != nil {
		return nil, err
	}
	licences := make(map[string][]string)
	for path, dir := range dirs {
		texts, err := licenceTexts(dir)
		if err != nil {
			return nil, err
		}
		if licences[path] = recognize(texts); len(licences[path]) == 0 {
			return nil, fmt.Errorf("no licence is recognized in %s, of %s: read what is there, and use another module if it may not be passed on", dir, path)
		}
	}
	return licences, nil
}

// folders is where the sources of a binary's modules lie, by path. It asks the go command,
// in the module of the program; what was built is there.
func folders(info *debug.BuildInfo) (map[string]string, error) {
	args := []string{"list", "-m", "-json", info.Main.Path}
	want := map[string]string{info.Main.Path: ""}
	for _, m := range info.Deps {
		args = append(args, m.Path)
		want[m.Path] = m.Version
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("ask for the modules of %s: %w%s. Run it in that module", info.Main.Path, err, stderrOf(err))
	}
	dirs := make(map[string]string)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Version, Dir string }
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read the answer of go list: %w", err)
		}
		if m.Version != want[m.Path] {
			return nil, fmt.Errorf("the binary has %s %s, and go.mod %s: build it of this commit", m.Path, want[m.Path], m.Version)
		}
		if m.Dir == "" {
			return nil, fmt.Errorf("%s %s is not in the module cache: go mod download", m.Path, m.Version)
		}
		dirs[m.Path] = m.Dir
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("ask for GOROOT: %w%s", err, stderrOf(err))
	}
	dirs[stdlib] = strings.TrimSpace(string(root))
	return dirs, nil
}

// stderrOf is what a command that failed has said.
func stderrOf(err error) string {
	var exit *exec.ExitError
	if !errors.As(err, &exit) || len(exit.Stderr) == 0 {
		return ""
	}
	return ": " + strings.TrimSpace(string(exit.Stderr))
}

// licenceTexts is the texts in a folder whose names say that they are licences.
func licenceTexts(dir string) ([][]byte, error) { return textsIn(dir, "LICENSE", "LICENCE", "COPYING") }

// textsIn is the files in a folder whose names, in capitals, begin with one of some words.
func textsIn(dir string, words ...string) ([][]byte, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var texts [][]byte
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if !e.Type().IsRegular() || !slices.ContainsFunc(words, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// recognize is the identifiers of all licences in texts, sorted, each once.
func recognize(texts [][]byte) []string {
	var ids []string
	for _, text := range texts {
		cover := licensecheck.Scan(text)
		if cover.Percent < known {
			continue
		}
		for _, m := range cover.Match {
			if !m.IsURL {
				ids = append(ids, m.ID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
