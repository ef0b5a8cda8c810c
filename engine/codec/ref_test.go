package codec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/yarnd/yarnd/engine/graph"
)

type pair struct {
	Left, Right Ref[int]
}

type refs struct {
	One     Ref[string]
	Maybe   *Ref[int]
	None    Ref[int]
	Own     Ref[[]byte]
	List    []pair
	ByName  map[string]pair
	Nested  []map[int]*Ref[int]
	Nothing []string
}

func id(i uint32) graph.TaskID { return graph.TaskID{Job: 7, Index: i} }

func someRefs() refs {
	maybe := RefTo[int](id(2))
	deep := RefTo[int](id(9))
	return refs{
		One: RefTo[string](id(1)), Maybe: &maybe, Own: RefOf([]byte("here")),
		List:   []pair{{RefTo[int](id(3)), RefTo[int](id(4))}, {RefTo[int](id(3)), RefOf(5)}},
		ByName: map[string]pair{"a": {RefTo[int](id(6)), RefTo[int](id(7))}, "b": {RefTo[int](id(2)), RefTo[int](id(8))}},
		Nested: []map[int]*Ref[int]{nil, {1: &deep}},
	}
}

func TestRefs(t *testing.T) {
	c := must[refs](t)
	before := []graph.TaskID{id(3)}
	data, deps, err := c.Append(nil, before, someRefs())
	if err != nil {
		t.Fatal(err)
	}
	want := []graph.TaskID{id(3), id(1), id(2), id(3), id(4), id(6), id(7), id(8), id(9)}
	if !slices.Equal(deps, want) {
		t.Errorf("dependencies %v, want %v", deps, want)
	}

	v, err := c.Decode(data, false)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[graph.TaskID]bool{}
	get := func(id graph.TaskID) ([]byte, error) {
		asked[id] = true
		if id.Index == 1 {
			return []byte{0x63, 'o', 'n', 'e'}, nil
		}
		return []byte{byte(id.Index)}, nil
	}
	if err := c.Resolve(&v, get); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(v.One.Value(), v.Maybe.Value(), v.None.IsZero(), string(v.Own.Value()),
		v.List[0].Left.Value(), v.List[0].Right.Value(), v.List[1].Left.Value(), v.List[1].Right.Value(),
		v.ByName["a"].Left.Value(), v.ByName["a"].Right.Value(), v.ByName["b"].Left.Value(), v.ByName["b"].Right.Value(),
		v.Nested[1][1].Value())
	if want := fmt.Sprint("one", 2, true, "here", 3, 4, 3, 5, 6, 7, 2, 8, 9); got != want {
		t.Errorf("resolved to %s, want %s", got, want)
	}
	if len(asked) != 8 {
		t.Errorf("asked for %v", asked)
	}
}

// The whole input may be a Ref.
func TestRefAlone(t *testing.T) {
	c := must[Ref[int]](t)
	data, deps, err := c.Append(nil, nil, RefTo[int](id(258)))
	if err != nil || !slices.Equal(deps, []graph.TaskID{id(258)}) {
		t.Fatal(deps, err)
	}
	if want := "\xd9\x79\x64\x82\x07\x19\x01\x02"; string(data) != want {
		t.Errorf("bytes %x, want %x", data, want)
	}
	v, err := c.Decode(data, false)
	if err != nil || v.Task() != id(258) {
		t.Fatal(v, err)
	}
	if _, ok := v.Get(); ok {
		t.Error("has a value before it is resolved")
	}
}

func TestManyDependenciesOnce(t *testing.T) {
	c := must[[]Ref[int]](t)
	var in []Ref[int]
	for i := range 3000 {
		in = append(in, RefTo[int](id(uint32(i%1000))))
	}
	_, deps, err := c.Append(nil, nil, in)
	if err != nil || len(deps) != 1000 || deps[999] != id(999) {
		t.Errorf("%d dependencies, %v", len(deps), err)
	}
}

func TestRefErrors(t *testing.T) {
	gone := errors.New("gone")
	if _, _, err := must[[]Ref[int]](t).Append(nil, nil, []Ref[int]{RefErr[int](gone)}); !errors.Is(err, gone) {
		t.Errorf("a Ref that cannot be: %v", err)
	}
	if _, _, err := must[any](t).Append(nil, nil, []any{1, RefTo[int](id(1))}); err == nil || !strings.Contains(err.Error(), "within an any") {
		t.Errorf("a Ref in an any: %v", err)
	}
	if _, _, err := must[any](t).Append(nil, nil, map[string]any{"f": func() {}}); err == nil {
		t.Error("a function in an any was accepted")
	}
	c := must[Ref[int]](t)
	v := RefTo[int](id(1))
	err := c.Resolve(&v, func(graph.TaskID) ([]byte, error) { return []byte{0x61, 'x'}, nil })
	if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "task 7/1") {
		t.Errorf("a result of another type: %v", err)
	}
	if err := c.Resolve(&v, func(graph.TaskID) ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Errorf("a result that cannot be had: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Value of a promise did not panic")
		}
	}()
	RefTo[int](id(1)).Value()
}
