package edgeclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strconv"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// Which application has a name, for those that are started with IfNotExists, is told by
// one small table on the cluster's file system, which all clients of a user share:
//
//	~/.yarnd/names/<version>    {"<cluster>": {"<name>": {"id": …, "confirmed": …, "since": …}}}
//
// The highest version counts; it is never changed but for a higher one, and each is
// made by one client only (RenameNew), so changes happen one after the other. Nobody
// holds a lock that a dead client could keep: a name is given an id, and whoever comes to
// the name before that application is known to the cluster submits it under that id. The
// cluster starts an id once, however many submit it.
//
//	A, B: read version 7: no "night"
//	A: gets the id …_0003, writes version 8: night = …_0003
//	B: gets the id …_0004; version 8 is there; reads it: night = …_0003
//	A dies while it uploads
//	B: …_0003 is unknown to the cluster for a while: stages and submits it
//
// The last version stays; entries of applications that have ended go with the next one.
const namesDir = "names"

const maxNames = 4 << 20 // bytes of a table

// entry is the application that has a name.
type entry struct {
	ID        string `json:"id"`
	Confirmed bool   `json:"confirmed,omitempty"` // the cluster has had it
	Since     int64  `json:"since,omitempty"`     // seconds since 1970, when it got the name
}

// abandoned tells that nobody submits an application any more that the cluster does not know.
func (e entry) abandoned(now time.Time) bool {
	return e.Confirmed || now.Unix()-e.Since > int64(abandonedAfter/time.Second)
}

const abandonedAfter = 24 * time.Hour

// nameTable is one version of the table.
type nameTable struct {
	version int
	of      map[string]map[string]entry // by cluster and name
}

// get returns who has a name.
func (n nameTable) get(cluster, name string) (entry, bool) {
	e, ok := n.of[cluster][name]
	return e, ok
}

// with returns the next version, in which a name has an application.
func (n nameTable) with(cluster, name string, e entry) nameTable {
	next := nameTable{version: n.version + 1, of: maps.Clone(n.of)}
	if next.of == nil {
		next.of = map[string]map[string]entry{}
	}
	of := maps.Clone(next.of[cluster])
	if of == nil {
		of = map[string]entry{}
	}
	of[name] = e
	next.of[cluster] = of
	return next
}

// registry reads and writes the table of this user on one file system.
type registry struct {
	fs  hdfs.FS
	dir string
}

func openRegistry(ctx context.Context, f hdfs.FS) (registry, error) {
	g := registry{f, path.Join(f.Home(), stagingRoot, namesDir)}
	return g, fsFault("cannot make the directory of names", hdfs.EnsureDir(ctx, f, g.dir, 0o700))
}

// read returns the latest version.
func (g registry) read(ctx context.Context) (n nameTable, err error) {
	err = poll(ctx, func() (bool, error) {
		versions, err := g.versions(ctx)
		if err != nil || len(versions) == 0 {
			n = nameTable{}
			return true, err
		}
		n, err = g.load(ctx, versions[len(versions)-1])
		if errors.Is(err, fs.ErrNotExist) { // a later one has taken its place
			return false, nil
		}
		return true, err
	})
	return n, fsFault("cannot read which application has which name", err)
}

// versions are those that are there, in order: all names have one length.
func (g registry) versions(ctx context.Context) (all []int, err error) {
	entries, err := g.fs.ReadDir(ctx, g.dir)
	for _, e := range entries {
		if v, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, v)
		}
	}
	return all, err
}

// file is the name of a version's file.
func (g registry) file(version int) string { return path.Join(g.dir, fmt.Sprintf("%010d", version)) }

func (g registry) load(ctx context.Context, version int) (nameTable, error) {
	n := nameTable{version: version}
	text, err := hdfs.ReadFile(ctx, g.fs, g.file(version), maxNames)
	if err != nil {
		return n, err
	}
	if err := json.Unmarshal(text, &n.of); err != nil {
		return n, &Fault{Code: Internal, What: "cannot read " + g.file(version), Why: err, Next: "Remove it, if no submit --if-not-exists runs"}
	}
	return n, nil
}

// write makes a version, unless somebody else has, and drops those before it. Who needs to
// know what holds now reads again.
func (g registry) write(ctx context.Context, n nameTable) error {
	text, err := json.Marshal(n.of)
	if err != nil {
		return err
	}
	_, err = hdfs.Upload(ctx, g.fs, g.file(n.version), bytes.NewReader(text), hdfs.UploadOptions{CreateOptions: hdfs.CreateOptions{Perm: 0o600}, Size: int64(len(text))})
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fsFault("cannot write which application has which name", err)
	}
	entries, err := g.fs.ReadDir(ctx, g.dir)
	if err != nil {
		return fsFault("cannot list the directory of names", err)
	}
	for _, e := range entries {
		v, notOne := strconv.Atoi(e.Name())
		if notOne == nil && v < n.version || notOne != nil && time.Since(time.UnixMilli(e.ModTimeMs)) > abandoned {
			g.fs.RemoveAll(ctx, e.Path) // what stays goes with the next version
		}
	}
	return nil
}
