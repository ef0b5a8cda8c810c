package shuffle_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
	"github.com/yarnd/yarnd/engine/shuffle"
)

const (
	boundMemory = 4 << 20
	// garbage is what an executor lets lie about in any case (executor.heapFloor).
	garbage = 32 << 20
)

type volume struct {
	Seed, N uint64
}

// bulk shuffles records of 100 bytes and checks their order as it goes.
var bulk = shuffle.Define("test.bulk", shuffle.Spec[[]byte, []byte]{Key: shuffle.Bytes, Value: shuffle.Bytes, Memory: boundMemory},
	emitVolume, checkVolume)

func emitVolume(_ context.Context, in volume, out *shuffle.Emitter[[]byte, []byte]) error {
	var key [10]byte
	value := bytes.Repeat([]byte("v"), 88)
	for i := range in.N {
		binary.BigEndian.PutUint64(key[:], (in.Seed<<32+i)*0x9e3779b97f4a7c15)
		if err := out.Emit(key[:], value); err != nil {
			return err
		}
	}
	return nil
}

func checkVolume(_ context.Context, _ shuffle.Part[struct{}], groups *shuffle.Groups[[]byte, []byte]) (n uint64, err error) {
	var last []byte
	for key, values := range groups.All() {
		if bytes.Compare(last, key) > 0 {
			return n, fmt.Errorf("key %x comes behind %x", key, last)
		}
		last = append(last[:0], key...)
		for range values {
			n++
		}
	}
	return n, nil
}

// peak returns the most memory that the process of a task has taken, in bytes.
var peak = engine.Define("test.peak", func(context.Context, struct{}) (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in %q", text)
})

// A map task and a reduce task each handle more than twenty times what they may keep in
// memory; their process takes some times the budget, not the data.
func TestMemoryIsBounded(t *testing.T) {
	if underRace {
		t.Skip("the race detector's memory is not bounded so")
	}
	c := enginetest.Start(t, enginetest.Options{Workers: 1, Slots: 1, Processes: true})
	client, ctx := c.Client(), t.Context()
	before, err := peak.Call(ctx, client, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	const n = 1_000_000
	run := bulk.Run(ctx, client, []volume{{1, n}, {2, n / 10}}, struct{}{}, shuffle.Range(1))
	defer run.Release()
	got, err := run.Results(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got[0] != n+n/10 {
		t.Errorf("%d records, want %d", got[0], n+n/10)
	}
	after, err := peak.Call(ctx, client, struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MB of records, a budget of %d MB: the process took %d MB, and %d before", n/10_000, boundMemory>>20, after>>20, before>>20)
	if after-before > garbage+5*boundMemory {
		t.Errorf("%d bytes more than before; the budget is %d, beside %d of garbage", after-before, boundMemory, garbage)
	}
}

// BenchmarkShuffle gives rows/s of records of 100 bytes, 8 map tasks and 4 reduce tasks on
// two workers that are processes.
func BenchmarkShuffle(b *testing.B) {
	c := enginetest.Start(b, enginetest.Options{Workers: 2, Slots: 1, Processes: true})
	client, ctx := c.Client(), b.Context()
	const rows, maps = 2_000_000, 8
	var in []volume
	for i := range uint64(maps) {
		in = append(in, volume{i, rows / maps})
	}
	for b.Loop() {
		run := benchmarked.Run(ctx, client, in, struct{}{}, shuffle.Range(4))
		if _, err := run.Results(ctx); err != nil {
			b.Fatal(err)
		}
		run.Release()
	}
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(0, "ns/op")
}

var benchmarked = shuffle.Define("test.benchmarked", shuffle.Spec[[]byte, []byte]{Key: shuffle.Bytes, Value: shuffle.Bytes}, emitVolume, checkVolume)
