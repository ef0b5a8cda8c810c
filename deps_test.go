package yarnd

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The import map of the house. A file is held to every rule whose folder it lies
// below; to homes, which name the one folder that may import a library; and, when
// it is of a pure core and no test, to cores.
//
// The files are parsed here rather than asked of the go command, so that the
// test's result is never answered from the test cache after an import changed.

const module = "github.com/yarnd/yarnd"

type rule struct {
	below  string   // folder
	forbid []string // import paths, and all below them, other than the folder's own
	why    string
}

var rules = []rule{
	{"engine", []string{module + "/hadooprpc", module + "/appmaster", module + "/edgeclient", module + "/packaging"},
		"the engine knows nothing of Hadoop"},
	{"engine/journal", []string{module + "/"},
		"the journal knows records as bytes"},
	{"appmaster", []string{module + "/engine", module + "/edgeclient"},
		"the application master knows nothing of tasks"},
	{"hadooprpc", []string{module + "/"},
		"hadooprpc is a Hadoop client library of its own worth"},
	{"identity", []string{module + "/"},
		"identity is below both halves"},
	{"edgeclient", []string{module + "/engine"},
		"edgeclient knows applications, not tasks; its cli wires both halves"},
	{"packaging", []string{module + "/engine", module + "/appmaster", module + "/edgeclient"},
		"packaging knows files, not applications"},
}

// wiring is the folder, besides the root package, where the halves meet.
const wiring = "edgeclient/cli"

// homes of third-party packages.
var homes = map[string]string{
	"github.com/jcmturner/gokrb5":    "hadooprpc/sasl",
	"github.com/colinmarc/hdfs":      "hadooprpc/hdfs",
	"github.com/ory/dockertest":      "dockertest",
	"github.com/spf13/cobra":         "edgeclient/cli",
	"google.golang.org/grpc":         "appmaster",
	"github.com/vishvananda":         "survive/wires",
	"github.com/fxamacker/cbor/v2":   "engine",
	"github.com/google/licensecheck": "packaging/sbom",
}

// testsOnly are libraries that no file but a test may import: who builds a program, or
// a test with enginetest, needs not have them.
var testsOnly = []string{"go.uber.org/goleak", "github.com/rogpeppe/go-internal", "github.com/google/go-cmp"}

// cores are pure: values in, values out. They import the value packages listed
// here and, of the standard library, nothing of impureStd.
var cores = map[string][]string{
	"engine/graph":                 nil,
	"engine/sched":                 {module + "/engine/graph"},
	"engine/local":                 {module + "/engine/graph"},
	"engine/adapt":                 {module + "/engine/graph"},
	"appmaster/spec":               nil,
	"appmaster/reconcile":          {module + "/appmaster/spec"},
	"appmaster/rights":             {module + "/appmaster/spec", module + "/identity"},
	"hadooprpc/hadooptest/rm/core": {module + "/hadooprpc/hadooptest/tracker", module + "/hadooprpc/yarn", module + "/hadooprpc/pb"},
	"edgeclient/config":            {"go.yaml.in/yaml/v3"},
}

// pureStd is of the folders of impureStd, and values alone.
var pureStd = []string{"net/netip", "net/url"}

var impureStd = []string{"net", "os", "sync", "syscall", "io/fs", "log", "math/rand", "crypto/rand"}

func TestImports(t *testing.T) {
	files := goFiles(t)
	if len(files) == 0 {
		t.Fatal("no Go files found: the test looks in the wrong place")
	}
	for _, file := range files {
		dir := filepath.ToSlash(filepath.Dir(file))
		for _, path := range importsOf(t, file) {
			for _, r := range rules {
				if !below(dir, r.below) || below(dir, wiring) {
					continue
				}
				for _, p := range r.forbid {
					if below(path, strings.TrimSuffix(p, "/")) && !(below(path, module+"/"+r.below)) {
						t.Errorf("%s imports %s: %s", file, path, r.why)
					}
				}
			}
			for p, home := range homes {
				if below(path, p) && !below(dir, home) {
					t.Errorf("%s imports %s: only %s may", file, path, home)
				}
			}
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			if slices.ContainsFunc(testsOnly, func(p string) bool { return below(path, p) }) {
				t.Errorf("%s imports %s: only tests may", file, path)
			}
			checkPure(t, file, dir, path)
		}
	}
}

func checkPure(t *testing.T, file, dir, path string) {
	t.Helper()
	for core, allowed := range cores {
		if dir != core {
			continue
		}
		std := !strings.Contains(strings.SplitN(path, "/", 2)[0], ".")
		switch {
		case slices.Contains(pureStd, path):
		case std && slices.ContainsFunc(impureStd, func(p string) bool { return below(path, p) }):
			t.Errorf("%s imports %s: %s is a pure core", file, path, core)
		case !std && !slices.Contains(allowed, path):
			t.Errorf("%s imports %s: the pure core %s may import only %v and the standard library", file, path, core, allowed)
		}
	}
}

// TestCoresAreStill holds the pure cores to having no clock and no goroutine.
func TestCoresAreStill(t *testing.T) {
	for core := range cores {
		for _, file := range goFiles(t) {
			if filepath.ToSlash(filepath.Dir(file)) != core || strings.HasSuffix(file, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: a goroutine in a pure core", fset.Position(n.Pos()))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, n.Sel.Name) {
						t.Errorf("%s: time.%s in a pure core", fset.Position(n.Pos()), n.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

func below(path, prefix string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func importsOf(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, im := range f.Imports {
		p, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}
