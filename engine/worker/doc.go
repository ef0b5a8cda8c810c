// Package worker is the process that runs tasks: it connects to the scheduler,
// does what it is told, and keeps results for whoever comes for them.
//
//	                 ┌────────────────── loop (owns local.Core) ───────────────┐
//	scheduler ◄─────►│ link: dials, reads frames            store: results      │◄──── peers,
//	          frames │ executor.Manager: runs attempts      transfer.Server     │ fetch clients
//	                 │ transfer.Pool: fetches inputs        bundles             │
//	                 └─────────────────────────────────────────────────────────┘
//
// The loop owns the core and all tables. Everything else is an adapter that does one
// thing, tells the loop how it ended, and never decides. A turn never waits for an adapter:
// it handles all events that are there, takes the core's output once, and sends what there
// is to report in one frame of each kind. Turns are done one at a time, by the goroutine of
// the adapter that brings something while nobody else does one, else by the loop's own
// (package turns): so a task that goes through an idle worker wakes nobody.
//
// What executors say is gathered until the loop takes it, all of it at once (reports.go),
// so a turn costs little however many tasks end in it.
//
// # Tasks that submit tasks
//
// A function's client speaks over its executor's pipe, and this worker passes on what it
// says, and hears, as it is (nest.go). While the function waits its attempt is parked: the
// core takes its slots back, and the scheduler is told.
//
// # Connections
//
// A worker never gives up its scheduler by itself: when the connection ends, even
// with a goodbye, it asks for the endpoint again (another scheduler may have taken
// over) and connects anew, at once and then with growing pauses. What it finished
// meanwhile it names in the inventory. It ends when it is told to (Retire) or its
// context does, and then leaves no process and no file behind.
package worker
