package packaging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// treeFile is one entry to be packed.
type treeFile struct {
	name   string // in the archive
	path   string // where its contents are
	mode   fs.FileMode
	target string // of a symbolic link
	// rewrite changes the contents of a small file; nil leaves it.
	rewrite func([]byte) []byte
}

// lister lists a directory for packing. Links inside stay links, made relative;
// what links outside lead to is packed in their place, except for the
// interpreter of a virtual environment.
type lister struct {
	ctx     context.Context
	top     string // absolute, without links
	venv    *venv  // nil: a plain directory
	options PackOptions
	out     []treeFile
}

// listTree returns what is to be packed of a directory, in the order of names.
func listTree(ctx context.Context, dir string, o PackOptions) ([]treeFile, error) {
	top, err := filepath.EvalSymlinks(dir)
	if err == nil {
		top, err = filepath.Abs(top)
	}
	if err != nil {
		return nil, &PackError{Source: dir, Why: errText(err), Hint: "check the path", Err: err}
	}
	if st, err := os.Stat(top); err != nil || !st.IsDir() {
		return nil, &PackError{Source: dir, Why: "it is no directory", Hint: "name a directory, or submit an archive as it is", Err: err}
	}
	t := &lister{ctx: ctx, top: top, options: o}
	if t.venv, err = openVenv(dir, top); err != nil {
		return nil, err
	}
	if err := t.list(top, "", nil); err != nil {
		return nil, err
	}
	if len(t.out) == 0 {
		return nil, &PackError{Source: dir, Why: "it is empty", Hint: "check the path"}
	}
	return t.out, nil
}

// list adds what is below a directory. above are the real directories on the way
// to it by links from outside, so that a circle is noticed.
func (t *lister) list(dir, name string, above []string) error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	entries, err := os.ReadDir(dir) // in the order of names
	if err != nil {
		return err
	}
	for _, e := range entries {
		child := path.Join(name, e.Name())
		if t.skip(child, e) {
			continue
		}
		info, err := e.Info()
		if err == nil {
			err = t.one(filepath.Join(dir, e.Name()), child, info, above)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *lister) skip(name string, e fs.DirEntry) bool {
	if e.IsDir() && e.Name() == "__pycache__" && !t.options.Bytecode {
		return true
	}
	return name == ManifestName && t.ours(name) || t.venv != nil && t.venv.skip(name)
}

// ours reports whether the manifest there is one of ours, which gets replaced.
func (t *lister) ours(name string) bool {
	b, err := os.ReadFile(filepath.Join(t.top, name))
	if err != nil {
		return false
	}
	_, err = parseManifest(b)
	return err == nil
}

func (t *lister) one(file, name string, info fs.FileInfo, above []string) error {
	if name == ManifestName {
		return &PackError{Source: file, Why: "an archive's own " + ManifestName + " stands there", Hint: "rename it"}
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		t.out = append(t.out, treeFile{name: name, path: file, mode: mode})
		return t.list(file, name, above)
	case mode&fs.ModeSymlink != 0:
		return t.link(file, name, above)
	case mode.IsRegular():
		t.add(file, name, mode)
		return nil
	default:
		return &PackError{Source: file, Why: "it is a device, pipe or socket", Hint: "remove it, or pack another directory"}
	}
}

func (t *lister) add(file, name string, mode fs.FileMode) {
	f := treeFile{name: name, path: file, mode: mode}
	if t.venv != nil {
		f.rewrite = t.venv.rewriter(name)
	}
	t.out = append(t.out, f)
}

func (t *lister) link(file, name string, above []string) error {
	target, err := os.Readlink(file)
	if err != nil {
		return err
	}
	if t.venv != nil && t.venv.interpreter(name) && path.IsAbs(target) && !t.inside(target) {
		t.out = append(t.out, treeFile{name: name, path: file, mode: fs.ModeSymlink | 0o777, target: target})
		return nil
	}
	at := target
	if !path.IsAbs(at) {
		at = filepath.Join(filepath.Dir(file), target)
	}
	// A link that came along with a directory from outside leads to somewhere
	// else than its name in the archive says, so what it leads to is packed.
	if rel, err := filepath.Rel(t.top, at); err == nil && len(above) == 0 && t.inside(at) {
		to, err := filepath.Rel(path.Dir("/"+name), "/"+rel)
		if err != nil {
			return err
		}
		t.out = append(t.out, treeFile{name: name, path: file, mode: fs.ModeSymlink | 0o777, target: to})
		return nil
	}
	return t.follow(file, name, above)
}

func (t *lister) inside(p string) bool {
	return p == t.top || strings.HasPrefix(filepath.Clean(p), t.top+"/")
}

// maxAbove bounds how many links lead from one to the next.
const maxAbove = 8

// follow packs what a link outside leads to.
func (t *lister) follow(file, name string, above []string) error {
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return &PackError{Source: file, Why: "it is a link to nothing", Hint: "remove it", Err: err}
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return t.one(real, name, info, above)
	}
	for _, a := range append(above, t.top) {
		if a == real || strings.HasPrefix(a, real+"/") {
			return &PackError{Source: file, Why: fmt.Sprintf("it is a link to %s, which it lies in itself", real), Hint: "remove it"}
		}
	}
	if len(above) == maxAbove {
		return &PackError{Source: file, Why: "too many links lead to it", Hint: "remove it"}
	}
	t.out = append(t.out, treeFile{name: name, path: real, mode: fs.ModeDir | 0o755})
	return t.list(real, name, append(above, real))
}

// isFull reports whether an error says that a disk has no room.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
