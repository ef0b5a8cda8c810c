package logagg

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
)

const (
	ifileTail = 4 + sha256.Size // length of the index, hash of the application id
	// maxIndex bounds the index, in bytes. Hadoop warns at this size.
	maxIndex = 64 << 20
)

// ifile is an open IndexedFile.
type ifile struct {
	f     io.ReaderAt
	algo  string
	parts []ifilePart
}

// ifilePart is one log file of one container.
type ifilePart struct {
	container string
	name      string
	region    region
	mtime     int64 // milliseconds
}

// openIFile reads the index at the end of the first size bytes of a file.
func openIFile(f io.ReaderAt, size int64, app string) (*ifile, error) {
	var tail [ifileTail]byte
	if size < ifileTail {
		return nil, corrupt("%d bytes are too few", size)
	}
	if _, err := f.ReadAt(tail[:], size-ifileTail); err != nil && err != io.EOF {
		return nil, err
	}
	if !isIFileTail(tail[4:], app) {
		return nil, corrupt("it does not end as an indexed log file of %s", app)
	}
	n := int64(binary.BigEndian.Uint32(tail[:]))
	if n > maxIndex || n > size-ifileTail {
		return nil, corrupt("an index of %d bytes in a file of %d", n, size)
	}
	b := make([]byte, n)
	if _, err := f.ReadAt(b, size-ifileTail-n); err != nil && err != io.EOF {
		return nil, err
	}
	v, err := parseJava(b)
	if err != nil {
		return nil, err
	}
	x := &ifile{f: f}
	return x, x.readMeta(v, size)
}

// isIFileTail compares the end of a file with what an indexed file of an
// application ends in.
func isIFileTail(tail []byte, app string) bool {
	want := sha256.Sum256([]byte(app))
	return len(tail) >= len(want) && [sha256.Size]byte(tail[len(tail)-len(want):]) == want
}

// readMeta takes the entries out of an IndexedLogsMeta.
func (x *ifile) readMeta(v any, size int64) error {
	meta, ok := v.(*javaObject)
	if !ok {
		return corrupt("its index is no object")
	}
	x.algo, _ = meta.fields["compressName"].(string)
	for cycle := range listItems(meta.fields["logMetas"]) {
		c, ok := cycle.(*javaObject)
		if !ok {
			return corrupt("its index has something else than an object among the uploads")
		}
		for container, files := range mapEntries(c.fields["logMetas"]) {
			name, _ := container.(string)
			for f := range listItems(files) {
				if err := x.add(name, f, size); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// maxParts bounds how many log files one node's file can list.
const maxParts = 1_000_000

func (x *ifile) add(container string, v any, size int64) error {
	o, ok := v.(*javaObject)
	if !ok {
		return corrupt("its index has something else than an object among the logs")
	}
	p := ifilePart{container: container}
	p.name, _ = o.fields["fileName"].(string)
	p.region.offset, _ = o.fields["startIndex"].(int64)
	p.region.size, _ = o.fields["fileCompressedSize"].(int64)
	p.region.raw, _ = o.fields["fileSize"].(int64)
	p.mtime, _ = o.fields["lastModifiedTime"].(int64)
	if container == "" || p.name == "" {
		return corrupt("a log without a name")
	}
	if err := p.region.check(size); err != nil {
		return err
	}
	if len(x.parts) >= maxParts {
		return corrupt("more than %d logs", maxParts)
	}
	x.parts = append(x.parts, p)
	return nil
}

// open returns the contents of a log.
func (x *ifile) open(p ifilePart) (io.Reader, error) {
	if x.algo == "none" {
		// What was recorded as the file's size can differ from what was
		// written when the file could not be read to its end.
		p.region.raw = p.region.size
	}
	return decompress(x.f, p.region, x.algo)
}

// listItems yields the elements of a java.util.ArrayList: its writeObject
// writes a capacity as bytes and then the elements.
func listItems(v any) func(func(any) bool) {
	return func(yield func(any) bool) {
		o, ok := v.(*javaObject)
		if !ok {
			return
		}
		for _, e := range o.extra {
			if _, isBytes := e.([]byte); !isBytes && !yield(e) {
				return
			}
		}
	}
}

// mapEntries yields the entries of a java.util.HashMap: its writeObject writes
// its sizes as bytes and then keys and values in turn.
func mapEntries(v any) func(func(any, any) bool) {
	return func(yield func(any, any) bool) {
		var key any
		haveKey := false
		for e := range listItems(v) {
			if !haveKey {
				key, haveKey = e, true
				continue
			}
			haveKey = false
			if !yield(key, e) {
				return
			}
		}
	}
}
