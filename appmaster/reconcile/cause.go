package reconcile

import "fmt"

// Cause is why a container ended.
type Cause string

// The causes. Their texts are shown to people.
const (
	Exited      Cause = "exited"              // by itself, with the status as its code
	Signalled   Cause = "killed by a signal"  // status is 128 + the signal's number
	OverMemory  Cause = "exceeded its memory" // physical
	OverVMemory Cause = "exceeded its virtual memory"
	BadDisks    Cause = "the node's disks failed"
	Preempted   Cause = "preempted"
	Lost        Cause = "the node was lost"
	Unstarted   Cause = "could not be started"
	Unreachable Cause = "its node could not be reached"
	Voided      Cause = "taken back before it was started"
	StoppedByUs Cause = "stopped on request"
	StoppedByRM Cause = "stopped by the resource manager"
	OverLogs    Cause = "wrote more logs than the cluster allows"
)

// YARN's container exit statuses
// (org.apache.hadoop.yarn.api.records.ContainerExitStatus). Positive numbers and 0
// are the process's own.
const (
	StatusInvalid    int32 = -1000 // never ran, for instance because a file could not be fetched
	StatusAborted    int32 = -100  // released by us, or lost with its node
	StatusDisks      int32 = -101
	StatusPreempted  int32 = -102
	StatusVMemory    int32 = -103
	StatusMemory     int32 = -104
	StatusByAM       int32 = -105
	StatusByRM       int32 = -106
	StatusAppDone    int32 = -107
	StatusDisplaced  int32 = -108 // an opportunistic container made room for a guaranteed one
	StatusLogs       int32 = -109
	statusSignalBase int32 = 128
)

// CauseOf reads an exit status. Asked tells that we had asked for the container's
// end, which explains what would else look like a crash: a process that is ended
// by SIGTERM reports 143.
func CauseOf(status int32, asked bool) Cause {
	switch status {
	case StatusPreempted, StatusDisplaced:
		return Preempted
	case StatusLogs:
		return OverLogs
	case StatusMemory:
		return OverMemory
	case StatusVMemory:
		return OverVMemory
	case StatusDisks:
		return BadDisks
	}
	switch {
	case asked, status == StatusByAM, status == StatusAppDone:
		return StoppedByUs
	case status == StatusAborted:
		return Lost
	case status == StatusByRM:
		return StoppedByRM
	case status < 0:
		return Unstarted
	case status > statusSignalBase && status < statusSignalBase+65:
		return Signalled
	}
	return Exited
}

// Blameless tells that neither the program nor its input can be the reason.
func (c Cause) Blameless() bool {
	switch c {
	case BadDisks, Preempted, Lost, Unreachable, Voided, StoppedByUs, StoppedByRM:
		return true
	case Exited, Signalled, OverMemory, OverVMemory, OverLogs, Unstarted:
		return false
	}
	return false
}

// Describe says in words how a container ended.
func (c Cause) Describe(status int32) string {
	switch c {
	case Exited:
		return fmt.Sprintf("exited with code %d", status)
	case Signalled:
		return fmt.Sprintf("was killed by signal %d", status-statusSignalBase)
	}
	return fmt.Sprintf("%s (%d)", c, status)
}
