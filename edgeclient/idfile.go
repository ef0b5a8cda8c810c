package edgeclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// idFile keeps the id of one submission on this host, so that whoever runs the same
// command again goes on with it:
//
//	application_1700000000000_0007 pending\n    before the cluster has it
//	application_1700000000000_0007\n            once it is known to have it
//
// It is locked as long as somebody submits; the lock ends with its process.
type idFile struct {
	f         *os.File
	path      string
	id        string // "" in a new file
	confirmed bool   // the cluster has had the application
}

const (
	pendingMark = " pending"
	maxIDFile   = 256 // bytes
)

// openIDFile opens or makes an id file and waits for its lock until ctx ends.
func (c *Client) openIDFile(ctx context.Context, path string) (*idFile, error) {
	var k *idFile
	said := false
	err := poll(ctx, func() (done bool, err error) {
		k, err = tryIDFile(path)
		if k == nil && err == nil && !said {
			said = true
			c.opts.Progress("waiting for another submit that uses %s", path)
		}
		return k != nil, err
	})
	if err != nil {
		return nil, wrap(Usage, "cannot use the id file "+path, err, "Name a new file, on a local disk")
	}
	return k, nil
}

// tryIDFile is nil while somebody else has the file.
func tryIDFile(path string) (*idFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = nil
		}
		return nil, err
	}
	k := &idFile{f: f, path: path}
	if there, err := k.there(); err != nil || !there { // removed before it was locked
		f.Close()
		return nil, err
	}
	if err := k.read(); err != nil {
		f.Close()
		return nil, err
	}
	return k, nil
}

func (k *idFile) there() (bool, error) {
	named, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	opened, err := k.f.Stat()
	return err == nil && os.SameFile(named, opened), err
}

func (k *idFile) read() error {
	text, err := io.ReadAll(io.LimitReader(k.f, maxIDFile))
	if err != nil {
		return err
	}
	k.id, k.confirmed, err = parseIDFile(text)
	return err
}

// parseIDFile reads an id file. Only its first line counts: of confirm, which is cut off,
// more than that may be left.
func parseIDFile(text []byte) (id string, confirmed bool, err error) {
	if len(text) == 0 {
		return "", false, nil
	}
	line, _, whole := bytes.Cut(text, []byte("\n"))
	id, pending := strings.CutSuffix(string(line), pendingMark)
	if !whole || !IsID(id) {
		return "", false, errors.New("it holds something else than an application's id")
	}
	return id, !pending, nil
}

// keep writes an id before it is submitted; when it returns the id is on the disk.
func (k *idFile) keep(id string) error {
	_, err := k.f.WriteAt([]byte(id+pendingMark+"\n"), 0)
	if err == nil {
		err = errors.Join(k.f.Sync(), syncDir(filepath.Dir(k.path)))
	}
	k.id = id
	return wrap(Internal, "cannot write "+k.path, err, "Check the disk")
}

// confirm notes that the cluster has the application.
func (k *idFile) confirm() error {
	if k.confirmed {
		return nil
	}
	_, err := k.f.WriteAt([]byte("\n"), int64(len(k.id)))
	if err == nil {
		err = errors.Join(k.f.Truncate(int64(len(k.id)+1)), k.f.Sync())
	}
	k.confirmed = err == nil
	return wrap(Internal, k.id+" runs, but that could not be written to "+k.path, err, "Check the disk")
}

// close lets go of the lock, and removes a file that tells nothing.
func (k *idFile) close(remove bool) {
	if remove {
		os.Remove(k.path)
	}
	k.f.Close()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// submitKept starts the application of an id file, or finds the one that was started
// with it.
func (c *Client) submitKept(ctx context.Context, r Request) (Report, error) {
	k, err := c.openIDFile(ctx, r.IDFile)
	if err != nil {
		return Report{}, err
	}
	remove := k.id == ""
	defer func() { k.close(remove) }()
	if k.id != "" {
		report, err := c.cluster.Report(ctx, k.id)
		if CodeOf(err) != NotFound || k.confirmed {
			if err = k.judge(report, err, r.Wait); err != nil {
				return Report{}, err
			}
			c.opts.Progress("%s has %s, which is there already", k.path, k.id)
			return report, k.confirm()
		}
	}
	s, err := c.begin(ctx, r)
	if err != nil {
		return Report{}, err
	}
	if k.id == "" {
		if err := k.keep(s.fresh); err != nil {
			c.cluster.Forget(s.fresh)
			return Report{}, err
		}
		c.reached(stepKept)
	} else {
		c.cluster.Forget(s.fresh)
		c.opts.Progress("%s has %s, which was never submitted", k.path, k.id)
	}
	if err = s.launch(ctx, k.id, true); err != nil {
		if remove = !errors.Is(err, errUnknown); remove {
			c.cluster.Forget(k.id)
		}
		return Report{}, err
	}
	remove = false
	err = k.confirm()
	c.reached(stepConfirmed)
	return Report{ID: k.id}, err
}

// judge says why an application of an id file that was submitted is not to be had.
func (k *idFile) judge(r Report, err error, wait Wait) error {
	again := "remove " + k.path + " to start another"
	switch {
	case CodeOf(err) == NotFound:
		return &Fault{Code: NotFound, What: fmt.Sprintf("%s of %s ended long ago: the cluster does not know it any more", k.id, k.path), Next: strings.ToUpper(again[:1]) + again[1:]}
	case err != nil:
		return err
	case !r.State.Ended() || wait == WaitFinished: // which tells how it ended
		return nil
	}
	code := NotFound
	if r.Failed() {
		code = AppFailed
	}
	return &Fault{Code: code, What: fmt.Sprintf("%s of %s has ended: %s", k.id, k.path, r.Final), Why: textError(r.Diagnostics),
		Next: "See yarnd logs " + k.id + "; " + again}
}
