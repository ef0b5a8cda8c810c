package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/yarnd/yarnd/appmaster/spec"
)

// localizer puts files into containers' directories. What must be changed for
// that, an archive or a file that is not executable, is made once and shared by
// all containers of the application.
type localizer struct {
	dir    string
	unpack func(ctx context.Context, archive, dir string) error

	mu   sync.Mutex
	made map[string]*once
}

type once struct {
	sync.Once
	path string
	err  error
}

// localize makes f appear in a container's directory.
func (l *localizer) localize(ctx context.Context, f *spec.File, dir string) error {
	source, err := pathOf(f)
	if err != nil {
		return err
	}
	st, err := os.Stat(source)
	if err != nil {
		return err
	}
	// A NodeManager looks at the time too: what was staged must be what runs.
	if st.Size() != f.Size || st.ModTime().UnixMilli() != f.ModTime {
		return fmt.Errorf("%s has changed since it was staged", source)
	}
	switch {
	case f.Archive:
		source, err = l.once(source, func(to string) error { return l.unpackTo(ctx, source, to) })
	case st.Mode()&0o100 == 0: // a NodeManager makes every file executable
		source, err = l.once(source, func(to string) error { return CopyExecutable(source, to) })
	}
	if err != nil {
		return err
	}
	return os.Symlink(source, filepath.Join(dir, f.Name))
}

// once makes something out of source, at a path that it chooses, the first time
// it is asked to.
func (l *localizer) once(source string, make func(to string) error) (string, error) {
	l.mu.Lock()
	if l.made == nil {
		l.made = map[string]*once{}
	}
	o := l.made[source]
	if o == nil {
		o = &once{}
		l.made[source] = o
	}
	l.mu.Unlock()
	o.Do(func() {
		sum := sha256.Sum256([]byte(source))
		parent := filepath.Join(l.dir, hex.EncodeToString(sum[:8]))
		if o.err = os.MkdirAll(parent, 0o700); o.err != nil {
			return
		}
		o.path = filepath.Join(parent, filepath.Base(source))
		o.err = make(o.path)
	})
	return o.path, o.err
}

func (l *localizer) unpackTo(ctx context.Context, archive, to string) error {
	if l.unpack == nil {
		return errors.New("this application master cannot unpack archives")
	}
	return l.unpack(ctx, archive, to)
}

// CopyExecutable copies a file to one that does not exist yet, executable by its
// owner, whatever the mode of the first.
func CopyExecutable(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700) // #nosec G302 -- it is a program
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
