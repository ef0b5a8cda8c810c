// Package adapttest is a cluster in virtual time, to see how many workers a policy has
// when: the scheduler's core gives tasks to workers, whose tasks take as long as a
// [Trace] says, and a model of YARN gives containers with YARN's delays, takes some
// away, and at times has no more.
//
//	Trace ──► sched.Core ──► workers (one task at a time each)
//	              ▲                     ▲
//	           Policy ── how many ──► Containers: asks, allocations, starts, preemptions
//
// A [Policy] is asked once a second. [Ours] is package adapt; [NewOracle] knows the
// trace; [Dask] asks dask.distributed's own code. Everything follows from the trace and the seed.
package adapttest
