package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/yarnd/yarnd"
	"github.com/yarnd/yarnd/engine/shuffle"
	"github.com/yarnd/yarnd/examples/internal/files"
	"github.com/yarnd/yarnd/hadooprpc/hdfs"
)

var (
	genTask = yarnd.Define("terasort.gen", genPart)
	sorting = shuffle.Define("terasort.sort", shuffle.Spec[[]byte, []byte]{Key: shuffle.Bytes, Value: shuffle.Bytes}, readSplit, writeSorted).
		Near(func(s split) []string { return s.Hosts })
	checkTask = yarnd.Define("terasort.validate", checkPart)
)

// ---- generate ------------------------------------------------------------------

type genIn struct {
	Name       string // URL of the file
	First, End uint64 // rows
}

func genPart(ctx context.Context, in genIn) (s sum, err error) {
	fs, err := files.Of(ctx, in.Name)
	if err != nil {
		return s, err
	}
	err = files.Write(ctx, fs, in.Name, func(w io.Writer) error {
		var record [recordLen]byte
		x := skip(in.First)
		for row := in.First; row < in.End; row++ {
			x = next(x)
			fill(&record, x, row)
			s.add(record[:])
			if _, err := w.Write(record[:]); err != nil {
				return err
			}
		}
		return nil
	})
	return s, err
}

func generate(ctx context.Context, cluster *yarnd.Cluster, out string, rows uint64, parts int) (total sum, err error) {
	in := make([]genIn, parts)
	for i := range in {
		n := uint64(parts)
		in[i] = genIn{fmt.Sprintf("%s/part-m-%05d", out, i), uint64(i) * rows / n, uint64(i+1) * rows / n}
	}
	for s, err := range genTask.Map(ctx, cluster.Client, slices.Values(in)).All(ctx) {
		if err != nil {
			return total, err
		}
		total.join(s)
	}
	return total, nil
}

// ---- sort ----------------------------------------------------------------------

// split is whole records of a file.
type split struct {
	Path        string // URL
	Offset, End int64
	Hosts       []string
}

// splits cuts the files of a directory at the first record of each block.
func splits(ctx context.Context, fs hdfs.FS, dir string) (out []split, err error) {
	infos, err := parts(ctx, fs, dir)
	if err != nil {
		return nil, err
	}
	for _, info := range infos {
		if info.Length%recordLen != 0 {
			return nil, fmt.Errorf("%s has %d bytes, which are not whole records of %d", info.Path, info.Length, recordLen)
		}
		u, err := fs.URL(info.Path)
		if err != nil {
			return nil, err
		}
		blocks, err := fs.Locations(ctx, info.Path)
		if err != nil {
			return nil, err
		}
		for _, b := range blocks {
			s := split{u, roundUp(b.Offset), roundUp(b.Offset + b.Length), b.Hosts}
			if s.Offset < s.End {
				out = append(out, s)
			}
		}
	}
	return out, nil
}

func roundUp(n int64) int64 { return (n + recordLen - 1) / recordLen * recordLen }

// parts lists the files of a directory that hold records, in order.
func parts(ctx context.Context, fs hdfs.FS, dir string) ([]hdfs.FileInfo, error) {
	infos, err := fs.ReadDir(ctx, dir)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(infos, func(i hdfs.FileInfo) bool {
		name := i.Path[strings.LastIndexByte(i.Path, '/')+1:]
		return i.IsDir || strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".")
	}), nil
}

func readSplit(ctx context.Context, in split, out *shuffle.Emitter[[]byte, []byte]) error {
	return records(ctx, in.Path, in.Offset, in.End-in.Offset, func(record []byte) error {
		return out.Emit(record[:keyLen], record[keyLen:])
	})
}

// records calls f for the records of a part of a file.
func records(ctx context.Context, url string, offset, size int64, f func(record []byte) error) error {
	fs, err := files.Of(ctx, url)
	if err != nil {
		return err
	}
	file, err := fs.Open(ctx, url)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(file, 1<<20)
	var record [recordLen]byte
	for ; size > 0; size -= recordLen {
		if _, err := io.ReadFull(r, record[:]); err != nil {
			return fmt.Errorf("%s ends early: %w", url, err)
		}
		if err := f(record[:]); err != nil {
			return err
		}
	}
	return nil
}

func writeSorted(ctx context.Context, p shuffle.Part[string], groups *shuffle.Groups[[]byte, []byte]) (s sum, err error) {
	fs, err := files.Of(ctx, p.Arg)
	if err != nil {
		return s, err
	}
	err = files.Write(ctx, fs, fmt.Sprintf("%s/part-r-%05d", p.Arg, p.Index), func(w io.Writer) error {
		var record []byte
		for key, values := range groups.All() {
			for v := range values {
				record = append(append(record[:0], key...), v...)
				s.add(record)
				if _, err := w.Write(record); err != nil {
					return err
				}
			}
		}
		return groups.Err()
	})
	return s, err
}

func sortAll(ctx context.Context, cluster *yarnd.Cluster, work []split, out string, n int) (total sum, err error) {
	run := sorting.Run(ctx, cluster.Client, work, out, shuffle.Range(n))
	defer run.Release()
	sums, err := run.Results(ctx)
	for _, s := range sums {
		total.join(s)
	}
	return total, err
}

// ---- validate ------------------------------------------------------------------

type checkIn struct {
	Path string // URL
	Size int64
}

type checked struct {
	Sum         sum
	First, Last []byte // keys; nil of an empty file
}

var errOrder = errors.New("records out of order")

// checkPart looks whether a file is sorted.
func checkPart(ctx context.Context, in checkIn) (c checked, err error) {
	if in.Size%recordLen != 0 {
		return c, fmt.Errorf("%s has %d bytes, which are not whole records of %d", in.Path, in.Size, recordLen)
	}
	err = records(ctx, in.Path, 0, in.Size, func(record []byte) error {
		key := record[:keyLen]
		if c.First == nil {
			c.First = bytes.Clone(key)
		}
		if bytes.Compare(c.Last, key) > 0 {
			return fmt.Errorf("%w: %s, row %d: key %x comes behind %x", errOrder, in.Path, c.Sum.Rows, key, c.Last)
		}
		c.Last = append(c.Last[:0], key...)
		c.Sum.add(record)
		return nil
	})
	return c, err
}

// validate keeps to TeraValidate's rule: each file is sorted, and no file begins with a
// smaller key than that with which the one before ends.
func validate(ctx context.Context, cluster *yarnd.Cluster, fs hdfs.FS, dir string) (total sum, err error) {
	infos, err := parts(ctx, fs, dir)
	if err != nil {
		return total, err
	}
	in := make([]checkIn, len(infos))
	for i, info := range infos {
		if in[i].Path, err = fs.URL(info.Path); err != nil {
			return total, err
		}
		in[i].Size = info.Length
	}
	var last []byte
	i := 0
	for c, err := range checkTask.Map(ctx, cluster.Client, slices.Values(in)).All(ctx) {
		if err != nil {
			return total, err
		}
		if c.First != nil {
			if bytes.Compare(last, c.First) > 0 {
				return total, fmt.Errorf("%w: %s begins with key %x, behind %x", errOrder, in[i].Path, c.First, last)
			}
			last = c.Last
		}
		total.join(c.Sum)
		i++
	}
	return total, nil
}
