package packaging

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
)

// Unpack unpacks a local archive into a directory, which it makes if need be.
// It refuses what [InspectArchive] refuses, and writes inside an os.Root, so
// that nothing outside the directory can be reached even by a fault in those
// rules. After an error the directory holds a part of the archive; the caller
// removes it.
func Unpack(ctx context.Context, file, dir string, limits Limits) (ArchiveInfo, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return ArchiveInfo{}, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return ArchiveInfo{}, err
	}
	defer root.Close()
	u := unpacker{root: root, dirs: make(map[string]fs.FileMode)}
	info, err := walk(ctx, file, limits, u.write)
	if err != nil {
		return info, err
	}
	return info, u.finish()
}

type unpacker struct {
	root *os.Root
	dirs map[string]fs.FileMode // to set once nothing more goes into them
}

func (u *unpacker) write(e entry, contents io.Reader) error {
	if e.mode.IsDir() {
		u.dirs[e.name] = e.mode.Perm()
		return u.root.MkdirAll(e.name, 0o700)
	}
	if dir := path.Dir(e.name); dir != "." {
		if err := u.root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	switch {
	case e.hard:
		return u.root.Link(e.target, e.name)
	case e.mode&fs.ModeSymlink != 0:
		return u.root.Symlink(e.target, e.name)
	}
	f, err := u.root.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, e.mode.Perm()|0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, contents); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// finish gives the directories their permissions; the owner keeps all of his,
// so that what was unpacked can be removed again.
func (u *unpacker) finish() error {
	for name, perm := range u.dirs {
		if err := u.root.Chmod(name, perm|0o700); err != nil {
			return err
		}
	}
	return nil
}
