package server

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/yarnd/yarnd/engine/graph"
	"github.com/yarnd/yarnd/engine/transfer"
	"github.com/yarnd/yarnd/engine/wire"
)

// bundleStore keeps bundles on disk, by digest. It is safe for concurrent use.
//
//	DIR/bundles/<sha-256 in hex>        complete and verified
//	DIR/bundles/<sha-256 in hex>.part   on its way; .shelf from the shelf
//
// What a process did not finish, the next one removes: the hash of a part is only
// in memory.
type bundleStore struct {
	dir            string
	maxOne, maxAll int64
	idle           time.Duration // after which an upload of which nothing comes makes room
	shelf          *shelf        // nil: what is here ends with this host
	down           sync.Mutex    // held while a bundle comes from the shelf

	mu       sync.Mutex
	complete map[graph.Digest]int64   // sizes
	uploads  map[graph.Digest]*upload // of all clients together: bytes are the same by name
	bytes    int64                    // of complete ones, and announced by uploads
}

// upload is a bundle on its way.
type upload struct {
	mu   sync.Mutex
	size int64
	have int64
	file *os.File
	sum  hash.Hash
	last time.Time // something came
	dead bool      // it failed or is complete: look again
}

const (
	partSuffix  = ".part"
	shelfSuffix = ".shelf" // on its way from the shelf
)

const (
	// maxUploads bounds the files that are open for uploads.
	maxUploads = 16
	// uploadIdle is how long an upload keeps its place without its client, which may
	// come back after a broken connection, or never.
	uploadIdle = time.Minute
)

var errGoneQuiet = errors.New("nothing came of it for too long")

func openBundles(dir string, maxOne, maxAll int64) (*bundleStore, error) {
	s := &bundleStore{
		dir: filepath.Join(dir, "bundles"), maxOne: maxOne, maxAll: maxAll, idle: uploadIdle,
		complete: map[graph.Digest]int64{}, uploads: map[graph.Digest]*upload{},
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("bundles: %w", err)
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("bundles: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partSuffix) || strings.HasSuffix(e.Name(), shelfSuffix) {
			if err := os.Remove(filepath.Join(s.dir, e.Name())); err != nil {
				return nil, fmt.Errorf("bundles: %w", err)
			}
			continue
		}
		d, err := graph.ParseDigest(e.Name())
		if err != nil {
			continue // not ours
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		// Another process may have been killed while its disk was full: trust nothing
		// that is not what its name says.
		if err := verify(s.path(d), d); err != nil {
			if err := os.Remove(s.path(d)); err != nil {
				return nil, fmt.Errorf("bundles: %w", err)
			}
			continue
		}
		s.complete[d] = info.Size()
		s.bytes += info.Size()
	}
	return s, nil
}

func (s *bundleStore) path(d graph.Digest) string { return filepath.Join(s.dir, d.String()) }

func verify(path string, d graph.Digest) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if graph.Digest(h.Sum(nil)) != d {
		return errors.New("bundle is not what its name says")
	}
	return nil
}

// has reports whether the bundle is complete, here or on the shelf.
func (s *bundleStore) has(d graph.Digest) bool { return s != nil && (s.here(d) || s.shelf.has(d)) }

func (s *bundleStore) here(d graph.Digest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.complete[d]
	return ok
}

// open returns a complete bundle; transfer.ErrNotFound if there is none.
func (s *bundleStore) open(d graph.Digest) (*os.File, int64, error) {
	if !s.has(d) {
		return nil, 0, transfer.ErrNotFound
	}
	if !s.here(d) {
		if err := s.takeDown(d); err != nil {
			return nil, 0, err
		}
	}
	f, err := os.Open(s.path(d))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// put adds the piece at offset of a bundle of size bytes, and tells how much of it
// there is now. A piece elsewhere than at the end of what is there changes nothing:
// the answer says where to go on. Without data it only asks.
func (s *bundleStore) put(d graph.Digest, size, offset int64, data []byte) (have int64, complete bool, err error) {
	if offset == 0 && len(data) > 0 {
		s.dropIdle()
	}
	for {
		u, have, complete, err := s.upload(d, size, len(data) > 0)
		if u == nil {
			return have, complete, err
		}
		have, complete, again, err := s.add(d, u, size, offset, data)
		if !again {
			return have, complete, err
		}
	}
}

// upload finds the bundle's upload or begins one. Without one it tells what there
// is.
func (s *bundleStore) upload(d graph.Digest, size int64, begin bool) (u *upload, have int64, complete bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, ok := s.complete[d]; ok || s.shelf.has(d) {
		return nil, max(n, size), true, nil
	}
	if u := s.uploads[d]; u != nil || !begin {
		return u, 0, false, nil
	}
	switch {
	case size <= 0 || size > s.maxOne:
		return nil, 0, false, wire.Errorf(wire.TooLarge, "a bundle of %d bytes: the limit is %d", size, s.maxOne)
	case s.bytes+size > s.maxAll:
		return nil, 0, false, wire.Errorf(wire.Unavailable, "the scheduler holds %d bytes of bundles: there is no room for %d more (limit %d)", s.bytes, size, s.maxAll)
	case len(s.uploads) >= maxUploads:
		return nil, 0, false, wire.Errorf(wire.Unavailable, "%d bundles are on their way already: try again", maxUploads)
	}
	f, err := os.OpenFile(s.path(d)+partSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, false, diskError(err)
	}
	u = &upload{size: size, file: f, sum: sha256.New(), last: time.Now()}
	s.uploads[d] = u
	s.bytes += size
	return u, 0, false, nil
}

// add writes a piece. again says that the upload has ended meanwhile.
func (s *bundleStore) add(d graph.Digest, u *upload, size, offset int64, data []byte) (have int64, complete, again bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.dead {
		return 0, false, true, nil
	}
	if len(data) == 0 || offset != u.have {
		return u.have, false, false, nil
	}
	if size != u.size || u.have+int64(len(data)) > u.size {
		return 0, false, false, s.end(d, u, wire.Errorf(wire.Invalid, "bundle %s: %d bytes at %d do not fit the %d announced", d, len(data), offset, u.size))
	}
	if _, err := u.file.Write(data); err != nil {
		return 0, false, false, s.end(d, u, diskError(err))
	}
	u.sum.Write(data)
	u.last = time.Now()
	if u.have += int64(len(data)); u.have < u.size {
		return u.have, false, false, nil
	}
	if got := graph.Digest(u.sum.Sum(nil)); got != d {
		return 0, false, false, s.end(d, u, wire.Errorf(wire.Invalid, "bundle %s: what came has the digest %s: send it again", d, got))
	}
	if err := s.end(d, u, nil); err != nil {
		return 0, false, false, err
	}
	return u.size, true, false, nil
}

// end ends an upload: with why nil the bundle is complete, otherwise it is removed.
// It returns why, or what went wrong instead.
func (s *bundleStore) end(d graph.Digest, u *upload, why error) error {
	part := s.path(d) + partSuffix
	if err := u.file.Close(); why == nil && err != nil {
		why = diskError(err)
	}
	if why == nil {
		why = s.keep(d, part)
	}
	if why == nil {
		if err := os.Rename(part, s.path(d)); err != nil {
			why = diskError(err)
		}
	}
	if why != nil {
		why = errors.Join(why, os.Remove(part))
	}
	u.dead = true
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, d)
	if why == nil {
		s.complete[d] = u.size
	} else {
		s.bytes -= u.size
	}
	return why
}

// keep puts a bundle that came whole on the shelf, if there is one.
func (s *bundleStore) keep(d graph.Digest, path string) error {
	if s.shelf == nil {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return diskError(err)
	}
	defer f.Close()
	if err := s.shelf.put(d, f); err != nil {
		return wire.Errorf(wire.Unavailable, "the bundle cannot be kept for a scheduler that takes over: %v", err)
	}
	return nil
}

// dropIdle ends uploads whose clients seem to be gone. One that comes back begins
// again.
func (s *bundleStore) dropIdle() {
	s.endAll(errGoneQuiet, func(u *upload) bool { return time.Since(u.last) >= s.idle })
}

// close ends all uploads.
func (s *bundleStore) close() {
	if s != nil {
		s.endAll(errors.New("the scheduler is closing"), func(*upload) bool { return true })
	}
}

// endAll ends the uploads that which selects.
func (s *bundleStore) endAll(why error, which func(*upload) bool) {
	s.mu.Lock()
	uploads := maps.Clone(s.uploads)
	s.mu.Unlock()
	for d, u := range uploads {
		u.mu.Lock()
		if !u.dead && which(u) {
			s.end(d, u, why) //nolint:errcheck // that is its answer
		}
		u.mu.Unlock()
	}
}

func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return wire.Errorf(wire.Unavailable, "the scheduler's disk is full: %v", err)
	}
	return wire.Errorf(wire.Internal, "the scheduler cannot store the bundle: %v", err)
}

// putBundle answers a PutBundle. It runs on the connection's goroutine.
func (s *Server) putBundle(id uint64, m *wire.PutBundle) *wire.Reply {
	fail := func(err error) *wire.Reply { return &wire.Reply{Id: id, Error: wire.AsError(err)} }
	var d graph.Digest
	copy(d[:], m.Digest)
	state := &wire.BundleState{Digest: m.Digest}
	switch {
	case d.IsZero():
		return fail(wire.Errorf(wire.Invalid, "a bundle without a digest"))
	case d == s.opts.Bundle:
		state.Have, state.Complete = m.Size, true // the workers' own binary
	case s.bundles == nil:
		return fail(wire.Errorf(wire.Unavailable, "this scheduler has no directory for bundles"))
	case m.Size > uint64(s.opts.MaxBundle) || m.Offset > m.Size:
		return fail(wire.Errorf(wire.TooLarge, "a bundle of %d bytes, at %d: the limit is %d", m.Size, m.Offset, s.opts.MaxBundle))
	default:
		have, complete, err := s.bundles.put(d, int64(m.Size), int64(m.Offset), m.Data)
		if err != nil {
			s.opts.Log.Warn("bundle refused", "digest", d.String(), "size", m.Size, "err", err)
			return fail(err)
		}
		state.Have, state.Complete = uint64(have), complete
		if complete && len(m.Data) > 0 {
			s.opts.Log.Info("bundle complete", "digest", d.String(), "size", have)
		}
	}
	return &wire.Reply{Id: id, Body: &wire.Reply_Bundle{Bundle: state}}
}
