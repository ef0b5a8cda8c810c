package logagg

import (
	"bytes"
	"encoding/binary"
	"io"
	"iter"
	"strconv"
	"strings"
)

// bcMagic ends every BCFile.
var bcMagic = []byte{0xd1, 0x11, 0xd3, 0x68, 0x91, 0xb5, 0xd7, 0xb6, 0x39, 0xdf, 0x41, 0x40, 0x92, 0xba, 0xe1, 0x50}

const (
	bcTail = 8 + 4 + 16 // offset of the meta index, version, magic
	// bcMajor is the major version of BCFile that Hadoop has written since
	// the format appeared.
	bcMajor = 1
	// minRegion is the smallest encoding of a region.
	minRegion = 3
	maxMeta   = 1000
	// maxBlocks bounds the index, because a claim about its raw size, and a few
	// compressed bytes behind it, cost nothing. Blocks of logs have 256 KiB.
	maxBlocks = 1 << 20
	maxKey    = 64 << 10 // TFile's own limit
)

// tfile is an open TFile.
type tfile struct {
	f           io.ReaderAt
	size        int64
	compression string
	blocks      []region
}

// openTFile reads the indexes of a file that ends in bcMagic.
func openTFile(f io.ReaderAt, size int64) (*tfile, error) {
	var tail [bcTail]byte
	if size < bcTail {
		return nil, corrupt("%d bytes are too few", size)
	}
	if _, err := f.ReadAt(tail[:], size-bcTail); err != nil && err != io.EOF {
		return nil, err
	}
	metaAt := int64(binary.BigEndian.Uint64(tail[:]))
	if major := binary.BigEndian.Uint16(tail[8:]); major != bcMajor || !bytes.Equal(tail[12:], bcMagic) {
		return nil, corrupt("no BCFile of version %d", bcMajor)
	}
	if metaAt < 0 || metaAt > size-bcTail {
		return nil, corrupt("its index begins at %d of %d bytes", metaAt, size)
	}
	t := &tfile{f: f, size: size}
	index, algorithm, err := t.findMeta("BCFile.index", newSource(io.NewSectionReader(f, metaAt, size-bcTail-metaAt)))
	if err != nil {
		return nil, err
	}
	return t, t.readIndex(index, algorithm)
}

// findMeta looks a meta block up in the meta index.
func (t *tfile) findMeta(want string, s source) (region, string, error) {
	n, err := s.size("a number of meta blocks", maxMeta)
	if err != nil {
		return region{}, "", err
	}
	for range n {
		name, err := s.text()
		if err != nil {
			return region{}, "", err
		}
		algorithm, err := s.text()
		if err != nil {
			return region{}, "", err
		}
		r, err := t.region(s)
		if err != nil {
			return region{}, "", err
		}
		if name == "data:"+want {
			return r, algorithm, nil
		}
	}
	return region{}, "", corrupt("it has no %s", want)
}

func (t *tfile) region(s source) (region, error) {
	var v [3]int64
	for i := range v {
		var err error
		if v[i], err = s.vlong(); err != nil {
			return region{}, unexpected(err)
		}
	}
	r := region{v[0], v[1], v[2]}
	return r, r.check(t.size)
}

// readIndex reads the list of data blocks. Its own raw size bounds what it can
// list.
func (t *tfile) readIndex(index region, algorithm string) error {
	r, err := decompress(t.f, index, algorithm)
	if err != nil {
		return err
	}
	s := newSource(r)
	if t.compression, err = s.text(); err != nil {
		return err
	}
	n, err := s.size("a number of blocks", min(index.raw/minRegion, maxBlocks))
	if err != nil {
		return err
	}
	for range n { // appending, because raw is only a claim
		b, err := t.region(s)
		if err != nil {
			return err
		}
		t.blocks = append(t.blocks, b)
	}
	return nil
}

// record is a key with its value, which has to be read, or left, before the
// next record is asked for.
type record struct {
	key   string
	value *chunks
}

// records yields all records in the order of the file.
func (t *tfile) records() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		for _, b := range t.blocks {
			r, err := decompress(t.f, b, t.compression)
			if err != nil {
				yield(record{}, err)
				return
			}
			if !blockRecords(newSource(r), yield) {
				return
			}
		}
	}
}

// blockRecords yields the records of one block and reports whether to go on.
func blockRecords(s source, yield func(record, error) bool) bool {
	for {
		if _, err := s.Peek(1); err == io.EOF {
			return true
		}
		key, err := readKey(s)
		if err != nil {
			yield(record{}, err)
			return false
		}
		value := &chunks{src: s}
		if !yield(record{key, value}, nil) {
			return false
		}
		if _, err := io.Copy(io.Discard, value); err != nil {
			yield(record{}, err)
			return false
		}
	}
}

// readKey reads a key, which for logs is one string.
func readKey(s source) (string, error) {
	n, err := s.size("a key length", maxKey)
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(s, b); err != nil {
		return "", unexpected(err)
	}
	return newSource(bytes.NewReader(b)).utf()
}

// chunks reads a value: -length, bytes, -length, bytes, …, length, bytes.
type chunks struct {
	src  source
	left int64
	last bool
}

func (c *chunks) Read(b []byte) (int, error) {
	for c.left == 0 {
		if c.last {
			return 0, io.EOF
		}
		n, err := c.src.vlong()
		if err != nil {
			return 0, unexpected(err)
		}
		c.left, c.last = n, n >= 0
		if n < 0 {
			c.left = -n
		}
		if c.left < 0 || c.left > 1<<31 {
			return 0, corrupt("a chunk of %d bytes", n)
		}
	}
	n, err := c.src.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, unexpected(err)
}

// reservedKeys are records about the application, not logs of a container.
var reservedKeys = []string{"VERSION", "APPLICATION_OWNER", "APPLICATION_ACL"}

// logsOf yields the log files in a container's value.
func logsOf(value io.Reader) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		s := newSource(value)
		for {
			name, err := s.utf()
			if err == io.EOF {
				return
			}
			var length string
			if err == nil {
				length, err = s.utf()
			}
			size, perr := strconv.ParseInt(length, 10, 64)
			if err == nil && (perr != nil || size < 0) {
				err = corrupt("log %q has the length %q", name, length)
			}
			if err != nil {
				yield(part{}, unexpected(err))
				return
			}
			body := &io.LimitedReader{R: s, N: size}
			if !yield(part{name: name, size: size, body: body}, nil) {
				return
			}
			if _, err := io.Copy(io.Discard, body); err != nil {
				yield(part{}, err)
				return
			}
		}
	}
}

// part is one log file within a container's logs.
type part struct {
	name  string
	size  int64
	mtime int64 // 0 where the format has none
	body  io.Reader
}

func isReserved(key string) bool {
	for _, r := range reservedKeys {
		if strings.EqualFold(key, r) {
			return true
		}
	}
	return false
}
