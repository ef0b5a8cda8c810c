package hdfs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/colinmarc/hdfs/v2"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
)

func BenchmarkFakeWrite(b *testing.B) {
	c := startFake(b, hdfstest.Options{})
	fsys, err := Open(b.Context(), conf.FromMap(map[string]string{"fs.defaultFS": c.URL()}), "", Options{})
	must(b, err)
	defer fsys.Close()
	benchWrite(b, fsys.(*remote), "/bench")
}

// benchWrite compares this package's writer with the library's.
func benchWrite(b *testing.B, r *remote, name string) {
	defer r.RemoveAll(context.Background(), name)
	opts := CreateOptions{BlockSize: 128 << 20, Replication: 1}
	ours := func() io.WriteCloser {
		w, err := r.Create(b.Context(), name, opts)
		must(b, err)
		return w
	}
	library := func() io.WriteCloser {
		c, err := r.pool.take(b.Context(), false)
		must(b, err)
		w, err := c.CreateFile(name, opts.Replication, opts.BlockSize, 0o600)
		must(b, err)
		return lentWriter{w, func() { r.pool.give(c) }}
	}
	for _, who := range []struct {
		name   string
		create func() io.WriteCloser
	}{{"ours", ours}, {"library", library}} {
		for _, size := range []int{100, 256 << 20} {
			data := pattern(size, 1)
			b.Run(fmt.Sprintf("%s/%d", who.name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					w := who.create()
					_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{bytes.NewReader(data)}, make([]byte, 256<<10))
					must(b, err)
					must(b, w.Close())
					must(b, r.Remove(b.Context(), name))
				}
			})
		}
	}
}

// lentWriter is the library's with its client, which goes back to the pool.
type lentWriter struct {
	*hdfs.FileWriter
	giveBack func()
}

func (l lentWriter) Close() error {
	err := l.FileWriter.Close()
	for hdfs.IsErrReplicating(err) {
		err = l.FileWriter.Close()
	}
	l.giveBack()
	return err
}
