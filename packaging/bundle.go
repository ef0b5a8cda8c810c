package packaging

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// Bundle is a program that was found fit to run on the cluster's nodes.
type Bundle struct {
	Path    string
	Size    int64 // bytes
	SHA256  [32]byte
	Machine string // Go's name, such as amd64
	// Module is the main module's path and Go the version that built it;
	// empty when the program is not Go's or hides it.
	Module string
	Go     string
	// Library is the version of this module inside the program, "(devel)"
	// for one built from a checkout; empty when it does not have it.
	Library string
}

// BundleError is a program that would not run on the cluster.
type BundleError struct {
	Path string
	Why  string
	Hint string
	Err  error
}

func (e *BundleError) Error() string {
	s := fmt.Sprintf("%s cannot be the bundle: %s", e.Path, e.Why)
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

func (e *BundleError) Unwrap() error { return e.Err }

// ourModule is the path of this module.
const ourModule = "github.com/yarnd/yarnd"

// machines are the processors that Hadoop's nodes have, in Go's words.
var machines = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}

// SelfBundle checks the running program.
func SelfBundle() (Bundle, error) {
	path, err := os.Executable()
	if err != nil {
		return Bundle{}, &BundleError{Path: "the running program", Why: err.Error(), Err: err, Hint: "name a program with --bundle"}
	}
	return CheckBundle(path)
}

// CheckBundle makes sure that a file is an executable program for Linux on
// this machine's kind of processor and needs no shared library: on the nodes
// there need not be the libc, or the version of it, that this host has.
func CheckBundle(path string) (Bundle, error) {
	fail := func(err error, hint, why string, args ...any) (Bundle, error) {
		return Bundle{}, &BundleError{Path: path, Why: fmt.Sprintf(why, args...), Hint: hint, Err: err}
	}
	f, err := os.Open(path)
	if err != nil {
		return fail(err, "", "%v", errText(err))
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return fail(err, "", "%v", err)
	case !st.Mode().IsRegular():
		return fail(nil, "", "it is not a regular file")
	case st.Mode().Perm()&0o111 == 0:
		return fail(nil, "chmod +x "+path, "it is not executable")
	}
	b := Bundle{Path: path, Size: st.Size()}
	if b.Machine, err = checkELF(f); err != nil {
		return fail(err, "build it with: CGO_ENABLED=0 GOOS=linux GOARCH="+runtime.GOARCH+" go build", "%v", err)
	}
	if info, err := buildinfo.Read(f); err == nil {
		b.Module, b.Go = info.Main.Path, info.GoVersion
		for _, m := range append(info.Deps, &info.Main) {
			if m.Path == ourModule {
				b.Library = m.Version
			}
		}
	}
	h := sha256.New()
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fail(err, "", "%v", err)
	}
	if n, err := io.Copy(h, f); err != nil || n != st.Size() {
		return fail(err, "", "it could not be read whole (%d of %d bytes)", n, st.Size())
	}
	h.Sum(b.SHA256[:0])
	return b, nil
}

// checkELF returns the processor of a static Linux program.
func checkELF(f *os.File) (machine string, err error) {
	head := make([]byte, 4)
	if _, err := f.ReadAt(head, 0); err != nil || !bytes.Equal(head, []byte(elf.ELFMAG)) {
		if bytes.HasPrefix(head, []byte("#!")) {
			return "", errors.New("it is a script; run scripts with yarnd map or exec, or pack them with --files")
		}
		return "", errors.New("it is no Linux program (no ELF header)")
	}
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	e, err := readELF(f, st.Size())
	switch {
	case err != nil:
		return "", err
	case e.typ != elf.ET_EXEC && e.typ != elf.ET_DYN:
		return "", fmt.Errorf("it is an ELF file of type %v, not a program", e.typ)
	case e.os != "linux":
		return "", fmt.Errorf("it is for %s, not for Linux", e.os)
	case e.arch != runtime.GOARCH:
		return "", fmt.Errorf("it is for processors of type %s, this cluster's nodes are taken to be %s like this host", e.arch, runtime.GOARCH)
	case e.interp != "":
		return "", errors.New("it is dynamically linked: it would need this host's libraries on every node")
	case len(e.libs) > 0:
		return "", fmt.Errorf("it needs the shared libraries %v", e.libs)
	}
	return e.arch, nil
}
