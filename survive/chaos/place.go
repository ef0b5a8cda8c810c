package main

import (
	"context"
	"syscall"
	"time"

	"github.com/yarnd/yarnd"
)

// place is the cluster that is hurt: the embedded one, in this process (embedded.go), or Hadoop's own, in containers
// (hadoop.go). What is done to it, when all is whole again and what is counted is the same for both.
type place interface {
	// boxes are an application's containers whose processes live.
	boxes(app string) []box
	// signal signals the process of a container, and tells whether there was one that lived.
	signal(id string, s syscall.Signal) bool
	// strike kills an application's master in a phase, which provoke brings about, and tells in which one it was hit
	// in fact, and world.sendsHome which containers are leaving then. It returns errMissed where no process that lived
	// was hit.
	strike(ctx context.Context, app *yarnd.Cluster, phase string, provoke func() error) (string, error)

	// host is the address of a node for cut, rm that of the ResourceManager.
	host(node int) string
	rm(ctx context.Context) string
	// cut has what one host sends to another get lost; heal ends that for all, and tells how many packets were.
	cut(ctx context.Context, from, to string) error
	heal(ctx context.Context) (lost int, err error)

	// failOver has another ResourceManager take over, and tells for how long there was none.
	failOver(ctx context.Context, gap time.Duration) (time.Duration, error)
	// crash kills a node's NodeManager, whose containers go on; restart starts it again.
	crash(ctx context.Context, node int) error
	restart(ctx context.Context, node int) error
	// deafen has the ResourceManager not hear of a node, or hear of it again.
	deafen(ctx context.Context, node int, on bool) error

	// outages is how many ways there are for HDFS to be away. outage begins one of them, or has HDFS be full (fullHDFS).
	outages() int
	outage(ctx context.Context, which int) (outage, error)
	// fill fills the disk of a node, again and again where something was freed; free ends that.
	fill(ctx context.Context, node int) error
	free(ctx context.Context, node int) error
	// hasDisk tells whether a node's disk can be filled, hasWires whether hosts can be cut off.
	hasDisk(node int) bool
	hasWires() bool

	// power takes a node's power away, with all that runs there, or gives it back.
	power(ctx context.Context, node int, on bool) error
	// settled waits until the cluster's own daemons all serve, and know what runs.
	settled(ctx context.Context) error
	// marks are the files in which tasks left their marks, markFile is their name where tasks run.
	marks(ctx context.Context) ([][]byte, error)
	markFile() string
	// remains are what is left of an application just now; with "" those of all, when none is there any more.
	remains(ctx context.Context, app string) (remains, error)
	// close ends it, and leaves nothing.
	close() error
}

// fullHDFS is the outage in which HDFS has no room.
const fullHDFS = -1

// outage is one that goes on.
type outage interface {
	// met tells whether the application, or a node that works for it, has met it; it is asked often.
	met(context.Context) bool
	// end ends it.
	end(context.Context) error
}

// box is a container.
type box struct {
	ID     string
	Node   int
	Master bool // it runs an application master
}
