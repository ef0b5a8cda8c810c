package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/edgeclient/cli"
)

// docPackages is where Go's tools find the pages' programs: an overlay, not a folder.
const docPackages = "testdata/docs"

// docImports are what a part of a program on a page may use without saying so.
var docImports = map[string]string{
	"context": "context", "errors": "errors", "fmt": "fmt", "slices": "slices", "testing": "testing",
	"yarnd":       "github.com/yarnd/yarnd",
	"engine":      "github.com/yarnd/yarnd/engine",
	"minicluster": "github.com/yarnd/yarnd/hadooprpc/hadooptest/minicluster",
}

// docPackage is a Go package that stands on a page.
type docPackage struct {
	name    string // of its folder, and of the program that is built
	page    string
	program string // as the page calls it, if it does
	at      string // docs/go.md:17
	files   map[string]string
	tests   bool
}

func isTest(b cli.DocBlock) bool { return strings.Contains(b.Text, "*testing.T)") }

// docPrograms are the Go programs of the pages: built beside the pages' run, since
// that takes as long.
type docPrograms struct {
	done  chan struct{}     // closed when what follows is there
	files map[string]string // by page and name
	err   error
}

// wait returns the programs' files by page and name.
func (p *docPrograms) wait() (map[string]string, error) {
	<-p.done
	return p.files, p.err
}

// buildDocs begins to build every Go program, and every part of one, of the pages, and
// to run their tests.
func buildDocs(t *testing.T, pages []cli.DocPage) *docPrograms {
	t.Helper()
	p := &docPrograms{done: make(chan struct{})}
	dir := t.TempDir()
	packages, err := docPackagesOf(pages)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.files = map[string]string{}
		for _, k := range packages {
			p.files[k.page+" "+k.program] = filepath.Join(dir, k.name)
		}
		p.err = goDocs(t.Context(), dir, packages)
	}()
	t.Cleanup(func() { <-p.done })
	return p
}

// docPackagesOf returns the pages' packages.
func docPackagesOf(pages []cli.DocPage) (packages []*docPackage, err error) {
	at := map[string]*docPackage{}
	for _, p := range pages {
		for i, b := range p.Blocks {
			if _, skipped := b.Skipped(); b.Lang != "go" || skipped {
				continue
			}
			name, file, text := fmt.Sprintf("%s-%d", pageUser(p), i), "main.go", goFile(b)
			program := b.Marks["program"]
			if program != "" {
				name = pageUser(p) + "-" + program
			}
			if isTest(b) {
				file = "main_test.go"
			}
			k := at[name]
			if k == nil {
				k = &docPackage{name: name, page: p.Name, program: program, at: fmt.Sprintf("%s:%d", p.Name, b.Line), files: map[string]string{}}
				packages, at[name] = append(packages, k), k
			}
			k.files[file] = text
			k.tests = k.tests || isTest(b)
			if program == "" && strings.Contains(text, "func main()") {
				return nil, fmt.Errorf("%s:%d: a program without a name: say <!-- program: NAME --> above it", p.Name, b.Line)
			}
		}
	}
	return packages, nil
}

// goFile makes a file of what a page shows: as it is, or with what goes without saying
// on a page.
func goFile(b cli.DocBlock) string {
	if strings.HasPrefix(b.Text, "package ") {
		return b.Text
	}
	body := b.Text
	if given, ok := b.Marks["given"]; ok {
		body = "func shown(" + given + ") {\n" + b.Text + "}\n"
	}
	clause := "package main\n\nimport (\n"
	for _, name := range slices.Sorted(maps.Keys(docImports)) {
		if strings.Contains(body, name+".") {
			clause += fmt.Sprintf("\t%q\n", docImports[name])
		}
	}
	clause += ")\n\n"
	if !strings.Contains(body, "func main()") {
		clause = strings.Replace(clause, "package main", "package shown", 1)
	}
	return clause + body
}

// goDocs builds packages into dir and runs their tests, with one command for all of
// each, so that they are linked side by side.
func goDocs(ctx context.Context, dir string, packages []*docPackage) error {
	list, err := docOverlay(dir, packages)
	if err != nil {
		return err
	}
	var builds, tests []string
	for _, k := range packages {
		if k.files["main.go"] != "" {
			builds = append(builds, "./"+docPackages+"/"+k.name)
		}
		if k.tests {
			tests = append(tests, "./"+docPackages+"/"+k.name)
		}
	}
	err = command(ctx, "", "go", append([]string{"build", linked, "-overlay", list, "-o", dir + "/"}, builds...)...)
	if err == nil { // vet would look for the folders
		err = command(ctx, "", "go", append([]string{"test", "-c", "-vet=off", linked, "-overlay", list, "-o", dir + "/"}, tests...)...)
	}
	for _, k := range packages {
		if err == nil && k.tests {
			if err = command(ctx, dir, filepath.Join(dir, k.name+".test"), "-test.timeout=1m"); err != nil {
				err = fmt.Errorf("the test of %s: %w", k.at, err)
			}
		}
	}
	return err
}

// docOverlay writes the packages' files into dir, and the list by which Go's tools find
// them where they are not.
func docOverlay(dir string, packages []*docPackage) (list string, err error) {
	here, err := filepath.Abs(docPackages)
	if err != nil {
		return "", err
	}
	overlay := map[string]map[string]string{"Replace": {}}
	for _, k := range packages {
		for name, text := range k.files {
			if _, err := parser.ParseFile(token.NewFileSet(), k.at, text, parser.SkipObjectResolution); err != nil {
				return "", fmt.Errorf("%s: %w", k.at, err)
			}
			file := filepath.Join(dir, k.name+"."+name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				return "", err
			}
			overlay["Replace"][filepath.Join(here, k.name, name)] = file
		}
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, data, 0o600)
}

// command runs a program, whose output is the error's when it fails.
func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
