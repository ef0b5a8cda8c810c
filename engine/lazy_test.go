package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

// pattern is bytes without end that differ from offset to offset.
type pattern struct{ at int64 }

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = patternAt(p.at + int64(i))
	}
	p.at += int64(len(b))
	return len(b), nil
}

func patternAt(i int64) byte { return byte(i>>16) ^ byte(i*7) }

var stream = engine.DefineStream("test.stream", func(_ context.Context, size int64) (*engine.Stream, error) {
	if size < 0 {
		return engine.NewStream(strings.NewReader("short"), -size, nil), nil
	}
	return engine.NewStream(&pattern{}, size, nil), nil
})

type readPart struct {
	From   engine.Ref[[]byte]
	Other  engine.Ref[int]
	Off, N int64
	Gate   gate // unless Dir is ""
}

type part struct {
	Size int64
	Data []byte
	N    int
}

var readSome = engine.DefineLazy("test.readSome", func(ctx context.Context, in readPart) (part, error) {
	if _, ok := in.From.Get(); ok && in.From.Task().Job != 0 {
		return part{}, errors.New("it has been read already")
	}
	n, err := engine.Get(ctx, in.Other)
	if err != nil {
		return part{}, err
	}
	if in.Gate.Dir != "" {
		if err := in.Gate.pass(ctx); err != nil {
			return part{}, err
		}
	}
	p, err := engine.Open(ctx, in.From)
	if err != nil {
		return part{}, fmt.Errorf("open: %w", err)
	}
	b := make([]byte, in.N)
	m, err := p.ReadAt(b, in.Off)
	if err != nil && !errors.Is(err, io.EOF) {
		return part{}, fmt.Errorf("read: %w", err)
	}
	return part{p.Size(), b[:m], n}, nil
})

func checkPart(t *testing.T, got part, size, off, n int64) {
	t.Helper()
	want := make([]byte, n)
	(&pattern{at: off}).Read(want)
	if got.Size != size || !bytes.Equal(got.Data, want[:min(n, size-off)]) {
		t.Errorf("at %d: %d bytes of %d, which are not those that are there", off, len(got.Data), got.Size)
	}
}

func TestLazy(t *testing.T) {
	for _, processes := range []bool{false, true} {
		c := enginetest.Start(t, enginetest.Options{Workers: 2, Processes: processes})
		client, ctx := c.Client(), t.Context()
		one := square.Submit(ctx, client, 3)
		for _, size := range []int64{0, 1, 70_000, 5 << 20} {
			f := stream.Submit(ctx, client, size)
			whole, err := f.Result(ctx)
			if err != nil {
				t.Fatal(err)
			}
			checkPart(t, part{Size: size, Data: whole}, size, 0, size)
			for _, r := range [][2]int64{{0, 10}, {size / 2, 300_000}, {max(0, size-5), 100}} {
				for range 2 { // one of each worker
					got, err := readSome.Call(ctx, client, readPart{From: f.Ref(), Other: one.Ref(), Off: r[0], N: r[1]})
					if err != nil {
						t.Fatal(err)
					}
					checkPart(t, got, size, r[0], r[1])
					if got.N != 9 {
						t.Errorf("the other input is %d", got.N)
					}
				}
			}
		}
		got, err := readSome.Call(ctx, client, readPart{From: engine.Value([]byte("here")), Off: 1, N: 2})
		if err != nil || string(got.Data) != "er" {
			t.Errorf("a value: %q, %v", got.Data, err)
		}
		wantTaskError(t, stream.Submit(ctx, client, -100), engine.FailUser)
		if _, err := engine.Get(ctx, one.Ref()); err == nil {
			t.Error("Get outside a lazy function gave something")
		}
	}
}

// The worker that holds what a running task is about to read is killed: the result is
// computed again, and so is the task.
func TestLazyHolderKilled(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 2, Slots: 1, Processes: true})
	client, ctx := c.Client(), t.Context()
	const size = 3 << 20
	f := stream.Submit(ctx, client, size)
	<-f.Done()
	d, err := client.TaskDetail(ctx, f.ID())
	if err != nil {
		t.Fatal(err)
	}
	g := gate{Dir: t.TempDir()}
	var readers []*engine.Future[part]
	for range 2 {
		readers = append(readers, readSome.Submit(ctx, client, readPart{From: f.Ref(), Off: 1 << 20, N: 1000, Gate: gate{Dir: g.Dir, N: len(readers)}}))
	}
	eventually(t, "both readers run", func() bool { return g.arrived() == 2 })
	for _, w := range c.Workers() {
		if w.Name == d.WorkerName {
			w.Kill()
		}
	}
	c.AddWorker()
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	for _, r := range readers {
		got, err := r.Result(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		checkPart(t, got, size, 1<<20, 1000)
	}
}
