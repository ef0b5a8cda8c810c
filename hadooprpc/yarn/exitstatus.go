package yarn

import (
	"fmt"
	"strings"
	"syscall"
)

// ExitStatus is how a container ended: the command's exit code, 128 plus a signal, or one of YARN's own numbers.
type ExitStatus int32

// YARN's own numbers. Source: org.apache.hadoop.yarn.api.records.ContainerExitStatus (3.4.2).
const (
	ExitSuccess ExitStatus = 0
	// ExitInvalid stands in the status of a container that has not ended.
	ExitInvalid ExitStatus = -1000
	// ExitAborted: released by the application before it started, or lost with its node.
	ExitAborted ExitStatus = -100
	// ExitDisksFailed: the node's local or log directories are bad.
	ExitDisksFailed ExitStatus = -101
	// ExitPreempted: taken back by the scheduler for another queue or application.
	ExitPreempted ExitStatus = -102
	// ExitExceededVmem: killed for its virtual memory.
	ExitExceededVmem ExitStatus = -103
	// ExitExceededPmem: killed for its physical memory.
	ExitExceededPmem ExitStatus = -104
	// ExitKilledByAppMaster: stopped by the application master.
	ExitKilledByAppMaster ExitStatus = -105
	// ExitKilledByResourceManager: stopped by the ResourceManager, for example on a node that it lost touch with.
	ExitKilledByResourceManager ExitStatus = -106
	// ExitKilledAfterAppCompletion: the application ended while it ran.
	ExitKilledAfterAppCompletion ExitStatus = -107
	// ExitKilledByContainerScheduler: the node needed the room for a guaranteed container.
	ExitKilledByContainerScheduler ExitStatus = -108
	// ExitExcessLogs: killed for what it logged.
	ExitExcessLogs ExitStatus = -109
)

// ExitKind groups the ways in which a container can end by what follows from them.
type ExitKind uint8

const (
	// KindSucceeded: the command exited with 0.
	KindSucceeded ExitKind = iota
	// KindRunning: it has not ended.
	KindRunning
	// KindFailed: the command exited with another code.
	KindFailed
	// KindSignalled: the command died by a signal that YARN did not account for.
	KindSignalled
	// KindExceeded: it used more memory or log space than it may.
	KindExceeded
	// KindPreempted: the scheduler wanted the room for others.
	KindPreempted
	// KindNode: the node failed it, or was lost.
	KindNode
	// KindStopped: somebody with the right to do so stopped it.
	KindStopped
	// KindUnknown: a number that this library has not heard of.
	KindUnknown
)

var exits = map[ExitStatus]struct {
	kind ExitKind
	text string
}{
	ExitSuccess:                    {KindSucceeded, "succeeded"},
	ExitInvalid:                    {KindRunning, "has not ended"},
	ExitAborted:                    {KindNode, "aborted: released, or lost with its node"},
	ExitDisksFailed:                {KindNode, "aborted: the node's disks are bad or full"},
	ExitPreempted:                  {KindPreempted, "preempted by the scheduler"},
	ExitExceededVmem:               {KindExceeded, "killed: exceeded its virtual memory"},
	ExitExceededPmem:               {KindExceeded, "killed: exceeded its physical memory"},
	ExitKilledByAppMaster:          {KindStopped, "stopped by the application master"},
	ExitKilledByResourceManager:    {KindStopped, "stopped by the ResourceManager"},
	ExitKilledAfterAppCompletion:   {KindStopped, "stopped after the application ended"},
	ExitKilledByContainerScheduler: {KindPreempted, "stopped to make room for a guaranteed container"},
	ExitExcessLogs:                 {KindExceeded, "killed: logged too much"},
}

// signalBase is what a shell adds to the number of the signal that killed its child.
const signalBase = 128

// Signal is the signal that killed the command, if one did.
func (s ExitStatus) Signal() (syscall.Signal, bool) {
	if s > signalBase && s <= signalBase+64 {
		return syscall.Signal(s - signalBase), true
	}
	return 0, false
}

// Kind tells what follows from the status.
func (s ExitStatus) Kind() ExitKind {
	if e, ok := exits[s]; ok {
		return e.kind
	}
	if _, ok := s.Signal(); ok {
		return KindSignalled
	}
	if s > 0 {
		return KindFailed
	}
	return KindUnknown
}

// AppFault tells whether the command or its sizing is to blame, so that starting it again unchanged may well end the
// same way. Preemption, lost nodes, bad disks and stops are nobody's fault. A death by signal counts: the kernel's
// out-of-memory killer leaves nothing but SIGKILL behind.
func (s ExitStatus) AppFault() bool {
	switch s.Kind() {
	case KindFailed, KindSignalled, KindExceeded:
		return true
	}
	return false
}

// String explains the status.
func (s ExitStatus) String() string {
	if e, ok := exits[s]; ok {
		return fmt.Sprintf("%s (%d)", e.text, int32(s))
	}
	if sig, ok := s.Signal(); ok {
		return fmt.Sprintf("killed by signal %d, %s (exit code %d)", int(sig), strings.TrimSpace(sig.String()), int32(s))
	}
	return fmt.Sprintf("exit code %d", int32(s))
}
