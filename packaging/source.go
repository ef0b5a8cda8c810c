package packaging

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Source is an environment as a person names it.
type Source struct {
	Kind string // "conda", "venv", "python" or "directory"
	Name string // an environment's name, a path, a version
}

// ParseSource reads
//
//	conda://NAME   conda:///path   an environment of conda's
//	venv://PATH                    a virtual environment
//	python://3.12                  a Python of its own, which uv fetches
//	python:///usr/bin/python3      the nodes' own Python, and packages for it
//	PATH                           a directory
func ParseSource(text string) (Source, error) {
	bad := func(why, hint string) (Source, error) {
		return Source{}, &PackError{Source: text, Why: why, Hint: hint}
	}
	kind, name, ok := strings.Cut(text, "://")
	if !ok {
		kind, name = "directory", text
	}
	scheme, path, _ := strings.Cut(text, ":")
	switch {
	case !ok && path != "" && (scheme == "conda" || scheme == "venv" || scheme == "python"):
		return bad(scheme+": is followed by two slashes", "write "+scheme+"://"+strings.TrimLeft(path, "/"))
	case kind != "directory" && kind != "conda" && kind != "venv" && kind != "python":
		return bad("there is no way to pack "+kind+"://", "use conda://, venv://, python:// or a directory")
	case name == "":
		return bad("it names nothing", "name a directory, conda://NAME, venv://PATH or python://VERSION")
	case strings.HasPrefix(name, "-"), strings.ContainsRune(name, 0):
		return bad("the name cannot be used", "write ./"+name)
	case kind == "python" && !filepath.IsAbs(name) && !pythonVersion.MatchString(name):
		return bad(name+" is no version of Python", "write python://3.12, or python:///usr/bin/python3 for the nodes' own")
	}
	return Source{Kind: kind, Name: name}, nil
}

var pythonVersion = regexp.MustCompile(`^3(\.[0-9]{1,3}){0,2}$`)

// archiveName is where a source is packed to when nobody says.
func (s Source) archiveName() string {
	base := plainName(filepath.Clean(s.Name))
	if s.Kind == "python" {
		base = "python"
		if !filepath.IsAbs(s.Name) {
			base += s.Name
		}
	}
	if base == "file" || base == "" {
		base = "environment"
	}
	return base + ".tar.gz"
}

// Pack writes an environment into an archive that works on nodes, and replaces a
// file that is there. The error is a [*PackError] unless the context ended.
func Pack(ctx context.Context, source string, o PackOptions) (Packed, error) {
	s, err := ParseSource(source)
	if err != nil {
		return Packed{}, err
	}
	if o.Say == nil {
		o.Say = func(string, ...any) {}
	}
	if (len(o.Packages) > 0 || o.Requirements != "") && s.Kind != "python" {
		return Packed{}, &PackError{Source: source, Why: "packages can be added to python:// only", Hint: "install them into the environment, then pack it"}
	}
	to, err := target(s, o.To)
	if err != nil {
		return Packed{}, err
	}
	switch s.Kind {
	case "conda":
		return packConda(ctx, s, to, o)
	case "python":
		return packPython(ctx, s, to, o)
	case "venv":
		return packVenv(ctx, s, to, o)
	}
	return packLocal(ctx, s, to, o)
}

// target is the absolute name of the archive to write.
func target(s Source, to string) (string, error) {
	if to == "" {
		to = s.archiveName()
	}
	if format, ok := formatOf(to); !ok || format != TarGz {
		return "", &PackError{Source: s.Name, Why: to + " is no name for its archive", Hint: "let it end in .tar.gz"}
	}
	abs, err := filepath.Abs(to)
	if err != nil {
		return "", &PackError{Source: s.Name, Why: err.Error(), Err: err}
	}
	if st, err := os.Stat(filepath.Dir(abs)); err != nil || !st.IsDir() {
		return "", &PackError{Source: s.Name, Why: "there is no directory " + filepath.Dir(abs), Hint: "make it, or name another place with --to", Err: err}
	}
	return abs, nil
}

// packLocal packs a directory as it is, which may be a virtual environment.
func packLocal(ctx context.Context, s Source, to string, o PackOptions) (Packed, error) {
	if real, err := filepath.EvalSymlinks(s.Name); err == nil {
		abs, _ := filepath.Abs(real)
		toDir, _ := filepath.EvalSymlinks(filepath.Dir(to))
		if toDir == abs || strings.HasPrefix(toDir, abs+"/") {
			return Packed{}, &PackError{Source: s.Name, Why: to + " would lie inside what it holds", Hint: "name another place with --to"}
		}
	}
	return packDir(ctx, s.Name, s.Kind, to, o)
}

// packVenv packs a virtual environment.
func packVenv(ctx context.Context, s Source, to string, o PackOptions) (Packed, error) {
	source := "venv://" + s.Name
	if _, err := os.Stat(filepath.Join(s.Name, "pyvenv.cfg")); err != nil {
		return Packed{}, &PackError{Source: source, Why: "it is no virtual environment: it has no pyvenv.cfg", Hint: "make one with: python3 -m venv " + s.Name, Err: err}
	}
	if !o.VenvPack {
		return packLocal(ctx, s, to, o)
	}
	tool := findTool("venv-pack", filepath.Join(s.Name, "bin"))
	if tool == "" {
		return Packed{}, &PackError{Source: source, Why: "venv-pack is not installed", Hint: "leave --venv-pack away, or install it with: pip install venv-pack"}
	}
	o.Say("packing with %s", tool)
	return repack(ctx, s, to, o, func(out string) []string {
		return []string{tool, "--prefix", s.Name, "--output", out, "--format", "tar.gz", "--quiet", "--force"}
	})
}

// packConda packs an environment of conda's: only conda-pack knows how.
func packConda(ctx context.Context, s Source, to string, o PackOptions) (Packed, error) {
	tool := findTool("conda-pack", filepath.Join(s.Name, "bin"), filepath.Join(os.Getenv("CONDA_PREFIX"), "bin"), filepath.Dir(os.Getenv("CONDA_EXE")))
	if tool == "" {
		return Packed{}, &PackError{Source: "conda://" + s.Name, Why: "conda-pack is not installed, and only it can make a conda environment relocatable",
			Hint: "install it with: conda install -n base -c conda-forge conda-pack"}
	}
	which := "--name"
	if strings.Contains(s.Name, "/") {
		which = "--prefix"
	}
	o.Say("packing with %s", tool)
	return repack(ctx, s, to, o, func(out string) []string {
		return []string{tool, which, s.Name, "--output", out, "--format", "tar.gz", "--quiet", "--force"}
	})
}
