package main

import (
	"context"
	"fmt"
	"io"
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

// splits cuts the files below the given names into spans of one HDFS block each.
// As MapReduce does, it passes over names that begin with "_" or ".".
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
	switch ext := path.Ext(info.Path); ext {
	case ".gz", ".bz2", ".zst", ".snappy", ".lz4", ".deflate":
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
	for _, b := range blocks {
		if b.Length > 0 {
			out = append(out, split{Path: u, Span: span{b.Offset, b.Length}, Blocks: b.Hosts})
		}
	}
	return out, nil
}

// count reads a split, and past its end as far as its last word goes.
func count(ctx context.Context, fs hdfs.FS, s split) (tally, error) {
	f, err := fs.Open(ctx, s.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := newCounter(s.Span)
	if _, err := f.Seek(c.pos, io.SeekStart); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<20)
	for !c.full {
		// Up to the end of the span, then in small steps to the end of its last word.
		want := min(int64(len(buf)), max(4096, s.Span.Offset+s.Span.Length-c.pos))
		n, err := io.ReadFull(f, buf[:want])
		c.feed(buf[:n])
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", s.Path, err)
		}
	}
	return c.done(), nil
}
