package packaging

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Survey tells what the files of an environment demand of the nodes.
type Survey struct {
	// ContentSHA256 is a hash, in hexadecimal, of the names, kinds, execute
	// permissions and contents of all entries but the manifest: the same for
	// archives of the same files, however they are packed.
	ContentSHA256 string `json:"contentSha256"`
	// OS and Arch are of the programs and libraries; empty when there are none.
	OS   string `json:"os,omitempty"`
	Arch string `json:"arch,omitempty"`
	// Glibc is the oldest version of glibc with which everything loads; "musl"
	// when it needs that instead; empty when nothing needs one.
	Glibc string `json:"glibc,omitempty"`
	// Python is the version of the interpreter, empty for no Python environment.
	Python string `json:"python,omitempty"`
	// Interpreter is the path that must exist on every node because the
	// environment's own bin/python is a link to it.
	Interpreter string    `json:"interpreter,omitempty"`
	Packages    []Package `json:"packages,omitempty"`
	// Problems are why it would not work, Notes what the nodes must have.
	Problems []string `json:"problems,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

// Package is an installed distribution.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// surveyor gathers a Survey from entries, one after the other, in any order.
type surveyor struct {
	lines    []string // of the content hash
	digests  map[string]string
	oses     map[string]string // each with the first file that has it
	arches   map[string]string
	musl     bool
	floor    version
	provides map[string]bool   // file names and sonames
	needs    map[string]string // library → first file that needs it
	packages map[string]Package
	links    map[string]string
	dirs     map[string]bool
	python   string
	problems []string
	notes    []string
	manifest []byte
}

func newSurveyor() *surveyor {
	return &surveyor{digests: map[string]string{}, oses: map[string]string{}, arches: map[string]string{},
		provides: map[string]bool{}, needs: map[string]string{}, packages: map[string]Package{}, links: map[string]string{}, dirs: map[string]bool{}}
}

// maxProblems bounds the list of problems of one kind.
const maxProblems = 20

func (s *surveyor) problem(format string, args ...any) {
	if len(s.problems) < maxProblems {
		s.problems = append(s.problems, fmt.Sprintf(format, args...))
	}
}

func (s *surveyor) note(format string, args ...any) {
	if len(s.notes) < maxProblems {
		s.notes = append(s.notes, fmt.Sprintf(format, args...))
	}
}

// add takes one entry and reads its contents to their end.
func (s *surveyor) add(e entry, contents io.Reader) error {
	for dir := path.Dir(e.name); dir != "." && !s.dirs[dir]; dir = path.Dir(dir) {
		s.dirs[dir] = true
	}
	switch {
	case e.mode.IsDir():
		s.dirs[e.name] = true
		return nil // a directory without files is of no consequence
	case e.mode&fs.ModeSymlink != 0:
		s.links[e.name] = e.target
		s.line(e.name, "link", e.target)
		return nil
	case e.hard:
		s.line(e.name, kindOf(e.mode), s.digests[e.target])
		return nil
	}
	s.named(e.name)
	h := sha256.New()
	r := io.TeeReader(contents, h)
	if err := s.look(e, r); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	digest := hex.EncodeToString(h.Sum(nil))
	s.digests[e.name] = digest
	if e.name != ManifestName {
		s.line(e.name, kindOf(e.mode), digest)
	}
	return nil
}

func (s *surveyor) line(name, kind, what string) {
	s.lines = append(s.lines, name+"\x00"+kind+"\x00"+what+"\n")
}

func kindOf(mode fs.FileMode) string {
	if mode.Perm()&0o111 != 0 {
		return "program"
	}
	return "file"
}

// maxText bounds small files that are read whole.
const maxText = 4 << 20

// look reads as much of a file as it needs to know.
func (s *surveyor) look(e entry, r io.Reader) error {
	switch {
	case e.name == ManifestName, e.name == "pyvenv.cfg", path.Ext(e.name) == ".pth":
		b, err := io.ReadAll(io.LimitReader(r, maxText))
		if err != nil {
			return err
		}
		s.text(e.name, b)
		return nil
	case e.size < 4:
		return nil
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	if string(head) != "\x7fELF" {
		return nil
	}
	s.provides[path.Base(e.name)] = true
	return s.spool(e, io.MultiReader(bytes.NewReader(head), r))
}

// maxSpool is how much of a program or library is held in memory to look at it;
// a larger one goes to a temporary file.
const maxSpool = 16 << 20

// spool looks at an ELF file, which needs to be read in any order.
func (s *surveyor) spool(e entry, r io.Reader) error {
	if e.size <= maxSpool {
		b, err := io.ReadAll(io.LimitReader(r, maxSpool))
		if err == nil {
			s.elf(e.name, bytes.NewReader(b), int64(len(b)))
		}
		return err
	}
	f, err := os.CreateTemp("", "yarnd-elf")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	n, err := io.Copy(f, r)
	if err == nil {
		s.elf(e.name, f, n)
	}
	return err
}

func (s *surveyor) elf(name string, r io.ReaderAt, size int64) {
	info, err := readELF(r, size)
	if err != nil {
		s.problem("%s: %v", name, err)
		return
	}
	if !info.hasCode {
		return // debug information and the like
	}
	first(s.oses, info.os, name)
	first(s.arches, info.arch, name)
	s.musl = s.musl || info.isMusl
	if s.floor.less(info.glibc) {
		s.floor = info.glibc
	}
	if info.soname != "" {
		s.provides[info.soname] = true
	}
	for _, l := range info.libs {
		first(s.needs, l, name)
	}
}

func first(m map[string]string, key, name string) {
	if _, ok := m[key]; !ok {
		m[key] = name
	}
}

// Installed distributions show in the names of files.
var (
	distInfo  = regexp.MustCompile(`/([A-Za-z0-9][A-Za-z0-9._]*)-([^-/]+)(?:-py[0-9.]+)?\.(?:dist-info|egg-info)/(?:METADATA|PKG-INFO)$`)
	condaMeta = regexp.MustCompile(`^conda-meta/(.+)-([^-]+)-[^-]+\.json$`)
	editable  = regexp.MustCompile(`/__editable___(.*)_finder\.py$`)
	libPython = regexp.MustCompile(`^lib(?:64)?/python(3\.[0-9]+)/`)
)

func (s *surveyor) named(name string) {
	for _, re := range []*regexp.Regexp{distInfo, condaMeta} {
		if m := re.FindStringSubmatch(name); m != nil && len(s.packages) < 10_000 {
			s.packages[m[1]] = Package{Name: m[1], Version: m[2]}
		}
	}
	if m := editable.FindStringSubmatch(name); m != nil {
		s.problem("%s is installed with -e, from a directory that the nodes do not have: install it without and pack again", m[1])
	}
	if m := libPython.FindStringSubmatch(name); m != nil && s.python == "" {
		s.python = m[1]
	}
}

// text looks at a small file.
func (s *surveyor) text(name string, b []byte) {
	switch {
	case name == ManifestName:
		s.manifest = b
	case name == "pyvenv.cfg":
		c := pyvenv(b)
		if c["version"] != "" {
			s.python = c["version"]
		}
		if c["include-system-site-packages"] == "true" {
			s.note("it uses the system's packages, which the nodes must have")
		}
	default:
		if outside := pathsOutside(b); outside != "" {
			s.problem("%s takes modules from %s, which the nodes do not have: install that package without -e and pack again", name, outside)
		}
	}
}

// finish makes the judgements that need all entries.
func (s *surveyor) finish() Survey {
	slices.Sort(s.lines)
	h := sha256.New()
	for _, l := range s.lines {
		io.WriteString(h, l)
	}
	out := Survey{ContentSHA256: hex.EncodeToString(h.Sum(nil)), OS: s.one(s.oses, "operating systems"), Arch: s.one(s.arches, "processors")}
	out.Glibc = s.floor.String()
	if s.musl {
		out.Glibc = "musl"
		if s.floor != nil {
			s.note("some files need musl, others glibc %s", s.floor)
		}
	}
	out.Packages = slices.SortedFunc(maps.Values(s.packages), func(a, b Package) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Name, b.Name))
	})
	if p, ok := s.packages["python"]; ok { // of conda
		s.python = p.Version
	}
	out.Python = s.python
	if s.python != "" {
		out.Interpreter = s.interpreter()
	}
	s.libraries()
	out.Problems, out.Notes = s.problems, s.notes
	return out
}

// one returns the only key, or names two that do not go together.
func (s *surveyor) one(m map[string]string, what string) string {
	keys := slices.Sorted(maps.Keys(m))
	if len(keys) == 0 {
		return ""
	}
	if len(keys) > 1 {
		s.problem("it mixes %s: %s is for %s, %s for %s", what, m[keys[0]], keys[0], m[keys[1]], keys[1])
	}
	return keys[0]
}

// interpreter follows bin/python and tells where outside it ends, or "".
func (s *surveyor) interpreter() string {
	name := "bin/python"
	for range 10 {
		target, ok := s.links[name]
		if !ok {
			break
		}
		if path.IsAbs(target) {
			s.note("bin/python is a link: the nodes must have the same Python at %s", target)
			return target
		}
		name = path.Join(path.Dir(name), target)
	}
	if _, ok := s.digests[name]; !ok {
		s.problem("it has no bin/python")
	}
	return ""
}

// everywhere are the libraries of glibc, of the compiler's run time, and zlib, which
// every node has; the glibc floor says which version.
var everywhere = regexp.MustCompile(`^(libc|libm|libdl|librt|libpthread|libutil|libcrypt|libresolv|libnsl|libanl|libgcc_s|libz|libstdc\+\+|ld-linux.*|ld-musl.*|libc\.musl.*|linux-vdso|libpython3.*)\.so(\.[0-9.]+)?$`)

// libraries notes what has to come from the nodes.
func (s *surveyor) libraries() {
	for _, lib := range slices.Sorted(maps.Keys(s.needs)) {
		base := path.Base(lib)
		if !s.provides[base] && !everywhere.MatchString(base) && !s.linked(base) {
			s.note("%s needs %s, which the nodes must have", s.needs[lib], base)
		}
	}
}

// linked reports whether a link of that name is in the environment.
func (s *surveyor) linked(base string) bool {
	for name := range s.links {
		if path.Base(name) == base {
			return true
		}
	}
	return false
}
