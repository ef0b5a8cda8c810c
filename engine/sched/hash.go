package sched

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"reflect"
	"slices"
)

// Hash returns a number that stands for all of the core's state: two cores that were
// given the same events in the same order have the same. It walks every field that
// there is, so one that is added is in it, except for what is only kept to be used
// again. It is slow and for tests.
func (c *Core) Hash() uint64 {
	w := &hashWalk{h: fnv.New64a(), seen: map[hashKey]uint64{}}
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		switch v.Type().Field(i).Name {
		case "out", "spare", "scratch", "spoils", "last", "tomb", "revived", "facts":
		default:
			w.value(v.Field(i))
		}
	}
	return w.h.Sum64()
}

// hashWalk hashes values by what they are, not where: pointers are followed, the
// second time they are the number of the visit; maps are walked by key.
type hashWalk struct {
	h    hash.Hash64
	seen map[hashKey]uint64
	buf  [8]byte
}

type hashKey struct {
	at   uintptr
	kind reflect.Type
}

func (w *hashWalk) number(n uint64) {
	binary.LittleEndian.PutUint64(w.buf[:], n)
	w.h.Write(w.buf[:]) //nolint:errcheck // it has none
}

func (w *hashWalk) value(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		w.number(map[bool]uint64{true: 1}[v.Bool()])
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		w.number(uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		w.number(v.Uint())
	case reflect.String:
		w.number(uint64(v.Len()))
		w.h.Write([]byte(v.String())) //nolint:errcheck // it has none
	case reflect.Struct:
		for i := range v.NumField() {
			w.value(v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		w.number(uint64(v.Len()))
		for i := range v.Len() {
			w.value(v.Index(i))
		}
	case reflect.Map:
		w.entries(v)
	case reflect.Pointer:
		w.pointer(v)
	default:
		panic(fmt.Sprintf("sched: state of kind %v cannot be hashed", v.Kind()))
	}
}

func (w *hashWalk) pointer(v reflect.Value) {
	if v.IsNil() {
		w.number(0)
		return
	}
	key := hashKey{v.Pointer(), v.Type()}
	if n, again := w.seen[key]; again {
		w.number(n)
		return
	}
	w.seen[key] = uint64(len(w.seen)) + 1
	w.number(w.seen[key])
	w.value(v.Elem())
}

func (w *hashWalk) entries(v reflect.Value) {
	keys := v.MapKeys()
	slices.SortFunc(keys, compareKeys)
	w.number(uint64(len(keys)))
	for _, k := range keys {
		w.value(k)
		w.value(v.MapIndex(k))
	}
}

// compareKeys orders the keys of the core's maps: numbers, names, and pairs of numbers.
func compareKeys(a, b reflect.Value) int {
	switch a.Kind() {
	case reflect.String:
		return cmp.Compare(a.String(), b.String())
	case reflect.Struct:
		for i := range a.NumField() {
			if n := compareKeys(a.Field(i), b.Field(i)); n != 0 {
				return n
			}
		}
		return 0
	}
	return cmp.Compare(a.Uint(), b.Uint())
}
