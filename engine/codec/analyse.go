package codec

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// info is what is known of a type.
type info struct {
	t     reflect.Type
	refs  bool   // a value can hold Refs
	loops bool   // the type contains itself, so a value can be cyclic
	any   bool   // a value can hold an any, in which a Ref is not allowed
	shape string // see Codec.Shape

	isRef  bool    // it is a Ref
	direct bool    // values are encoded by collector.append
	elem   *info   // of a pointer, slice, array, map
	fields []field // of a struct: those that travel
	sorted []field // the same in the order of their keys, if direct
}

type field struct {
	index int
	info  *info
	key   []byte // its name as it is encoded; of sorted
}

// walked reports whether values must be looked at before they are encoded.
func (in *info) walked() bool { return in.refs || in.loops || in.any }

var (
	cache sync.Map // reflect.Type → *info or error; complete ones only

	refType    = reflect.TypeFor[anyRef]()
	timeType   = reflect.TypeFor[time.Time]()
	marshalers = []reflect.Type{
		reflect.TypeFor[cbor.Marshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](),
	}
	unmarshalers = []reflect.Type{
		reflect.TypeFor[cbor.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryUnmarshaler](),
		reflect.TypeFor[encoding.TextUnmarshaler](),
	}
)

// A TypeError tells that a type cannot be sent to a task or come back from one.
type TypeError struct {
	Type reflect.Type // whole type
	Path string       // from it to the culprit, such as ".Rows[].Notify"
	What string       // what the culprit is and why it cannot be sent
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("type %s cannot be sent: %s%s is %s", e.Type, e.Type, e.Path, e.What)
}

func analyse(t reflect.Type) (*info, error) {
	if got, ok := cache.Load(t); ok {
		return got.(*info), nil
	}
	a := analyser{root: t, seen: map[reflect.Type]*info{}}
	in, err := a.typ(t, "")
	if err != nil {
		return nil, err
	}
	a.spread()
	in.shape = shapeOf(in)
	cache.Store(t, in)
	return in, nil
}

// analyser walks one type. Its infos may be incomplete until spread, so they are
// not shared between analysers.
type analyser struct {
	root reflect.Type
	seen map[reflect.Type]*info
	open []*info // on the way from the root to here
}

func (a *analyser) refuse(path, format string, args ...any) error {
	return &TypeError{Type: a.root, Path: path, What: fmt.Sprintf(format, args...)}
}

func (a *analyser) typ(t reflect.Type, path string) (*info, error) {
	if in, ok := a.seen[t]; ok {
		in.loops = in.loops || slices.Contains(a.open, in)
		return in, nil
	}
	in := &info{t: t}
	a.seen[t] = in
	a.open = append(a.open, in)
	defer func() { a.open = a.open[:len(a.open)-1] }()
	return in, a.fill(in, path)
}

func (a *analyser) fill(in *info, path string) (err error) {
	t := in.t
	if reflect.PointerTo(t).Implements(refType) {
		return a.ref(in, path)
	}
	if opaque(t) {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		in.elem, err = a.typ(t.Elem(), path)
	case reflect.Slice, reflect.Array:
		in.elem, err = a.typ(t.Elem(), path+"[]")
	case reflect.Map:
		key, err := a.typ(t.Key(), path+"[key]")
		if err != nil {
			return err
		}
		if holdsRefs(key, map[*info]bool{}) {
			return a.refuse(path, "a map with Refs in its keys: use them as values")
		}
		in.elem, err = a.typ(t.Elem(), path+"[]")
		return err
	case reflect.Struct:
		return a.fields(in, path)
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return a.refuse(path, "the interface %s: what it holds is known only here; use a concrete type", t)
		}
		in.any = true
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Uintptr:
		return a.refuse(path, "a %s, which means nothing in another process", t.Kind())
	case reflect.Complex64, reflect.Complex128:
		return a.refuse(path, "a complex number: send its parts")
	}
	return err
}

func (a *analyser) ref(in *info, path string) error {
	in.isRef, in.refs = true, true
	target := reflect.New(in.t).Interface().(anyRef).target()
	if in.t.PkgPath() != reflect.TypeFor[info]().PkgPath() || !strings.HasPrefix(in.t.Name(), "Ref[") {
		return a.refuse(path, "the struct %s with an embedded Ref, which would hide its other fields: give the Ref a name", in.t)
	}
	elem, err := a.typ(target, path+".Value()")
	if err != nil {
		return err
	}
	in.elem = elem
	if holdsRefs(elem, map[*info]bool{}) {
		return a.refuse(path, "a Ref of a type that holds Refs: a result cannot hold Refs")
	}
	return nil
}

func holdsRefs(in *info, seen map[*info]bool) bool {
	if in == nil || seen[in] {
		return false
	}
	seen[in] = true
	return in.isRef || holdsRefs(in.elem, seen) ||
		slices.ContainsFunc(in.fields, func(f field) bool { return holdsRefs(f.info, seen) })
}

func (a *analyser) fields(in *info, path string) error {
	t := in.t
	hidden := 0
	for i := range t.NumField() {
		f := t.Field(i)
		if tagName(f) == "-" {
			continue
		}
		embedded := f.Anonymous && f.Type.Kind() == reflect.Struct
		if !f.IsExported() && !embedded {
			hidden++
			continue
		}
		fi, err := a.typ(f.Type, path+"."+f.Name)
		if err != nil {
			return err
		}
		in.fields = append(in.fields, field{index: i, info: fi})
	}
	if len(in.fields) == 0 && hidden > 0 {
		return a.refuse(path, "the struct %s without an exported field: nothing of it would arrive; export fields or give it MarshalBinary and UnmarshalBinary", t)
	}
	return nil
}

// spread lets every info know what the types below it can hold. Types that contain
// themselves need several rounds.
func (a *analyser) spread() {
	for _, in := range a.seen {
		in.direct = direct(in)
	}
	for changed := true; changed; {
		changed = false
		for _, in := range a.seen {
			below := in.fieldsAndElem()
			refs := in.refs || slices.ContainsFunc(below, func(b *info) bool { return b.refs })
			loops := in.loops || slices.ContainsFunc(below, func(b *info) bool { return b.loops })
			anys := in.any || slices.ContainsFunc(below, func(b *info) bool { return b.any })
			direct := in.direct && !slices.ContainsFunc(below, func(b *info) bool { return !b.direct })
			if refs != in.refs || loops != in.loops || anys != in.any || direct != in.direct {
				in.refs, in.loops, in.any, in.direct, changed = refs, loops, anys, direct, true
			}
		}
	}
}

func (in *info) fieldsAndElem() []*info {
	var below []*info
	if in.elem != nil && !in.isRef {
		below = append(below, in.elem)
	}
	for _, f := range in.fields {
		below = append(below, f.info)
	}
	return below
}

// opaque reports whether the type encodes and decodes itself.
func opaque(t reflect.Type) bool {
	return t.Kind() != reflect.Interface && t.Kind() != reflect.Pointer && implements(t, marshalers) && implements(t, unmarshalers)
}

// implements reports whether t, or a pointer to it, has the methods of one of these.
func implements(t reflect.Type, of []reflect.Type) bool {
	return slices.ContainsFunc(of, func(m reflect.Type) bool {
		return t.Implements(m) || reflect.PointerTo(t).Implements(m)
	})
}

// tagName returns the name that a field's tag gives it, or "".
func tagName(f reflect.StructField) string {
	tag, ok := f.Tag.Lookup("cbor")
	if !ok {
		tag = f.Tag.Get("json")
	}
	name, _, _ := strings.Cut(tag, ",")
	return name
}

const maxShape = 512

func shapeOf(in *info) string {
	s := string(appendShape(nil, in, map[*info]bool{}))
	if len(s) <= maxShape {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return strings.ToValidUTF8(s[:maxShape-40], "") + "… #" + hex.EncodeToString(sum[:16])
}

// appendShape appends in's shape. A type within itself is written as its name.
func appendShape(dst []byte, in *info, open map[*info]bool) []byte {
	t := in.t
	if open[in] {
		return append(append(dst, '^'), t.Name()...)
	}
	open[in] = true
	defer delete(open, in)
	switch {
	case in.isRef:
		return append(appendShape(append(dst, "ref<"...), in.elem, open), '>')
	case t == timeType:
		return append(dst, "time"...)
	case opaque(t):
		return append(dst, t.String()...)
	}
	switch k := t.Kind(); k {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return append(dst, "int"...)
	case reflect.Float32, reflect.Float64:
		return append(dst, "float"...)
	case reflect.String:
		return append(dst, "text"...)
	case reflect.Pointer:
		return appendShape(dst, in.elem, open)
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return append(dst, "bytes"...)
		}
		return appendShape(append(dst, "[]"...), in.elem, open)
	case reflect.Map:
		key, err := analyse(t.Key())
		if err != nil { // its map would have been refused
			return append(dst, t.String()...)
		}
		dst = append(append(append(dst, "map["...), key.shape...), ']')
		return appendShape(dst, in.elem, open)
	case reflect.Struct:
		dst = append(dst, "struct{"...)
		for i, f := range in.fields {
			if i > 0 {
				dst = append(dst, "; "...)
			}
			sf := t.Field(f.index)
			name := tagName(sf)
			if name == "" {
				name = sf.Name
			}
			dst = append(append(dst, name...), ' ')
			dst = appendShape(dst, f.info, open)
		}
		return append(dst, '}')
	case reflect.Interface:
		return append(dst, "any"...)
	default:
		return append(dst, k.String()...)
	}
}
