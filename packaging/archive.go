package packaging

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// Limits bound what an archive may hold. A zero field stands for the default,
// a negative one for no limit.
type Limits struct {
	Entries  int64 // 500,000
	Unpacked int64 // 64 GiB, all entries together, in bytes
	Ratio    int64 // 200 unpacked bytes for each byte of the archive
	// OutsideLinks admits symbolic links with an absolute target, as
	// virtual environments have for the system's own interpreter. Nothing is
	// ever written through them.
	OutsideLinks bool
}

const (
	defaultEntries  = 500_000
	defaultUnpacked = 64 << 30
	defaultRatio    = 200
	// smallArchive may have any ratio: so much is harmless.
	smallArchive = 4 << 20
)

func orDefault(v, def int64) int64 {
	switch {
	case v == 0:
		return def
	case v < 0:
		return 1<<63 - 1
	}
	return v
}

// Format is the form of an archive.
type Format string

const (
	TarGz Format = "tar.gz"
	Zip   Format = "zip"
)

// formatOf tells the format by a file's name, as node managers do.
func formatOf(name string) (Format, bool) {
	lower := strings.ToLower(name)
	switch {
	case strings.HasSuffix(lower, ".tar.gz"), strings.HasSuffix(lower, ".tgz"):
		return TarGz, true
	case strings.HasSuffix(lower, ".zip"):
		return Zip, true
	}
	return "", false
}

// ArchiveInfo says what an archive holds.
type ArchiveInfo struct {
	Format   Format
	Size     int64 // bytes of the archive
	Entries  int64
	Unpacked int64 // bytes of all files
}

// ArchiveError is an archive that is refused. Entry names the entry at fault,
// if it is one.
type ArchiveError struct {
	Path  string
	Entry string
	Why   string
	Hint  string
	Err   error
}

func (e *ArchiveError) Error() string {
	s := e.Path
	if e.Entry != "" {
		s += fmt.Sprintf(": entry %q", e.Entry)
	}
	s += ": " + e.Why
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

func (e *ArchiveError) Unwrap() error { return e.Err }

// refuse makes an ArchiveError without the file's name, which walk adds.
func refuse(entry, hint, why string, args ...any) error {
	return &ArchiveError{Entry: entry, Hint: hint, Why: fmt.Sprintf(why, args...)}
}

// entry is one checked entry of an archive.
type entry struct {
	name   string // clean and relative; "." for the top itself
	mode   fs.FileMode
	size   int64
	target string // of a symbolic link, as written; of a hard link, clean
	hard   bool   // a hard link to an earlier file
	again  bool   // a file that came before and must be the same
}

// InspectArchive reads a whole local archive and makes sure that it is sound
// and harmless. The error is an [*ArchiveError] unless the context ended.
func InspectArchive(ctx context.Context, file string, limits Limits) (ArchiveInfo, error) {
	return walk(ctx, file, limits, func(entry, io.Reader) error { return nil })
}

// walk visits each entry of an archive after checking it. What visit leaves of
// an entry's contents is read and thrown away, so that checksums are verified.
func walk(ctx context.Context, file string, limits Limits, visit func(entry, io.Reader) error) (ArchiveInfo, error) {
	info, err := walkFile(ctx, file, limits, visit)
	if e := (*ArchiveError)(nil); errors.As(err, &e) {
		e.Path = file
	} else if isFull(err) {
		err = &PackError{Op: "unpack", Source: file, Why: "there is no room on the disk: " + err.Error(), Hint: "make room, or set TMPDIR to a directory that has it", Err: err}
	} else if err != nil && ctx.Err() == nil {
		err = &ArchiveError{Path: file, Why: errText(err), Err: err}
	}
	return info, err
}

func walkFile(ctx context.Context, file string, limits Limits, visit func(entry, io.Reader) error) (ArchiveInfo, error) {
	format, ok := formatOf(file)
	if !ok {
		return ArchiveInfo{}, refuse("", "pack it as .tar.gz, .tgz or .zip", "YARN cannot unpack a file of this name")
	}
	f, err := os.Open(file)
	if err != nil {
		return ArchiveInfo{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return ArchiveInfo{}, err
	}
	if !st.Mode().IsRegular() {
		return ArchiveInfo{}, refuse("", "", "it is not a regular file")
	}
	if st.Size() == 0 {
		return ArchiveInfo{}, refuse("", "pack it again", "it is empty")
	}
	if err := checkContent(f, format); err != nil {
		return ArchiveInfo{}, err
	}
	c := newChecker(ctx, limits, st.Size(), visit)
	if format == Zip {
		err = c.zip(f)
	} else {
		err = c.tarGz(bufio.NewReaderSize(f, 1<<20))
	}
	if err == nil {
		err = c.finish()
	}
	return ArchiveInfo{Format: format, Size: st.Size(), Entries: c.entries, Unpacked: c.unpacked}, err
}

// checker holds what has to be known of the entries seen to judge the next.
type checker struct {
	ctx    context.Context
	limits Limits
	size   int64
	visit  func(entry, io.Reader) error

	entries  int64
	unpacked int64
	seen     map[string]fs.FileMode // type of each entry by name
	parents  map[string]bool        // names with an entry below them
	seed     maphash.Seed
	sums     map[string]uint64 // of the contents of each file
}

func newChecker(ctx context.Context, limits Limits, size int64, visit func(entry, io.Reader) error) *checker {
	limits.Entries = orDefault(limits.Entries, defaultEntries)
	limits.Unpacked = orDefault(limits.Unpacked, defaultUnpacked)
	limits.Ratio = orDefault(limits.Ratio, defaultRatio)
	return &checker{ctx: ctx, limits: limits, size: size, visit: visit,
		seen: make(map[string]fs.FileMode), parents: make(map[string]bool), seed: maphash.MakeSeed(), sums: make(map[string]uint64)}
}

// add checks one entry with its contents and hands it to visit.
func (c *checker) add(name string, e entry, contents io.Reader) error {
	if err := c.ctx.Err(); err != nil {
		return context.Cause(c.ctx)
	}
	if c.entries++; c.entries > c.limits.Entries {
		return refuse("", "", "it has more than %d entries", c.limits.Entries)
	}
	var err error
	if e.name, err = cleanName(name); err != nil {
		return err
	}
	if err := c.checkType(name, &e); err != nil {
		return err
	}
	counted := &countingReader{c: c, name: name, r: contents}
	counted.sum.SetSeed(c.seed)
	if !e.again {
		if err := c.visit(e, counted); err != nil {
			return err
		}
	}
	n, err := io.Copy(io.Discard, counted)
	if err != nil {
		return err
	}
	if e.again && counted.sum.Sum64() != c.sums[e.name] {
		return refuse(name, "remove one and pack it again", "the archive has it twice, with different contents")
	}
	if e.mode.IsRegular() && !e.hard {
		c.sums[e.name] = counted.sum.Sum64()
	}
	if e.mode.IsRegular() && !e.hard && counted.n != e.size {
		return refuse(name, "", "it has %d bytes (the last %d read), its header says %d", counted.n, n, e.size)
	}
	return nil
}

// checkType refuses entries that are neither files, directories nor harmless
// links, and those that would replace another.
func (c *checker) checkType(name string, e *entry) error {
	kind := e.mode.Type()
	if err := c.checkPlace(name, e); err != nil {
		return err
	}
	switch {
	case e.hard:
		target, err := cleanName(e.target)
		if err != nil {
			return err
		}
		if old, ok := c.seen[target]; !ok || !old.IsRegular() {
			return refuse(name, "", "it is a hard link to %q, which is no earlier file of the archive", e.target)
		}
		e.target = target
	case kind == fs.ModeSymlink:
		if err := c.checkLink(name, e); err != nil {
			return err
		}
	case kind != 0 && kind != fs.ModeDir:
		return refuse(name, "", "it is a device, pipe or socket")
	}
	c.seen[e.name] = kind
	return nil
}

// checkPlace refuses an entry that would replace another or lie below
// something that is no directory, whichever of the two comes first.
func (c *checker) checkPlace(name string, e *entry) error {
	old, dup := c.seen[e.name]
	switch isDir := e.mode.IsDir(); {
	case dup && old.IsRegular() && e.mode.IsRegular() && !e.hard && c.hasSum(e.name):
		e.again = true // venv-pack writes pyvenv.cfg twice
	case dup && !(old.IsDir() && isDir):
		return refuse(name, "", "the archive has it twice")
	case !isDir && (e.name == "." || c.parents[e.name]):
		return refuse(name, "", "it is no directory, but other entries lie below it")
	}
	for dir := path.Dir(e.name); dir != "."; dir = path.Dir(dir) {
		if kind, ok := c.seen[dir]; ok && !kind.IsDir() {
			return refuse(name, "", "it lies below %q, which is no directory", dir)
		}
		if c.parents[dir] {
			break // and so are those above it
		}
		c.parents[dir] = true
	}
	return nil
}

func (c *checker) hasSum(name string) bool {
	_, ok := c.sums[name]
	return ok
}

// checkLink makes sure that a symbolic link cannot lead outside. Its ".." may
// only come first: there they climb real directories, since checkPlace refuses
// entries below links; later ones could climb from wherever another link
// leads.
func (c *checker) checkLink(name string, e *entry) error {
	if path.IsAbs(e.target) {
		if c.limits.OutsideLinks {
			return nil
		}
		return refuse(name, "pack the environment so that it holds its own interpreter (conda-pack does), or allow outside links",
			"it is a link to %q, outside the archive", e.target)
	}
	if e.target == "" || strings.ContainsRune(e.target, 0) {
		return refuse(name, "", "it is a link to nothing")
	}
	down := false
	for part := range strings.SplitSeq(e.target, "/") {
		switch part {
		case "", ".":
		case "..":
			if down {
				return refuse(name, "", "it is a link to %q, which goes up again after going down", e.target)
			}
		default:
			down = true
		}
	}
	if full := path.Join(path.Dir(e.name), e.target); full == ".." || strings.HasPrefix(full, "../") {
		return refuse(name, "", "it is a link to %q, outside the archive", e.target)
	}
	return nil
}

// finish makes the check that needs all entries.
func (c *checker) finish() error {
	if c.entries == 0 {
		return refuse("", "pack it again", "it has no entries")
	}
	return nil
}

// grow counts unpacked bytes.
func (c *checker) grow(name string, n int64) error {
	c.unpacked += n
	if c.unpacked > c.limits.Unpacked {
		return refuse(name, "", "the archive unpacks to more than %d bytes", c.limits.Unpacked)
	}
	if c.unpacked > smallArchive && c.unpacked/c.limits.Ratio > c.size {
		return refuse(name, "if you trust it, allow its ratio (--allow-ratio)",
			"the archive unpacks to more than %d times its size", c.limits.Ratio)
	}
	return nil
}

// countingReader counts an entry's bytes as they are unpacked, so that a bomb
// is noticed before it has gone off.
type countingReader struct {
	c    *checker
	name string
	r    io.Reader
	n    int64
	sum  maphash.Hash
}

func (r *countingReader) Read(b []byte) (int, error) {
	if r.r == nil {
		return 0, io.EOF
	}
	n, err := r.r.Read(b)
	r.n += int64(n)
	r.sum.Write(b[:n])
	if gerr := r.c.grow(r.name, int64(n)); gerr != nil {
		return n, gerr
	}
	if r.c.ctx.Err() != nil {
		return n, context.Cause(r.c.ctx)
	}
	return n, err
}

// cleanName returns the relative name of an entry in its shortest form.
func cleanName(name string) (string, error) {
	switch {
	case name == "" || strings.ContainsRune(name, 0) || strings.ContainsRune(name, '\\'):
		return "", refuse(name, "", "its name is empty or has a zero byte or a backslash")
	case path.IsAbs(name):
		return "", refuse(name, "", "its name is absolute")
	case len(name) > 4096:
		return "", refuse(name[:40]+"…", "", "its name has %d bytes", len(name))
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", refuse(name, "", "its name goes up with \"..\"")
		}
		if len(part) > 255 {
			return "", refuse(name[:40]+"…", "", "a part of its name has %d bytes", len(part))
		}
	}
	return path.Clean(name), nil
}

// errText is the innermost text of an error about a file, whose outer ones
// repeat its name.
func errText(err error) string {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
