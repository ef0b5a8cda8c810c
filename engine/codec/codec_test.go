package codec

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/yarnd/yarnd/engine/graph"
)

type tree struct {
	Value int
	Left  *tree
	Right *tree
}

type named []byte

type sample struct {
	Name  string `json:"name"`
	Skip  func() `cbor:"-"`
	Raw   []byte
	Hash  [4]byte
	When  time.Time
	Took  time.Duration
	Rates map[string]float64
	Tree  *tree
	Addr  netip.Addr
	Big   *big.Int
	Any   any
	//lint:ignore U1000 the codec is to leave it out
	hidden int
}

func must[T any](t testing.TB) *Codec[T] {
	t.Helper()
	c, err := For[T]()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func roundtrip[T any](t *testing.T, v T) {
	t.Helper()
	c := must[T](t)
	data, deps, err := c.Append([]byte("before"), nil, v)
	if err != nil || len(deps) != 0 {
		t.Fatalf("%T: %v, %v", v, deps, err)
	}
	data, ok := bytes.CutPrefix(data, []byte("before"))
	if !ok {
		t.Fatalf("%T: does not append", v)
	}
	for _, own := range []bool{false, true} {
		got, err := c.Decode(bytes.Clone(data), own)
		if err != nil {
			t.Fatalf("%T: %v", v, err)
		}
		opts := cmp.Options{cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 }),
			cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.AllowUnexported(sample{}),
			cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })}
		if d := cmp.Diff(v, got, opts); d != "" {
			t.Errorf("%T: %s", v, d)
		}
	}
	again, _, _ := c.Append(nil, nil, v)
	if !bytes.Equal(again, data) {
		t.Errorf("%T: not deterministic", v)
	}
	slow := *c
	slow.fast = 0
	if general, _, _ := slow.Append(nil, nil, v); !bytes.Equal(general, data) {
		t.Errorf("%T: the short cut gives %x, the general way %x", v, data, general)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 23, 24, 255, 256, 65535, 65536} {
		roundtrip(t, bytes.Repeat([]byte{7}, n))
		roundtrip(t, strings.Repeat("x", n))
		roundtrip(t, named(bytes.Repeat([]byte{7}, n)))
	}
	roundtrip(t, []byte(nil))
	roundtrip(t, "not \xff UTF-8")
	roundtrip(t, struct{}{})
	roundtrip(t, math.MinInt64)
	roundtrip(t, uint64(math.MaxUint64))
	roundtrip(t, math.Copysign(0, -1))
	roundtrip(t, math.Pi)
	roundtrip(t, float32(math.Pi))
	roundtrip(t, make([]int, 200_000))
	many := map[string]int{}
	for i := range 1000 {
		many[fmt.Sprint(i*7919)] = i
	}
	roundtrip(t, many)
	roundtrip(t, sample{
		Name: "n", Raw: []byte{0, 1}, Hash: [4]byte{1, 2, 3, 4}, When: time.Date(2026, 11, 24, 3, 0, 0, 123456789, time.UTC),
		Took: time.Second, Rates: map[string]float64{"a": 1, "b": math.Inf(1)},
		Tree: &tree{1, &tree{2, nil, nil}, &tree{3, nil, &tree{4, nil, nil}}},
		Addr: netip.MustParseAddr("10.0.0.1"), Big: new(big.Int).Lsh(big.NewInt(1), 100), Any: []any{int64(1), "x", nil},
	})
}

func TestDecodeRefuses(t *testing.T) {
	ints := must[[]int](t)
	for name, data := range map[string][]byte{
		"nothing": {}, "text": {0x61, 'x'}, "cut": {0x82, 1}, "rest": {0x81, 1, 1},
		"huge count": {0x9a, 0x7f, 0xff, 0xff, 0xff, 1},
	} {
		if v, err := ints.Decode(data, false); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "[]int") {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	if _, err := must[[]byte](t).Decode([]byte{0x5a, 0x7f, 0xff, 0xff, 0xff, 1}, false); !errors.Is(err, ErrMismatch) {
		t.Errorf("bytes announced but not there: %v", err)
	}
	if _, err := must[int8](t).Decode([]byte{0x19, 1, 0}, false); !errors.Is(err, ErrMismatch) {
		t.Errorf("256 as int8: %v", err)
	}
}

func TestDecodedBytesAreOwn(t *testing.T) {
	c := must[[]byte](t)
	data, _, _ := c.Append(nil, nil, []byte("abc"))
	v, _ := c.Decode(data, false)
	data[1] = 'X'
	if string(v) != "abc" {
		t.Error("shares memory with what it was decoded from")
	}
}

type (
	withChan struct{ Rows []struct{ Notify chan int } }
	withFunc struct{ M map[string]func() }
	//lint:ignore U1000 the codec is to refuse a struct that has nothing else
	opaqueIn struct{ secret int }
	withErr  struct{ Err error }
	badRef   struct{ R Ref[chan int] }
	refOfRef struct{ R Ref[[]Ref[int]] }
	embedded struct {
		Ref[int]
		Other string
	}
)

func TestTypesRefused(t *testing.T) {
	check := func(name string, err error, want ...string) {
		t.Helper()
		te, ok := errors.AsType[*TypeError](err)
		if !ok {
			t.Errorf("%s: %v", name, err)
			return
		}
		for _, w := range want {
			if !strings.Contains(te.Error(), w) {
				t.Errorf("%s: %q does not say %q", name, te, w)
			}
		}
	}
	check("chan", second(For[withChan]()), "withChan.Rows[].Notify is a chan")
	check("func", second(For[withFunc]()), ".M[] is a func")
	check("hidden", second(For[opaqueIn]()), "without an exported field")
	check("interface", second(For[withErr]()), ".Err is the interface error")
	check("complex", second(For[complex128]()), "complex")
	check("ref of chan", second(For[badRef]()), ".R.Value() is a chan")
	check("ref of refs", second(For[refOfRef]()), "holds Refs")
	check("ref as key", second(For[map[[1]Ref[int]]int]()), "keys")
	check("embedded", second(For[embedded]()), "embedded Ref")
}

func second[T any](_ T, err error) error { return err }

func TestCycleIsAnError(t *testing.T) {
	n := &tree{Value: 1}
	n.Left = n
	if _, _, err := must[*tree](t).Append(nil, nil, n); !errors.Is(err, errDeep) {
		t.Errorf("got %v", err)
	}
	var deep *tree
	for range maxDepth / 2 {
		deep = &tree{Left: deep}
	}
	roundtrip(t, deep)
}

func TestShape(t *testing.T) {
	type other struct {
		Value int64
		Left  *tree
		Right *tree
	}
	if a, b := must[[]string](t).Shape(), must[[]named](t).Shape(); a == b {
		t.Errorf("texts and bytes have one shape, %s", a)
	}
	if a, b := must[map[string]int32](t).Shape(), must[map[string]uint64](t).Shape(); a != b || a != "map[text]int" {
		t.Errorf("integers of different width: %s, %s", a, b)
	}
	if s := must[tree](t).Shape(); s != "struct{Value int; Left ^tree; Right ^tree}" {
		t.Errorf("tree: %s", s)
	}
	var fields []reflect.StructField
	for i := range 100 {
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("Field%d", i), Type: reflect.TypeFor[int]()})
	}
	in, err := analyse(reflect.StructOf(fields))
	if err != nil || len(in.shape) > maxShape || !strings.Contains(in.shape, "… #") {
		t.Errorf("long shape: %d bytes, %v", len(in.shape), err)
	}
	if s := must[sample](t).Shape(); !strings.Contains(s, "name text; Raw bytes; Hash bytes; When time; Took int") {
		t.Errorf("sample: %s", s)
	}
	_ = other{}
}

func FuzzDecode(f *testing.F) {
	c, err := For[refs]()
	if err != nil {
		f.Fatal(err)
	}
	seed, _, _ := c.Append(nil, nil, someRefs())
	f.Add(seed)
	f.Add([]byte{0x9a, 0xff, 0xff, 0xff, 0xff})
	s, _ := For[sample]()
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := c.Decode(data, false); err == nil {
			get := func(graph.TaskID) ([]byte, error) { return []byte{0}, nil }
			_ = c.Resolve(&v, get)
		}
		if v, err := s.Decode(data, false); err == nil {
			if _, _, err := s.Append(nil, nil, v); err != nil {
				t.Fatalf("%+v cannot be encoded again: %v", v, err)
			}
		}
	})
}

func BenchmarkAppendInt(b *testing.B) {
	c, _ := For[int]()
	var buf []byte
	for b.Loop() {
		buf, _, _ = c.Append(buf[:0], nil, 1<<20)
	}
}

func BenchmarkAppendStruct(b *testing.B) {
	c, _ := For[struct{ A, B int }]()
	var buf []byte
	for b.Loop() {
		buf, _, _ = c.Append(buf[:0], nil, struct{ A, B int }{1, 2})
	}
}
