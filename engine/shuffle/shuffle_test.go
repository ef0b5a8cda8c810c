package shuffle_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yarnd/yarnd/engine"
	"github.com/yarnd/yarnd/engine/enginetest"
	"github.com/yarnd/yarnd/engine/shuffle"
)

// source is an input: records that a seed determines.
type source struct {
	Seed  uint64
	N     int
	Kind  string // of keys
	Large int    // bytes of the value of the first record; 0: it is like any other
	Gate  string // directory of a gate in the middle; "": none
	Fail  bool
}

type record struct {
	Key   []byte
	Value string
}

// each calls f for every record.
func (s source) each(f func(key []byte, value string) error) error {
	r := rand.New(rand.NewPCG(s.Seed, 1))
	for i := range s.N {
		var key []byte
		switch s.Kind {
		case "one":
			key = []byte("the only key")
		case "few":
			key = fmt.Appendf(nil, "%d", r.IntN(3))
		case "skewed":
			key = fmt.Appendf(nil, "key%06d", int(float64(1000)*r.Float64()*r.Float64()*r.Float64()))
		case "long":
			key = bytes.Repeat([]byte{byte('a' + r.IntN(2))}, r.IntN(40))
		default:
			key = []byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}
		}
		value := fmt.Sprintf("%d/%d", s.Seed, i)
		if i == 0 && s.Large > 0 {
			value = strings.Repeat("x", s.Large)
		}
		if err := f(key, value); err != nil {
			return err
		}
	}
	return nil
}

// pass waits for the gate, if there is one.
func pass(ctx context.Context, dir, name string) error {
	if dir == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(dir, "arrived-"+name), nil, 0o600); err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "open")); err == nil {
			return nil
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

type args struct {
	Gate  string // where a reduce function waits after its first group
	First bool   // of each group, take the first value only
}

func mapSource(ctx context.Context, in source, out *shuffle.Emitter[[]byte, string]) error {
	if in.Fail {
		return errors.New("this input cannot be read")
	}
	n := 0
	return in.each(func(key []byte, value string) error {
		if n++; n == in.N/2 {
			if err := pass(ctx, in.Gate, fmt.Sprint("map-", in.Seed)); err != nil {
				return err
			}
		}
		return out.Emit(key, value)
	})
}

func collect(ctx context.Context, p shuffle.Part[args], groups *shuffle.Groups[[]byte, string]) ([]record, error) {
	var out []record
	for key, values := range groups.All() {
		key = bytes.Clone(key)
		for v := range values {
			out = append(out, record{key, v})
			if p.Arg.First {
				break
			}
		}
		if len(out) > 0 {
			if err := pass(ctx, p.Arg.Gate, fmt.Sprint("reduce-", p.Index)); err != nil {
				return nil, err
			}
			p.Arg.Gate = ""
		}
	}
	return out, nil
}

const tiny = 16 << 10

var (
	plain  = shuffle.Define("test.plain", shuffle.Spec[[]byte, string]{Key: shuffle.Bytes, Value: shuffle.String}, mapSource, collect)
	little = shuffle.Define("test.little", shuffle.Spec[[]byte, string]{Key: shuffle.Bytes, Value: shuffle.String, Memory: tiny}, mapSource, collect)
	counts = shuffle.Define("test.counts", shuffle.Spec[[]byte, int64]{
		Key: shuffle.Bytes, Value: shuffle.Int64, Memory: tiny, Combine: func(a, b int64) int64 { return a + b },
	},
		func(_ context.Context, in source, out *shuffle.Emitter[[]byte, int64]) error {
			return in.each(func(key []byte, _ string) error { return out.Emit(key, 1) })
		},
		func(_ context.Context, _ shuffle.Part[args], groups *shuffle.Groups[[]byte, int64]) (map[string]int64, error) {
			out := map[string]int64{}
			for key, n := range groups.Combined() {
				if out[string(key)] != 0 {
					return nil, fmt.Errorf("key %q has come before", key)
				}
				out[string(key)] = n
			}
			return out, nil
		})
)

// twin is what a run must give, put together in the most obvious way.
func twin(sources []source) []record {
	var all []record
	for _, s := range sources {
		s.each(func(key []byte, value string) error { //nolint:errcheck // it gives none
			all = append(all, record{bytes.Clone(key), value})
			return nil
		})
	}
	slices.SortStableFunc(all, func(a, b record) int { return bytes.Compare(a.Key, b.Key) })
	return all
}

func same(a, b record) bool { return bytes.Equal(a.Key, b.Key) && a.Value == b.Value }

// check compares what partitions hold with the twin.
func check(t *testing.T, sources []source, parts [][]record, ranges bool) {
	t.Helper()
	var got []record
	for i, part := range parts {
		if !slices.IsSortedFunc(part, func(a, b record) int { return bytes.Compare(a.Key, b.Key) }) {
			t.Errorf("partition %d is not sorted", i)
		}
		got = append(got, part...)
	}
	if !ranges { // a key is in one partition: a stable sort keeps the order of its values
		slices.SortStableFunc(got, func(a, b record) int { return bytes.Compare(a.Key, b.Key) })
	}
	if want := twin(sources); !slices.EqualFunc(got, want, same) {
		t.Errorf("%d records, which are not the %d of the twin", len(got), len(want))
	}
}

func TestAgainstTwin(t *testing.T) {
	client := enginetest.New(t, 2)
	ctx := t.Context()
	for name, sources := range map[string][]source{
		"nothing":      {},
		"no records":   {{}, {}},
		"one":          {{Seed: 1, N: 1}},
		"some":         {{Seed: 1, N: 2000}, {Seed: 2}, {Seed: 3, N: 500}},
		"skewed":       {{Seed: 4, N: 3000, Kind: "skewed"}, {Seed: 5, N: 3000, Kind: "skewed"}},
		"one huge key": {{Seed: 6, N: 4000, Kind: "one"}, {Seed: 7, N: 4000, Kind: "one"}, {Seed: 8, N: 10}},
		"few keys":     {{Seed: 9, N: 1000, Kind: "few"}, {Seed: 10, N: 1000, Kind: "few"}},
		"prefixes":     {{Seed: 11, N: 2000, Kind: "long"}, {Seed: 12, N: 2000, Kind: "long"}},
		"large record": {{Seed: 13, N: 500, Large: 10 * tiny}, {Seed: 14, N: 3, Large: 300_000}, {Seed: 15, N: 500}},
	} {
		for _, s := range []*shuffle.Shuffle[source, []byte, string, args, []record]{plain, little} {
			for _, p := range []shuffle.Partition{shuffle.Hash(1), shuffle.Hash(7), shuffle.Range(1), shuffle.Range(5)} {
				run := s.Run(ctx, client, sources, args{}, p)
				parts, err := run.Results(ctx)
				if err != nil {
					t.Fatalf("%s, %v: %v", name, p, err)
				}
				check(t, sources, parts, p == shuffle.Range(1) || p == shuffle.Range(5))
				if t.Failed() {
					t.Fatalf("%s, %v", name, p)
				}
				run.Release()
			}
		}
	}
}

// Partitions of a range are of like size, as far as keys can be split.
func TestRangesAreEven(t *testing.T) {
	client := enginetest.New(t, 2)
	var sources []source
	for i := range 40 {
		sources = append(sources, source{Seed: uint64(i), N: 500})
	}
	run := plain.Run(t.Context(), client, sources, args{}, shuffle.Range(8))
	defer run.Release()
	parts, err := run.Results(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range parts {
		if len(p) < 2000 || len(p) > 3000 {
			t.Errorf("partition %d of 8 has %d of 20000 records", i, len(p))
		}
	}
}

func TestCombine(t *testing.T) {
	client := enginetest.New(t, 2)
	for _, kind := range []string{"", "skewed", "one"} {
		sources := []source{{Seed: 1, N: 5000, Kind: kind}, {Seed: 2, N: 5000, Kind: kind}, {Seed: 3, N: 7, Kind: kind}}
		want := map[string]int64{}
		for _, r := range twin(sources) {
			want[string(r.Key)]++
		}
		run := counts.Run(t.Context(), client, sources, args{}, shuffle.Hash(3))
		parts, err := run.Results(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		run.Release()
		different := 0
		for _, p := range parts {
			different += len(p)
			for k, n := range p {
				if want[k] != n {
					t.Fatalf("%s: key %q: %d, want %d", kind, k, n, want[k])
				}
			}
		}
		if different != len(want) {
			t.Errorf("%s: %d keys, want %d", kind, different, len(want))
		}
	}
}

func TestValuesPassedOver(t *testing.T) {
	client := enginetest.New(t, 1)
	sources := []source{{Seed: 1, N: 1000, Kind: "few"}, {Seed: 2, N: 1000, Kind: "few"}}
	run := little.Run(t.Context(), client, sources, args{First: true}, shuffle.Hash(1))
	defer run.Release()
	parts, err := run.Results(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := slices.CompactFunc(twin(sources), func(a, b record) bool { return bytes.Equal(a.Key, b.Key) })
	if !slices.EqualFunc(parts[0], want, same) {
		t.Errorf("first values %v, want %v", parts[0], want)
	}
}

func TestErrors(t *testing.T) {
	client := enginetest.New(t, 1)
	for _, p := range []shuffle.Partition{shuffle.Hash(2), shuffle.Range(2)} {
		run := plain.Run(t.Context(), client, []source{{Seed: 1, N: 10}, {Fail: true}}, args{}, p)
		_, err := run.Results(t.Context())
		if err == nil || !strings.Contains(err.Error(), "this input cannot be read") || !strings.Contains(err.Error(), "partition 0 of 2") {
			t.Errorf("%v: %v", p, err)
		}
		run.Release()
	}
}

// What a run kept is gone when it is released.
func TestNothingStays(t *testing.T) {
	client := enginetest.New(t, 1)
	run := little.Run(t.Context(), client, []source{{Seed: 1, N: 20_000}, {Seed: 2, N: 20_000}}, args{First: true}, shuffle.Range(3))
	if _, err := run.Results(t.Context()); err != nil {
		t.Fatal(err)
	}
	run.Release()
	eventually(t, "the results are freed", func() bool {
		workers, err := client.Workers(t.Context())
		return err == nil && workers[0].MemoryUsed == 0
	})
	left, err := filepath.Glob(".shuffle-*")
	if err != nil || len(left) > 0 {
		t.Errorf("files %v, %v", left, err)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happens that %s", what)
		}
	}
}

func arrived(dir, what string) int {
	found, _ := filepath.Glob(filepath.Join(dir, "arrived-"+what+"*"))
	return len(found)
}

func open(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "open"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A worker is killed while some map tasks are done and others run, and one while reduce
// tasks run: what is lost is computed again, and the results are the same.
func TestWorkersKilled(t *testing.T) {
	c := enginetest.Start(t, enginetest.Options{Workers: 3, Processes: true})
	client, ctx := c.Client(), t.Context()
	maps, reduces := t.TempDir(), t.TempDir()
	var sources []source
	for i := range 8 {
		s := source{Seed: uint64(i), N: 20_000}
		if i >= 5 {
			s.Gate = maps
		}
		sources = append(sources, s)
	}
	run := little.Run(ctx, client, sources, args{Gate: reduces}, shuffle.Hash(4))
	defer run.Release()
	eventually(t, "the last map tasks run alone", func() bool {
		return arrived(maps, "map-") == 3 && done(t, client) >= 5
	})
	c.Workers()[0].Kill()
	c.AddWorker()
	open(t, maps)
	eventually(t, "reduce tasks run", func() bool { return arrived(reduces, "reduce-") >= 3 })
	c.Workers()[1].Kill()
	open(t, reduces)
	parts, err := run.Results(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sources {
		sources[i].Gate = ""
	}
	check(t, sources, parts, false)
}

func done(t *testing.T, c *engine.Client) int {
	t.Helper()
	jobs, err := c.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, j := range jobs {
		n += int(j.Done)
	}
	return n
}
