// Package tracker is what a ResourceManager and its NodeManagers say to each other inside an embedded cluster: Hadoop's
// ResourceTracker protocol as Go values. Both ends live in one process, so nothing of it goes over a socket; everything
// that a client or an application master sees does.
//
// A NodeManager registers, then sends heartbeats, at its own pace and at once when a container ends. Like the real one
// it repeats an ended container in each heartbeat until the ResourceManager has acknowledged it, so that no end is lost
// with a heartbeat, and it registers again, with all that it runs, when it is told to resync.
//
// Sources: ResourceTracker.proto, yarn_server_common_service_protos.proto, NodeStatusUpdaterImpl,
// ResourceTrackerService (3.4.2).
package tracker

import (
	"errors"
	"time"

	"github.com/yarnd/yarnd/hadooprpc/pb"
	"github.com/yarnd/yarnd/hadooprpc/yarn"
)

// ResourceManager is the end that NodeManagers call. Its methods do not block for long and may be called from many
// goroutines. ErrDown tells that there is no ResourceManager at present: a NodeManager lets its containers run and
// tries again.
type ResourceManager interface {
	// RegisterNode makes a node known, or known anew. Containers that it names are taken back as running or ended.
	RegisterNode(Node) (Registered, error)
	// Heartbeat tells what runs on a node and returns what the node has to do.
	Heartbeat(Heartbeat) (Orders, error)
}

// ErrDown tells that no ResourceManager answers.
var ErrDown = errors.New("the ResourceManager is down")

// Node is a NodeManager that registers.
type Node struct {
	ID   yarn.NodeID // where its ContainerManagementProtocol listens
	HTTP string      // host:port of its web server
	Rack string      // "/default-rack" when empty
	// Label is its partition, "" for the default one.
	Label      string
	Capability Resource
	// Containers are those that live on from an earlier registration, or ended and were never acknowledged.
	Containers []Container
	// Apps are the applications of which it holds anything.
	Apps []yarn.ApplicationID
}

// Resource is what a node offers or a container holds.
type Resource struct {
	MemoryMiB int64
	VCores    int32
	Others    map[string]int64 // by name, such as "yarn.io/gpu"; nil for none
}

// Registered answers a registration.
type Registered struct {
	// RMIdentifier is the cluster's time stamp. A NodeManager refuses container tokens of another one.
	RMIdentifier int64
	Keys         Keys
}

// State is how far a container is.
type State uint8

const (
	// Running containers are being localized, run, or are being stopped.
	Running State = iota
	// Complete ones have ended and have nothing left on their node.
	Complete
)

// Container is a container as its node sees it.
type Container struct {
	ID          yarn.ContainerID
	State       State
	Exit        yarn.ExitStatus // when Complete
	Diagnostics string
	// What its token said; a ResourceManager that has forgotten the container takes it back with these.
	Resource  Resource
	Priority  int32
	RequestID int64 // allocation request id; -1 for none
	Execution pb.ExecutionType
	Created   time.Time
}

// Heartbeat is a node's report: all containers that run, and all that have ended and were not yet acknowledged.
type Heartbeat struct {
	Node       yarn.NodeID
	Containers []Container
	// Unhealthy is the health report of a node that shall get no more containers, "" while it is healthy.
	Unhealthy string
	// Waiting are the containers that wait on the node for room, Places how many opportunistic ones may.
	Waiting, Places int
}

// Orders are what a node has to do. The zero value is nothing.
type Orders struct {
	// Resync: the ResourceManager does not know this node. It registers again; its containers run on.
	Resync bool
	// Shutdown: the node was decommissioned. It ends its containers and itself.
	Shutdown bool
	// Acknowledged ends were noted and need no repeating.
	Acknowledged []yarn.ContainerID
	// CleanUp are containers to be ended: released, preempted, of an ended attempt.
	CleanUp []CleanUp
	// Ended are applications of which nothing shall stay; their logs are aggregated.
	Ended []yarn.ApplicationID
	// Signals are to be delivered to containers.
	Signals []Signal
	// Keys replace those that the node has.
	Keys Keys
}

// CleanUp is a container to be ended, and the exit status that its end is to be reported with.
type CleanUp struct {
	ID     yarn.ContainerID
	Status yarn.ExitStatus
}

// Signal is a signal for a container.
type Signal struct {
	ID      yarn.ContainerID
	Command pb.SignalContainerCommand
}
