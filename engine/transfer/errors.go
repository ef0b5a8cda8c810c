package transfer

import (
	"errors"
	"fmt"

	"github.com/yarnd/yarnd/identity"
)

// ErrNotFound says that the one who was asked does not have the object. A Source
// returns it (or wraps it); a fetch's *Error wraps it then.
var ErrNotFound = errors.New("not found")

// ErrClosed is returned by a pool or server that is closed.
var ErrClosed = errors.New("data plane closed")

// Peer is somebody to fetch from.
type Peer struct {
	Role    identity.Role // worker or scheduler
	Name    string        // as its certificate says; "" is any
	Address string        // host:port
}

// String returns "role name at address".
func (p Peer) String() string { return fmt.Sprintf("%s %s at %s", p.Role, p.Name, p.Address) }

// Error is a fetch that failed, and says whom to blame.
type Error struct {
	Peer   Peer
	Object string // what was asked for, for people
	Err    error
	kind   errorKind
}

type errorKind uint8

const (
	unreachable errorKind = iota // no connection, or it broke
	missing                      // the peer does not have it
	unreadable                   // the peer has it and cannot read it
	damaged                      // the peer has it, and it does not have its checksum
	wrong                        // the peer's answer is not what it must be
	abandoned                    // our own context or pool ended
)

// Error says what could not be fetched from whom, and why.
func (e *Error) Error() string {
	return fmt.Sprintf("fetch %s from %s: %v", e.Object, e.Peer, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Missing reports whether the peer answered that it does not have the object, or cannot
// read it any more, or gave it damaged, so that asking it again is of no use.
func (e *Error) Missing() bool {
	return e.kind == missing || e.kind == unreadable || e.kind == damaged
}

// Damaged reports whether the peer gave blocks of a result that do not have their
// checksums. The wire would have shown damage of its own: it is the peer's disk or
// memory, or this side's.
func (e *Error) Damaged() bool { return e.kind == damaged }

// Abandoned reports whether the fetch ended because this side gave it up: its
// context or the pool was closed. It tells nothing about the peer.
func (e *Error) Abandoned() bool { return e.kind == abandoned }

// SizeError is a result too large to be taken.
type SizeError struct {
	Object string
	Size   uint64 // bytes
	Limit  uint64 // bytes
}

// Error says how large it is and what the limit is.
func (e *SizeError) Error() string {
	return fmt.Sprintf("%s has %d bytes: the limit is %d; have tasks return less, or write to storage", e.Object, e.Size, e.Limit)
}
