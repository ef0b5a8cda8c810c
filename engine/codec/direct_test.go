package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

type (
	loud   string // encodes itself, and does not decode itself
	number int16
	flat   struct {
		Z     uint64
		Aa    int8
		B     string `cbor:"bee"`
		Data  []byte
		Raw   named
		Skip  func() `json:"-"`
		F     float64
		Ok    bool
		N     number
		List  []flat
		Next  *flat
		Texts [][]string
		inner int
	}
	tagged struct {
		N int `json:",omitempty"`
	}
	wrapped struct{ Tagged }
	Tagged  struct{ N int }
	twins   struct {
		A int `cbor:"x"`
		B int `cbor:"x"`
		C int
	}
)

func (l loud) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(l))), nil }

func isDirect[T any](t testing.TB, v T, want bool) {
	t.Helper()
	c := must[T](t)
	if c.info.direct != want {
		t.Errorf("%T: direct %v", v, c.info.direct)
	}
	sameAsLibrary(t, c, v)
}

// sameAsLibrary compares with the library's bytes.
func sameAsLibrary[T any](t testing.TB, c *Codec[T], v T) {
	t.Helper()
	got, deps, err := c.Append([]byte("before"), nil, v)
	want, werr := encMode.Marshal(v)
	if err != nil || werr != nil || len(deps) != 0 || !bytes.Equal(got, append([]byte("before"), want...)) {
		t.Errorf("%+v: %x, %v, %v; the library: %x, %v", v, got, deps, err, want, werr)
	}
}

func TestDirect(t *testing.T) {
	isDirect(t, flat{inner: 1}, true)
	isDirect(t, flat{
		Z: math.MaxUint64, Aa: -128, B: "\xff text", Data: []byte{}, Raw: named{1, 2}, F: 0.1, Ok: true, N: -1000,
		List: []flat{{}, {Aa: 1, F: 1.5}}, Next: &flat{N: 24}, Texts: [][]string{nil, {}, {"", "a"}},
	}, true)
	isDirect(t, &flat{}, true)
	isDirect(t, (*flat)(nil), true)
	isDirect(t, []number{0, 23, 24, 255, 256, -1, -24, -25, -256, -257, math.MaxInt16, math.MinInt16}, true)
	isDirect(t, []int64{math.MaxInt64, math.MinInt64, 1 << 32, 1<<32 - 1, -1 << 32, -1<<32 - 1}, true)
	isDirect(t, []float64{0, math.Copysign(0, -1), 1, 1.5, 65504, 65505, 1e10, 0.1, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat32, math.MaxFloat64, math.SmallestNonzeroFloat64}, true)
	isDirect(t, strings.Repeat("a", 300), true)
	isDirect(t, struct{}{}, true)
	isDirect(t, tree{1, &tree{}, nil}, true)

	isDirect(t, loud("a"), false)
	isDirect(t, struct{ L []loud }{[]loud{"a"}}, false)
	isDirect(t, tagged{}, false)
	isDirect(t, twins{1, 2, 3}, false)
	isDirect(t, map[string]int{"b": 1, "a": 2}, false)
	isDirect(t, [3]byte{1}, false)
	isDirect(t, json.RawMessage("1"), true)
	isDirect(t, wrapped{Tagged{3}}, false)
}

// Refs have the bytes that the library gives, and are found on the way.
func TestDirectRefs(t *testing.T) {
	type in struct {
		A, B, None Ref[int]
		More       []Ref[map[string]int]
		Own        *Ref[flat]
	}
	own := RefOf(flat{B: "own"})
	v := in{
		A: RefTo[int](id(70000)), B: RefOf(-5),
		More: []Ref[map[string]int]{RefTo[map[string]int](id(1)), RefOf(map[string]int{"z": 1, "a": 2}), RefTo[map[string]int](id(70000))},
		Own:  &own,
	}
	c := must[in](t)
	got, deps, err := c.Append(nil, nil, v)
	want, werr := encMode.Marshal(v)
	if err != nil || werr != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v; the library: %x, %v", got, err, want, werr)
	}
	if !c.info.direct || fmt.Sprint(deps) != fmt.Sprint([]graph.TaskID{id(70000), id(1)}) {
		t.Errorf("direct %v, dependencies %v", c.info.direct, deps)
	}
	back, err := c.Decode(got, false)
	if err != nil || !reflect.DeepEqual(back, v) {
		t.Errorf("%+v, %v; want %+v", back, err, v)
	}
}

// FuzzDirect compares with the library, and reads back what it wrote.
func FuzzDirect(f *testing.F) {
	f.Add(uint64(1), int8(-1), "text", []byte("data"), 1.5, true, int16(24))
	f.Add(uint64(math.MaxUint64), int8(127), "", []byte(nil), math.Inf(1), false, int16(-257))
	c := must[flat](f)
	f.Fuzz(func(t *testing.T, z uint64, a int8, s string, data []byte, x float64, ok bool, n int16) {
		v := flat{Z: z, Aa: a, B: s, Data: data, F: x, Ok: ok, N: number(n)}
		v.List, v.Next = []flat{v}, &flat{Texts: [][]string{{s}}}
		sameAsLibrary(t, c, v)
	})
}

// FuzzRef reads what may be a Ref.
func FuzzRef(f *testing.F) {
	f.Add([]byte("\xd9\x79\x64\x82\x07\x19\x01\x02"))
	f.Add([]byte("\xd9\x79\x64\x82\x00\x01"))
	f.Add([]byte("\xd9\x79\x64\x82\x1b\x00\x00\x00\x01\x00\x00\x00\x00\x01"))
	f.Add([]byte("\xf7"))
	c := must[Ref[int]](f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := c.Decode(data, false)
		if err != nil || r.IsZero() {
			return
		}
		again, _, err := c.Append(nil, nil, r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := c.Decode(again, false); err != nil || back.Task() != r.Task() || back.String() != r.String() {
			t.Errorf("%v came back as %v, %v", r, back, err)
		}
	})
}
