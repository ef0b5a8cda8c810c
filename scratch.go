package yarnd

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/yarnd/yarnd/edgeclient"
)

// scratch makes an owner-only directory below another ("" is the temporary one) for a
// process that was started by hand, which removes it at its end. A process that was
// killed could not: what such ones have left there, of the same role, user and host,
// goes first.
//
// Whoever lives holds a lock on its directory, which ends with it. The host is part of
// the name, for a lock need not be seen by the other hosts of a shared file system.
func scratch(below, role string) (dir string, remove func(), err error) {
	below = cmp.Or(below, os.TempDir())
	host, err := os.Hostname()
	if err != nil {
		return "", nil, err
	}
	prefix := "yarnd-" + role + "-" + host + "-"
	sweep(below, prefix)
	for {
		dir, err := os.MkdirTemp(below, prefix)
		if err != nil {
			code := edgeclient.Internal
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				code = edgeclient.Usage
			}
			return "", nil, &edgeclient.Fault{Code: code, What: "cannot make a scratch directory", Why: err, Next: "Give a directory that you can write to with --dir"}
		}
		f, err := lock(dir, syscall.LOCK_EX)
		if errors.Is(err, fs.ErrNotExist) { // another one's sweep was here before the lock
			continue
		}
		if err != nil { // a file system without locks: nobody can sweep there either
			return dir, func() { os.RemoveAll(dir) }, nil
		}
		if _, err := os.Stat(dir); err == nil {
			return dir, func() { os.RemoveAll(dir); f.Close() }, nil
		}
		f.Close() // the same, while we waited for the lock
	}
}

// sweep removes directories whose processes are no more. What cannot be looked at or
// removed stays.
func sweep(below, prefix string) {
	list, err := os.ReadDir(below)
	if err != nil {
		return // MkdirTemp says why
	}
	for _, e := range list {
		rest, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || strings.Trim(rest, "0123456789") != "" { // of a host with a longer name
			continue
		}
		dir := filepath.Join(below, e.Name())
		f, err := lock(dir, syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue
		}
		os.RemoveAll(dir) //nolint:errcheck // the next one tries again
		f.Close()
	}
}

// lock locks a directory of this user, until its file is closed.
func lock(dir string, how int) (*os.File, error) {
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && int(st.Sys().(*syscall.Stat_t).Uid) != os.Geteuid() {
		err = fs.ErrPermission
	}
	for err == nil {
		if err = syscall.Flock(int(f.Fd()), how); err == nil {
			return f, nil
		}
		if errors.Is(err, syscall.EINTR) {
			err = nil
		}
	}
	f.Close()
	return nil, err
}
