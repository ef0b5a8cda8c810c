package transfer

import (
	"github.com/yarnd/yarnd/engine/checksum"
)

// Object is a result that is open, to be sent. It is used by one goroutine.
type Object interface {
	Size() int64
	// Sums are the checksums of the blocks (see package checksum), taken when the result
	// was made. They are not changed.
	Sums() []uint32
	// Block returns block i, which stays until the next call or Close.
	Block(i int) ([]byte, error)
	Close() error
}

// Bytes is an Object in memory.
type Bytes []byte

// Size implements Object.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Sums implements Object; they are computed at each call.
func (b Bytes) Sums() []uint32 { return checksum.All(b) }

// Block implements Object.
func (b Bytes) Block(i int) ([]byte, error) {
	start := i * checksum.Block
	return b[start : start+checksum.Len(b.Size(), i)], nil
}

// Close implements Object.
func (Bytes) Close() error { return nil }

// Sink is where a result goes. Its methods are called from many goroutines, for each
// block from one. An error ends the fetch and is what it returns.
type Sink interface {
	// Block returns room for block i, as long as that is.
	Block(i int) ([]byte, error)
	// Filled takes block i, which lies in the room that Block gave and has its checksum.
	Filled(i int, b []byte, sum uint32) error
	// Drop takes back the room, unfilled. Block may be asked for again.
	Drop(i int, b []byte)
}

// memory is a Sink: the result as a slice.
type memory []byte

func (m memory) Block(i int) ([]byte, error)      { return Bytes(m).Block(i) }
func (m memory) Filled(int, []byte, uint32) error { return nil }
func (m memory) Drop(int, []byte)                 {}
