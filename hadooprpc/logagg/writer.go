package logagg

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
)

// Writer writes what one node manager gathers of an application: a TFile without compression, byte for byte what
// Hadoop's LogAggregationTFileController writes with yarn.nodemanager.log-aggregation.compression-type=none. Package
// documentation has the picture.
//
//	w, err := logagg.NewWriter(f, "alice", nil)
//	err = w.Container("container_…", files)
//	err = w.Close()
//
// After an error it is of no more use. Sources: AggregatedLogFormat.LogWriter, org.apache.hadoop.io.file.tfile.TFile,
// BCFile, Utils (3.4.2).
type Writer struct {
	out   *bufio.Writer
	pos   int64
	err   error
	block region // the one that is being written, empty when it has no records

	records      int64 // of the whole file
	blockRecords int64
	firstKey     []byte
	lastKey      []byte
	blocks       []region
	ends         [][]byte // of each block: its last key and number of records, as TFile.index has them
}

// LogFile is one log file to be written.
type LogFile struct {
	Name string
	Size int64 // bytes; as many are read
	Body io.Reader
}

const (
	// minBlock is where a block ends at the next record, in bytes (LogWriter's 256 KiB).
	minBlock = 256 << 10
	// maxChunk is TFile's tfile.io.chunk.size.
	maxChunk = 1 << 20
	// logVersion is AggregatedLogFormat's only one.
	logVersion = 1
)

// NewWriter begins a file. ACLs are by kind of access, VIEW_APP and MODIFY_APP; nil lets Hadoop's readers go by its
// owner alone.
func NewWriter(w io.Writer, owner string, acls map[string]string) (*Writer, error) {
	t := &Writer{out: bufio.NewWriterSize(w, 64<<10)}
	t.write(bcMagic)
	t.small("VERSION", binary.BigEndian.AppendUint32(nil, logVersion))
	var acl []byte
	for _, kind := range slices.Sorted(maps.Keys(acls)) {
		acl = appendUTF(appendUTF(acl, kind), acls[kind])
	}
	t.small("APPLICATION_ACL", acl)
	t.small("APPLICATION_OWNER", appendUTF(nil, owner))
	return t, t.err
}

// Container writes the logs of one container. A file that turns out shorter than its size is an error.
func (t *Writer) Container(id string, files []LogFile) error {
	t.begin(id)
	c := &chunkWriter{t: t}
	for _, f := range files {
		if t.err != nil {
			return t.err
		}
		if f.Size < 0 || len(f.Name) > maxText/8 {
			return t.fail(fmt.Errorf("log %q has the size %d", f.Name, f.Size))
		}
		c.Write(appendUTF(appendUTF(nil, f.Name), strconv.FormatInt(f.Size, 10)))
		if n, err := io.Copy(c, io.LimitReader(f.Body, f.Size)); err != nil || n < f.Size {
			return t.fail(fmt.Errorf("log %s of %s: %w", f.Name, id, errors.Join(err, io.ErrUnexpectedEOF)))
		}
	}
	c.end()
	t.finish(false)
	return t.err
}

// Close ends the file with its indexes. The underlying writer stays open.
func (t *Writer) Close() error {
	t.finish(true)
	metaAt := t.pos
	t.write(appendText(append(binary.BigEndian.AppendUint32(nil, bcMajor<<16), appendVLong(nil, t.records)...), ""))
	indexAt := t.pos
	t.write(t.index())
	bcAt := t.pos
	bc := appendVLong(appendText(nil, "none"), int64(len(t.blocks)))
	for _, b := range t.blocks {
		bc = appendRegion(bc, b)
	}
	t.write(bc)
	end := t.pos
	meta := appendVLong(nil, 3)
	for _, m := range []struct {
		name string
		r    region
	}{
		{"BCFile.index", region{bcAt, end - bcAt, end - bcAt}},
		{"TFile.index", region{indexAt, bcAt - indexAt, bcAt - indexAt}},
		{"TFile.meta", region{metaAt, indexAt - metaAt, indexAt - metaAt}},
	} {
		meta = appendRegion(appendText(appendText(meta, "data:"+m.name), "none"), m.r)
	}
	meta = binary.BigEndian.AppendUint64(meta, uint64(end))
	meta = binary.BigEndian.AppendUint32(meta, bcMajor<<16)
	t.write(append(meta, bcMagic...))
	if t.err == nil {
		t.err = t.out.Flush()
	}
	err := t.err
	t.fail(errors.New("the log writer is closed"))
	return err
}

// index is the meta block TFile.index: the first key, then for each block its last key and number of records, each
// with the length of what follows.
func (t *Writer) index() []byte {
	if t.firstKey == nil {
		return appendVLong(nil, 0)
	}
	b := appendSized(nil, appendSized(nil, t.firstKey))
	for _, e := range t.ends {
		b = appendSized(b, e)
	}
	return b
}

// small writes a record whose value fits into one chunk.
func (t *Writer) small(key string, value []byte) {
	t.begin(key)
	t.write(appendSized(nil, value))
	t.finish(false)
}

// begin begins a record with its key, and a block if need be.
func (t *Writer) begin(key string) {
	if t.blockRecords == 0 {
		t.block.offset = t.pos
	}
	t.lastKey = appendUTF(nil, key)
	if t.firstKey == nil {
		t.firstKey = t.lastKey
	}
	t.write(appendSized(nil, t.lastKey))
	t.records++
	t.blockRecords++
}

// finish ends the block when it has records and is long enough, or must.
func (t *Writer) finish(force bool) {
	size := t.pos - t.block.offset
	if t.blockRecords == 0 || !force && size < minBlock {
		return
	}
	t.blocks = append(t.blocks, region{t.block.offset, size, size})
	t.ends = append(t.ends, appendVLong(appendSized(nil, t.lastKey), t.blockRecords))
	t.blockRecords = 0
}

func (t *Writer) write(b []byte) {
	if t.err == nil {
		_, t.err = t.out.Write(b)
		t.pos += int64(len(b))
	}
}

func (t *Writer) fail(err error) error {
	if t.err == nil {
		t.err = err
	}
	return t.err
}

// chunkWriter cuts a value into chunks: all but the last have a negative length.
type chunkWriter struct {
	t   *Writer
	buf []byte
}

func (c *chunkWriter) Write(b []byte) (int, error) {
	n := len(b)
	for len(c.buf)+len(b) > maxChunk {
		k := maxChunk - len(c.buf)
		c.buf = append(c.buf, b[:k]...)
		b = b[k:]
		c.t.write(appendVLong(nil, -int64(len(c.buf))))
		c.t.write(c.buf)
		c.buf = c.buf[:0]
	}
	c.buf = append(c.buf, b...)
	return n, c.t.err
}

func (c *chunkWriter) end() { c.t.write(appendSized(nil, c.buf)) }
