// Package cache knows the one folder below which everything is kept that a cluster needs and that was fetched, made
// or started once: jars, the base image, each cluster's generated files, dockerd's log and process id.
//
//	$YARND_CACHE or REPOSITORY/.cache
//	├── jars/VERSION/*.jar
//	├── image/TAG.tar            the base image's files
//	├── clusters/NAME/           generated XML, launchers, the exchange folder
//	└── dockerd.log dockerd.pid  only if we started it
//
// It may be deleted whenever no cluster runs.
package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Dir is a cache folder.
type Dir string

// Find returns YARND_CACHE if that is set, else .cache in the repository's root. It does not create it.
func Find() (Dir, error) {
	if dir := os.Getenv("YARND_CACHE"); dir != "" {
		dir, err := filepath.Abs(dir)
		return Dir(dir), err
	}
	root, err := Root()
	return Dir(filepath.Join(root, ".cache")), err
}

// Root returns the root of the repository: the nearest folder, upwards from the working directory, with a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod here or above: run this inside the yarnd repository")
		}
		dir = parent
	}
}

// Path joins names to the folder.
func (d Dir) Path(names ...string) string {
	return filepath.Join(append([]string{string(d)}, names...)...)
}

// Make returns Path(names...), having created that folder.
func (d Dir) Make(names ...string) (string, error) {
	path := d.Path(names...)
	return path, os.MkdirAll(path, 0o755)
}

// Lock waits until no other process holds the lock called name, and takes it. The kernel frees it when the process
// ends, however it ends.
func (d Dir) Lock(ctx context.Context, name string) (unlock func(), err error) {
	return d.lock(ctx, name, syscall.LOCK_EX)
}

// RLock takes the lock together with any number of other callers of RLock, once no caller of Lock holds it.
func (d Dir) RLock(ctx context.Context, name string) (unlock func(), err error) {
	return d.lock(ctx, name, syscall.LOCK_SH)
}

// lock asks again and again, because a flock that blocks hears no context.
func (d Dir) lock(ctx context.Context, name string, how int) (unlock func(), err error) {
	dir, err := d.Make("locks")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for %s, which another process holds: %w", f.Name(), ctx.Err())
		}
	}
}
