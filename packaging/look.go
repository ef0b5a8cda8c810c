package packaging

import "github.com/yarnd/yarnd/hadooprpc/hdfs"

// LookCache returns a cache that changes nothing, neither on its file system nor in
// the local index: its Put, GC and Remove say what OpenCache's would do. A resource
// that would be Uploaded has no URL. There need be no cache at all. An examiner in the
// options lends what it knows, and learns, but for this cache does not change its index.
func LookCache(fsys hdfs.FS, opts CacheOptions) (*Cache, error) {
	c, err := newCache(fsys, opts)
	if err != nil {
		return nil, err
	}
	c.looks, c.Examiner = true, c.Examiner.looking()
	return c, nil
}

// LookExaminer is NewExaminer for one that reads the index and never changes it.
func LookExaminer(o CacheOptions) *Examiner { return NewExaminer(o).looking() }

// looking returns an examiner with the same memory that leaves the index as it is.
func (x *Examiner) looking() *Examiner {
	return &Examiner{index: x.index, log: x.log, looks: true, memory: x.memory}
}
