package hdfs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/yarnd/yarnd/hadooprpc/conf"
	"github.com/yarnd/yarnd/hadooprpc/hdfs/hdfstest"
)

func BenchmarkFakeRead(b *testing.B) {
	c := startFake(b, hdfstest.Options{})
	fsys, err := Open(b.Context(), conf.FromMap(map[string]string{"fs.defaultFS": c.URL()}), "", Options{})
	must(b, err)
	defer fsys.Close()
	benchRead(b, fsys.(*remote), "/bench")
}

// benchRead compares this package's reader with that of the library.
func benchRead(b *testing.B, r *remote, name string) {
	const size = 256 << 20
	data := pattern(size, 1)
	_, err := Upload(b.Context(), r, name, bytes.NewReader(data), UploadOptions{CreateOptions: CreateOptions{BlockSize: 128 << 20, Overwrite: true}})
	must(b, err)
	defer r.RemoveAll(context.Background(), name)
	type reader interface {
		io.ReadCloser
		io.ReaderAt
	}
	ours := func() reader {
		f, err := r.Open(b.Context(), name)
		must(b, err)
		return f
	}
	library := func() reader {
		c, err := r.pool.take(b.Context(), false)
		must(b, err)
		_, err = c.stat(name) // as Open did it
		must(b, err)
		f, err := c.Client.Open(name)
		must(b, err)
		return lent{f, f, func() { r.pool.give(c) }}
	}
	for _, who := range []struct {
		name string
		open func() reader
	}{{"ours", ours}, {"library", library}} {
		for _, buffer := range []int{4 << 10, 32 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/whole-%dk", who.name, buffer>>10), func(b *testing.B) {
				b.SetBytes(size)
				buf := make([]byte, buffer)
				for b.Loop() {
					f := who.open()
					n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, buf)
					must(b, err)
					if n != size {
						b.Fatalf("%d bytes", n)
					}
					f.Close()
				}
			})
		}
		b.Run(who.name+"/open-100", func(b *testing.B) {
			buf := make([]byte, 100)
			for b.Loop() {
				f := who.open()
				_, err := io.ReadFull(f, buf)
				must(b, err)
				f.Close()
			}
		})
		b.Run(who.name+"/jump-4k", func(b *testing.B) {
			f, buf, rnd := who.open(), make([]byte, 4<<10), rand.New(rand.NewPCG(1, 1))
			defer f.Close()
			for b.Loop() {
				off := rnd.Int64N(size - int64(len(buf)))
				if n, err := f.ReadAt(buf, off); n != len(buf) || err != nil || !bytes.Equal(buf, data[off:off+int64(n)]) {
					b.Fatalf("%d, %v", n, err)
				}
			}
		})
	}
}

// lent is the library's reader with its client, which goes back to the pool.
type lent struct {
	io.ReadCloser
	io.ReaderAt
	giveBack func()
}

func (l lent) Close() error {
	err := l.ReadCloser.Close()
	l.giveBack()
	return err
}
