// Command chaos hurts whole applications, again and again, while they work, and counts what that costs. It
// starts a YARN cluster in its own process (hadooptest/minicluster) with an HDFS (hdfs/hdfstest), submits itself as the
// application's program, and has jobs run whose results are known. Meanwhile it does one fault after the other, from a
// seed: it kills application masters, in each phase of their lives, schedulers and workers; stops them for a while; cuts
// the network between them, one way and both; takes HDFS away; fills disks; lets ResourceManagers fail over and
// NodeManagers restart; and kills clients, or has two at once.
//
//	chaos -for 10m -seed 1 -runs 3
//
// Several runs, each with a seed and a cluster of its own, go on side by side, in a process each. After each fault a run
// waits until its application is whole again; what came of all is one table. With -counts a run goes on until it has done
// its part of the numbers in kinds; with -each one of each kind is all.
//
//	main.go     flags
//	runs.go     runs side by side, each in private namespaces (package wires), and their sum
//	world.go    a run: the cluster, the application
//	kinds.go    the kinds of faults, and which comes next
//	kills.go    schedulers, workers; what is killed and what must be kept
//	master.go   application masters, by phase
//	network.go  partitions
//	storage.go  HDFS, disks
//	yarn.go     ResourceManagers and NodeManagers
//	clients.go  clients, which are processes of their own
//	whole.go    when the application is whole again, and what is left of it
//	work.go     jobs and how they are judged
//	marks.go    which tasks ran, and which again
//	report.go   the table
//
// What must never be: a task that was acknowledged and has no result, a result that differs from what somebody was told,
// a container, process or file that is left. The exit code is 1 then.
package main
