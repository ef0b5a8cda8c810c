package hdfs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// UploadOptions describe an upload.
type UploadOptions struct {
	CreateOptions
	// Size is the number of bytes to expect, checked when not 0.
	Size int64
}

// uploadAttempts is how often an upload is begun when DataNodes fail under it.
const uploadAttempts = 3

// Upload writes all of src to a new temporary file beside name, verifies its
// length and permissions, renames it to name and describes the result. An
// existing file is replaced if Overwrite is set and fs.ErrExist otherwise, also
// for the slower of two that upload to one name at the same time.
//
// When something fails, or ctx ends, nothing is left behind. When src is an
// io.Seeker, an upload whose writing failed is begun again from src's present
// position, at most three times in all.
func Upload(ctx context.Context, fsys FS, name string, src io.Reader, opts UploadOptions) (FileInfo, error) {
	target, err := fsys.Resolve(name)
	if err != nil {
		return FileInfo{}, err
	}
	if !opts.Overwrite {
		if err := mustNotExist(ctx, fsys, target); err != nil {
			return FileInfo{}, err
		}
	}
	seeker, _ := src.(io.Seeker)
	var start int64
	if seeker != nil {
		if start, err = seeker.Seek(0, io.SeekCurrent); err != nil {
			seeker = nil // a pipe has the method but not the ability
		}
	}
	for attempt := 1; ; attempt++ {
		info, err := uploadOnce(ctx, fsys, target, src, opts)
		if err == nil {
			return info, nil
		}
		if seeker == nil || attempt == uploadAttempts || !worthAnotherTry(ctx, err) {
			return FileInfo{}, err
		}
		if _, err := seeker.Seek(start, io.SeekStart); err != nil {
			return FileInfo{}, &Error{Op: "upload", Path: target, Err: fmt.Errorf("cannot go back in the source: %w", err)}
		}
	}
}

// temporaryName is beside the target, because a rename does not cross quotas
// or encryption zones, and hidden from Hadoop's input formats by its dot.
func temporaryName(target string) string {
	return path.Join(path.Dir(target), "."+path.Base(target)+".tmp-"+rand.Text())
}

// worthAnotherTry is true for failures of the transport, not of the request.
func worthAnotherTry(ctx context.Context, err error) bool {
	if ctx.Err() != nil || errors.As(err, new(*sourceError)) {
		return false
	}
	for _, kind := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, fs.ErrInvalid,
		ErrQuota, ErrSafeMode, ErrNotDir, ErrIsDir, ErrUnreachable, ErrUnprotected} {
		if errors.Is(err, kind) {
			return false
		}
	}
	return true
}

// sourceError marks a failure to read what should be uploaded.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return "cannot read the source: " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// createTemporary makes a new file beside target. One that is there already
// can only be our own, from a request that was carried out although its answer
// was lost: it is removed, and another name taken.
func createTemporary(ctx context.Context, fsys FS, target string, opts CreateOptions) (Writer, string, error) {
	opts.Overwrite = false
	for attempt := 1; ; attempt++ {
		temp := temporaryName(target)
		w, err := fsys.Create(ctx, temp, opts)
		if err == nil {
			return w, temp, nil
		}
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
			discard(ctx, fsys, temp)
		}
		if !errors.Is(err, fs.ErrExist) || attempt == uploadAttempts {
			return nil, "", renamed(err, temp, target)
		}
	}
}

func uploadOnce(ctx context.Context, fsys FS, target string, src io.Reader, opts UploadOptions) (info FileInfo, err error) {
	w, temp, err := createTemporary(ctx, fsys, target, opts.CreateOptions)
	if err != nil {
		return FileInfo{}, err
	}
	defer func() {
		if err != nil {
			w.Abort()
			discard(ctx, fsys, temp)
			err = renamed(err, temp, target)
		}
	}()
	n, err := copyTo(w, src)
	if err != nil {
		return FileInfo{}, err
	}
	if opts.Size != 0 && n != opts.Size {
		return FileInfo{}, &Error{Op: "upload", Path: target, Kind: ErrLength, Err: &sourceError{
			fmt.Errorf("the source gave %d bytes, not the %d expected; it was changed while it was read", n, opts.Size)}}
	}
	if err := w.Close(); err != nil {
		return FileInfo{}, err
	}
	if info, err = fsys.Stat(ctx, temp); err != nil {
		return FileInfo{}, err
	}
	if info.Length != n {
		return FileInfo{}, &Error{Op: "upload", Path: target, Kind: ErrLength,
			Detail: fmt.Sprintf("%d bytes were sent, the file system has %d", n, info.Length)}
	}
	if info.Perm != opts.perm() {
		return FileInfo{}, &Error{Op: "upload", Path: target, Kind: fs.ErrPermission,
			Detail: fmt.Sprintf("the file has mode %#o, not the %#o asked for", info.Perm.Perm(), opts.perm().Perm())}
	}
	rename := fsys.RenameNew
	if opts.Overwrite {
		rename = fsys.Rename
	}
	if err := rename(ctx, temp, target); err != nil {
		return FileInfo{}, err
	}
	info.Path = target // a rename keeps the modification time
	return info, nil
}

func mustNotExist(ctx context.Context, fsys FS, target string) error {
	_, err := fsys.Stat(ctx, target)
	switch {
	case err == nil:
		return newError("upload", target, fs.ErrExist)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// renamed puts the name that the caller knows in place of the temporary one.
func renamed(err error, temp, target string) error {
	if e := (*Error)(nil); errors.As(err, &e) && strings.Contains(e.Path, temp) {
		e.Op, e.Path = "upload", target
	}
	return err
}

// copyTo is io.Copy, except that it knows which side failed.
func copyTo(w io.Writer, src io.Reader) (int64, error) {
	buf := make([]byte, 256<<10)
	var n int64
	for {
		k, rerr := src.Read(buf)
		if k > 0 {
			if _, err := w.Write(buf[:k]); err != nil {
				return n, err
			}
			n += int64(k)
		}
		if rerr == io.EOF {
			return n, nil
		}
		if rerr != nil {
			return n, &sourceError{rerr}
		}
	}
}

// cleanupTime bounds what is done to leave nothing behind once the context of
// the operation has ended.
const cleanupTime = 5 * time.Second

// discard removes a temporary file even when ctx has ended.
func discard(ctx context.Context, fsys FS, temp string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	// A failure is not reported: the one that led here says more, and a file
	// that cannot be removed is swept with other old temporary files.
	_ = fsys.RemoveAll(ctx, temp)
}

// WriteFile puts data into a file in one step, replacing an existing one.
func WriteFile(ctx context.Context, fsys FS, name string, data []byte, perm fs.FileMode) (FileInfo, error) {
	return Upload(ctx, fsys, name, bytes.NewReader(data),
		UploadOptions{CreateOptions: CreateOptions{Perm: perm, Overwrite: true}, Size: int64(len(data))})
}

// ReadFile reads a whole file of at most max bytes.
func ReadFile(ctx context.Context, fsys FS, name string, max int64) ([]byte, error) {
	f, err := fsys.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tooLong := func(n int64) error {
		return &Error{Op: "read", Path: f.Info().Path, Kind: ErrLength, Detail: fmt.Sprintf("it has %d bytes, more than the %d allowed", n, max)}
	}
	if n := f.Info().Length; n > max {
		return nil, tooLong(n)
	}
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err == nil && int64(len(b)) > max {
		err = tooLong(int64(len(b)))
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// mkdirAll makes the missing directories from the top down, each with Mkdir,
// because only so do all of them get exactly the permissions asked for.
func mkdirAll(ctx context.Context, fsys FS, name string, perm fs.FileMode) error {
	p, err := fsys.Resolve(name)
	if err != nil {
		return err
	}
	var missing []string
	for {
		info, err := fsys.Stat(ctx, p)
		if err == nil && !info.IsDir {
			return newError("mkdir", p, ErrNotDir)
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, p)
		p = path.Dir(p)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		err := fsys.Mkdir(ctx, missing[i], perm)
		if err != nil && !errors.Is(err, fs.ErrExist) { // someone else was faster
			return err
		}
	}
	return nil
}

// EnsureDir makes sure that a directory exists, belongs to the user and gives
// nobody more than perm: it is made, with its missing parents, or looked at.
// What it finds too open it refuses rather than repairs, because others may
// have put something there already.
func EnsureDir(ctx context.Context, fsys FS, name string, perm fs.FileMode) error {
	if err := fsys.MkdirAll(ctx, name, perm); err != nil {
		return err
	}
	info, err := fsys.Stat(ctx, name)
	if err != nil {
		return err
	}
	if info.Owner != fsys.User() {
		return &Error{Op: "use", Path: info.Path, Kind: fs.ErrPermission,
			Detail: fmt.Sprintf("it belongs to %s, not to %s", info.Owner, fsys.User()),
			Hint:   "have its owner remove it"}
	}
	if info.Perm&^perm&fs.ModePerm != 0 {
		return &Error{Op: "use", Path: info.Path, Kind: fs.ErrPermission,
			Detail: fmt.Sprintf("its mode %#o is looser than %#o", info.Perm.Perm(), perm.Perm()),
			Hint:   fmt.Sprintf("check what others put there, then: hdfs dfs -chmod %o %s", perm.Perm(), info.Path)}
	}
	return nil
}
