package yarn

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/yarnd/yarnd/hadooprpc/pb"
)

// ApplicationID names an application: application_<ClusterTimestamp>_<ID>.
type ApplicationID struct {
	// ClusterTimestamp is when the ResourceManager started, in milliseconds since the epoch.
	ClusterTimestamp int64
	ID               int32
}

// AttemptID names one attempt of an application: appattempt_<ClusterTimestamp>_<ID>_<Attempt>.
type AttemptID struct {
	App     ApplicationID
	Attempt int32 // from 1
}

// ContainerID names a container: container_[e<epoch>_]<ClusterTimestamp>_<ID>_<Attempt>_<number>.
type ContainerID struct {
	Attempt AttemptID
	// ID holds the ResourceManager's epoch in its upper 24 bits and the container's number in the lower 40.
	ID int64
}

const numberBits = 40

// Epoch counts the activations of the ResourceManager before this container was allocated.
func (c ContainerID) Epoch() int64 { return c.ID >> numberBits }

// Number is the container's number within its attempt and epoch: it starts again at 1 with each epoch.
func (c ContainerID) Number() int64 { return c.ID & (1<<numberBits - 1) }

// NodeID is the address of a NodeManager's ContainerManagementProtocol.
type NodeID struct {
	Host string
	Port int32
}

func (a ApplicationID) String() string {
	return fmt.Sprintf("application_%d_%04d", a.ClusterTimestamp, a.ID)
}

func (a AttemptID) String() string {
	return fmt.Sprintf("appattempt_%d_%04d_%06d", a.App.ClusterTimestamp, a.App.ID, a.Attempt)
}

func (c ContainerID) String() string {
	epoch := ""
	if e := c.Epoch(); e > 0 {
		epoch = fmt.Sprintf("e%02d_", e)
	}
	return fmt.Sprintf("container_%s%d_%04d_%02d_%06d", epoch, c.Attempt.App.ClusterTimestamp, c.Attempt.App.ID, c.Attempt.Attempt, c.Number())
}

func (n NodeID) String() string { return n.Host + ":" + strconv.Itoa(int(n.Port)) }

// ParseApplicationID reads application_<timestamp>_<id>.
func ParseApplicationID(s string) (ApplicationID, error) {
	p := idParser{s: s}
	p.prefix("application")
	id := ApplicationID{p.number(63), int32(p.number(31))}
	return id, p.end("application id", "application_1700000000000_0001")
}

// ParseAttemptID reads appattempt_<timestamp>_<id>_<attempt>.
func ParseAttemptID(s string) (AttemptID, error) {
	p := idParser{s: s}
	p.prefix("appattempt")
	id := AttemptID{ApplicationID{p.number(63), int32(p.number(31))}, int32(p.number(31))}
	return id, p.end("attempt id", "appattempt_1700000000000_0001_000001")
}

// ParseContainerID reads container_[e<epoch>_]<timestamp>_<id>_<attempt>_<number>.
func ParseContainerID(s string) (ContainerID, error) {
	p := idParser{s: s}
	p.prefix("container")
	epoch := p.epoch()
	id := ContainerID{Attempt: AttemptID{ApplicationID{p.number(63), int32(p.number(31))}, int32(p.number(31))}}
	id.ID = epoch<<numberBits | p.number(numberBits)
	return id, p.end("container id", "container_e02_1700000000000_0001_01_000001")
}

// ParseNodeID reads host:port.
func ParseNodeID(s string) (NodeID, error) {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 {
		return NodeID{}, fmt.Errorf("node id %q: want host:port", s)
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	if err != nil {
		return NodeID{}, fmt.Errorf("node id %q: bad port", s)
	}
	return NodeID{s[:i], int32(port)}, nil
}

// idParser takes an id apart, part by part; the first failure sticks.
type idParser struct {
	s, rest string
	bad     bool
}

func (p *idParser) prefix(want string) {
	head, rest, ok := strings.Cut(p.s, "_")
	p.rest, p.bad = rest, !ok || head != want
}

// epoch reads the optional part e<number>.
func (p *idParser) epoch() int64 {
	if !strings.HasPrefix(p.rest, "e") {
		return 0
	}
	p.rest = p.rest[1:]
	return p.number(63 - numberBits)
}

// number reads a part of digits alone that fits into so many bits.
func (p *idParser) number(bits int) int64 {
	part, rest, more := strings.Cut(p.rest, "_")
	p.rest = rest
	if more && rest == "" {
		p.bad = true // a dangling underscore
	}
	n, err := strconv.ParseUint(part, 10, bits)
	if err != nil {
		p.bad = true
	}
	return int64(n)
}

func (p *idParser) end(what, example string) error {
	if p.bad || p.rest != "" {
		return fmt.Errorf("%q is no %s such as %s", p.s, what, example)
	}
	return nil
}

// Compare orders by age.
func (a ApplicationID) Compare(b ApplicationID) int {
	return cmp.Or(cmp.Compare(a.ClusterTimestamp, b.ClusterTimestamp), cmp.Compare(a.ID, b.ID))
}

// Compare orders by application, then attempt.
func (a AttemptID) Compare(b AttemptID) int {
	return cmp.Or(a.App.Compare(b.App), cmp.Compare(a.Attempt, b.Attempt))
}

// Compare orders by attempt, then epoch and number.
func (c ContainerID) Compare(d ContainerID) int {
	return cmp.Or(c.Attempt.Compare(d.Attempt), cmp.Compare(c.ID, d.ID))
}

// PB is the id as a message.
func (a ApplicationID) PB() *pb.ApplicationId {
	return &pb.ApplicationId{Id: proto.Int32(a.ID), ClusterTimestamp: proto.Int64(a.ClusterTimestamp)}
}

// PB is the id as a message.
func (a AttemptID) PB() *pb.ApplicationAttemptId {
	return &pb.ApplicationAttemptId{ApplicationId: a.App.PB(), AttemptId: proto.Int32(a.Attempt)}
}

// PB is the id as a message.
func (c ContainerID) PB() *pb.ContainerId {
	return &pb.ContainerId{AppId: c.Attempt.App.PB(), AppAttemptId: c.Attempt.PB(), Id: proto.Int64(c.ID)}
}

// PB is the id as a message.
func (n NodeID) PB() *pb.NodeId {
	return &pb.NodeId{Host: proto.String(n.Host), Port: proto.Int32(n.Port)}
}

// ApplicationIDFromPB reads a message; nil gives the zero id.
func ApplicationIDFromPB(m *pb.ApplicationId) ApplicationID {
	return ApplicationID{m.GetClusterTimestamp(), m.GetId()}
}

// AttemptIDFromPB reads a message; nil gives the zero id.
func AttemptIDFromPB(m *pb.ApplicationAttemptId) AttemptID {
	return AttemptID{ApplicationIDFromPB(m.GetApplicationId()), m.GetAttemptId()}
}

// ContainerIDFromPB reads a message; nil gives the zero id.
func ContainerIDFromPB(m *pb.ContainerId) ContainerID {
	return ContainerID{AttemptIDFromPB(m.GetAppAttemptId()), m.GetId()}
}

// NodeIDFromPB reads a message; nil gives the zero id.
func NodeIDFromPB(m *pb.NodeId) NodeID { return NodeID{m.GetHost(), m.GetPort()} }

// MarshalText gives the printed form.
func (a ApplicationID) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// MarshalText gives the printed form.
func (a AttemptID) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// MarshalText gives the printed form.
func (c ContainerID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// MarshalText gives the printed form.
func (n NodeID) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads the printed form.
func (a *ApplicationID) UnmarshalText(b []byte) (err error) {
	*a, err = ParseApplicationID(string(b))
	return
}

// UnmarshalText reads the printed form.
func (a *AttemptID) UnmarshalText(b []byte) (err error) { *a, err = ParseAttemptID(string(b)); return }

// UnmarshalText reads the printed form.
func (c *ContainerID) UnmarshalText(b []byte) (err error) {
	*c, err = ParseContainerID(string(b))
	return
}

// UnmarshalText reads the printed form.
func (n *NodeID) UnmarshalText(b []byte) (err error) { *n, err = ParseNodeID(string(b)); return }
