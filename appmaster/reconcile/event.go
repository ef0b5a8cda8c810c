package reconcile

import "github.com/yarnd/yarnd/appmaster/spec"

// Event is something that happened. Events may come late, twice, or in any order.
type Event interface{ event() }

// Tick only lets time pass. The loop sends one a few times a second, but not while it
// serves nobody, as there may be another application master.
type Tick struct{}

// Want sets how many containers a pool shall have. Unknown pools and negative
// numbers are ignored; the API refuses them before.
type Want struct {
	Pool   string
	N      int
	Reason string // for people
	Afresh bool   // failed starts are forgiven: a person has seen to it
}

// Allocated tells that the provider has a container for a pool.
type Allocated struct{ ID, Pool, Node string }

// Launched tells that a container's process was started.
type Launched struct{ ID string }

// LaunchFailed tells that a container could not be started. Blameless means that
// the reason lies with the node and not with what was to be started; Void that it
// lies with neither: the cluster takes the container back.
type LaunchFailed struct {
	ID        string
	Why       string
	Blameless bool
	Void      bool
}

// Cluster tells how the cluster is, after each change.
type Cluster struct {
	Nodes int            // that it has
	Room  *spec.Resource // how much more the queue lets this application have; nil: not known. VCores of -1 are no bound
}

// Came tells that the process of a container has come for its certificate: from now on it may hold work and results.
type Came struct{ ID string }

// Completed tells that a container has ended.
type Completed struct {
	ID          string
	Status      int32 // exit code of the process, or one of YARN's negative ones
	Diagnostics string
}

// Refused: the cluster has no containers like a pool's just now, and is asked again.
type Refused struct {
	Pool, Why string
	Unoffered bool // it has none of that kind at all: an application without other workers ends. Else it is only for people to know
}

// Preempt tells that the cluster is going to take containers away, for others or with
// their node. Strict means that it will do so whatever we do. Workers among them leave as
// with Retire, and others are asked for in their place.
type Preempt struct {
	IDs    []string
	Strict bool
}

// Release tells that the scheduler has no more use for containers: they are
// drained. If the pool still wants as many, they are replaced.
type Release struct {
	IDs    []string
	Reason string
}

// Kill tells that a person wants a container gone. It is replaced.
type Kill struct{ ID string }

// Retire tells that a person wants containers of workers to leave in order: the
// scheduler drains them and answers with Release. Their pools want so many fewer
// at once, or, with Replace, are asked for as many others at once.
type Retire struct {
	IDs     []string
	Replace bool
	Reason  string
}

// SchedulerAttached and SchedulerDetached tell whether there is a scheduler that
// can answer.
type (
	SchedulerAttached struct{}
	SchedulerDetached struct{}
)

// Adopted tells of containers that an earlier attempt of the application master
// started and that still run.
type Adopted struct{ Containers []Adoptee }

// Adoptee is a container of an earlier attempt. Its pool is "" when it cannot be
// told; then it is stopped.
type Adoptee struct{ ID, Pool, Node string }

// Heard tells which containers the scheduler knows now, workers and itself: they are
// not Missing, whether the cluster has told of them or not. One that counts on this word
// alone is lost when it is not heard of for VouchGrace. All says that they are all that it
// knows: a worker that is not among them for SilentGrace is replaced (silent.go).
type Heard struct {
	IDs []string
	All bool
}

// Presence tells whether anybody has use for the application: how many clients
// are connected, and whether the scheduler has unfinished work.
type Presence struct {
	Clients int
	Busy    bool
}

// Stop ends the application. Quick skips all waiting for the scheduler.
type Stop struct {
	Status Status `json:"status"`
	Why    string `json:"why"`
	Quick  bool   `json:"quick,omitempty"`
}

func (Tick) event()              {}
func (Want) event()              {}
func (Allocated) event()         {}
func (Launched) event()          {}
func (LaunchFailed) event()      {}
func (Came) event()              {}
func (Completed) event()         {}
func (Refused) event()           {}
func (Cluster) event()           {}
func (Preempt) event()           {}
func (Release) event()           {}
func (Kill) event()              {}
func (Retire) event()            {}
func (SchedulerAttached) event() {}
func (SchedulerDetached) event() {}
func (Adopted) event()           {}
func (Heard) event()             {}
func (Presence) event()          {}
func (Stop) event()              {}

// Status is how an application ended.
type Status string

// The final statuses, as YARN has them.
const (
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
	Killed    Status = "KILLED"
)

// Action is something to be done. Actions of one step are done in their order.
type Action interface{ action() }

// Ask sets how many more containers of a pool the provider shall allocate. The
// number is absolute: it replaces what was asked for before.
type Ask struct {
	Pool string
	N    int
}

// ReleaseContainer hands back a container whose process was never started, or
// whose end is not known.
type ReleaseContainer struct{ ID string }

// StartContainer starts the pool's process in an allocated container.
type StartContainer struct{ ID, Pool, Node string }

// StopContainer ends a container. The provider reports Completed.
type StopContainer struct{ ID string }

// NoteExit tells whoever wants to know (the scheduler, people) that a container
// is gone.
type NoteExit struct {
	ID, Pool, Node string
	Cause          Cause
	Status         int32
	Diagnostics    string
}

// NoteDrain tells people that a container leaves which nobody has named, and why.
type NoteDrain struct{ ID, Why string }

// NoteSilent tells people that the scheduler knows nothing of a worker any more, so that
// another is asked for in its place; NoteBack that it knows it again.
type (
	NoteSilent struct{ ID, Why string }
	NoteBack   struct{ ID string }
)

// NoteBlind tells people that the scheduler does not know so many of the workers that it knew.
type NoteBlind struct{ Away, Of int }

// TellShrink tells the scheduler how many containers of a pool it may keep. It
// drains the others and answers with Release. A number that is not below the
// present one takes back an earlier TellShrink.
type TellShrink struct {
	Pool string
	To   int
}

// TellDrain tells the scheduler which containers shall leave. It answers with
// Release, container by container.
type TellDrain struct {
	IDs    []string
	Reason string
}

// TellStop tells the scheduler that the application ends.
type TellStop struct{ Why string }

// Avoid tells the provider on which nodes no containers shall be allocated: on these,
// and no others.
type Avoid struct{ Nodes []string }

// Finish is the last action: everything has stopped. Culprit is the container
// whose log explains a failure, if there is one, and Said what the cluster says of its
// end, for when nobody can read that log; "" where Why has it.
type Finish struct {
	Status  Status
	Why     string
	Culprit string
	Said    string
}

func (Ask) action()              {}
func (ReleaseContainer) action() {}
func (StartContainer) action()   {}
func (StopContainer) action()    {}
func (NoteExit) action()         {}
func (NoteDrain) action()        {}
func (NoteSilent) action()       {}
func (NoteBack) action()         {}
func (NoteBlind) action()        {}
func (TellShrink) action()       {}
func (TellDrain) action()        {}
func (TellStop) action()         {}
func (Avoid) action()            {}
func (Finish) action()           {}
