package packaging

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// elfInfo is what an ELF file demands of the host that it runs on.
type elfInfo struct {
	typ     elf.Type
	arch    string // Go's name where it has one, else ELF's
	os      string // "linux", or ELF's name of another
	interp  string // the dynamic linker, empty for a static program or a library
	libs    []string
	glibc   version
	isMusl  bool
	soname  string
	hasCode bool
}

// version is a glibc version, such as 2.17 or 2.2.5; nil is none.
type version []int

// parseVersion reads "2.17".
func parseVersion(s string) (version, bool) {
	var v version
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || len(v) == 4 {
			return nil, false
		}
		v = append(v, n)
	}
	return v, true
}

func (v version) String() string {
	var s []string
	for _, n := range v {
		s = append(s, strconv.Itoa(n))
	}
	return strings.Join(s, ".")
}

// less compares number by number; a missing number is before 0.
func (v version) less(w version) bool {
	for i, n := range w {
		if i == len(v) || v[i] < n {
			return true
		}
		if v[i] > n {
			return false
		}
	}
	return false
}

// readELF looks at an ELF file of the given size. debug/elf is not made for
// hostile files; a panic of its is an error here.
func readELF(r io.ReaderAt, size int64) (info elfInfo, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("its ELF header is damaged: %v", p)
		}
	}()
	f, err := elf.NewFile(r)
	if err != nil {
		return elfInfo{}, fmt.Errorf("its ELF header is damaged: %w", err)
	}
	defer f.Close()
	if err := elfWhole(f, size); err != nil {
		return elfInfo{}, err
	}
	info = elfInfo{typ: f.Type, arch: machines[f.Machine], os: "linux"}
	if info.arch == "" {
		info.arch = strings.ToLower(strings.TrimPrefix(f.Machine.String(), "EM_"))
	}
	if f.OSABI != elf.ELFOSABI_NONE && f.OSABI != elf.ELFOSABI_LINUX {
		info.os = strings.ToLower(strings.TrimPrefix(f.OSABI.String(), "ELFOSABI_"))
	}
	for _, p := range f.Progs {
		switch p.Type {
		case elf.PT_INTERP:
			b, _ := io.ReadAll(io.LimitReader(p.Open(), 4096))
			info.interp = strings.TrimRight(string(b), "\x00")
		case elf.PT_LOAD:
			info.hasCode = info.hasCode || p.Flags&elf.PF_X != 0
		}
	}
	info.isMusl = strings.Contains(info.interp, "musl")
	if info.libs, err = f.ImportedLibraries(); err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return info, fmt.Errorf("its list of shared libraries is damaged: %w", err)
	}
	if names, err := f.DynString(elf.DT_SONAME); err == nil && len(names) > 0 {
		info.soname = names[0]
	}
	for _, l := range info.libs {
		info.isMusl = info.isMusl || strings.HasPrefix(l, "libc.musl")
	}
	info.glibc = glibcFloor(f)
	return info, nil
}

// elfWhole makes sure that all segments lie inside the file: linkers write the
// headers first, so the headers of a cut file say nothing.
func elfWhole(f *elf.File, size int64) error {
	for _, p := range f.Progs {
		if end := p.Off + p.Filesz; p.Type == elf.PT_LOAD && (end < p.Off || end > uint64(size)) {
			return fmt.Errorf("it is cut short: it has %d bytes, its headers speak of %d", size, end)
		}
	}
	return nil
}

// glibcFloor is the newest version of glibc of which the file needs a symbol.
func glibcFloor(f *elf.File) version {
	needs, err := f.DynamicVersionNeeds()
	if err != nil {
		return nil
	}
	var floor version
	for _, n := range needs {
		for _, d := range n.Needs {
			text, ok := strings.CutPrefix(d.Dep, "GLIBC_")
			if !ok {
				continue
			}
			if v, ok := parseVersion(text); ok && floor.less(v) { // not GLIBC_PRIVATE
				floor = v
			}
		}
	}
	return floor
}
