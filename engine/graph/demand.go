package graph

import "time"

// Demand is what remains to be done of the tasks of one class.
type Demand struct {
	Job   JobID
	Class ClassID
	Name  string // of the class

	// What one task asks for.
	Pool   string // "" is any
	Slots  int
	Memory uint64 // bytes
	Named  Amounts

	// How many there are.
	Ready   int // could run
	Given   int // workers have them
	Running int // of Given: have run for some time at least
	Waiting int // for inputs
	Soon    int // of Waiting: ready when what workers have now has ended

	Ended uint64 // attempts that came to an outcome at a worker; grows. Not those that were taken back or lost

	SoonIn time.Duration // how long a task takes that Soon waits for; 0: unknown
	Took   time.Duration // how long one takes; 0: unknown
	Path   time.Duration // of a long chain of tasks that begins with one of these; 0: unknown
}
