package packaging

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// BuildOptions say what to build. Package is as the go command takes it.
type BuildOptions struct {
	Package string
	To      string // program to write; empty: the package's name, in the working directory
	Tags    string
	Symbols bool // keep what debuggers need
}

// Build makes a bundle of a Go package: a program that runs on any node with this
// host's kind of processor. The error is a [*PackError] or a [*BundleError]
// unless the context ended.
func Build(ctx context.Context, o BuildOptions) (Bundle, error) {
	fail := func(why, hint string, err error) (Bundle, error) {
		return Bundle{}, &PackError{Op: "build", Source: o.Package, Why: why, Hint: hint, Err: err}
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		return fail("there is no go command", "install Go, or build elsewhere with: CGO_ENABLED=0 GOOS=linux go build -trimpath", err)
	}
	if strings.HasPrefix(o.Package, "-") {
		return fail("that is a flag, not a package", "name a package, such as ./cmd/job", nil)
	}
	to := o.To
	if to == "" {
		if to, err = programName(ctx, tool, o.Package); err != nil {
			return Bundle{}, err
		}
	}
	if to, err = filepath.Abs(to); err != nil {
		return fail(err.Error(), "", err)
	}
	if st, err := os.Stat(to); err == nil && st.IsDir() {
		return fail(to+" is a directory", "name another file with --to", nil)
	}
	ldflags := "-s -w"
	if o.Symbols {
		ldflags = ""
	}
	argv := []string{tool, "build", "-trimpath", "-ldflags", ldflags, "-tags", o.Tags, "-o", to, o.Package}
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + runtime.GOARCH}
	if out, err := output(ctx, argv, env); ctx.Err() != nil {
		return Bundle{}, err
	} else if err != nil {
		return fail("go build failed:\n"+strings.TrimSpace(string(out)), "correct the package", err)
	}
	return CheckBundle(to)
}

// programName is what the go command would call the program of a package.
func programName(ctx context.Context, tool, pkg string) (string, error) {
	out, err := output(ctx, []string{tool, "list", "-f", "{{.Name}} {{.ImportPath}}", pkg}, nil)
	if ctx.Err() != nil {
		return "", err
	}
	line := strings.TrimSpace(string(out))
	name, importPath, ok := strings.Cut(line[strings.LastIndexByte(line, '\n')+1:], " ")
	switch {
	case err != nil || !ok || strings.ContainsAny(importPath, " \n"):
		return "", &PackError{Op: "build", Source: pkg, Why: "it is no Go package" + said(out), Hint: "name one, such as ./cmd/job", Err: err}
	case name != "main":
		return "", &PackError{Op: "build", Source: pkg, Why: "it is package " + name + ", not a program", Hint: "name a package main", Err: err}
	}
	return filepath.Base(importPath), nil
}
