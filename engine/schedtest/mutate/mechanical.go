package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// variable is the environment variable that says which mutant a binary is.
const variable = "YARND_MUTANT"

// All mechanical mutants are in one binary, each behind a question whether it is the one
// (mutant(17)): so they are compiled once.
//
//	if a && b { … }        if mutant(1) != ((mutant(2) != (a)) && (mutant(3) != (b))) { … }
//	i < n                  (i < n || mutant(4) && i == n)
//	i <= n                 (i < n || !mutant(4) && i == n)
//	c.solos++              if !mutant(5) { c.solos++ }
//
// The operands of a comparison are written twice, so only those without calls are moved.

// mechanicalMutant is named by where it is and what it changes, not by line, so that the
// name stays when the file grows.
type mechanicalMutant struct {
	number int
	name   string
}

// cores are the packages that are mutated, and which of their files are not: those that
// only check, look or explain.
var cores = []string{"engine/sched", "engine/local"}

var spared = []string{"check.go", "query.go", "hash.go", "doc.go", "reject.go", "output.go", "event.go"}

// buildMechanical compiles the simulator with all mutants.
func buildMechanical(dir string) ([]mechanicalMutant, string, error) {
	w := &mutator{overlay: map[string]string{}, dir: dir, seen: map[string]int{}}
	for _, core := range cores {
		files, err := filepath.Glob(core + "/*.go")
		if err != nil {
			return nil, "", err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || slices.Contains(spared, filepath.Base(file)) {
				continue
			}
			if err := w.file(file); err != nil {
				return nil, "", err
			}
		}
		switched := filepath.Join(dir, filepath.Base(core)+"-switch.go")
		text := fmt.Sprintf(switchText, filepath.Base(core), variable)
		if err := os.WriteFile(switched, []byte(text), 0o644); err != nil {
			return nil, "", err
		}
		w.overlay[core+"/zz_mutant.go"] = switched
	}
	binary, err := simulator.compile(dir, w.overlay)
	return w.mutants, binary, err
}

const switchText = `package %s

import (
	"os"
	"strconv"
)

var theMutant, _ = strconv.Atoi(os.Getenv(%q))

func mutant(n int) bool { return n == theMutant }
`

type mutator struct {
	fset    *token.FileSet
	dir     string
	overlay map[string]string
	mutants []mechanicalMutant
	seen    map[string]int
	where   string // file and function
}

func (w *mutator) file(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	w.fset = token.NewFileSet()
	f, err := parser.ParseFile(w.fset, path, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
			w.where = filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path) + " " + fn.Name.Name
			w.block(fn.Body)
		}
	}
	var b bytes.Buffer
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "//go:build") {
			b.WriteString(line + "\n")
		}
	}
	if err := format.Node(&b, w.fset, f); err != nil {
		return err
	}
	out := filepath.Join(w.dir, strings.ReplaceAll(path, "/", "-"))
	w.overlay[path] = out
	return os.WriteFile(out, b.Bytes(), 0o644)
}

// question makes a mutant, and the call that asks whether it is the one.
func (w *mutator) question(what string, of ast.Node) ast.Expr {
	var b bytes.Buffer
	format.Node(&b, w.fset, of) //nolint:errcheck // what was parsed can be written
	text := strings.Join(strings.Fields(b.String()), " ")
	name := fmt.Sprintf("%s %s: %s", w.where, what, text[:min(len(text), 80)])
	if w.seen[name]++; w.seen[name] > 1 {
		name += fmt.Sprintf(" (%d)", w.seen[name])
	}
	w.mutants = append(w.mutants, mechanicalMutant{len(w.mutants) + 1, name})
	return &ast.CallExpr{
		Fun:  ast.NewIdent("mutant"),
		Args: []ast.Expr{&ast.BasicLit{Kind: token.INT, Value: fmt.Sprint(len(w.mutants))}},
	}
}

func (w *mutator) block(b *ast.BlockStmt) {
	for i, s := range b.List {
		b.List[i] = w.stmt(s)
	}
}

// stmt mutates a statement, and what is in it.
func (w *mutator) stmt(s ast.Stmt) ast.Stmt {
	switch s := s.(type) {
	case *ast.BlockStmt:
		w.block(s)
	case *ast.IfStmt:
		s.Cond = w.cond(s.Cond)
		w.block(s.Body)
		if s.Else != nil {
			s.Else = w.stmt(s.Else)
		}
	case *ast.ForStmt:
		if s.Cond != nil {
			s.Cond = w.cond(s.Cond)
		}
		w.block(s.Body)
	case *ast.RangeStmt:
		w.block(s.Body)
	case *ast.SwitchStmt:
		w.cases(s.Body, s.Tag == nil)
	case *ast.TypeSwitchStmt:
		w.cases(s.Body, false)
	case *ast.ReturnStmt:
		for i, r := range s.Results {
			if b, ok := r.(*ast.BinaryExpr); ok && isTruth(b.Op) {
				s.Results[i] = w.cond(r)
			}
		}
	case *ast.ExprStmt, *ast.IncDecStmt:
		return w.without(s)
	case *ast.AssignStmt:
		if s.Tok != token.DEFINE {
			return w.without(s)
		}
	}
	return s
}

func (w *mutator) cases(body *ast.BlockStmt, truths bool) {
	for _, c := range body.List {
		c := c.(*ast.CaseClause)
		for i := range c.List {
			if truths {
				c.List[i] = w.cond(c.List[i])
			}
		}
		for i, s := range c.Body {
			c.Body[i] = w.stmt(s)
		}
	}
}

// without leaves a statement out.
func (w *mutator) without(s ast.Stmt) ast.Stmt {
	if e, ok := s.(*ast.ExprStmt); ok {
		if call, ok := e.X.(*ast.CallExpr); ok {
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
				return s
			}
		}
	}
	q := w.question("without", s)
	return &ast.IfStmt{Cond: &ast.UnaryExpr{Op: token.NOT, X: q}, Body: &ast.BlockStmt{List: []ast.Stmt{s}}}
}

func isTruth(op token.Token) bool {
	switch op {
	case token.LAND, token.LOR, token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
		return true
	}
	return false
}

// cond negates a condition, or each of those that it is made of; limits are moved by
// one.
func (w *mutator) cond(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.ParenExpr:
		x.X = w.cond(x.X)
		return x
	case *ast.BinaryExpr:
		switch x.Op {
		case token.LAND, token.LOR:
			x.X, x.Y = paren(w.cond(x.X)), paren(w.cond(x.Y))
			return x
		case token.LSS, token.GTR, token.LEQ, token.GEQ:
			if !calls(x) {
				return w.limit(x)
			}
		}
	}
	return &ast.BinaryExpr{X: w.question("not", e), Op: token.NEQ, Y: paren(e)}
}

// limit moves a comparison by one, and negates it.
func (w *mutator) limit(x *ast.BinaryExpr) ast.Expr {
	strict, equal := map[token.Token]token.Token{token.LEQ: token.LSS, token.GEQ: token.GTR}[x.Op], w.question("by one", x)
	if strict == 0 {
		strict = x.Op
	} else {
		equal = &ast.UnaryExpr{Op: token.NOT, X: equal}
	}
	moved := &ast.BinaryExpr{
		X:  &ast.BinaryExpr{X: x.X, Op: strict, Y: x.Y},
		Op: token.LOR,
		Y:  &ast.BinaryExpr{X: equal, Op: token.LAND, Y: &ast.BinaryExpr{X: x.X, Op: token.EQL, Y: x.Y}},
	}
	return &ast.BinaryExpr{X: w.question("not", x), Op: token.NEQ, Y: paren(moved)}
}

func paren(e ast.Expr) ast.Expr { return &ast.ParenExpr{X: e} }

// calls reports whether an expression calls anything but len and cap.
func calls(e ast.Expr) (any bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			id, _ := c.Fun.(*ast.Ident)
			any = any || id == nil || id.Name != "len" && id.Name != "cap"
		}
		return true
	})
	return any
}

// readList reads the names of mutants, a line each; those that change nothing that can
// be seen have why after a tab. Lines that begin with # are a comment.
func readList(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			name, why, _ := strings.Cut(line, "\t")
			listed[name] = why
		}
	}
	return listed, nil
}
