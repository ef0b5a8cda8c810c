package packaging

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// LeaseName is the file of a lease in an application's staging directory.
const LeaseName = "lease.json"

// Lease says which entries of the cache an application uses. A submission writes
// it into the application's staging directory before it looks whether the
// entries are there; it goes with that directory, when the application ends. So
// whoever removes an entry does it in this order:
//
//  1. read the leases, and choose an entry that is in none
//  2. move it out of the way
//  3. read the leases again: if it is in one now, move it back
//  4. remove it
//
// A submission that found the entry before step 2 has its lease seen in step 3;
// one that looks later does not find it and brings it again.
type Lease struct {
	Version int `json:"version"` // 1
	// Entries are the hashes, in hexadecimal, sorted.
	Entries []string `json:"entries"`
}

const leaseVersion = 1

// MaxLease bounds a lease's file in bytes.
const MaxLease = 1 << 20

// NewLease is the lease for what will be put. It hashes local files, as putting
// them would.
func (c *Cache) NewLease(ctx context.Context, specs ...Spec) (Lease, error) {
	l := Lease{Version: leaseVersion, Entries: []string{}}
	for _, s := range specs {
		hash, err := c.entryOf(ctx, s)
		if err != nil {
			return l, err
		}
		if hash != "" {
			l.Entries = append(l.Entries, hash)
		}
	}
	slices.Sort(l.Entries)
	l.Entries = slices.Compact(l.Entries)
	return l, nil
}

// entryOf is the hash of the entry that a Spec will use, "" for a URL outside.
func (c *Cache) entryOf(ctx context.Context, s Spec) (string, error) {
	local, ok := localPath(s.Source)
	if !ok {
		p, err := c.fs.Resolve(s.Source)
		if err != nil {
			return "", nil // another file system's
		}
		return c.hashIn(p), nil
	}
	f, abs, st, err := openLocal(s, local)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash, err := c.examine(ctx, f, abs, s.Kind, s.Limits, statOf(st))
	return hex.EncodeToString(hash[:]), err
}

// hashIn returns the hash in the path of an entry's file, "" for another path.
func (c *Cache) hashIn(p string) string {
	hash := path.Base(path.Dir(p))
	if isHash(hash) && path.Dir(p) == path.Join(c.dir, "sha256", hash[:2], hash) {
		return hash
	}
	return ""
}

func isHash(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// Encode writes a lease.
func (l Lease) Encode() ([]byte, error) { return json.Marshal(l) }

// ParseLease reads a lease. One of a later version is an error: what it protects
// is not known.
func ParseLease(b []byte) (Lease, error) {
	var l Lease
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("the lease is damaged: %w", err)
	}
	if l.Version != leaseVersion {
		return l, fmt.Errorf("the lease is of version %d, this program knows %d", l.Version, leaseVersion)
	}
	for _, h := range l.Entries {
		if !isHash(h) {
			return l, fmt.Errorf("the lease is damaged: %q is no hash", h)
		}
	}
	return l, nil
}
