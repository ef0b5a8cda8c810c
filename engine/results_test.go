package engine_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
)

// Results are kept until they are released, and then their memory is free.
func TestReleaseFreesMemory(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		used := func() (sum uint64) {
			workers, err := client.Workers(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range workers {
				sum += w.MemoryUsed
			}
			return sum
		}
		var in []blobOf
		for i := range 8 {
			in = append(in, blobOf{Fill: byte(i), Size: 1 << 20})
		}
		b := blob.Map(ctx, client, slices.Values(in), engine.ReadOnce(false))
		got, err := b.Gather(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		for i, data := range got {
			if !bytes.Equal(data, bytes.Repeat([]byte{byte(i)}, 1<<20)) {
				t.Errorf("blob %d is wrong", i)
			}
		}
		eventually(t, "8 MiB are held", func() bool { return used() >= 8<<20 })
		b.Release()
		eventually(t, "all is freed", func() bool { return used() == 0 })
		if _, err := b.At(0).Result(deadline(t)); !errors.Is(err, engine.ErrReleased) {
			t.Errorf("a released result: %v", err)
		}
		if b.At(0).Status() != engine.Released {
			t.Errorf("status %v", b.At(0).Status())
		}
		n, err := square.Call(ctx, client, 12)
		if err != nil || n != 144 {
			t.Errorf("Call: %d, %v", n, err)
		}
	})
}

// Results go from worker to worker, and large ones from workers to the client.
func TestLargeResults(t *testing.T) {
	suite(t, enginetest.Options{Workers: 3, Slots: 1}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		const size = 3 << 20
		var in []blobOf
		for i := range 6 {
			in = append(in, blobOf{Fill: byte(i), Size: size})
		}
		b := blob.Map(ctx, client, slices.Values(in))
		refs, err := b.Refs(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		all := map[byte]int{0: size, 1: size, 2: size, 3: size, 4: size, 5: size}
		var sums []*engine.Future[map[byte]int]
		for range 3 {
			sums = append(sums, weigh.Submit(ctx, client, refs))
		}
		for _, f := range sums {
			got, err := f.Result(deadline(t))
			if err != nil || !maps.Equal(got, all) {
				t.Errorf("%v, %v", got, err)
			}
		}
		i := 0
		for data, err := range b.All(deadline(t)) {
			if err != nil || len(data) != size || data[size-1] != byte(i) {
				t.Errorf("blob %d: %d bytes, %v", i, len(data), err)
			}
			i++
		}
		if i != 6 {
			t.Errorf("%d blobs", i)
		}
	})
}

// Small results travel with the task that needs them; so many that they would fill a
// frame are fetched by its worker.
func TestManySmallInputs(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		const n, size = 600, 4000
		var blobs []engine.Ref[[]byte]
		for range n {
			blobs = append(blobs, blob.Submit(ctx, client, blobOf{Fill: 1, Size: size}).Ref())
		}
		want(t, weigh.Submit(ctx, client, blobs), map[byte]int{1: n * size})
	})
}

func TestScatter(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		big := engine.Scatter(ctx, client, bytes.Repeat([]byte{7}, 2<<20))
		small := engine.Scatter(ctx, client, []byte("x"))
		want(t, weigh.Submit(ctx, client, []engine.Ref[[]byte]{big.Ref(), small.Ref()}), map[byte]int{7: 2 << 20, 'x': 1})
		if data, err := big.Result(deadline(t)); err != nil || len(data) != 2<<20 {
			t.Errorf("%d bytes, %v", len(data), err)
		}
		if data, err := small.Result(deadline(t)); err != nil || string(data) != "x" {
			t.Errorf("%q, %v", data, err)
		}
	})
}

// A batch of the unnamed job is read once: what was read is let go of, on both sides.
func TestReadOnce(t *testing.T) {
	suite(t, enginetest.Options{}, func(t *testing.T, c *enginetest.Cluster) {
		client, ctx := c.Client(), t.Context()
		const n = 5000
		b := square.Map(ctx, client, count(n))
		if _, err := b.Submitted(deadline(t)); err != nil {
			t.Fatal(err)
		}
		seven := b.At(7)
		k := 0
		for v, err := range b.All(deadline(t)) {
			if err != nil || v != k*k {
				t.Fatalf("result %d: %d, %v", k, v, err)
			}
			if k++; k == 3000 {
				break
			}
		}
		want(t, seven, 49)
		for i, status := range map[int]engine.Status{0: engine.Released, 7: engine.Done, 2999: engine.Released} {
			if got := b.At(i).Status(); got != status {
				t.Errorf("task %d is %v, want %v", i, got, status)
			}
		}
		if _, err := b.At(1).Result(ctx); !errors.Is(err, engine.ErrReleased) {
			t.Errorf("a result that was read: %v", err)
		}
		want(t, b.At(3000), 3000*3000)
		want(t, b.At(n-1), (n-1)*(n-1))

		eventually(t, "the cluster holds only what was not read", func() bool {
			unnamed, err := client.Unnamed(ctx)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := unnamed.Tasks(ctx, 0, 2*n, "done")
			return err == nil && len(rows) == n-3000+1
		})

		job, err := client.Job(ctx, "kept")
		if err != nil {
			t.Fatal(err)
		}
		named := square.Map(ctx, client, count(10), engine.InJob(job))
		for range 2 {
			if got, err := named.Gather(deadline(t)); err != nil || len(got) != 10 {
				t.Errorf("%v, %v", got, err)
			}
		}
		named = square.Map(ctx, client, count(10), engine.InJob(job), engine.ReadOnce(true))
		if got, err := named.Gather(deadline(t)); err != nil || len(got) != 10 {
			t.Errorf("%v, %v", got, err)
		}
		if s := named.At(9).Status(); s != engine.Released {
			t.Errorf("status %v after it was read once", s)
		}
	})
}
