// Command chaos hurts a whole application, again and again, while it works, and counts what
// that costs. It starts a YARN cluster in its own process (hadooptest/minicluster), submits
// itself as the application's program, and has jobs run whose results are known. Meanwhile it
// kills application masters, schedulers and workers, restarts NodeManagers, lets ResourceManagers
// fail over, cuts nodes off and stops processes: from a seed, one fault after the other.
//
//	chaos -for 10m -seed 1
//
// After each fault it waits until the application is whole again, and prints at the end,
// for each kind, how many there were and how long that took.
//
//	main.go     flags, the run
//	faults.go   what is done to the application
//	whole.go    when it is whole again
//	work.go     jobs and how they are judged
//	report.go   the table
//
// What must never be: a task that was acknowledged and has no result, a result that differs
// from what somebody was told, a container, process or file that is left. The exit code is 1
// then.
package main
