package main

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

// split is the part of one file that one task counts, and where it lies.
type split struct {
	Path   string // URL
	Span   span
	Blocks []string // hosts that hold it; a hint for whoever places the task
}

// splits cuts the files below the given names into spans of one HDFS block each;
// a compressed file is one span. As MapReduce does, it passes over names in
// directories that begin with "_" or ".".
func splits(ctx context.Context, fs hdfs.FS, names []string) ([]split, error) {
	var out []split
	for _, name := range names {
		info, err := fs.Stat(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", name, err)
		}
		if out, err = appendSplits(ctx, fs, out, info); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendSplits(ctx context.Context, fs hdfs.FS, out []split, info hdfs.FileInfo) ([]split, error) {
	if info.IsDir {
		children, err := fs.ReadDir(ctx, info.Path)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", info.Path, err)
		}
		for _, c := range children {
			if base := path.Base(c.Path); strings.HasPrefix(base, "_") || strings.HasPrefix(base, ".") {
				continue
			}
			if out, err = appendSplits(ctx, fs, out, c); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	ext := path.Ext(info.Path)
	switch ext {
	case ".zst", ".snappy", ".lz4":
		return nil, fmt.Errorf("input %s: files compressed as %s are not read; decompress it first", info.Path, ext)
	}
	u, err := fs.URL(info.Path)
	if err != nil {
		return nil, err
	}
	blocks, err := fs.Locations(ctx, info.Path)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", info.Path, err)
	}
	if len(blocks) > 0 && unpackers[ext] != nil {
		return append(out, split{Path: u, Span: span{0, math.MaxInt64}, Blocks: blocks[0].Hosts}), nil
	}
	for _, b := range blocks {
		if b.Length > 0 {
			out = append(out, split{Path: u, Span: span{b.Offset, b.Length}, Blocks: b.Hosts})
		}
	}
	return out, nil
}

// unpackers read compressed files, by what ends their names in Hadoop.
var unpackers = map[string]func(io.Reader) (io.Reader, error){
	".gz":      func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	".bz2":     func(r io.Reader) (io.Reader, error) { return bzip2.NewReader(r), nil },
	".deflate": func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
}

// count reads a split, and past its end as far as its last word goes.
func count(ctx context.Context, fs hdfs.FS, s split) (tally, error) {
	f, err := fs.Open(ctx, s.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := newCounter(s.Span)
	var r io.Reader = f
	unpack := unpackers[path.Ext(s.Path)]
	if unpack != nil {
		r, err = unpack(bufio.NewReaderSize(f, 1<<20))
	} else {
		_, err = f.Seek(c.pos, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.Path, err)
	}
	end := s.Span.Offset + s.Span.Length
	buf := make([]byte, 1<<20)
	for !c.full {
		// Up to the end of the span, then in small steps to the end of its last word.
		want := min(int64(len(buf)), max(4096, end-c.pos))
		n, err := readFull(r, buf[:want])
		c.feed(buf[:n])
		if err == io.EOF {
			if unpack == nil && c.pos < end {
				return nil, fmt.Errorf("reading %s: it ends at byte %d, and had %d when it was looked at", s.Path, c.pos, end)
			}
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.Path, err)
		}
	}
	return c.done(), nil
}

// readFull fills b unless the stream ends. Unlike io.ReadFull's, its io.EOF is an
// orderly end: one within a block, or a compressed file that was cut, is an error.
func readFull(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}
