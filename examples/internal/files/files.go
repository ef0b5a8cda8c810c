// Package files is what the examples that work on files have in common.
package files

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// Open opens the file system of inputs and output: HDFS, or with an application on this
// machine the local one, with names relative to the working directory.
func Open(ctx context.Context, local bool) (hdfs.FS, error) {
	if local {
		dir, err := filepath.Abs(".")
		return hdfs.NewLocal(hdfs.LocalOptions{Home: dir}), err
	}
	c, err := conf.Load(conf.Options{})
	if err != nil {
		return nil, err
	}
	return hdfs.Open(ctx, c, "", hdfs.Options{})
}

// A process keeps its connection to HDFS over the tasks that it runs.
var (
	mu     sync.Mutex
	opened = map[bool]hdfs.FS{} // by whether it is the local one
)

// IsLocal reports whether a URL is of this machine's files.
func IsLocal(url string) bool { return strings.HasPrefix(url, "file:") }

// Of returns the file system of a URL, for a task. It stays open.
func Of(ctx context.Context, url string) (hdfs.FS, error) {
	local := IsLocal(url)
	mu.Lock()
	defer mu.Unlock()
	if fs, ok := opened[local]; ok {
		return fs, nil
	}
	fs, err := Open(context.WithoutCancel(ctx), local)
	if err == nil {
		opened[local] = fs
	}
	return fs, err
}

// Write makes a file of what write writes. It appears whole, by a rename, and takes the
// place of one that an earlier attempt of the task has left: a task that runs twice does
// no harm.
func Write(ctx context.Context, fs hdfs.FS, name string, write func(w io.Writer) error) error {
	r, w := io.Pipe()
	written := make(chan error, 1)
	go func() {
		b := bufio.NewWriterSize(w, 256<<10)
		err := write(b)
		if err == nil {
			err = b.Flush()
		}
		w.CloseWithError(err) //nolint:errcheck // it never fails
		written <- err
	}()
	_, err := hdfs.Upload(ctx, fs, name, r, hdfs.UploadOptions{CreateOptions: hdfs.CreateOptions{Perm: 0o644, Overwrite: true}})
	r.CloseWithError(errors.Join(errors.New("nobody reads on"), err)) //nolint:errcheck // it never fails
	if own := <-written; own != nil && err == nil {
		err = own
	}
	return err
}
