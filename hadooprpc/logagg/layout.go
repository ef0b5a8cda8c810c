package logagg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// buckets is the number of directories that applications are spread over.
const buckets = 10000

// appNumber returns the number at the end of application_<time>_<number>.
func appNumber(app string) (int, error) {
	parts := strings.Split(app, "_")
	if len(parts) == 3 && parts[0] == "application" {
		_, err1 := strconv.ParseUint(parts[1], 10, 63)
		n, err2 := strconv.ParseUint(parts[2], 10, 31)
		if err1 == nil && err2 == nil {
			return int(n), nil
		}
	}
	return 0, fmt.Errorf("%q is no application id such as application_1700000000000_0001", app)
}

// roots are the directories under which aggregated logs may lie: that of the
// node managers and those of single file formats.
func roots(c *conf.Conf) []string {
	const general = "yarn.nodemanager.remote-app-log-dir"
	dirs := []string{c.String(general, "/tmp/logs")}
	for _, format := range c.Strings("yarn.log-aggregation.file-formats") {
		if dir := c.String("yarn.log-aggregation."+format+".remote-app-log-dir", ""); dir != "" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// appDirs finds the directories of an application. What a format's suffix is,
// only the node managers' configuration knows for sure; so every directory of
// the owner is tried.
func appDirs(ctx context.Context, fsys hdfs.FS, c *conf.Conf, app, owner string) (found, tried []string, err error) {
	number, err := appNumber(app)
	if err != nil {
		return nil, nil, err
	}
	if owner == "" || owner == "." || owner == ".." || strings.Contains(owner, "/") {
		return nil, nil, fmt.Errorf("%q is no user name", owner)
	}
	for _, root := range roots(c) {
		home := strings.TrimRight(root, "/") + "/" + owner
		tried = append(tried, home)
		suffixes, err := fsys.ReadDir(ctx, home)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for _, s := range suffixes {
			dir := path.Join(s.Path, app)
			if strings.HasPrefix(s.Name(), "bucket-") {
				dir = path.Join(s.Path, fmt.Sprintf("%04d", number%buckets), app)
			}
			info, err := fsys.Stat(ctx, dir)
			switch {
			case err == nil && info.IsDir:
				found = append(found, dir)
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return nil, nil, err
			}
		}
	}
	return found, tried, nil
}

const (
	tmpSuffix      = ".tmp"
	checksumSuffix = "-checksum"
)

// nodeFile is what one node manager wrote for an application.
type nodeFile struct {
	info hdfs.FileInfo
	// end is how much of it counts, in bytes; what follows may be part of an
	// upload under way.
	end int64
}

// node is the name of the node, as host:port.
func (n nodeFile) node() string {
	host, port, ok := strings.Cut(strings.TrimSuffix(n.info.Name(), tmpSuffix), "_")
	if !ok {
		return host
	}
	port, _, _ = strings.Cut(port, "_") // of rolling aggregation: a time
	return host + ":" + port
}

// nodeFiles lists the files in an application's directories, sorted by name,
// and the names of the nodes that are not done.
func nodeFiles(ctx context.Context, fsys hdfs.FS, app string, dirs []string) (files []nodeFile, pending []string, err error) {
	ends := make(map[string]int64) // by path, from checksum files
	for _, dir := range dirs {
		infos, err := fsys.ReadDir(ctx, dir)
		if err != nil {
			return nil, nil, err
		}
		for _, info := range infos {
			name := info.Name()
			switch {
			case info.IsDir && name == app+".har":
				return nil, nil, &FileError{Path: info.Path, Err: errors.New("the logs were packed into a Hadoop archive, which is not supported; use: yarn logs")}
			case info.IsDir:
			case strings.HasSuffix(name, tmpSuffix):
				pending = append(pending, nodeFile{info: info}.node())
			case strings.HasSuffix(name, checksumSuffix):
				target, end, err := readChecksum(ctx, fsys, info.Path)
				if err != nil {
					return nil, nil, err
				}
				ends[path.Join(dir, target)] = end
			default:
				files = append(files, nodeFile{info: info, end: info.Length})
			}
		}
	}
	for i, f := range files {
		if end, ok := ends[f.info.Path]; ok {
			files[i].end = min(end, f.info.Length)
			pending = append(pending, f.node())
		}
	}
	slices.SortStableFunc(files, func(a, b nodeFile) int { return cmp.Compare(a.info.Name(), b.info.Name()) })
	slices.Sort(pending)
	return files, slices.Compact(pending), nil
}

// readChecksum reads the small file that stands beside an indexed file while
// more is appended to it: the name of that file, and how long it was before.
func readChecksum(ctx context.Context, fsys hdfs.FS, name string) (target string, end int64, err error) {
	b, err := hdfs.ReadFile(ctx, fsys, name, 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return "", 0, nil // the upload ended just now
	}
	if err != nil {
		return "", 0, err
	}
	target, end, ok := parseChecksum(b)
	if !ok {
		return "", 0, &FileError{Path: name, Err: corrupt("it is no checksum file")}
	}
	return target, end, nil
}

// parseChecksum reads a checksum file: the length of a name in 4 bytes, the
// name, and a length in 8 bytes.
func parseChecksum(b []byte) (target string, end int64, ok bool) {
	r := &javaReader{}
	r.reset(b)
	n, err := r.number(4)
	if err != nil {
		return "", 0, false
	}
	raw, err := r.take(n)
	if err != nil {
		return "", 0, false
	}
	end, err = r.number(8)
	target = string(raw)
	return target, end, err == nil && end >= 0 && !strings.Contains(target, "/")
}
