package packaging

import "github.com/yarnd/yarnd/hadooprpc/hdfs"

// LookCache returns a cache that changes nothing, neither on its file system nor in
// the local index: its Put says what OpenCache's would do. A resource that would be
// Uploaded has no URL. There need be no cache at all.
func LookCache(fsys hdfs.FS, opts CacheOptions) (*Cache, error) {
	c, err := newCache(fsys, opts)
	if err == nil {
		c.looks = true
	}
	return c, err
}
