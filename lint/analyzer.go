package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/securego/gosec/v2/goanalysis"
	"golang.org/x/tools/go/analysis"
)

const module = "github.com/yarnd/yarnd/"

var analyzer = &analysis.Analyzer{
	Name:     "gosec",
	Doc:      "gosec's rules that are worth it here, and the reasons of what is excepted from them",
	Requires: goanalysis.Analyzer.Requires,
	Run:      run,
}

func init() {
	ids := make([]string, len(rules))
	for i, r := range rules {
		ids[i] = r.id
	}
	if err := goanalysis.Analyzer.Flags.Set("include", strings.Join(ids, ",")); err != nil {
		panic(err)
	}
}

func run(pass *analysis.Pass) (any, error) {
	checkReasons(pass)
	filtered := *pass
	filtered.Report = func(d analysis.Diagnostic) {
		name := pass.Fset.Position(d.Pos).Filename
		if strings.HasSuffix(name, "_test.go") || excepted(pass.Pkg.Path(), filepath.Base(name), d.Category) {
			return
		}
		pass.Report(d)
	}
	return goanalysis.Analyzer.Run(&filtered)
}

// excepted reports whether an exception is of the rule in that file of a package.
func excepted(pkg, file, rule string) bool {
	path := strings.TrimPrefix(pkg+"/"+file, module)
	return slices.ContainsFunc(exceptions, func(e exception) bool {
		return strings.HasPrefix(path, e.below) && slices.Contains(strings.Fields(e.rules), rule)
	})
}

var reasoned = regexp.MustCompile(`#nosec( G\d{3})+ -- \S`)

// checkReasons reports each #nosec that does not say which rule is wrong, and why.
func checkReasons(pass *analysis.Pass) {
	for _, f := range pass.Files {
		for _, group := range f.Comments {
			for _, c := range group.List {
				if strings.Contains(c.Text, "#nosec") && !reasoned.MatchString(c.Text) {
					pass.Reportf(c.Pos(), "a #nosec names the rule and says why: // #nosec G404 -- REASON")
				}
			}
		}
	}
}
