// Package codec turns Go values into bytes and back: the inputs and results of
// tasks.
//
// # Bytes
//
// A value is one CBOR item (RFC 8949) in its core deterministic form: the same
// value always gives the same bytes, map keys sorted, so that digests of results
// can be compared. Byte slices and strings take a short cut past reflection; structs,
// slices and pointers of simple types and of Refs are encoded here (direct.go), the
// rest by the library, with the same bytes.
//
//	[]byte{1, 2, 3}                43 01 02 03
//	"abc"                          63 61 62 63
//	struct{ N int }{N: 1}          a1 61 4e 01
//	Ref to task 7/258              d9 79 64 82 07 19 01 02      tag 31076 [job, index]
//	Ref that carries the value 5   05
//	zero Ref                       f7                           undefined
//	PyObject                       d9 79 65 5b …                tag 31077 over a pickle, see package executor
//
// # Types
//
// Whether a type can be sent is decided once per type, when [For] is called, not
// when the first odd value turns up: functions, channels, complex numbers,
// pointers to hidden state and interfaces with methods are refused with the path
// to the culprit. Rules for struct fields and tags are those of package
// fxamacker/cbor: a cbor tag, else a json tag, else the field's name; fields that
// are not exported do not travel.
//
// A value of type any is decoded as what CBOR knows (int64, float64, string,
// []byte, []any, map[any]any), not as what it was.
//
// # Refs
//
// A [Ref] stands for a value that may still have to be computed, by a task. A Ref
// within a task's input, however deep, is an edge of the graph: the encoder
// collects the tasks that an input's Refs name, and before the task's function
// runs the decoder puts the results in their place. The analysis knows which
// parts of a type can hold a Ref, and only these are walked; a type without Refs
// costs nothing.
package codec
