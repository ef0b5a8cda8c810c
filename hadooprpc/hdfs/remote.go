package hdfs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/yarnd/yarnd/hadooprpc/hdfs/internal/nnpb"
	"github.com/yarnd/yarnd/hadooprpc/ipc"
	"github.com/yarnd/yarnd/hadooprpc/login"
)

// remote is FS on an HDFS cluster.
type remote struct {
	names
	user        string
	pool        *pool
	proxy       *ipc.Proxy
	timeout     time.Duration
	byName      bool // DataNodes are reached by their names, not their addresses
	replication int  // 0: the server's default
	blockSize   int64
	log         *slog.Logger
	patience    time.Duration // with a DataNode that is read from; 0: firstPatience
	transfer    Transfer
	who, own    *login.Identity // own: who, where Close ends it, or nil
	service     login.Service
	keys        keyProvider

	keyMu sync.Mutex
	key   *nnpb.DataEncryptionKey // nil: not asked for yet, or there is none

	defaultsOnce sync.Mutex
	defaults     *hdfs.ServerDefaults
}

func (r *remote) User() string { return r.user }

func (r *remote) Close() error {
	r.pool.close()
	err := r.proxy.Close()
	if r.own != nil {
		err = errors.Join(err, r.own.Close())
	}
	return err
}

// call runs one operation on metadata. do is given a client and the number of
// attempts whose outcome is unknown because their connection failed before the
// answer came; it has to be safe to repeat under that knowledge. The whole
// takes at most the file system's timeout.
func (r *remote) call(ctx context.Context, op, p string, do func(c *client, unknown int) error) error {
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	unknown := 0
	for attempt := 0; ; attempt++ {
		c, err := r.pool.take(bounded, attempt > 0)
		if err == nil {
			if err = r.try(bounded, c, op, p, unknown, do); err == nil {
				r.pool.give(c)
				return nil
			}
			answered := errors.As(err, new(*Error))
			if answered && !errors.Is(err, errRetriable) {
				return err
			}
			if !answered {
				unknown++
			}
		}
		r.log.Debug("hdfs: a call failed", "op", op, "path", p, "attempt", attempt+1, "err", err)
		if r.hopeless(err, attempt) || !pause(bounded, attempt) {
			return r.ended(ctx, op, p, err)
		}
	}
}

// try runs one attempt. An [*Error] is an answer of the NameNode, after which
// the client is as good as before and goes back to the pool; any other error
// is a failure below RPC, after which the client is not used again.
func (r *remote) try(ctx context.Context, c *client, op, p string, unknown int, do func(*client, int) error) error {
	stop := c.watch(ctx)
	err := do(c, unknown)
	alive := stop()
	if err == nil && alive {
		return nil
	}
	if e := mapRemote(op, p, err); e != nil && alive {
		r.pool.give(c)
		if e.Kind == fs.ErrPermission && e.Detail == "" {
			e.Detail = "to the user " + r.user
		}
		return e
	}
	// Not later: while we hang up, the library renews its lease with the next one.
	silent := cmp.Or(c.guard.silent.Load(), c.guard.server.Load())
	c.discard()
	if alive || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.proxy.Avoid(*silent)
	}
	if !alive {
		return &transportError{errNoAnswer}
	}
	return &transportError{cmp.Or(c.guard.cause(), err)}
}

// errNoAnswer is a call that was given up when its context ended.
var errNoAnswer = errors.New("no answer in time")

// transportError keeps a cause from being taken for an [*Error].
type transportError struct{ cause error }

func (e *transportError) Error() string { return e.cause.Error() }
func (e *transportError) Unwrap() error { return e.cause }

// hopeless is true when waiting will not help: host names of which none
// exists, an authentication that one side refuses, or the only NameNode of a cluster refusing connections for a while. A
// pair of NameNodes gets the whole time, because it may be failing over; a host that is down may be without its name.
func (r *remote) hopeless(err error, attempt int) bool {
	if errors.As(err, new(*namelessError)) || refused(err) {
		return true
	}
	const patience = 3
	return len(r.pool.addresses) == 1 && attempt >= patience && errors.Is(err, syscall.ECONNREFUSED)
}

// ended is the error of a call that is not tried again: because its caller's
// context ended, or because no NameNode answered in time.
func (r *remote) ended(ctx context.Context, op, p string, err error) error {
	if ctx.Err() != nil {
		return &Error{Op: op, Path: cmp.Or(p, r.root()), Err: fmt.Errorf("%w (last: %v)", context.Cause(ctx), err)}
	}
	if refused(err) {
		e := &Error{Op: op, Path: r.root() + p, Kind: ErrAuth, Err: err}
		if theirs := (*ipc.RemoteError)(nil); errors.As(err, &theirs) && strings.HasSuffix(theirs.Class, "$InvalidToken") {
			e.Hint = badToken
		}
		return e
	}
	return &Error{Op: op, Path: r.root() + p, Kind: ErrUnreachable, Err: err,
		Detail: fmt.Sprintf("no NameNode answered (tried %s): %v", strings.Join(r.pool.addresses, ", "), err),
		Hint:   "check that HDFS runs and that fs.defaultFS and dfs.namenode.rpc-address* name it"}
}

// pause waits before the next attempt, doubling from 100 ms to 2 s. It returns
// false when ctx ended first.
func pause(ctx context.Context, attempt int) bool {
	t := time.NewTimer(min(100*time.Millisecond<<min(attempt, 10), 2*time.Second))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Stat implements FS. Repeating it is harmless.
func (r *remote) Stat(ctx context.Context, name string) (FileInfo, error) {
	p, err := r.Resolve(name)
	if err != nil {
		return FileInfo{}, err
	}
	var info FileInfo
	err = r.call(ctx, "stat", p, func(c *client, _ int) error {
		info, err = c.stat(p)
		return err
	})
	return info, err
}

func (c *client) stat(p string) (FileInfo, error) {
	st, err := c.Client.Stat(p)
	if err != nil {
		return FileInfo{}, err
	}
	return remoteInfo(p, st), nil
}

func remoteInfo(p string, st fs.FileInfo) FileInfo {
	i := FileInfo{Path: p, Length: st.Size(), ModTimeMs: st.ModTime().UnixMilli(), Perm: fromHadoop(st.Mode()), IsDir: st.IsDir()}
	if s, ok := st.Sys().(*hdfs.FileStatus); ok {
		i.Owner, i.Group = s.GetOwner(), s.GetGroup()
		i.Replication, i.BlockSize = int(s.GetBlockReplication()), int64(s.GetBlocksize())
	}
	if i.IsDir {
		i.Length, i.Replication, i.BlockSize = 0, 0, 0
	}
	return i
}

// Hadoop's permissions are an octal number whose fourth digit has the sticky
// bit where Go's FileMode has something else.
const hadoopSticky = 0o1000

func fromHadoop(m fs.FileMode) fs.FileMode {
	perm := m & fs.ModePerm
	if m&hadoopSticky != 0 {
		perm |= fs.ModeSticky
	}
	return perm
}

func toHadoop(perm fs.FileMode) fs.FileMode {
	m := perm & fs.ModePerm
	if perm&fs.ModeSticky != 0 {
		m |= hadoopSticky
	}
	return m
}

// ReadDir implements FS. The listing comes in parts of 1,000 entries, each a
// call of its own, so it is not of one moment.
func (r *remote) ReadDir(ctx context.Context, name string) ([]FileInfo, error) {
	p, err := r.Resolve(name)
	if err != nil {
		return nil, err
	}
	var infos []FileInfo
	err = r.call(ctx, "list", p, func(c *client, _ int) error {
		infos = nil
		st, err := c.stat(p)
		if err != nil {
			return err
		}
		if !st.IsDir {
			return newError("list", p, ErrNotDir)
		}
		entries, err := c.Client.ReadDir(p)
		for _, e := range entries {
			infos = append(infos, remoteInfo(path.Join(p, e.Name()), e))
		}
		return err
	})
	return infos, err
}

// Mkdir implements FS. When an earlier attempt may have made the directory, an
// existing one is taken for it.
func (r *remote) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	p, err := r.Resolve(name)
	if err != nil {
		return err
	}
	return r.call(ctx, "mkdir", p, func(c *client, unknown int) error {
		err := c.Client.Mkdir(p, toHadoop(perm))
		if err != nil && !(unknown > 0 && errors.Is(err, fs.ErrExist)) {
			return err
		}
		return c.ensurePerm(p, perm)
	})
}

// ensurePerm sets the permissions where a default ACL made others of them.
func (c *client) ensurePerm(p string, perm fs.FileMode) error {
	info, err := c.stat(p)
	if err != nil || info.Perm == perm&permMask {
		return err
	}
	return c.Client.Chmod(p, toHadoop(perm))
}

// MkdirAll implements FS.
func (r *remote) MkdirAll(ctx context.Context, name string, perm fs.FileMode) error {
	return mkdirAll(ctx, r, name, perm)
}

// Rename implements FS. When an earlier attempt may have renamed, a missing
// source beside an existing target is its success.
func (r *remote) Rename(ctx context.Context, oldName, newName string) error {
	from, err := r.Resolve(oldName)
	if err != nil {
		return err
	}
	to, err := r.Resolve(newName)
	if err != nil {
		return err
	}
	return r.call(ctx, "rename", from+" to "+to, func(c *client, unknown int) error {
		err := c.Client.Rename(from, to)
		if unknown > 0 && errors.Is(err, fs.ErrNotExist) {
			if _, serr := c.stat(to); serr == nil {
				return nil
			}
		}
		return err
	})
}

// Remove implements FS. When an earlier attempt may have removed it, finding
// nothing is success.
func (r *remote) Remove(ctx context.Context, name string) error {
	p, err := r.Resolve(name)
	if err != nil {
		return err
	}
	return r.call(ctx, "remove", p, func(c *client, unknown int) error {
		err := c.Client.Remove(p)
		if unknown > 0 && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

// RemoveAll implements FS. Repeating it is harmless.
func (r *remote) RemoveAll(ctx context.Context, name string) error {
	p, err := r.Resolve(name)
	if err != nil {
		return err
	}
	if p == "/" {
		return refuseRoot()
	}
	return r.call(ctx, "remove", p, func(c *client, _ int) error {
		if err := c.Client.RemoveAll(p); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

// Chmod implements FS. Repeating it is harmless.
func (r *remote) Chmod(ctx context.Context, name string, perm fs.FileMode) error {
	p, err := r.Resolve(name)
	if err != nil {
		return err
	}
	return r.call(ctx, "chmod", p, func(c *client, _ int) error {
		return c.Client.Chmod(p, toHadoop(perm))
	})
}
