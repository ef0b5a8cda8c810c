package codec

import (
	"errors"
	"fmt"
	"math"
	"reflect"

	"github.com/yarnd/yarnd/engine/graph"
)

// refTag is the CBOR tag of a Ref to a task: "yd" in ASCII, of the range that is
// first come, first served and not assigned there.
const refTag = 0x7964

// Ref is a value or the promise of one: the result of a task. Within a task's
// input it is an edge of the graph; the task runs when the results are there, and
// finds them by Value. The zero Ref holds nothing.
type Ref[T any] struct {
	task  graph.TaskID // the promise; its Job is 0 when there is none
	value *T           // the value, once it is known
	err   error        // why there can be neither
	keep  *Hold
}

// Hold keeps a task's result for as long as a Ref to it can be reached: whoever made
// it has the garbage collector tell when there is none any more (runtime.AddCleanup).
type Hold struct {
	_ *byte // so that it is an object of its own
}

// RefTo returns the promise of task's result.
func RefTo[T any](task graph.TaskID) Ref[T] { return Ref[T]{task: task} }

// RefHeld returns the promise of task's result, which keeps h alive.
func RefHeld[T any](task graph.TaskID, h *Hold) Ref[T] { return Ref[T]{task: task, keep: h} }

// RefOf returns a Ref that carries v itself.
func RefOf[T any](v T) Ref[T] { return Ref[T]{value: &v} }

// RefErr returns a Ref that cannot be used as an input, because of err.
func RefErr[T any](err error) Ref[T] { return Ref[T]{err: err} }

// Task returns the task whose result it is; its Job is 0 for a Ref that was made
// from a value.
func (r Ref[T]) Task() graph.TaskID { return r.task }

// IsZero reports whether r holds neither a value nor a promise.
func (r Ref[T]) IsZero() bool { return r.task.Job == 0 && r.value == nil && r.err == nil }

// Get returns the value and whether it is known: inside a task it always is.
func (r Ref[T]) Get() (v T, ok bool) {
	if r.value == nil {
		return v, false
	}
	return *r.value, true
}

// Value returns the value. Inside a task every Ref of the input has one, except a
// zero Ref. Value panics where there is none: outside a task, ask the Future.
func (r Ref[T]) Value() T {
	if r.value == nil {
		panic(fmt.Sprintf("engine: %v has no value here: only a task finds the values of its input's Refs", r))
	}
	return *r.value
}

// String returns the task's id, or the value.
func (r Ref[T]) String() string {
	switch {
	case r.value != nil:
		return fmt.Sprintf("Ref(%v)", *r.value)
	case r.err != nil:
		return fmt.Sprintf("Ref(%v)", r.err)
	case r.task.Job == 0:
		return "Ref(nothing)"
	}
	return "Ref(task " + r.task.String() + ")"
}

// MarshalCBOR is for the codec.
func (r Ref[T]) MarshalCBOR() ([]byte, error) {
	switch {
	case r.err != nil:
		return nil, r.err
	case r.task.Job != 0:
		return appendRef(nil, r.task), nil
	case r.value != nil:
		return encMode.Marshal(*r.value)
	}
	return []byte{cborUndefined}, nil
}

// refHead is how a Ref to a task begins: the tag, and an array of two.
var refHead = []byte{0xd9, refTag >> 8, refTag & 0xff, 0x82}

// UnmarshalCBOR is for the codec.
func (r *Ref[T]) UnmarshalCBOR(data []byte) error {
	*r = Ref[T]{}
	if len(data) == 1 && data[0] == cborUndefined {
		return nil
	}
	if len(data) >= len(refHead) && [4]byte(data) == [4]byte(refHead) {
		return r.unmarshalTask(data[len(refHead):])
	}
	r.value = new(T)
	return decMode.Unmarshal(data, r.value)
}

// unmarshalTask reads what comes after refHead.
func (r *Ref[T]) unmarshalTask(data []byte) error {
	var id [2]uint64
	for i := range id {
		n, rest, ok := head(data)
		if !ok || data[0]&0xe0 != majorUint || n > math.MaxUint32 {
			return errors.New("a Ref to what is no task")
		}
		id[i], data = n, rest
	}
	if id[0] == 0 {
		return errors.New("a Ref to no job")
	}
	r.task = graph.TaskID{Job: graph.JobID(id[0]), Index: uint32(id[1])}
	return nil
}

// anyRef is what the walks see of a *Ref[T].
type anyRef interface {
	promise() (graph.TaskID, error)
	held() (v reflect.Value, ok bool)
	resolve(data []byte) error
	target() reflect.Type
}

func (r *Ref[T]) promise() (graph.TaskID, error) { return r.task, r.err }

func (r *Ref[T]) held() (reflect.Value, bool) {
	if r.value == nil {
		return reflect.Value{}, false
	}
	return reflect.ValueOf(r.value).Elem(), true
}

func (r *Ref[T]) target() reflect.Type { return reflect.TypeFor[T]() }

// resolve puts the result in the Ref's place.
func (r *Ref[T]) resolve(data []byte) error {
	c, err := For[T]()
	if err != nil {
		return err
	}
	v, err := c.Decode(data, false)
	if err != nil {
		return err
	}
	r.value = &v
	return nil
}
