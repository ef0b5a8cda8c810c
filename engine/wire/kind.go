package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"
)

// Protocol is the ALPN name of this protocol.
const Protocol = "yarnd-engine/1"

// Version is the protocol version that this package speaks, in Hello and Welcome.
const Version = 2

// Limits of the protocol. All are checked by Unmarshal.
const (
	// MaxHello is the most bytes a frame may have before Welcome.
	MaxHello = 64 << 10
	// MaxFrame is the default for the most bytes that a frame may have afterwards.
	MaxFrame = 64 << 20
	// MaxInline is the most bytes of a result that travels in Done.
	MaxInline = 4 << 10
	// MaxLocate is the most tasks that one Locate may name.
	MaxLocate = 4096
	// MaxSubmit is the most tasks that one Submit may bring.
	MaxSubmit = 1 << 18
	// MaxRangePayload is the most bytes of what the payloads of a range begin with.
	MaxRangePayload = 64 << 10
	// MaxCall is the most bytes of a call's payload, of its answer, and of a checkpoint.
	MaxCall = 1 << 20
	// MaxOutput is the most bytes of standard error in a failure.
	MaxOutput = 64 << 10
	// MaxText is the most bytes of one message or stack trace.
	MaxText = 64 << 10
	// MaxName is the most bytes of a name: of a job, class, pool, host, result.
	MaxName = 1 << 10
	// MaxSpec is the most bytes of a class's Spec.
	MaxSpec = 1 << 20
	// maxElements is the most strings and messages within one message's repeated
	// fields. Such an element takes two bytes on the wire and hundreds in memory.
	maxElements = 1 << 17
)

// Kind is a frame's kind: which message it holds and who may send it.
type Kind uint8

// The numbers are the protocol: never reuse one.
const (
	KindHello     Kind = 1  // Hello: first frame of whoever dials
	KindWelcome   Kind = 2  // Welcome: its answer
	KindPing      Kind = 3  // Ping: nothing else to say
	KindBye       Kind = 4  // Bye: the sender closes
	KindClasses   Kind = 10 // Classes: to a worker, before an Assign names them
	KindAssign    Kind = 11 // Assign: attempts for a worker
	KindPeers     Kind = 12 // Peers: introduces workers to a worker
	KindStop      Kind = 13 // Tasks: attempts to end
	KindRetract   Kind = 14 // Tasks: attempts to give back if not started
	KindFree      Kind = 15 // Tasks: results to drop
	KindCopy      Kind = 16 // Copy: results to fetch and keep
	KindRetire    Kind = 17 // Retire: say Bye and end
	KindInventory Kind = 30 // Held: what a worker brings along
	KindDone      Kind = 31 // Done: attempts that gave results
	KindStarted   Kind = 32 // Tasks: attempts that began to run
	KindRetracted Kind = 33 // Tasks with ok: the answer to Retract
	KindMissing   Kind = 34 // Tasks: results that the sender does not have
	KindCopied    Kind = 35 // Held: results of others that the sender holds now
	KindFailed    Kind = 36 // Failed: attempts without a result
	KindLoad      Kind = 37 // Load: a worker's state, about once a second
	KindParked    Kind = 38 // Tasks: attempts that wait for tasks of their own
	KindUnparked  Kind = 39 // Tasks: attempts that go on
	KindKept      Kind = 41 // Tasks: attempts that a worker brings along, before Inventory
	KindNested    Kind = 40 // Nested: what a client within a task says, and is told
	KindRequest   Kind = 50 // Request: of a client
	KindReply     Kind = 51 // Reply: to a client
)

// Side is who sends frames on a connection.
type Side uint8

const (
	SideScheduler Side = 1 << iota
	SideWorker
	SideClient
	sideAll = SideScheduler | SideWorker | SideClient
)

// String returns "scheduler", "worker" or "client".
func (s Side) String() string {
	switch s {
	case SideScheduler:
		return "scheduler"
	case SideWorker:
		return "worker"
	case SideClient:
		return "client"
	}
	return "side(?)"
}

type kindInfo struct {
	name    string
	from    Side // who may send it
	message proto.Message
	nested  bool // the message has repeated strings or messages
}

var kinds = [...]kindInfo{
	KindHello:     {name: "Hello", from: SideWorker | SideClient, message: (*Hello)(nil)},
	KindWelcome:   {name: "Welcome", from: SideScheduler, message: (*Welcome)(nil)},
	KindPing:      {name: "Ping", from: sideAll, message: (*Ping)(nil)},
	KindBye:       {name: "Bye", from: sideAll, message: (*Bye)(nil)},
	KindClasses:   {name: "Classes", from: SideScheduler, message: (*Classes)(nil)},
	KindAssign:    {name: "Assign", from: SideScheduler, message: (*Assign)(nil)},
	KindPeers:     {name: "Peers", from: SideScheduler, message: (*Peers)(nil)},
	KindStop:      {name: "Stop", from: SideScheduler, message: (*Tasks)(nil)},
	KindRetract:   {name: "Retract", from: SideScheduler, message: (*Tasks)(nil)},
	KindFree:      {name: "Free", from: SideScheduler, message: (*Tasks)(nil)},
	KindCopy:      {name: "Copy", from: SideScheduler, message: (*Copy)(nil)},
	KindRetire:    {name: "Retire", from: SideScheduler, message: (*Retire)(nil)},
	KindInventory: {name: "Inventory", from: SideWorker, message: (*Held)(nil)},
	KindDone:      {name: "Done", from: SideWorker, message: (*Done)(nil)},
	KindStarted:   {name: "Started", from: SideWorker, message: (*Tasks)(nil)},
	KindRetracted: {name: "Retracted", from: SideWorker, message: (*Tasks)(nil)},
	KindMissing:   {name: "Missing", from: SideWorker, message: (*Tasks)(nil)},
	KindCopied:    {name: "Copied", from: SideWorker, message: (*Held)(nil)},
	KindFailed:    {name: "Failed", from: SideWorker, message: (*Failed)(nil)},
	KindLoad:      {name: "Load", from: SideWorker, message: (*Load)(nil)},
	KindParked:    {name: "Parked", from: SideWorker, message: (*Tasks)(nil)},
	KindUnparked:  {name: "Unparked", from: SideWorker, message: (*Tasks)(nil)},
	KindNested:    {name: "Nested", from: SideWorker | SideScheduler, message: (*Nested)(nil)},
	KindKept:      {name: "Kept", from: SideWorker, message: (*Tasks)(nil)},
	KindRequest:   {name: "Request", from: SideClient, message: (*Request)(nil)},
	KindReply:     {name: "Reply", from: SideScheduler, message: (*Reply)(nil)},
}

func init() {
	for k := range kinds {
		if m := kinds[k].message; m != nil {
			kinds[k].nested = nested(m.ProtoReflect().Descriptor())
		}
	}
}

// Known reports whether k is a kind of this version.
func (k Kind) Known() bool { return int(k) < len(kinds) && kinds[k].message != nil }

// From reports whether s may send frames of kind k.
func (k Kind) From(s Side) bool { return k.Known() && kinds[k].from&s != 0 }

// String returns the kind's name.
func (k Kind) String() string {
	if !k.Known() {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return kinds[k].name
}

// newMessage returns an empty message of the kind, which must be known.
func (k Kind) newMessage() proto.Message {
	return kinds[k].message.ProtoReflect().Type().New().Interface()
}
